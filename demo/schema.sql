-- A small application such as Raxx: the tables that it would keep anyway, with more columns than the detections need.
-- Some call the time of an event created_at, others event_time. Nothing here knows of raxx_detect.

-- The public waitlist form.
CREATE TABLE waitlist_signups (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at    timestamptz NOT NULL DEFAULT now(),
    email         text NOT NULL,
    origin        text,
    ip            inet,
    country       char(2),
    user_agent    text,
    referral_code text,
    utm           jsonb NOT NULL DEFAULT '{}',
    confirmed_at  timestamptz
);
CREATE INDEX ON waitlist_signups (created_at);
CREATE INDEX ON waitlist_signups (lower(email));

-- Requests of the console that the permission check refused.
CREATE TABLE rbac_denials (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_time timestamptz NOT NULL,
    operator   text NOT NULL,
    permission text NOT NULL,
    route      text NOT NULL,
    method     text NOT NULL DEFAULT 'GET',
    session_id uuid,
    ip         inet,
    user_agent text
);
CREATE INDEX ON rbac_denials (event_time);

-- What customers did, as the application's audit writer records it.
CREATE TABLE customer_audit_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT now(),
    customer_id bigint NOT NULL,
    operator    text,
    action      text NOT NULL,
    target_type text NOT NULL,
    target_id   bigint,
    request_id  uuid NOT NULL,
    payload     jsonb NOT NULL
);
CREATE INDEX ON customer_audit_events (created_at);
CREATE INDEX ON customer_audit_events (customer_id, created_at);

-- What operators and scheduled jobs did in the console.
CREATE TABLE console_audit_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    operator   text NOT NULL,
    action     text NOT NULL,
    resource   text NOT NULL,
    session_id uuid,
    payload    jsonb NOT NULL
);
CREATE INDEX ON console_audit_events (created_at);

-- Page views and clicks of operators, from the console's own telemetry.
CREATE TABLE operator_activity (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_time timestamptz NOT NULL,
    operator   text NOT NULL,
    page       text NOT NULL,
    session_id uuid
);
CREATE INDEX ON operator_activity (event_time);

-- Unhandled errors, by route.
CREATE TABLE error_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_time timestamptz NOT NULL,
    route      text NOT NULL,
    status     smallint NOT NULL,
    message    text NOT NULL,
    release    text NOT NULL,
    trace_id   text NOT NULL
);
CREATE INDEX ON error_events (event_time);

-- A passkey ceremony was begun for an address.
CREATE TABLE passkey_begin_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_time timestamptz NOT NULL,
    ip         inet NOT NULL,
    email      text NOT NULL,
    ceremony   text NOT NULL,
    user_agent text
);
CREATE INDEX ON passkey_begin_events (event_time);

-- A session was created.
CREATE TABLE session_events (
    session_id uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    account    text NOT NULL,
    ip         inet NOT NULL,
    device     jsonb NOT NULL
);
CREATE INDEX ON session_events (created_at);

-- Releases.
CREATE TABLE deploy_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL,
    app        text NOT NULL,
    release    text NOT NULL,
    git_sha    text NOT NULL,
    operator   text NOT NULL
);

-- Results of strategy backtests; only the operators run them so far.
CREATE TABLE backtest_results (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at   timestamptz NOT NULL,
    strategy     text NOT NULL,
    return_value numeric(12, 4) NOT NULL,
    sharpe       numeric(8, 4)
);
