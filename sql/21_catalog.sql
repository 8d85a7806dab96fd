-- The catalog: the seventeen shipped rules, as rows, in the order of their numbers.
--
-- The prose is what an operator reads when a rule fires, so it holds only what is true of the rule as shipped. The
-- numbers in it are the shipped ones; those in force are in params. ASCII only: a database may have any encoding.

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_passkey_enumeration', 1, 'DET-AUTH-001',
     'Many distinct e-mail addresses begin a passkey ceremony from one client network',
     'auth', 'distinct', 'high',
     '{passkey_begin_events}', '{}',
     '{"entity": "ip", "value": "email", "window": "10 minutes", "threshold": 10,
       "baseline_floor": 5, "baseline_quantile": 0.999, "ipv4_prefix": 32, "ipv6_prefix": 64,
       "time_zone": "America/New_York", "baseline_ready": "7 days", "season": "none", "baseline_rows": 100,
       "baseline_entities": 10000}',
     '7 days',
     true, 0.5, 'security-agent', '{P1}', 'dormant',
     -- telemetry
     'Source passkey_begin_events: event_time, ip, email. Writer: the passkey-begin endpoint, through the application '
     'log and a log drain that keeps its lines as rows.',
     -- how
     'Counts the distinct e-mail addresses of each client network in a sliding window of 10 minutes. A client '
     'network is one IPv4 address (/32), also when it is written as an IPv6 one, or one IPv6 /64. Asking for many '
     'addresses is the first step of a registration farm and of an attempt to learn who has an account. Baseline: '
     'how many distinct addresses networks asked for in 10 minutes of the 7 days before, all networks together, '
     'cell by cell. A number is too high when it is above the 99.9th percentile, and when a negative binomial '
     'distribution with the mean and variance of the baseline makes it so improbable that it comes by chance no '
     'more often than the rule may alarm falsely.',
     -- thresholds
     'Until the baseline has 7 whole days: 10 distinct addresses in 10 minutes. From then on, in place of that: at '
     'least 5, above the 99.9th percentile of the baseline, and a tail probability within the allowance for false '
     'alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them. Per event, before launch too, when the sample is larger than one.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the network, the number of addresses and the times.\n'
     '2. See whose network it is. An office, a school, a mobile carrier or our own load test can put many people '
     'behind one address.\n'
     '3. Look at what the addresses have in common (domain, shape, alphabetical order) and whether any of them went '
     'on to register or to sign in.\n'
     '4. If nobody can name the network: hand over to security-agent, limit or block the network at the edge, and look '
     'for findings of auth_session_creation_velocity from the same network.\n'
     '5. Close with raxx_detect.triage: true_positive for an attack, benign or confirmed_fp otherwise, and a note that '
     'names the network.',
     -- do_not
     E'- Do not lock the accounts behind the addresses: they are what is probed, not who probes.\n'
     '- Do not raise the threshold for one shared network; give that network an exception with an end date.',
     -- waits_for
     'Waits until passkey-begin requests are kept as rows (P1): send the application log through a log drain into a '
        'table with event_time, ip and email, and bind it as passkey_begin_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_session_creation_velocity', 2, 'DET-AUTH-002',
     'Many sessions created from one client network in a minute',
     'auth', 'velocity', 'high',
     '{session_events}', '{}',
     '{"entity": "ip", "window": "1 minute", "threshold": 20, "ipv4_prefix": 32, "ipv6_prefix": 64,
       "baseline_floor": 5, "time_zone": "America/New_York", "baseline_ready": "7 days",
       "season": "hour_of_week", "baseline_rows": 100, "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'security-agent', '{P1}', 'dormant',
     -- telemetry
     'Source session_events: event_time, ip, and account where it is known. Writer: session creation in the '
     'application, through the application log and a log drain that keeps its lines as rows.',
     -- how
     'Counts the sessions that each client network creates in a sliding window of one minute. It catches '
     'credential stuffing and the replay of stolen cookies after the sign-in has succeeded. Baseline: the 7 days '
     'before. A network with at least 100 sessions in them is judged by its own count at that hour of the week '
     '(New York time: the greatest of the same hour''s mean a week ago, its mean with the hours beside it, and the '
     'mean of that hour of all days), any other by what networks do that come at all. Each session is a test: the '
     'others in its minute are taken for negative binomial (Poisson where they do not scatter more), and the limit '
     'is the least number whose tail probability, times the sessions of a month, is within the allowance.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sessions in a minute. From then on, in place of that: a count, of at '
     'least 5, whose tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the network, the number of sessions and the times.\n'
     '2. See whether one account or many are behind the sessions. One account: a client that signs in over and over, '
     'or a replayed cookie. Many accounts: credential stuffing, or a shared network.\n'
     '3. Check for a release or a load test at that time.\n'
     '4. If there is no operational cause: hand over to security-agent and look for findings of '
     'auth_passkey_enumeration from the same network.\n'
     '5. Close with raxx_detect.triage and a note that names the cause.',
     -- do_not
     E'- Do not revoke sessions because of this rule alone; confirm with an account owner first.\n'
     '- Do not dismiss the finding because every sign-in succeeded: that is what a stolen credential looks like.',
     -- waits_for
     'Waits until created sessions are kept as rows (P1): log each one with its time and client address, send the log '
        'through a log drain into a table, and bind it as session_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_rbac_denied_burst', 3, 'DET-AUTH-003',
     'Cluster of RBAC permission denials from one operator account in a short window',
     'auth', 'distinct + velocity', 'high',
     '{rbac_denials}', '{}',
     '{"entity": "operator", "value": "permission", "window": "10 minutes", "distinct_threshold": 5,
       "elevated_threshold": 3, "elevated": ["*:admin", "*:write"], "baseline_floor": 5,
       "time_zone": "America/New_York", "baseline_ready": "7 days", "season": "none", "baseline_rows": 20,
       "baseline_entities": 10000}',
     '30 days',
     true, 0.33, 'security-agent', '{}', 'live',
     -- telemetry
     'Source rbac_denials: event_time, operator, permission, and route where it is known. Writers: '
     'console/app/middleware/rbac.py (a JSON log line with error="permission_denied", the operator, the permission and '
     'the route) and console/app/blueprints/rbac_reader.py (a structured event of category rbac.permission_denied). '
     'Both write to the console log; the lines have to reach the bound relation.',
     -- how
     'Watches each operator in a sliding window of 10 minutes for three things: denials of elevated permissions '
     '(*:admin, *:write), each denial counted; the number of distinct permissions denied, elevated or not; and a '
     'number of denials that the operator''s own history does not explain. Where more than one holds at once there '
     'is one finding, at the higher severity. A burst means an operator whose rights became narrower by mistake, '
     'or a session in the wrong hands that tries doors. Baseline: up to 30 days before, from 7 whole days on; an '
     'operator with fewer than 20 denials in them is judged by the denials of all operators. It adds to the two '
     'thresholds and takes nothing from them.',
     -- thresholds
     'HIGH: 3 denials of elevated permissions in 10 minutes. MEDIUM: 5 distinct permissions denied in 10 minutes. '
     'Once the baseline is ready, MEDIUM also: at least 5 denials in 10 minutes whose tail probability is within '
     'the allowance for false alarms, one in a quarter.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them. Per event, before launch too: a compromised operator account is '
     'among the worst that can happen then. MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Identify the operator account. If it is the account of the only operator, ask that operator at once, over '
     'another channel than the console: do they recognise the session?\n'
     '2. Compare the source address and the user agent of the denied requests with how that operator usually signs '
     'in.\n'
     '3. Not recognised: revoke all sessions of the operator by hand, rotate the hardware key, and treat it as SEV1 '
     'with security-agent.\n'
     '4. Recognised, and a role was narrowed by accident: restore the role and close as confirmed_operational.\n'
     '5. Recognised, and the operator was exploring: close as confirmed_fp with a note for the tuning of the baseline, '
     'and leave the rule live.',
     -- do_not
     E'- Do not revoke sessions automatically from this rule. Confirm over another channel first.\n'
     '- Do not silence the rule because the only operator set it off while exploring. Tune the baseline.\n'
     '- Do not exclude any operator. Every operator account is watched, that of a sole administrator above all.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_waitlist_velocity_per_origin', 4, 'DET-SIGNUP-001',
     'Many waitlist sign-ups from one Origin in a short window',
     'signup', 'velocity', 'high',
     '{waitlist_signups}', '{}',
     '{"entity": "origin", "window": "5 minutes", "threshold": 20, "baseline_floor": 5, "time_zone": "UTC",
       "baseline_ready": "7 days", "season": "none", "baseline_rows": 20, "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'security-agent', '{}', 'live',
     -- telemetry
     'Source waitlist_signups: event_time, email, origin. Writer: the waitlist form, while FLAG_WAITLIST_DATASTORE is '
     'on. The origin is the Origin header of the request.',
     -- how
     'Counts the sign-ups of each Origin in a sliding window of 5 minutes; sign-ups without an Origin are left '
     'out. The waitlist is the first public way in, and one referrer that pumps it shows here. Baseline: the 7 '
     'days before. An Origin with at least 20 sign-ups in them is judged by its own counts, any other, one never '
     'seen before above all, by those of all Origins that came at all. Each sign-up is a test: the others in its '
     'window are taken for negative binomial (Poisson where they do not scatter more), and the limit is the least '
     'number whose tail probability, times the sign-ups of a month, is within the allowance.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sign-ups of one Origin in 5 minutes. From then on, in place of that: '
     'a count, of at least 5, whose tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the Origin, the number of sign-ups and the times.\n'
     '2. See whether the Origin was named in public just then: a post, a newsletter, a campaign of our own.\n'
     '3. Look at the addresses: people differ, a list has a pattern. See whether signup_email_pattern_anomaly fired '
     'for the same time.\n'
     '4. If it is a script: hand over to security-agent, limit that Origin at the edge, and mark the sign-ups of the '
     'episode so that no mail goes out to them.\n'
     '5. Close with raxx_detect.triage: true_positive for a script, benign for a crowd, with a note.',
     -- do_not
     E'- Do not delete the sign-ups: mark them, they are the evidence.\n'
     '- Do not close the waitlist because of one Origin.\n'
     '- Do not take an Origin as proof of where a request came from: a script can send any.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_email_pattern_anomaly', 5, 'DET-SIGNUP-002',
     'Many waitlist sign-ups whose addresses share a pattern in a short window',
     'signup', 'pattern', 'medium',
     '{waitlist_signups}', '{}',
     '{"email": "email", "window": "5 minutes", "threshold": 8, "shape_history": "7 days", "shape_tail": 1e-6}',
     NULL,
     false, 1, 'security-agent', '{}', 'live',
     -- telemetry
     'Source waitlist_signups: event_time, email. Writer: the waitlist form, while FLAG_WAITLIST_DATASTORE is on.',
     -- how
     'Counts sign-ups that share a pattern in a sliding window of 5 minutes. At a domain of its own the pattern is the '
     'registrable domain by the public suffix list (mail.acme.co.uk counts as acme.co.uk). At a known free-mail '
     'provider the domain says nothing, and the pattern is the shape of the local part at that provider: plus-tag and '
     'dots removed, each run of letters written a, each run of digits written 9, so that anna.k81@gmail.com and '
     'omar.t23@gmail.com meet as a9@gmail.com. Because some shapes are common, a shape must also be improbable: the '
     'binomial probability that so many of the sign-ups in the window share it, given its share of the sign-ups of the '
     'preceding 7 days (with one added to the count and two to the total), has to be at most one in a million. '
     'Addresses that are not addresses have no pattern.',
     -- thresholds
     '8 sign-ups of one pattern in 5 minutes; for a shape, also a binomial tail probability of at most 0.000001. False '
     'alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the pattern, the number of sign-ups and the times.\n'
     '2. A domain: see whether it is a company or a school whose people could have signed up together, and whether the '
     'domain was registered recently.\n'
     '3. A shape at a free-mail provider: read the addresses side by side. Generated names look alike in more than '
     'shape: same length, same order of parts, digits that count up.\n'
     '4. See whether signup_waitlist_velocity_per_origin fired for the same time, and which Origin and addresses the '
     'sign-ups came from.\n'
     '5. If the list is synthetic: hand over to security-agent and mark the sign-ups of the episode so that no mail '
     'goes out to them. Close as true_positive; a real group is benign, with a note that names it.',
     -- do_not
     E'- Do not block a free-mail provider.\n'
     '- Do not delete the sign-ups: mark them, they are the evidence.\n'
     '- Do not send mail to the addresses to find out whether they are real: bounces harm our standing as a sender.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_audit_log_gap_window', 6, 'DET-DATA-001',
     'Gap in the write cadence of the audit events',
     'data', 'gap', 'critical',
     '{customer_audit_events,console_audit_events}', '{operator_activity}',
     '{"business_from": "12:00", "business_to": "22:30", "business_days": [1, 2, 3, 4, 5], "time_zone": "UTC",
       "business_gap": "30 minutes", "off_hours_gap": "4 hours", "critical_gap": "60 minutes",
       "baseline_gap": "5 minutes", "baseline_quantile": 0.999, "baseline_ready": "7 days"}',
     '7 days',
     true, 0.5, 'sre-agent', '{P4}', 'placeholder',
     -- telemetry
     'Sources customer_audit_events (Raptor) and console_audit_events (Console): event_time, and operator and action '
     'where they are known. Writers: backend_v2/api/services/customer_audit_writer_service.py, '
     'console/app/services/customer_audit.py and console/app/services/audit.py. Optional source operator_activity: '
     'event_time, operator.',
     -- how
     'Measures, for each of the two tables on its own, every silence between two successive events, and the '
     'silence from the last event until now. Business hours are 12:00 to 22:30 UTC, Monday to Friday. Until 7 '
     'whole days of cadence are there (P4), placeholder thresholds decide, and a gap across an edge of business '
     'hours is measured in two parts, inside and outside. From then on the baseline decides, the 7 days before: a '
     'gap is too long when it is longer than the 99.9th percentile of the gaps that began in the same hour of the '
     'day, and when so long a silence, at the rate of its hours on days of the same kind (business days or '
     'others), comes by chance no more often than the rule may alarm falsely. Events that come in clusters are '
     'counted by cluster. A gap that grows keeps its finding and raises its severity; the next event closes it '
     'with its final length. Where operator_activity is bound and an operator was active during the silence, the '
     'finding goes to security-agent. The verdict of a finding says what the hash chain shows across the gap: '
     'intact means benign, broken means adversarial, and undetermined means that no chain can tell.',
     -- thresholds
     'Until the baseline is ready: more than 30 minutes inside business hours, or more than 4 hours outside. Once '
     'it is ready: longer than 5 minutes and than the 99.9th percentile of its hour of the day, and improbable at '
     'the usual rate. By minutes inside business hours: more than 60 CRITICAL, more than 30 and up to 60 HIGH, '
     'fewer MEDIUM (baseline only). Wholly outside business hours: HIGH beyond 4 hours, else MEDIUM (baseline '
     'only). False alarms allowed for after launch: fewer than one a month, budgeted as one in two months for both '
     'tables together.',
     -- routes
     'CRITICAL: #raxx-ops-alert-sev1, per event, push override. HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to '
     '18:00 America/New_York, Monday to Friday), #raxx-ops-alert-sev2 with push outside them; per event, before launch '
     'too. MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Find out whether an operator was active in the gap: chat, commits, a recent deploy. An active operator and '
     'no audit rows mean a fault of the writer or of the database.\n'
     '2. Check the state of Heroku Postgres, recent migrations, and the Sentry events of the writer service for the '
     'same window.\n'
     '3. If sre-agent confirms that the writer was down: sre-agent repairs it; close as confirmed_operational after '
     'the fix.\n'
     '4. If there is no operational cause: call security-agent at SEV1 and check the hash chain '
     '(data_audit_log_hash_chain_break). Intact across the gap: nothing was written, the gap is benign. Broken: the '
     'gap is adversarial.\n'
     '5. While the verdict is undetermined, neither of the two is known: leave the finding open until somebody has '
     'explained the silence.',
     -- do_not
     E'- Do not assume that a quiet gap is benign because nothing else is firing. Silence of the audit log while there '
     'should be activity is itself the signal.\n'
     '- Do not lengthen the gap threshold to reduce noise. The integrity of the audit log is not negotiable.\n'
     '- Do not skip the hash chain when this rule fires. Both rules run, and both belong to the diagnosis.',
     NULL);

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_audit_log_hash_chain_break', 7, 'DET-DATA-002',
     'Break in the hash chain of the audit events',
     'data', 'chain', 'critical',
     '{customer_audit_events,console_audit_events}', '{}',
     '{"full_pass": "1 day", "slice_every": "5 minutes", "checkpoint_every": "5 minutes", "checkpoint_rows": 10000}',
     NULL,
     true, 0, 'security-agent', '{P3}', 'dormant',
     -- telemetry
     'Sources customer_audit_events and console_audit_events, with their chain columns. Writers: the audit writers '
     'write the rows; the chain is written by the sealer, which is part of this rule''s run, by a trigger at the commit, or by the application.',
     -- how
     'Seals the rows that have been committed since the last run, and verifies the HMAC of each, the link to the row before and the '
     'sequence numbers; then a slice of the whole chain, all of it within full_pass. When a checkpoint is due, the chain is held '
     'against all that were made before, in the database and outside it. There is no baseline and no tolerance: nothing legitimate breaks the chain. A finding names the '
     'kind of break, the row, and how far the chain is intact. Where the chain cannot be judged (no key, sealer '
     'behind) the result is indeterminate, which is neither a break nor an all-clear.',
     -- thresholds
     'Fires on the first break. No false alarms are allowed for.',
     -- routes
     'CRITICAL: #raxx-ops-alert-sev1, per event, push override.',
     -- runbook
     E'1. Treat it as SEV1 and call security-agent. Read raxx_detect.explain(finding_id): the kind of break, the row, '
     'and the last row up to which the chain is intact.\n'
     '2. Preserve before anything else: take a backup of the database as it is, and keep the logs and the checkpoints '
     'that were carried outside it.\n'
     '3. Run raxx_detect.verify_chain(relation, ''full'') to see whether there are more breaks.\n'
     '4. Compare the chain heads with the last checkpoint outside the database. It shows a tail cut off or a history '
     'rewritten, which the chain alone cannot.\n'
     '5. List who could write to the table at that time: roles, sessions, migrations, restores from a backup.\n'
     '6. Close as true_positive, with a note of what was changed, how and by whom.',
     -- do_not
     E'- Do not repair, seal again or attach the chain anew before the evidence is preserved.\n'
     '- Do not take a break for noise: there is no legitimate one.\n'
     '- Do not rotate the key first: the old key is needed to see what was changed.',
     -- waits_for
     'Waits for an audit table with a hash chain: set raxx_detect.key_file or raxx_detect.key_command, bind the table, and SELECT raxx_detect.chain_attach(''your_audit_table'').');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_sentry_error_rate_spike', 8, 'DET-OPS-001',
     'Errors of one route far above its usual rate',
     'ops', 'spike', 'high',
     '{error_events}', '{}',
     '{"entity": "route", "window": "1 minute", "threshold": 20, "sigmas": 3, "baseline_floor": 5,
       "time_zone": "UTC", "baseline_ready": "7 days", "season": "none", "baseline_rows": 10,
       "baseline_entities": 10000}',
     '7 days',
     false, 0.5, 'sre-agent', '{P2}', 'dormant',
     -- telemetry
     'Source error_events: event_time, route. Writer: Sentry, through backend_v2/api/observability/sentry_init.py and '
     'an export of its events into a table.',
     -- how
     'Counts the errors of each route in a sliding window of one minute and holds the count against the mean and '
     'the standard deviation of that route over the minutes of the 7 days before, those without an error included. '
     'On a route with few errors 3 standard deviations are passed by chance, so the tail probability of the count '
     'has to be small too: each error is a test, and the others in its minute are taken for negative binomial '
     '(Poisson where they do not scatter more). A route with fewer than 10 errors in the baseline is judged by the '
     'threshold.',
     -- thresholds
     'Above the mean by more than 3 standard deviations, at least 5 errors in the minute, and a tail probability '
     'within the allowance for false alarms, one in two months. A new route, or a baseline of fewer than 7 whole '
     'days: 20 errors in a minute.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the route, the count and what is usual there.\n'
     '2. Open Sentry for that route and minute: is it one error many times, or many different ones?\n'
     '3. Check for a deploy, a migration or a changed flag shortly before. If there is one, roll it back first and '
     'look for the reason afterwards.\n'
     '4. Check what the route depends on: Postgres, and the services it calls.\n'
     '5. Close as confirmed_operational with the cause, or as confirmed_fp with the reason why the count was normal.',
     -- do_not
     E'- Do not drop the errors before they are counted, by a filter or by sampling, to end the finding.\n'
     '- Do not raise the threshold during an incident.',
     -- waits_for
     'Waits for 7 days of production errors (P2): turn the sentry_backend flag on with SENTRY_DSN_BACKEND set for each '
        'app, keep its events in a table, and bind that table as error_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_postgres_p99_drift', 9, 'DET-OPS-002',
     'Statements of this database have become slower',
     'ops', 'drift', 'medium',
     '{statement_samples}', '{}',
     '{"sample_every": "1 minute", "window": "1 day", "step": "1 hour", "baseline_intervals": 200,
       "quantile": 0.99, "rise": 0.25, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P5}', 'dormant',
     -- telemetry
     'Source statement_samples: sample_time, queryid, calls, total_ms. Writer: this extension, which takes a snapshot '
     'of pg_stat_statements every minute, and, where the extension pg_stat_monitor is created, keeps its histograms '
     'of single calls.',
     -- how
     'The mean time of each statement between two snapshots is one value. At each full hour the values of the last '
     'day are compared with those of the 7 days before, which are kept as sketches, by a two-sample '
     'Kolmogorov-Smirnov test and by their 99th percentiles. Where histograms of pg_stat_monitor are there for the '
     'last day and for each of those before, each single call is a value in place of the means. A finding names the '
     'statements that moved it, by queryid, and what measured them.',
     -- thresholds
     'A 99th percentile at least 25 % above that of the 7 days before, and a Kolmogorov-Smirnov p-value within the '
     'allowance for false alarms, one a month, shared out among the hours of a month. No verdict before the '
     'baseline has 7 whole days, or on fewer than 200 values.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the two percentiles and the statements that moved them.\n'
     '2. Look those statements up in pg_stat_statements by queryid. Did their calls grow (a loop that queries row by '
     'row), or their time per call (a plan that changed, a table that grew)?\n'
     '3. Check what was released in the last day, and when the tables were last analyzed.\n'
     '4. Check the plan of the database at Heroku: a noisy neighbour, a connection limit, a full cache.\n'
     '5. Close as confirmed_operational with the cause and its fix.',
     -- do_not
     E'- Do not reset pg_stat_statements to end the finding: it removes what the diagnosis needs.\n'
     '- Do not add an index on the word of this rule alone; read the plan first.',
     -- waits_for
     'Waits for pg_stat_statements (P5): add it to shared_preload_libraries, restart the server, and run CREATE '
        'EXTENSION pg_stat_statements.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('cost_dyno_hour_spike', 10, 'DET-COST-001',
     'Dyno-hours of one app far above the past week',
     'cost', 'quantile', 'medium',
     '{dyno_samples}', '{}',
     '{"entity": "app", "value": "dyno_hours", "window": "1 hour", "baseline_quantile": 0.999, "median_margin": 0.25, "rise": 0.1, "value_floor": 0.1,
       "baseline_points": 100, "baseline_entities": 10000, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P6}', 'dormant',
     -- telemetry
     'Source dyno_samples: event_time, app, dyno_hours (dyno-hours per hour at that moment). Writer: a scheduled '
     'scraper of the Heroku Platform API (GET /apps/{app}/dynos and GET /apps/{app}/formation).',
     -- how
     'Averages the samples of each app by the clock hour and, at the end of the hour, holds that point against the '
     'points of the same app in the 7 whole days before. The 99.9th percentile of a week of hourly points is their '
     'maximum, and a new maximum comes about once a week by chance; so the point has to be clearly above it. Successive '
     'hours that fire are one finding. Samples that are NaN or infinite are ignored; an hour without samples ends the '
     'finding. Hours inside findings that nobody has closed, or that were closed as true_positive, are no part of '
     'what is usual.',
     -- thresholds
     'Above the 99.9th percentile of the 7 days before by more than a quarter of its distance from their median, and by '
     'more than 10 % of itself, so that the rounding noise of an app that always costs the same never fires; and at '
     'least 0.1 dyno-hours per hour, which is for an app that stood still all week. An app with fewer than 100 '
     'points in the 7 days (of 168) has no verdict: no fixed threshold would be right for every app. False alarms '
     'allowed for: one a month. The margins are chosen for that; unlike a tail probability they do not guarantee it.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, its rate and what is usual.\n'
     '2. Compare the formation of the app with what it should be: a worker that somebody forgot, autoscaling that ran '
     'away, a one-off dyno that never ended.\n'
     '3. See whether somebody scaled on purpose, for a launch or a migration.\n'
     '4. If not: scale back, and look for the loop or the backlog that kept the dynos busy.\n'
     '5. Close as confirmed_operational, or as benign when the scaling was wanted.',
     -- do_not
     E'- Do not scale an app down before you know what its dynos are doing.\n'
     '- Do not turn autoscaling off for good because of one finding.',
     -- waits_for
     'Waits for dyno metrics (P6): schedule a scraper that writes the dyno-hours per hour of each app from the Heroku '
         'Platform API into a table, and bind it as dyno_samples.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('data_backtest_benford', 11, 'DET-DATA-003',
     'First digits of backtest returns depart from Benford''s law',
     'data', 'benford', 'medium',
     '{backtest_results}', '{}',
     '{"value": "return_value", "window": "7 days", "step": "1 hour", "run_above": 100, "activate_above": 200, "mad_threshold": 0.015}',
     NULL,
     false, 1, 'operator', '{}', 'dormant',
     -- telemetry
     'Source backtest_results: event_time, return_value. Writer: the backtest service.',
     -- how
     'At each full hour, counts the first significant digits of the backtest returns of the 7 days before and holds '
     'them against Benford''s law, by chi-squared with 8 degrees of freedom and by the mean absolute deviation (MAD) of '
     'the nine shares. Zeros, NaN and infinities are left out and counted. There is no baseline: the law is the '
     'reference. Successive hours that fire are one finding.',
     -- thresholds
     'Becomes active above 200 digits in 7 days, and runs only on more than 100. Fires when the chi-squared p-value is '
     'at most 1 in 730.5, one false alarm a month shared among the hours of a month, and the MAD is at least 0.015. '
     'The hours share most of their values, so there are fewer false alarms than that.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): which digits are too frequent or too rare, and how many values there '
     'were.\n'
     '2. See whether the values still span several orders of magnitude. Returns that are capped, rounded or all of one '
     'strategy do not follow the law, and nothing is wrong with them.\n'
     '3. Check what was released in the backtest service, and whether the input data have holes or copies.\n'
     '4. Run one of the backtests again and compare the result with what was stored.\n'
     '5. If stored results differ from computed ones: call security-agent. Otherwise close as confirmed_operational or '
     'benign, with the cause.',
     -- do_not
     E'- Do not take a departure from the law as proof of fraud: it is a reason to look.\n'
     '- Do not leave values out to make the digits fit.',
     -- waits_for
     'Waits for more than 200 backtest results in a rolling 7 days: bind the relation that holds them as '
         'backtest_results, and let use of the product bring the number.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('webhook_stripe_signature_fail', 12, 'DET-WEBHOOK-001',
     'Stripe webhook calls with a wrong signature',
     'webhook', 'ratio', 'high',
     '{stripe_webhook_events}', '{}',
     '{"value": "signature_valid", "failure": "false", "window": "10 minutes", "threshold": 5,
       "baseline_floor": 3, "time_zone": "UTC", "baseline_ready": "7 days"}',
     '7 days',
     false, 0.5, 'security-agent', '{P7}', 'dormant',
     -- telemetry
     'Source stripe_webhook_events: event_time, signature_valid, and ip where it is known. Writer: the Stripe webhook '
     'endpoint, one row for each call, refused ones included.',
     -- how
     'At each failed signature, holds the number of failures among the calls of the last 10 minutes against the share '
     'of failures in the 7 days before. Given that one failed, the probability that as many of the others do has to be '
     'within the allowance for false alarms, shared among the failures that a month has at that share. It is the '
     'upper tail of a binomial distribution, or where failures come in clusters from hour to hour of a negative binomial '
     'one. The finding goes on while 3 failures are in the window. While the baseline is not ready the threshold '
     'decides alone.',
     -- thresholds
     'Until the baseline is ready: 5 failures in 10 minutes. Once it is ready: at least 3 failures in 10 minutes whose '
     'tail probability is within the allowance for false alarms, one in two months.',
     -- routes
     'HIGH: #raxx-ops-alert-sev2-5 in ET hours (09:00 to 18:00 America/New_York, Monday to Friday), '
     '#raxx-ops-alert-sev2 with push outside them; per event. Before launch: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the failures, all calls, and the times.\n'
     '2. Do all calls fail? Then the signing secret is the likely cause: compare the secret of the endpoint at Stripe '
     'with the one in use, and see whether either was changed.\n'
     '3. Do only some fail? See whether they come from addresses that Stripe publishes as its own. Others are forged.\n'
     '4. Forged calls: hand over to security-agent, block the addresses at the edge, and check that none of them '
     'changed an order or an account.\n'
     '5. Close as confirmed_operational for a secret, true_positive for forged calls.',
     -- do_not
     E'- Do not accept unsigned or wrongly signed calls, not even for a short time, to restore payments.\n'
     '- Do not paste the signing secret anywhere while comparing it.',
     -- waits_for
     'Waits for the Stripe webhook endpoint (P7): once it is in service, record each call with the outcome of its '
         'signature check, and bind the relation as stripe_webhook_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('webhook_postmark_bounce_spike', 13, 'DET-WEBHOOK-002',
     'Share of hard bounces above the usual',
     'webhook', 'ratio', 'medium',
     '{outbound_mail_events}', '{}',
     '{"value": "outcome", "failure": "hard_bounce", "window": "1 hour", "floor": 20, "long_window": "1 day",
       "long_floor": 500, "activate_above": 500, "activation_span": "7 days", "time_zone": "UTC",
       "baseline_ready": "7 days"}',
     '7 days',
     false, 1, 'sre-agent', '{P8}', 'dormant',
     -- telemetry
     'Source outbound_mail_events: event_time, outcome (sent, hard_bounce and others). Writer: the Postmark webhook, '
     'one row for each message and outcome.',
     -- how
     'When an hour or a day by the clock (UTC) is over, holds the number of hard bounces among its messages against the '
     'share of the 7 whole days before, by the upper tail of a binomial distribution, or where bounces come in '
     'clusters from hour to hour of a negative binomial one. The day is judged without the hours that were reported '
     'by themselves. On few messages a ratio says nothing, so below a floor there is no verdict, and none before the '
     'baseline is ready. A verdict stands until the next hour or day is over.',
     -- thresholds
     'A number of hard bounces whose tail probability is within the allowance for false alarms, one a month, shared '
     'among the hours and days of a month; at least 20 messages in the hour, 500 in the day. Becomes active above 500 '
     'messages a day, held for 7 days.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the bounces, the messages and the share that is usual.\n'
     '2. See what was sent: one campaign, one template, or all mail.\n'
     '3. Group the bounces by domain. One domain: that provider refuses us. Many: a list of bad addresses, often a '
     'planted one; look for findings of the sign-up rules.\n'
     '4. Check the suppression list at Postmark for our own addresses, and the DNS records of the sending domain.\n'
     '5. Stop the campaign that bounces. Close as confirmed_operational, or true_positive for a planted list.',
     -- do_not
     E'- Do not send again to addresses that bounced hard.\n'
     '- Do not clear the suppression list as a whole.',
     -- waits_for
     'Waits for customer mail above 500 messages a day, held for 7 days (P8): record the outcome of each message and '
         'bind the relation as outbound_mail_events.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('ops_dyno_restart_cluster', 14, 'DET-OPS-003',
     'Several dynos of one app restart together without a deploy',
     'ops', 'distinct', 'medium',
     '{dyno_restarts}', '{deploy_events}',
     '{"entity": "app", "value": "dyno", "window": "10 minutes", "threshold": 3,
       "excluded_causes": ["deploy", "manual_scale"], "deploy_margin": "10 minutes"}',
     NULL,
     false, 1, 'sre-agent', '{P6}', 'dormant',
     -- telemetry
     'Source dyno_restarts: event_time, app, dyno, and cause where it is known. Writer: a scheduled scraper of the '
     'Heroku Platform API. Optional source deploy_events: event_time, app.',
     -- how
     'Counts the distinct dynos of each app that restart in a sliding window of 10 minutes. Restarts that a deploy or '
     'an operator caused do not count: those with such a cause, and, if deploy_events is bound, those within 10 minutes '
     'of a deploy of the same app, before or after it. A deploy that comes after the finding clears it. There is no '
     'baseline.',
     -- thresholds
     '3 distinct dynos of one app in 10 minutes. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, the dynos and the times.\n'
     '2. See whether somebody deployed, scaled or changed a config var: each of them restarts dynos.\n'
     '3. Check the exit codes and the memory of the dynos: R14 and R15 are memory, H10 is a crash.\n'
     '4. Check the status page of Heroku for maintenance.\n'
     '5. Close as confirmed_operational with the cause.',
     -- do_not
     E'- Do not restart the dynos again before the log of the first restart is saved.\n'
     '- Do not enter deploys by hand afterwards to make the finding disappear.',
     -- waits_for
     'Waits for dyno metrics (P6): have the scraper of the Heroku Platform API write each restart with app, dyno and '
         'cause into a table, and bind it as dyno_restarts.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('cost_heroku_addon_drift', 15, 'DET-COST-002',
     'Add-on or config change without a change record',
     'cost', 'unmatched', 'medium',
     '{addon_changes,change_records}', '{}',
     '{"match": ["app", "item"], "tolerance": "30 minutes"}',
     NULL,
     false, 1, 'operator', '{}', 'dormant',
     -- telemetry
     'Sources addon_changes (event_time, app, item, actor) and change_records (event_time, app, item). Writers: a '
     'record of what changed at Heroku, and the console for the changes that operators decided on.',
     -- how
     'Looks, for each add-on or config change, for a change record of the same app and item whose time is within 30 '
     'minutes before or after it. A change without one is a finding once those 30 minutes are over. A record that is '
     'written later, however late, clears the finding. A change that names no app or item can have no record: it is a '
     'finding, too. There is no baseline.',
     -- thresholds
     'Fires on each change without a record. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the app, the item, who changed it and when.\n'
     '2. Ask the operators whether one of them made the change.\n'
     '3. If yes: write the missing record, and close as confirmed_operational.\n'
     '4. If nobody did: call security-agent, check who holds tokens for the Heroku account, and see what the add-on '
     'or the config var gives access to.\n'
     '5. Undo the change once it is understood.',
     -- do_not
     E'- Do not write a change record for a change that nobody can explain.\n'
     '- Do not remove an unknown add-on before its configuration is saved.',
     -- waits_for
     'Waits for an authoritative record of changes: have the console write each Heroku configuration change as a row '
         'with time, app and item, and bind it as change_records beside addon_changes.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('signup_geographic_burst', 16, 'DET-SIGNUP-003',
     'Many waitlist sign-ups from one country, or an unusual mix of countries',
     'signup', 'velocity', 'medium',
     '{waitlist_signups}', '{}',
     '{"entity": "country", "window": "5 minutes", "threshold": 20, "mix_window": "1 day", "mix_floor": 50, "mix_expected": 5, "mix_days": 3,
       "baseline_floor": 5, "time_zone": "UTC", "baseline_ready": "7 days", "season": "none",
       "baseline_rows": 20, "baseline_entities": 10000}',
     '7 days',
     false, 1, 'security-agent', '{}', 'dormant',
     -- telemetry
     'Source waitlist_signups: event_time, email, country. Writer: the waitlist form; the country is the cf-ipcountry '
     'header of the request.',
     -- how
     'Counts the sign-ups of each country in a sliding window of 5 minutes, as signup_waitlist_velocity_per_origin '
     'does for each Origin. In addition, at each midnight (UTC) the day''s sign-ups are held against those of the 7 whole '
     'days before, country by country, by a chi-squared test of two samples; countries of which fewer than 5 are to be '
     'expected are taken together. Days differ by more than chance, so the statistic is divided by what it is for the 7 '
     'days themselves, each held against the others. A day with such a finding that nobody has closed, or that was '
     'closed as true_positive, is no part of what is usual. Sign-ups without a country are neither counted nor history.',
     -- thresholds
     'Until the baseline has 7 whole days: 20 sign-ups of one country in 5 minutes. From then on, in place of that: a '
     'count, of at least 5, whose tail probability is within half of the allowance for false alarms, one a month; or a '
     'mix of a day whose tail probability is within the other half, 1 in 60.9, on a day with at least 50 sign-ups of a '
     'known country.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the country, the number of sign-ups and the times.\n'
     '2. See whether the product was in the news there, or a campaign began.\n'
     '3. See whether the other sign-up rules fired for the same time.\n'
     '4. If it is a script: hand over to security-agent and mark the sign-ups of the episode so that no mail goes out '
     'to them.\n'
     '5. Close with raxx_detect.triage and a note.',
     -- do_not
     E'- Do not block a country because of one finding.\n'
     '- Do not take the country of an address as where a person is: proxies are cheap.',
     -- waits_for
     'Waits for a country on each sign-up: keep the cf-ipcountry header in a column of the sign-up table, and bind '
         'that column as the country of waitlist_signups.');

