-- Health: whether each rule can see. A detector that does not run, cannot read or waits for something finds nothing, and
-- nothing looks the same as calm; so what a rule could not have seen is worked out from what is on record anyway.
--
--     rule_runs            when a rule's runs began to end in error, without data, or at another run
--     rule_state_changes   when it was dormant
--     interruptions        what no record of a rule tells: when nobody ran the rules, when the horizon stood still
--
-- The last is the only thing that is written for it, when there is something to write.

CREATE FUNCTION raxx_detect.blind_after() RETURNS interval
AS 'MODULE_PATHNAME', 'raxx_blind_after' LANGUAGE C STABLE PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.blind_after() IS 'The setting raxx_detect.blind_after (default 5 minutes): how long nobody may run the rules, or a transaction may stay open, before the rules count as blind.';

CREATE TABLE raxx_detect.interruptions (
    kind text NOT NULL CHECK (kind IN ('pause', 'stall')),
    began timestamptz NOT NULL,
    ended timestamptz CHECK (ended >= began),
    detail text NOT NULL,
    PRIMARY KEY (kind, began)
);
CREATE UNIQUE INDEX interruptions_open ON raxx_detect.interruptions (kind) WHERE ended IS NULL;
COMMENT ON TABLE raxx_detect.interruptions IS 'When no rule could see: pause: nobody called run_all for longer than raxx_detect.blind_after; stall: a transaction that could still write stayed open for longer than that. Written by the run that notices; runs without news write nothing.';
COMMENT ON COLUMN raxx_detect.interruptions.ended IS 'When the first run came that found it over; NULL: it lasts. A pause is written when it is over.';
COMMENT ON COLUMN raxx_detect.interruptions.detail IS 'What happened, in a sentence; of a stall, the culprit.';

CREATE INDEX rule_runs_by_time ON raxx_detect.rule_runs (rule_id, started_at);
CREATE INDEX rule_runs_errors ON raxx_detect.rule_runs (rule_id, run_id) WHERE outcome = 'error';

CREATE FUNCTION raxx_detect.note_interruptions() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limit_at timestamptz := now() - raxx_detect.blind_after();
    last_run_at timestamptz;
    horizon record := raxx_detect.horizon();
BEGIN
    -- Of several runs at once one writes, and whoever comes after it sees that there is no news any more.
    SELECT h.last_run_at INTO last_run_at FROM raxx_detect.heartbeat h FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    IF last_run_at < limit_at THEN
        INSERT INTO raxx_detect.interruptions (kind, began, ended, detail)
        VALUES ('pause', last_run_at, now(), 'nobody called raxx_detect.run_all()') ON CONFLICT DO NOTHING;
    END IF;
    IF horizon.held_since = '-infinity' THEN
        RETURN;  -- what sees the past itself (REPEATABLE READ) cannot tell
    ELSIF horizon.held_since < limit_at THEN
        INSERT INTO raxx_detect.interruptions (kind, began, detail)
        -- At the last run, nothing had stood still for so long.
        VALUES ('stall', greatest(horizon.held_since, coalesce(last_run_at, now()) - raxx_detect.blind_after()), horizon.culprit)
        ON CONFLICT DO NOTHING;
    ELSE
        UPDATE raxx_detect.interruptions i SET ended = greatest(now(), i.began) WHERE i.kind = 'stall' AND i.ended IS NULL;
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.note_interruptions() IS
'Puts on record that nobody had called run_all for longer than raxx_detect.blind_after, and that the horizon has stood still for that long, or moves again.';

