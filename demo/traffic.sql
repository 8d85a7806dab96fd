-- Fourteen days of ordinary traffic up to now, with a daily and a weekly rhythm, in the tables of schema.sql.
--
-- Nothing is random: what happens in a minute follows from the number of that minute by hashing, so that two runs
-- agree wherever they overlap. By construction no rule that ships with a threshold fires on it: at most one sign-up
-- falls into a minute, an operator is denied at most twice in ten, and each audit log has a beat that never stops.
-- `psql -v now="timestamptz '...'"` puts the end elsewhere.
\if :{?now}
\else
\set now now()
\endif
SET TimeZone = 'UTC';

-- ---- chance without chance ---------------------------------------------------------------------------------------

-- In [0, 1), evenly: the draw numbered `draw` of minute (or account, or whatever) n.
CREATE FUNCTION pg_temp.u(n bigint, draw bigint) RETURNS float8 LANGUAGE sql IMMUTABLE AS
$$ SELECT (hashint8extended(n, draw) >> 12 & x'fffffffffffff'::bigint) / 4503599627370496.0::float8 $$;

CREATE FUNCTION pg_temp.pick(choices text[], u float8) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT choices[1 + floor(u * cardinality(choices))::int] $$;

CREATE FUNCTION pg_temp.id(n bigint, draw bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS
$$ SELECT md5(n || '/' || draw)::uuid $$;

-- Addresses of ranges that are kept for benchmarks and documentation: nobody's.
CREATE FUNCTION pg_temp.ip(n bigint) RETURNS inet LANGUAGE sql IMMUTABLE AS
$$ SELECT CASE WHEN pg_temp.u(n, 1) < 0.7 THEN inet '198.18.0.0' + (pg_temp.u(n, 2) * 131072)::bigint
               ELSE ('2001:db8:' || to_hex((pg_temp.u(n, 2) * 65535)::int) || ':'
                     || to_hex((pg_temp.u(n, 3) * 65535)::int) || '::1')::inet END $$;

CREATE FUNCTION pg_temp.user_agent(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT 'Mozilla/5.0 (' || pg_temp.pick('{Macintosh; Intel Mac OS X 14_5,Windows NT 10.0; Win64; x64,'
       'X11; Linux x86_64,iPhone; CPU iPhone OS 18_1 like Mac OS X,Linux; Android 15; Pixel 9}', pg_temp.u(n, 3))
       || ') ' || pg_temp.pick('{Chrome/141.0,Safari/605.1.15,Firefox/144.0}', pg_temp.u(n, 4)) $$;

-- A person's address: three in four at one of the big providers, the others at many companies.
CREATE FUNCTION pg_temp.email(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN style < 0.42 THEN first || '.' || last
        WHEN style < 0.60 THEN first || last
        WHEN style < 0.75 THEN left(first, 1) || last
        WHEN style < 0.88 THEN first || '.' || last || (10 + number * 90)::int
        WHEN style < 0.95 THEN first || (1960 + number * 45)::int
        ELSE first || '_' || last END
        || '@' || CASE
        WHEN host < 0.75 THEN pg_temp.pick('{gmail.com,gmail.com,gmail.com,gmail.com,gmail.com,outlook.com,outlook.com,'
            'hotmail.com,yahoo.com,icloud.com,proton.me,gmx.de}', host / 0.75)
        ELSE pg_temp.pick('{acme,northwind,contoso,globex,initech,umbra,hooli,vandelay,stark,wayne,tyrell,cyberdyne,'
            'soylent,wonka,oscorp,massive,aperture,blackmesa,duff,monarch}', number)
            || pg_temp.pick('{-labs,-capital,-group,-trading,-research,-partners}', tail) || '.example' END
    FROM (SELECT pg_temp.pick('{anna,omar,li,maria,jo,peter,eva,tom,nina,ines,ulf,sara,ivan,chloe,raj,mei,lucas,emma,'
                     'noah,olga,hugo,lena,paul,ruth,sven,tara,umar,vera,will,yuki,zoe,adam,bea,carl,dina,elif}',
                     pg_temp.u(n, 10)) AS first,
                 pg_temp.pick('{karlsson,tan,wei,silva,bauer,hall,maier,reed,pohl,vega,berg,lind,petrov,martin,patel,'
                     'chen,costa,jones,smith,ivanova,moreau,fischer,novak,stone,larsen,singh,khan,sato,weber,kim,'
                     'rossi,garcia,haas,demir,okafor,nguyen}', pg_temp.u(n, 11)) AS last,
                 pg_temp.u(n, 12) AS style, pg_temp.u(n, 13) AS number, pg_temp.u(n, 14) AS host,
                 pg_temp.u(n, 15) AS tail) AS drawn $$;

-- ---- the minutes, and how busy each is ---------------------------------------------------------------------------

-- busy: 1 at 17:00 UTC on a weekday, a quarter of that in the night, less than half of it at the weekend.
-- open: within the operators' hours, 12:00 to 22:30 on a weekday.
CREATE TEMP TABLE minutes AS
SELECT at, (extract(epoch FROM at) / 60)::bigint AS n,
       (0.25 + 0.75 * (0.5 + 0.5 * cos(2 * pi() * (extract(epoch FROM at::time)::float8 / 3600 - 17) / 24)) ^ 1.5)
           * CASE WHEN extract(isodow FROM at) >= 6 THEN 0.45 ELSE 1 END AS busy,
       extract(isodow FROM at) <= 5 AND at::time >= '12:00' AND at::time < '22:30' AS open
FROM generate_series(date_trunc('hour', :now) - interval '14 days', :now, '1 minute') AS at;
ANALYZE minutes;

CREATE TEMP TABLE operators AS
SELECT name, number FROM unnest('{amara,benoit,chiyo,diego,elin,farid}'::text[]) WITH ORDINALITY AS o (name, number);

-- ---- sign-ups and customers --------------------------------------------------------------------------------------

INSERT INTO waitlist_signups (created_at, email, origin, ip, country, user_agent, referral_code, utm, confirmed_at)
SELECT time, pg_temp.email(n),
       pg_temp.pick('{https://getraxx.com,https://getraxx.com,https://getraxx.com,https://getraxx.com,'
           'https://www.getraxx.com,https://blog.getraxx.com,https://docs.getraxx.com,https://partners.example,'
           'https://quantweekly.example,NULL}', pg_temp.u(n, 102)),
       pg_temp.ip(n), pg_temp.pick('{US,US,US,US,US,GB,GB,DE,DE,CA,FR,IN,NL,SE,AU,BR,ES,JP,PL,SG}', pg_temp.u(n, 103)),
       pg_temp.user_agent(n), CASE WHEN pg_temp.u(n, 104) < 0.2 THEN left(md5(n::text), 8) END,
       CASE WHEN pg_temp.u(n, 105) < 0.3 THEN '{"source": "newsletter"}' ELSE '{}' END::jsonb,
       CASE WHEN pg_temp.u(n, 106) < 0.6 THEN least(time + pg_temp.u(n, 107) * interval '2 hours', :now) END
FROM (SELECT n, busy, at + pg_temp.u(n, 101) * interval '1 minute' AS time FROM minutes) AS m
WHERE pg_temp.u(n, 100) < 0.75 * busy AND time < :now
ORDER BY time;

-- An account signs in from one address, or else from its other one.
INSERT INTO session_events (session_id, created_at, account, ip, device)
SELECT pg_temp.id(n * 8 + k, 200), time, 'acct_' || account,
       pg_temp.ip(account * 2 + (pg_temp.u(n, 210 + k) < 0.2)::int),
       jsonb_build_object('agent', pg_temp.user_agent(account), 'passkey', true)
FROM (SELECT n, k, busy, at + pg_temp.u(n, 220 + k) * interval '1 minute' AS time,
             (1000 + 3000 * pg_temp.u(n, 230 + k) ^ 2)::bigint AS account
      FROM minutes, generate_series(0, 7) AS k) AS m
WHERE pg_temp.u(n, 200 + k) < 0.55 * busy AND time < :now
ORDER BY time;

INSERT INTO passkey_begin_events (event_time, ip, email, ceremony, user_agent)
SELECT time, pg_temp.ip(account * 2), pg_temp.email(account),
       CASE WHEN pg_temp.u(n, 310 + k) < 0.9 THEN 'authenticate' ELSE 'register' END, pg_temp.user_agent(account)
FROM (SELECT n, k, busy, at + pg_temp.u(n, 320 + k) * interval '1 minute' AS time,
             (1000 + 3000 * pg_temp.u(n, 330 + k) ^ 2)::bigint AS account
      FROM minutes, generate_series(0, 1) AS k) AS m
WHERE pg_temp.u(n, 300 + k) < 0.75 * busy AND time < :now
ORDER BY time;

INSERT INTO error_events (event_time, route, status, message, release, trace_id)
SELECT time, pg_temp.pick('{/api/orders,/api/orders,/api/orders,/api/quotes,/api/quotes,/api/backtests,/api/portfolio,'
           '/api/auth/passkey,/api/waitlist,/api/webhooks}', pg_temp.u(n, 411)),
       500 + (pg_temp.u(n, 412) * 4)::int,
       pg_temp.pick('{upstream timed out,connection reset by peer,deadlock detected,unexpected null,rate limited}',
           pg_temp.u(n, 413)),
       'v' || 400 + extract(doy FROM time)::int, md5(n::text)
FROM (SELECT n, busy, at + pg_temp.u(n, 401) * interval '1 minute' AS time FROM minutes) AS m
WHERE pg_temp.u(n, 400) < 0.7 * busy AND time < :now
ORDER BY time;

-- ---- audit logs: traffic by rhythm (k > 0), and a beat (k = 0) ---------------------------------------------------

-- The beat: a scheduled job within every two minutes while open, within every ten otherwise.
INSERT INTO customer_audit_events (created_at, customer_id, operator, action, target_type, target_id, request_id, payload)
SELECT time, customer, CASE WHEN k = 0 THEN 'scheduler' WHEN pg_temp.u(n, 510 + k) < 0.05 THEN 'support' END,
       CASE WHEN k = 0 THEN 'statement.generated' ELSE
           pg_temp.pick('{order.placed,order.placed,order.cancelled,strategy.edited,backtest.started,export.requested,'
               'profile.updated,passkey.added,alert.created}', pg_temp.u(n, 515 + k)) END,
       pg_temp.pick('{order,strategy,account}', pg_temp.u(n, 520 + k)), (pg_temp.u(n, 525 + k) * 1e6)::bigint,
       pg_temp.id(n * 8 + k, 500), jsonb_build_object('ip', pg_temp.ip(customer * 2), 'version', 3)
FROM (SELECT n, k, busy, open,
             at + pg_temp.u(n, 530 + k) * CASE WHEN k > 0 THEN interval '1 minute' WHEN open THEN interval '2 minutes'
                                               ELSE interval '10 minutes' END AS time,
             (1000 + 3000 * pg_temp.u(n, 540 + k) ^ 2)::bigint AS customer
      FROM minutes, generate_series(0, 3) AS k) AS m
WHERE CASE WHEN k = 0 THEN n % CASE WHEN open THEN 2 ELSE 10 END = 0 ELSE pg_temp.u(n, 500 + k) < 0.8 * busy END
    AND time < :now
ORDER BY time;

-- The beat: within every three minutes while open, within every thirty otherwise.
INSERT INTO console_audit_events (created_at, operator, action, resource, session_id, payload)
SELECT time, CASE WHEN k = 0 THEN 'scheduler' ELSE o.name END,
       CASE WHEN k = 0 THEN 'job.finished' ELSE
           pg_temp.pick('{customer.viewed,customer.viewed,flag.changed,report.run,refund.issued,ticket.answered}',
               pg_temp.u(n, 610 + k)) END,
       pg_temp.pick('{customers,flags,reports,billing,tickets}', pg_temp.u(n, 615 + k)),
       CASE WHEN k > 0 THEN pg_temp.id(n / 240 * 8 + o.number, 600) END,
       jsonb_build_object('duration_ms', (20 + 400 * pg_temp.u(n, 620 + k))::int)
FROM (SELECT n, k, busy, open,
             at + pg_temp.u(n, 630 + k) * CASE WHEN k > 0 THEN interval '1 minute' WHEN open THEN interval '3 minutes'
                                               ELSE interval '30 minutes' END AS time,
             1 + floor(6 * pg_temp.u(n, 640 + k))::int AS who
      FROM minutes, generate_series(0, 2) AS k) AS m
JOIN operators AS o ON o.number = m.who
WHERE CASE WHEN k = 0 THEN n % CASE WHEN open THEN 3 ELSE 30 END = 0
           ELSE pg_temp.u(n, 600 + k) < CASE WHEN open THEN 0.7 ELSE 0.08 END * busy END
    AND time < :now
ORDER BY time;

-- ---- operators ---------------------------------------------------------------------------------------------------

INSERT INTO operator_activity (event_time, operator, page, session_id)
SELECT time, o.name, pg_temp.pick('{/customers,/customers,/tickets,/reports,/flags,/billing,/audit}', pg_temp.u(n, 710)),
       pg_temp.id(n / 240 * 8 + o.number, 600)
FROM (SELECT n, busy, open, at + pg_temp.u(n, 701) * interval '1 minute' AS time,
             1 + floor(6 * pg_temp.u(n, 702))::int AS who FROM minutes) AS m
JOIN operators AS o ON o.number = m.who
WHERE pg_temp.u(n, 700) < CASE WHEN open THEN 0.9 ELSE 0.08 END * busy AND time < :now
ORDER BY time;

-- Each operator meets a closed door now and then: at most once in two hours.
INSERT INTO rbac_denials (event_time, operator, permission, route, session_id, ip, user_agent)
SELECT time, name, permission, '/console/' || split_part(permission, ':', 1), pg_temp.id(n / 240 * 8 + number, 600),
       pg_temp.ip(number), pg_temp.user_agent(number)
FROM (SELECT n, name, number, draw, at + pg_temp.u(draw, 801) * interval '2 hours' AS time,
             pg_temp.pick('{reports:read,reports:export,billing:read,billing:write,flags:read,flags:write,audit:read,'
                 'customers:export,roles:admin}', pg_temp.u(draw, 802)) AS permission
      FROM (SELECT n, at, busy, name, number, n * 8 + number AS draw FROM minutes, operators WHERE n % 120 = 0) AS s
      WHERE pg_temp.u(draw, 800) < 0.35 * busy) AS m
WHERE time < :now
ORDER BY time;

INSERT INTO deploy_events (created_at, app, release, git_sha, operator)
SELECT time, app, 'v' || 400 + extract(doy FROM time)::int, left(md5(app || n), 12), o.name
FROM (SELECT n, app, at + pg_temp.u(n, hashtext(app)) * interval '1 hour' AS time,
             1 + floor(6 * pg_temp.u(n, 901))::int AS who
      FROM minutes, unnest('{raxx-api,raxx-console}'::text[]) AS app
      WHERE n % 60 = 0 AND open AND pg_temp.u(n, hashtext(app) + 1) < 0.15) AS m
JOIN operators AS o ON o.number = m.who
WHERE time < :now
ORDER BY time;

-- Returns that grow by compounding, as prices do; a few a day.
INSERT INTO backtest_results (created_at, strategy, return_value, sharpe)
SELECT time, pg_temp.pick('{momentum,mean-reversion,carry,pairs}', pg_temp.u(n, 1001)),
       (10 ^ (3 * pg_temp.u(n, 1002) - 1))::numeric(12, 4), (2 * pg_temp.u(n, 1003))::numeric(8, 4)
FROM (SELECT n, open, at + pg_temp.u(n, 1004) * interval '30 minutes' AS time FROM minutes WHERE n % 30 = 0) AS m
WHERE open AND pg_temp.u(n, 1000) < 0.4 AND time < :now
ORDER BY time;