INSERT INTO raxx_detect.rules
    (rule_id, number, det_id, title, category, method, severity,
     sources, optional_sources, params, baseline_window,
     per_event, false_alarms_per_month, escalation_owner, prerequisites, ships,
     telemetry, how, thresholds, routes, runbook, do_not, waits_for)
VALUES
    ('auth_login_failure_burst', 17, 'DET-AUTH-004',
     'Many failed sign-ins to one account',
     'auth', 'velocity', 'medium',
     '{login_failures}', '{}',
     '{"entity": "account", "window": "10 minutes", "threshold": 10}',
     NULL,
     false, 1, 'security-agent', '{}', 'subsumed',
     -- telemetry
     'Source login_failures: event_time, ip, account. It has a writer only if password sign-in is added.',
     -- how
     'Counts the failed sign-ins to each account in a sliding window of 10 minutes. There is no baseline. With '
     'passkeys a failed assertion is quiet and changes nothing, and credential stuffing shows as many distinct '
     'addresses instead; auth_passkey_enumeration watches for that.',
     -- thresholds
     '10 failures of one account in 10 minutes. False alarms allowed for: one a month.',
     -- routes
     'MEDIUM: the ops@ daily digest.',
     -- runbook
     E'1. Read raxx_detect.explain(finding_id): the account, the number of failures and the times.\n'
     '2. See whether a success followed, and from which address.\n'
     '3. Ask the owner of the account over another channel.\n'
     '4. If a success followed that the owner does not recognise: call security-agent and treat it as SEV1.\n'
     '5. Close with raxx_detect.triage and a note.',
     -- do_not
     E'- Do not lock the account: that is what somebody who wants its owner out would ask for.\n'
     '- Do not reset the password on the word of a caller.',
     -- waits_for
     'Subsumed by auth_passkey_enumeration as long as sign-in is by passkey only; if password sign-in is ever added, '
         'bind its failures as login_failures.');

-- Whoever could be left out of these could hide behind it: an operator who probes, a log that falls silent, a chain that breaks.
UPDATE raxx_detect.rules SET allows_exceptions = false WHERE rule_id = 'auth_rbac_denied_burst' OR method IN ('gap', 'chain');
