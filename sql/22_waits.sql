-- What somebody has to do outside this database before a rule has anything to read. A rule that is not named here
-- reads what an application of this kind has from its first day.

UPDATE raxx_detect.rules r SET waits_for = w.waits_for
FROM (VALUES
    (1, 'Waits until passkey-begin requests are kept as rows (P1): send the application log through a log drain into a '
        'table with event_time, ip and email, and bind it as passkey_begin_events.'),
    (2, 'Waits until created sessions are kept as rows (P1): log each one with its time and client address, send the log '
        'through a log drain into a table, and bind it as session_events.'),
    (7, 'Waits for the hash chain of the audit tables (P3), which comes in a later version.'),
    (8, 'Waits for 7 days of production errors (P2): turn the sentry_backend flag on with SENTRY_DSN_BACKEND set for each '
        'app, keep its events in a table, and bind that table as error_events.'),
    (9, 'Waits for pg_stat_statements (P5): add it to shared_preload_libraries, restart the server, and run CREATE '
        'EXTENSION pg_stat_statements.'),
    (10, 'Waits for dyno metrics (P6): schedule a scraper that writes the dyno-hours per hour of each app from the Heroku '
         'Platform API into a table, and bind it as dyno_samples.'),
    (11, 'Waits for more than 200 backtest results in a rolling 7 days: bind the relation that holds them as '
         'backtest_results, and let use of the product bring the number.'),
    (12, 'Waits for the Stripe webhook endpoint (P7): once it is in service, record each call with the outcome of its '
         'signature check, and bind the relation as stripe_webhook_events.'),
    (13, 'Waits for customer mail above 500 messages a day, held for 7 days (P8): record the outcome of each message and '
         'bind the relation as outbound_mail_events.'),
    (14, 'Waits for dyno metrics (P6): have the scraper of the Heroku Platform API write each restart with app, dyno and '
         'cause into a table, and bind it as dyno_restarts.'),
    (15, 'Waits for an authoritative record of changes: have the console write each Heroku configuration change as a row '
         'with time, app and item, and bind it as change_records beside addon_changes.'),
    (16, 'Waits for a country on each sign-up: keep the cf-ipcountry header in a column of the sign-up table, and bind '
         'that column as the country of waitlist_signups.'),
    (17, 'Subsumed by auth_passkey_enumeration as long as sign-in is by passkey only; if password sign-in is ever added, '
         'bind its failures as login_failures.')
) w(number, waits_for)
WHERE r.number = w.number;