CREATE FUNCTION raxx_detect.note_run(held_since timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    limit_at CONSTANT timestamptz := now() - raxx_detect.blind_after();
    today CONSTANT timestamptz := date_trunc('day', now(), 'UTC');
    last_run_at timestamptz;
    stall boolean;
    stalled boolean;
    state text; message text; detail text; hint text;
BEGIN
    SELECT h.last_run_at, EXISTS (SELECT FROM raxx_detect.interruptions i WHERE i.kind = 'stall' AND i.ended IS NULL)
    INTO last_run_at, stall FROM raxx_detect.heartbeat h;
    stalled := CASE WHEN held_since > '-infinity' THEN held_since < limit_at ELSE stall END;
    IF last_run_at >= limit_at AND stalled = stall AND date_trunc('day', last_run_at, 'UTC') = today THEN
        RETURN;
    END IF;
    -- What cannot be noted must not undo what the run has found.
    BEGIN
        PERFORM raxx_detect.note_interruptions();
        IF date_trunc('day', last_run_at, 'UTC') <> today THEN
            PERFORM raxx_detect.prune_daily();
            PERFORM raxx_detect.check_evidence_daily();
        END IF;
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RAISE WARNING USING ERRCODE = state, MESSAGE = 'a run could not note how the ones before it fared: ' || message, DETAIL = detail, HINT = hint;
    END;
    IF date_trunc('day', last_run_at, 'UTC') <> today THEN
        PERFORM raxx_detect.self_tune_daily();
    END IF;
END $$;
COMMENT ON FUNCTION raxx_detect.note_run(timestamptz) IS
'Called by run_all before it moves the heartbeat, with the time since which the horizon is held (now, if it is not): notes interruptions, and, at the first run of a UTC day, deletes what is outdated, looks whether the rows that are evidence are as they were, and tunes what people pass over. Writes nothing if there is no news. What fails here is a warning, and leaves the run as it is.';

CREATE FUNCTION raxx_detect.bound_since(rule raxx_detect.rules) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A gap is judged in whichever audit table there is.
    SELECT CASE WHEN rule.method = 'gap' THEN min(b.bound_at)
                WHEN count(*) = cardinality(rule.sources) AND bool_and(b.columns ?& raxx_detect.named_roles(rule)
                         OR raxx_detect.unbound_role(rule, b) IS NULL) THEN max(b.bound_at) END
    FROM raxx_detect.source_bindings b
    WHERE b.source = ANY (rule.sources)
      AND EXISTS (SELECT FROM raxx_detect.methods m WHERE m.method = rule.method AND m.evaluator IS NOT NULL)
$$;
COMMENT ON FUNCTION raxx_detect.bound_since(raxx_detect.rules) IS
'Since when everything that the rule reads is bound; NULL: it is not, or this version does not evaluate the rule.';

CREATE FUNCTION raxx_detect.judges_nothing_yet(rule raxx_detect.rules, state text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT state = 'placeholder' AND NOT rule.params ?| '{threshold,distinct_threshold,business_gap}'
$$;
COMMENT ON FUNCTION raxx_detect.judges_nothing_yet(raxx_detect.rules, text) IS
'Whether a rule in that state waits for its baseline and has no threshold to judge by meanwhile.';

CREATE FUNCTION raxx_detect.state_spells(rule raxx_detect.rules, OUT state text, OUT reason text, OUT spell tstzrange)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH changes AS (
        SELECT c.change_id, c.from_state, c.to_state, c.reason, c.changed_at,
               coalesce(lead(c.changed_at) OVER (ORDER BY c.change_id), 'infinity') AS until
        FROM raxx_detect.rule_state_changes c WHERE c.rule_id = rule.rule_id
    )
    SELECT c.to_state, CASE WHEN c.until = 'infinity' THEN rule.state_reason ELSE c.reason END, tstzrange(c.changed_at, c.until)
    FROM changes c WHERE c.changed_at < c.until
    UNION ALL
    SELECT coalesce(f.from_state, rule.state), CASE WHEN f.from_state IS NULL THEN rule.state_reason ELSE f.from_state END,
           tstzrange('-infinity', coalesce(f.changed_at, 'infinity'))
    FROM (SELECT) one LEFT JOIN (SELECT c.from_state, c.changed_at FROM changes c ORDER BY c.change_id LIMIT 1) f ON true
$$;
COMMENT ON FUNCTION raxx_detect.state_spells(raxx_detect.rules) IS
'The states that a rule was in, from the beginning, each with its time (the last one without an end) and the reason of it.';

CREATE FUNCTION raxx_detect.run_spells(rule_id text, from_time timestamptz, to_time timestamptz, OUT outcome text, OUT detail text, OUT spell tstzrange)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH shown AS (
        SELECT r.run_id, r.started_at, r.outcome, r.detail FROM raxx_detect.rule_runs r
        WHERE r.rule_id = $1 AND r.started_at >= from_time AND r.started_at < to_time
        UNION ALL  -- what was in force when the time began
        (SELECT r.run_id, r.started_at, r.outcome, r.detail FROM raxx_detect.rule_runs r
         WHERE r.rule_id = $1 AND r.started_at < from_time AND r.outcome NOT IN ('busy', 'skipped') ORDER BY r.run_id DESC LIMIT 1)
        UNION ALL  -- and whether another run was at it
        (SELECT l.run_id, l.started_at, l.outcome, l.detail
         FROM (SELECT r.* FROM raxx_detect.rule_runs r WHERE r.rule_id = $1 AND r.started_at < from_time ORDER BY r.run_id DESC LIMIT 1) l
         WHERE l.outcome = 'busy')
    ), lasting AS (  -- in the order in which they were written: the run that others found busy began before theirs
        SELECT s.outcome, s.detail, s.started_at, greatest(s.started_at, lead(s.started_at, 1, 'infinity') OVER (ORDER BY s.run_id)) AS until
        FROM shown s WHERE s.outcome NOT IN ('busy', 'skipped')
    ), following AS (
        SELECT s.outcome, s.detail, s.started_at, greatest(s.started_at, lead(s.started_at, 1, 'infinity') OVER (ORDER BY s.run_id)) AS until
        FROM shown s
    )
    SELECT l.outcome, l.detail, tstzrange(l.started_at, l.until) FROM lasting l WHERE l.started_at < l.until
    UNION ALL
    SELECT f.outcome, f.detail, tstzrange(f.started_at, f.until) FROM following f
    WHERE f.outcome = 'busy' AND least(f.until, now()) - f.started_at > raxx_detect.blind_after()
$$;
COMMENT ON FUNCTION raxx_detect.run_spells(text, timestamptz, timestamptz) IS
'How a rule''s runs ended during a time, each outcome from the first run that had it to the next that ended otherwise (without an end for the last). A run that another was at (busy), or that looked at the past (skipped), says nothing about how the rule fares and ends no outcome; only if it was busy for longer than raxx_detect.blind_after is that an outcome of its own.';

CREATE FUNCTION raxx_detect.interruption_spells(OUT kind text, OUT detail text, OUT spell tstzrange)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT i.kind, i.detail, tstzrange(i.began, i.ended) FROM raxx_detect.interruptions i
    UNION ALL
    SELECT 'pause', 'nobody calls raxx_detect.run_all()', tstzrange(h.last_run_at, NULL) FROM raxx_detect.heartbeat h
    WHERE h.last_run_at < now() - raxx_detect.blind_after()
$$;
COMMENT ON FUNCTION raxx_detect.interruption_spells() IS 'The interruptions, and the pause that lasts, which nobody has noted yet.';

CREATE FUNCTION raxx_detect.blind_between(from_time timestamptz, to_time timestamptz, only_rule text DEFAULT NULL,
    OUT rule_id text, OUT source text, OUT kind text, OUT spell tstzrange, OUT lasts boolean, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH judged AS (
        SELECT r AS rule, r.rule_id, raxx_detect.bound_since(r) AS bound_since,
               CASE WHEN cardinality(raxx_detect.judged_sources(r)) = 1 THEN (raxx_detect.judged_sources(r))[1] END AS source,
               coalesce(greatest(h.last_run_at, (SELECT max(u.started_at) FROM raxx_detect.rule_runs u WHERE u.rule_id = r.rule_id)),
                        '-infinity') < raxx_detect.bound_since(r) AS unseen
        FROM raxx_detect.rules r CROSS JOIN raxx_detect.heartbeat h WHERE only_rule IS NULL OR r.rule_id = only_rule
    ), states AS (
        SELECT j.*, s.state, s.reason, s.spell, raxx_detect.judges_nothing_yet(j.rule, s.state) AS waits,
               s.state IN ('live', 'placeholder') AND NOT raxx_detect.judges_nothing_yet(j.rule, s.state) AS judges
        FROM judged j CROSS JOIN LATERAL raxx_detect.state_spells(j.rule) s
    ), spells AS (
        SELECT s.rule_id, s.source, CASE WHEN s.unseen THEN 'pause' ELSE 'dormant' END AS kind,
               s.spell * tstzrange(s.bound_since, NULL) AS spell,
               CASE WHEN s.unseen THEN 'no run has come since its sources were bound' ELSE s.reason END AS reason
        FROM states s WHERE s.state = 'dormant' AND s.bound_since IS NOT NULL
        UNION ALL
        SELECT s.rule_id, s.source, 'baseline', s.spell, s.reason FROM states s WHERE s.waits
        UNION ALL
        SELECT s.rule_id, s.source, r.outcome, s.spell * r.spell, r.detail
        FROM states s CROSS JOIN LATERAL raxx_detect.run_spells(s.rule_id, from_time, to_time) r
        WHERE s.judges AND r.outcome IN ('error', 'no_data', 'busy')
        UNION ALL
        SELECT s.rule_id, s.source, i.kind, s.spell * i.spell, i.detail
        FROM states s CROSS JOIN raxx_detect.interruption_spells() i WHERE s.judges
    )
    SELECT s.rule_id, s.source, s.kind, w.spell, upper_inf(s.spell) OR upper(s.spell) = 'infinity', s.reason
    FROM spells s CROSS JOIN LATERAL (SELECT s.spell * tstzrange(least(from_time, now()), least(to_time, now())) AS spell) w
    WHERE NOT isempty(w.spell)
    ORDER BY s.rule_id, lower(w.spell), s.kind, s.reason
$$;
COMMENT ON FUNCTION raxx_detect.blind_between(timestamptz, timestamptz, text) IS
'When rules (only_rule; NULL: each) could not have seen at that time, within [from_time, to_time) and up to now, and why. kind: dormant (although everything it reads is bound), baseline (it has no threshold to judge by while its baseline fills), error and no_data (its runs ended so), busy (another run was at it for long), pause (nobody ran the rules), stall (a transaction that could still write was open for long: what it writes cannot be seen). Spells of different kinds may overlap. Disabled, retired and subsumed rules are not expected to see. source: the source that the rule judges; NULL: it has several. lasts: whether it goes on (spell ends at to_time or now, whatever comes first). As far back as records are kept.';

CREATE VIEW raxx_detect.blind_spells AS SELECT * FROM raxx_detect.blind_between('-infinity', 'infinity');
COMMENT ON VIEW raxx_detect.blind_spells IS
'When each rule could not have seen, and why: see raxx_detect.blind_between. What still lasts ends now.';

CREATE FUNCTION raxx_detect.minutes_in(times tstzmultirange) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(sum(extract(epoch FROM upper(u.spell) - lower(u.spell)) / 60), 0) FROM unnest(times) u(spell)
$$;
COMMENT ON FUNCTION raxx_detect.minutes_in(tstzmultirange) IS 'How many minutes a set of finite times holds; 0 for NULL.';

CREATE FUNCTION raxx_detect.blind_minutes(rule_id text, from_time timestamptz, to_time timestamptz) RETURNS float8
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.find_rule(rule_id);
    IF from_time IS NULL OR to_time IS NULL OR from_time > to_time THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'from_time must not be after to_time',
            DETAIL = format('They are %s and %s.', coalesce(from_time::text, 'NULL'), coalesce(to_time::text, 'NULL')),
            HINT = 'Give the time to look at, such as now() - interval ''1 day'' and now().';
    END IF;
    RETURN (SELECT raxx_detect.minutes_in(range_agg(b.spell)) FROM raxx_detect.blind_between(from_time, to_time, blind_minutes.rule_id) b);
END $$;
COMMENT ON FUNCTION raxx_detect.blind_minutes(text, timestamptz, timestamptz) IS
'How many minutes of [from_time, to_time), up to now, a rule could not have seen in: the spells of raxx_detect.blind_between, each moment counted once. Errors: 42704 unknown rule, 22023 no such time.';

CREATE FUNCTION raxx_detect.lag(rule raxx_detect.rules, OUT source text, OUT lag interval, OUT settled_lag interval)
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    -- A first run that could settle nothing has left the beginning of all time.
    SELECT b.source, now() - nullif(j.looked_to, '-infinity'),
           -- A quiet run moves no coverage, and yet: rows that had come by then would have ended the quiet.
           now() - nullif(CASE WHEN j.rule_id = ANY (h.quiet_rules)
                        THEN greatest(j.settled, least(j.looked_to, z.settles_to) - raxx_detect.settling_time(rule, b)) ELSE j.settled END, '-infinity')
    FROM raxx_detect.judged j
    JOIN raxx_detect.source_bindings b ON b.source = j.source
    CROSS JOIN raxx_detect.heartbeat h CROSS JOIN raxx_detect.horizon() z
    WHERE j.rule_id = rule.rule_id AND j.source = ANY (raxx_detect.judged_sources(rule))
    ORDER BY j.looked_to, j.settled LIMIT 1
$$;
COMMENT ON FUNCTION raxx_detect.lag(raxx_detect.rules) IS
'How far behind now a rule''s look at its sources is (lag), and up to how far back a row that is still to come would be judged as any other (settled_lag), of the source that is furthest behind. NULL: nothing is settled. No row: it has judged nothing yet.';

CREATE FUNCTION raxx_detect.told(kind text, since timestamptz, reason text) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT concat_ws(': ', format('%s since %s', CASE kind WHEN 'error' THEN 'its runs end in an error' WHEN 'no_data' THEN 'there is no data'
        WHEN 'busy' THEN 'another run has been at it' WHEN 'pause' THEN 'not running' ELSE kind END, date_trunc('second', since)),
        CASE WHEN kind <> 'busy' THEN reason END)
$$;
COMMENT ON FUNCTION raxx_detect.told(text, timestamptz, text) IS 'What keeps a rule from seeing, as raxx_detect.health tells it.';

CREATE FUNCTION raxx_detect.set_aside(rule_id text, OUT silences bigint, OUT silenced_findings bigint, OUT exceptions bigint, OUT excepted_findings bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    SELECT count(*) INTO silences FROM raxx_detect.silences s CROSS JOIN raxx_detect.rules r
    WHERE r.rule_id = set_aside.rule_id AND r.allows_exceptions AND coalesce(s.rule_id = r.rule_id, true)
      AND s.starts_at <= now() AND s.until > now() AND s.ended_at IS NULL;
    SELECT count(DISTINCT d.finding_id) INTO silenced_findings FROM raxx_detect.deliveries d JOIN raxx_detect.detection_findings f ON f.finding_id = d.finding_id
    WHERE d.state = 'silenced' AND d.ended_at IS NULL AND f.rule_id = set_aside.rule_id;
    SELECT count(*) INTO exceptions FROM raxx_detect.exceptions x
    WHERE x.rule_id = set_aside.rule_id AND x.expires_at > now() AND x.ended_at IS NULL;
    SELECT count(*) INTO excepted_findings FROM raxx_detect.detection_findings f WHERE f.rule_id = set_aside.rule_id AND f.exception_id IS NOT NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.set_aside(text) IS
'What keeps findings of a rule from being told now: how many silences and exceptions hold, how many findings have something to say that silences hold back, and how many exceptions have set aside so far.';

CREATE FUNCTION raxx_detect.health_now(OUT rule_id text, OUT healthy boolean, OUT lag interval, OUT settled_lag interval,
    OUT blind_minutes numeric, OUT errors bigint, OUT sqlstate text, OUT last_error_at timestamptz, OUT last_error text, OUT reason text)
RETURNS SETOF record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH day AS MATERIALIZED (
        SELECT s.* FROM raxx_detect.blind_between(now() - interval '1 day', now()) s
    ), blind AS (
        SELECT d.rule_id, raxx_detect.minutes_in(range_agg(d.spell)) AS minutes,
               -- That a rule waits for something is no illness. Whether the horizon stands still, and why, is known as of now.
               string_agg(raxx_detect.told(d.kind, lower(d.spell), d.reason), '; ' ORDER BY lower(d.spell))
                   FILTER (WHERE d.lasts AND d.kind NOT IN ('dormant', 'baseline', 'stall')
                           -- what was bound a moment ago
                           AND (d.kind <> 'pause' OR lower(d.spell) < now() - raxx_detect.blind_after())) AS trouble
        FROM day d GROUP BY d.rule_id
    ), rules AS (
        SELECT r AS rule, r.number, r.rule_id, r.state, r.state_reason, b.minutes, l.lag, l.settled_lag,
               j.judges,
               CASE WHEN j.judges AND (b.trouble IS NOT NULL OR h.culprit IS NOT NULL)
                    THEN concat_ws('; ', b.trouble, 'the horizon stands still: ' || h.culprit)
                    WHEN j.judges AND l.lag < interval '-1 minute'
                    THEN format('the clock was set back: %s was looked at up to %s from now', l.source, raxx_detect.in_words(-l.lag))
                    WHEN j.judges AND l.lag > raxx_detect.blind_after()
                    THEN format('its look at %s ends %s ago', l.source, raxx_detect.in_words(l.lag))
                    ELSE b.trouble END AS trouble
        FROM raxx_detect.rules r
        CROSS JOIN LATERAL (SELECT r.state IN ('live', 'placeholder') AND NOT raxx_detect.judges_nothing_yet(r, r.state) AS judges) j
        LEFT JOIN blind b ON b.rule_id = r.rule_id
        LEFT JOIN raxx_detect.horizon() h ON h.held_since < now() - raxx_detect.blind_after() AND h.held_since > '-infinity'
        LEFT JOIN LATERAL raxx_detect.lag(r) l ON true
    )
    SELECT r.rule_id, v.healthy, r.lag, r.settled_lag, round(coalesce(r.minutes, 0)::numeric, 1),
           (SELECT count(*) FROM raxx_detect.run_spells(r.rule_id, now() - interval '1 day', now()) s WHERE s.outcome = 'error'),
           substring(e.detail FROM '(?:^|; )([0-9A-Z]{5}): '), e.started_at, e.detail,
           CASE WHEN NOT v.healthy THEN r.trouble
                WHEN v.healthy THEN concat_ws('; ', 'it sees', CASE WHEN r.minutes >= 0.05
                    THEN format('in the last day it was blind for %s minutes: see raxx_detect.blind_spells', round(r.minutes::numeric, 1)) END,
                    CASE WHEN s.silences > 0 THEN format('silences hold back what it finds: %s, of %s findings (raxx_detect.silence_log)', s.silences, s.silenced_findings) END,
                    CASE WHEN s.exceptions > 0 THEN format('exceptions set aside what it finds: %s, %s findings so far (raxx_detect.exception_log)', s.exceptions, s.excepted_findings) END)
                WHEN r.judges THEN 'it has judged nothing yet'
                ELSE format('%s: %s', r.state, r.state_reason) END
    FROM rules r
    CROSS JOIN LATERAL raxx_detect.set_aside(r.rule_id) s
    CROSS JOIN LATERAL (SELECT CASE WHEN r.trouble IS NOT NULL THEN false WHEN r.judges AND r.lag IS NOT NULL THEN true END AS healthy) v
    LEFT JOIN LATERAL (SELECT u.started_at, u.detail FROM raxx_detect.rule_runs u
                       WHERE u.rule_id = r.rule_id AND u.outcome = 'error' ORDER BY u.run_id DESC LIMIT 1) e ON true
    ORDER BY r.number NULLS LAST, r.rule_id
$$;
COMMENT ON FUNCTION raxx_detect.health_now() IS 'What raxx_detect.health shows.';

CREATE VIEW raxx_detect.health AS SELECT * FROM raxx_detect.health_now();
COMMENT ON VIEW raxx_detect.health IS
'A line for each rule: whether it can see, and why not. Alert on WHERE NOT healthy. Needs SELECT on the tables of this schema, and no privilege on the sources.';
COMMENT ON COLUMN raxx_detect.health.healthy IS 'True: it looks at its sources. False: something keeps it from that; reason says what. NULL: nothing is expected of it (disabled, waiting for a source or a baseline).';
COMMENT ON COLUMN raxx_detect.health.lag IS 'How far behind now the last look at the rule''s sources is; NULL: it has judged nothing yet.';
COMMENT ON COLUMN raxx_detect.health.settled_lag IS 'How far behind now its verdicts are final: rows that come later than that are left to the sweep. NULL: none is yet.';
COMMENT ON COLUMN raxx_detect.health.blind_minutes IS 'The minutes of the last day in which the rule could not have seen at that time: raxx_detect.blind_minutes.';
COMMENT ON COLUMN raxx_detect.health.errors IS 'How many different errors its runs ended in during the last day. An error that repeats itself counts once.';
COMMENT ON COLUMN raxx_detect.health.sqlstate IS 'The SQLSTATE of the last error.';
COMMENT ON COLUMN raxx_detect.health.last_error_at IS 'When the rule''s runs last began to end in an error, however long they went on to.';
COMMENT ON COLUMN raxx_detect.health.last_error IS 'The last error, with SQLSTATE, message, DETAIL and HINT.';
