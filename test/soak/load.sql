-- One transaction of one of the writers: a few rows of one source, as an application would write them; now and then an
-- incident.
\set kind random(1, 100)
\set n random(1, 1000000)
\if :kind <= 25
INSERT INTO session_events (event_time, ip, account) VALUES (clock_timestamp(), '10.2.0.0'::inet + (:n % 20000), 'account ' || :n % 3000);
\elif :kind <= 45
INSERT INTO customer_audit_events (event_time, operator) VALUES (clock_timestamp(), 'operator ' || :n % 30);
\elif :kind <= 58
INSERT INTO passkey_begin_events (event_time, ip, email) VALUES (clock_timestamp(), '10.3.0.0'::inet + (:n % 20000), format('user%s@company.example', :n % 4000));
\elif :kind <= 70
INSERT INTO waitlist_signups (event_time, email, origin, ip, country)
VALUES (clock_timestamp(), format('user%s@company%s.example', :n, :n % 700), 'https://site' || :n % 40 || '.example', '10.1.0.0'::inet + :n % 5000, 'DE');
\elif :kind <= 80
INSERT INTO error_events (event_time, route) VALUES (clock_timestamp(), '/route/' || :n % 60);
\elif :kind <= 87
INSERT INTO stripe_webhook_events (event_time, signature_valid) VALUES (clock_timestamp(), :n % 700 <> 0);
\elif :kind <= 93
INSERT INTO console_audit_events (event_time, operator) VALUES (clock_timestamp(), 'operator ' || :n % 5);
\elif :kind <= 99 or :n > 50000
INSERT INTO rbac_denials (event_time, operator, permission) VALUES (clock_timestamp(), 'operator ' || :n % 3000, 'reports:read');
\else
INSERT INTO waitlist_signups (event_time, email, origin, ip, country)
SELECT clock_timestamp() - i * interval '100 ms', format('guest%s@crowd%s.example', i, :n), 'https://shop' || :n % 20 || '.example', '10.4.0.1', 'FR'
FROM generate_series(1, 30) i;
\endif
