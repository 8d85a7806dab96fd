-- Self-tuning: a rule whose findings people pass over, again and again, is told one severity lower for a while. It is told lower; nothing
-- is found otherwise, and a finding keeps its severity.
--
-- Whoever wants a rule to be heard less may make noise first. So what counts is narrow, and every doubt is against a downgrade:
--
--   * Only findings that somebody was told of (a message was delivered) count. What is silenced, excepted, or waits in a broken notifier is
--     not passed over: nobody knows of it.
--   * Only those count that were told reaction_time ago, and after which somebody acted on something else: people were there.
--   * Any action on the rule in that time, be it triage of any of its findings, a silence or an exception, and there is no downgrade.
--   * They must have been told on several days, and no entity, nor its variants, may have made most of them.
--   * Noise of one severity lowers that severity only: many MEDIUM findings of a rule leave its HIGH ones as they are.
--   * Never twice: while a severity is lowered it is not lowered further, and what was told before a downgrade ended, by time or by
--     raxx_detect.undo_downgrade, counts for no other.
--   * Never CRITICAL findings, rules that may find them, or rules of a method of integrity.

CREATE TABLE raxx_detect.downgrades (
    downgrade_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL,
    severity_from raxx_detect.severity NOT NULL CHECK (severity_from IN ('medium', 'high')),
    severity_to raxx_detect.severity NOT NULL,
    firings int NOT NULL,
    reason text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now(),
    until timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by name,
    end_reason text,
    CHECK (severity_to < severity_from),
    CHECK (until > began_at AND ended_at >= began_at),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL)),
    CONSTRAINT one_downgrade_at_a_time EXCLUDE USING gist (rule_id WITH =, severity_from WITH =, tstzrange(began_at, least(until, ended_at)) WITH &&)
);
COMMENT ON TABLE raxx_detect.downgrades IS 'When findings of a rule, of one severity, were told one severity lower, and why: from began_at to until, or to ended_at, when somebody took it back.';
COMMENT ON COLUMN raxx_detect.downgrades.firings IS 'How many findings had been passed over.';

CREATE FUNCTION raxx_detect.guard_downgrades() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF OLD.ended_at IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = 'a downgrade that was taken back stays so',
            DETAIL = format('It is downgrade %s, taken back by %s.', OLD.downgrade_id, OLD.ended_by), HINT = 'See raxx_detect.downgrades.';
    END IF;
    IF NEW.ended_at IS NOT NULL THEN
        NEW.ended_by := session_user;
    END IF;
    RETURN NEW;
END $$;
COMMENT ON FUNCTION raxx_detect.guard_downgrades() IS 'Trigger: who takes a downgrade back is what the server knows; raises 42501 for one that was taken back already.';
CREATE TRIGGER guard_downgrades BEFORE UPDATE ON raxx_detect.downgrades FOR EACH ROW EXECUTE FUNCTION raxx_detect.guard_downgrades();
COMMENT ON TRIGGER guard_downgrades ON raxx_detect.downgrades IS 'Keeps the record of downgrades true.';

CREATE FUNCTION raxx_detect.may_be_downgraded(rule raxx_detect.rules) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN rule.severity < 'critical' AND NOT (SELECT m.integrity FROM raxx_detect.methods m WHERE m.method = rule.method);
END $$;
COMMENT ON FUNCTION raxx_detect.may_be_downgraded(raxx_detect.rules) IS 'Whether a rule may be told lower at all: not one that finds what is critical, nor one of a method of integrity.';

CREATE FUNCTION raxx_detect.downgrade_of(rule_id text, severity raxx_detect.severity, at timestamptz) RETURNS raxx_detect.downgrades
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    result raxx_detect.downgrades;
BEGIN
    -- Whoever may write the table must not be able to write what no rule allows.
    SELECT d.* INTO result FROM raxx_detect.downgrades d JOIN raxx_detect.rules r ON r.rule_id = d.rule_id
    WHERE d.rule_id = downgrade_of.rule_id AND d.severity_from = downgrade_of.severity
      AND tstzrange(d.began_at, least(d.until, d.ended_at)) @> downgrade_of.at AND raxx_detect.may_be_downgraded(r);
    RETURN result;
END $$;
COMMENT ON FUNCTION raxx_detect.downgrade_of(text, raxx_detect.severity, timestamptz) IS 'The downgrade that holds at a time for findings of the rule of that severity; NULLs if there is none.';

CREATE FUNCTION raxx_detect.told_severity(rule_id text, severity raxx_detect.severity, at timestamptz DEFAULT now()) RETURNS raxx_detect.severity
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN coalesce((raxx_detect.downgrade_of(rule_id, severity, at)).severity_to, severity);
END $$;
COMMENT ON FUNCTION raxx_detect.told_severity(text, raxx_detect.severity, timestamptz) IS
'The severity by which a finding of the rule, of that severity, is routed at a time: its own, or one lower while a downgrade holds.';

-- Who made the noise.

CREATE FUNCTION raxx_detect.entity_network(entity text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    s raxx_detect.tuning_settings := (SELECT t FROM raxx_detect.tuning_settings t);
BEGIN
    IF entity !~ '^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$' THEN
        RETURN NULL;
    END IF;
    RETURN network(set_masklen(entity::inet, least(masklen(entity::inet), CASE family(entity::inet) WHEN 4 THEN s.family_ipv4_prefix ELSE s.family_ipv6_prefix END)))::text;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION raxx_detect.entity_network(text) IS 'The network that an address belongs to, by the prefixes of raxx_detect.tuning_settings; NULL for what is no address.';

CREATE FUNCTION raxx_detect.entity_family(entity text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    host text := lower(coalesce(substring(entity FROM '@([^@]+)$'), substring(entity FROM '^[A-Za-z][A-Za-z0-9+.-]*://([^/?#:]+)'),
                                substring(entity FROM '^[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+$')));
BEGIN
    RETURN coalesce(raxx_detect.entity_network(entity), raxx_detect.entity_network(host),
        (SELECT p.registrable_domain FROM raxx_detect.email_pattern('x@' || host) p), host,
        regexp_replace(lower(entity), '[^[:alpha:]]+', '', 'g'));
END $$;
COMMENT ON FUNCTION raxx_detect.entity_family(text) IS
'What an entity and its cheap variants have in common: of an address the network, of an e-mail address, a URL or a host name the registrable domain, of anything else its letters. Takes unlike ones for alike rather than the other way: in doubt one made most.';

CREATE FUNCTION raxx_detect.told_findings(from_time timestamptz, to_time timestamptz,
    OUT rule_id text, OUT severity raxx_detect.severity, OUT finding_id bigint, OUT family text, OUT told_at timestamptz)
RETURNS SETOF record LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT f.rule_id, f.severity, f.finding_id, raxx_detect.entity_family(f.entity), t.told_at
    FROM (SELECT DISTINCT d.finding_id FROM raxx_detect.deliveries d WHERE d.ended_at > $1 AND d.ended_at <= $2) n
    JOIN raxx_detect.detection_findings f ON f.finding_id = n.finding_id
    CROSS JOIN LATERAL (SELECT min(d.ended_at) AS told_at FROM raxx_detect.deliveries d
                        WHERE d.finding_id = f.finding_id AND d.state = 'delivered' AND d.event <> 'dead_letter') t
    WHERE t.told_at > $1 AND t.told_at <= $2;
END $$;
COMMENT ON FUNCTION raxx_detect.told_findings(timestamptz, timestamptz) IS
'The findings of which the first message was delivered in (from_time, to_time], and whose they are.';

CREATE TYPE raxx_detect.downgrade_review AS (
    rule_id text,
    severity_from raxx_detect.severity,
    severity_to raxx_detect.severity,
    firings int,
    blocked_by text,
    reason text
);
COMMENT ON TYPE raxx_detect.downgrade_review IS 'A severity of a rule that fired often enough to be told lower: how many findings were passed over, what speaks against it (blocked_by, NULL: nothing), and the reason for it.';

CREATE FUNCTION raxx_detect.review_downgrades(at timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.downgrade_review
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    s raxx_detect.tuning_settings := (SELECT t FROM raxx_detect.tuning_settings t);
    to_time CONSTANT timestamptz := at - s.reaction_time;
    from_time CONSTANT timestamptz := to_time - s.firings_within;
BEGIN
    RETURN QUERY
    WITH actions AS MATERIALIZED (
        SELECT x.* FROM (
            SELECT a.acted_at, f.rule_id FROM raxx_detect.finding_actions a LEFT JOIN raxx_detect.detection_findings f ON f.finding_id = a.finding_id
            UNION ALL SELECT i.created_at, i.rule_id FROM raxx_detect.silences i
            UNION ALL SELECT e.created_at, e.rule_id FROM raxx_detect.exceptions e) x
        WHERE x.acted_at > from_time AND x.acted_at <= at
    ), fired AS (
        SELECT t.*, EXISTS (SELECT FROM actions a WHERE a.acted_at >= t.told_at) AS passed_over
        FROM raxx_detect.told_findings(from_time, to_time) t JOIN raxx_detect.rules r ON r.rule_id = t.rule_id
        WHERE t.severity IN ('medium', 'high') AND raxx_detect.may_be_downgraded(r)
          AND t.told_at >= coalesce((SELECT max(least(d.until, d.ended_at)) FROM raxx_detect.downgrades d
                                     WHERE d.rule_id = t.rule_id AND d.severity_from = t.severity AND d.began_at <= at), '-infinity')
    ), families AS (
        SELECT f.rule_id, f.severity, count(*) AS n FROM fired f WHERE f.passed_over GROUP BY f.rule_id, f.severity, f.family
    ), counted AS (
        SELECT f.rule_id, f.severity, count(*) AS fired, count(*) FILTER (WHERE f.passed_over) AS n,
               count(DISTINCT timezone('UTC', f.told_at)::date) FILTER (WHERE f.passed_over) AS days,
               min(f.told_at) FILTER (WHERE f.passed_over) AS first_at, max(f.told_at) FILTER (WHERE f.passed_over) AS last_at
        FROM fired f GROUP BY f.rule_id, f.severity HAVING count(*) >= s.firings
    )
    SELECT c.rule_id, c.severity, (enum_range(NULL, c.severity))[cardinality(enum_range(NULL, c.severity)) - 1], c.n::int,
           CASE WHEN EXISTS (SELECT FROM actions a WHERE a.rule_id = c.rule_id) THEN 'somebody acted on the rule: triage, a silence or an exception'
                WHEN NOT EXISTS (SELECT FROM actions) THEN 'nobody acted on anything in that time'
                WHEN c.n < s.firings THEN format('after %s of them nobody acted on anything: nobody may have been there', c.fired - c.n)
                WHEN c.days < s.firing_days THEN format('all of them were told within %s day(s)', c.days)
                WHEN (SELECT max(f.n) FROM families f WHERE f.rule_id = c.rule_id AND f.severity = c.severity) > s.entity_share * c.n
                    THEN 'one entity, or variants of it, made most of them' END,
           format('%s findings of severity %s, told from %s to %s, were passed over: nobody acted on the rule, and somebody acted on others',
                  c.n, c.severity, raxx_detect.in_words_utc(c.first_at), raxx_detect.in_words_utc(c.last_at))
    FROM counted c ORDER BY c.rule_id, c.severity;
END $$;
COMMENT ON FUNCTION raxx_detect.review_downgrades(timestamptz) IS
'The rules that fired often enough, as of a time, to be told one severity lower, each with what speaks against it. Changes nothing.';

CREATE FUNCTION raxx_detect.begin_downgrade(review raxx_detect.downgrade_review, at timestamptz) RETURNS SETOF raxx_detect.downgrades
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Of two that would begin it at once, one does.
    RETURN QUERY
    INSERT INTO raxx_detect.downgrades (rule_id, severity_from, severity_to, firings, reason, began_at, until)
    SELECT review.rule_id, review.severity_from, review.severity_to, review.firings, review.reason, at, at + s.downgrade_lasts
    FROM raxx_detect.tuning_settings s WHERE review.blocked_by IS NULL
    ON CONFLICT DO NOTHING RETURNING *;
END $$;
COMMENT ON FUNCTION raxx_detect.begin_downgrade(raxx_detect.downgrade_review, timestamptz) IS 'Has a severity of a rule told lower, from a time on, unless something speaks against it.';

CREATE FUNCTION raxx_detect.self_tune(at timestamptz DEFAULT now()) RETURNS SETOF raxx_detect.downgrades
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM raxx_detect.check_as_of(at);
    RETURN QUERY SELECT d.* FROM raxx_detect.review_downgrades(at) v CROSS JOIN LATERAL raxx_detect.begin_downgrade(v, at) d;
END $$;
COMMENT ON FUNCTION raxx_detect.self_tune(timestamptz) IS
'Has rules told one severity lower that people passed over again and again, for raxx_detect.tuning_settings.downgrade_lasts, and returns what it began. Called by run_all once a day, if its role may insert into raxx_detect.downgrades, and by raxx_detect.refresh. Errors: 22023 no finite time.';

CREATE FUNCTION raxx_detect.undo_downgrade(rule_id text, reason text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    rule raxx_detect.rules := raxx_detect.find_rule(rule_id);
    ended int;
BEGIN
    reason := raxx_detect.require_reason(reason, 'taking a downgrade back');
    UPDATE raxx_detect.downgrades d SET ended_at = now(), ended_by = session_user, end_reason = undo_downgrade.reason
    WHERE d.rule_id = rule.rule_id AND d.began_at <= now() AND d.until > now() AND d.ended_at IS NULL;
    GET DIAGNOSTICS ended = ROW_COUNT;
    IF ended = 0 THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('rule %s is not told lower', rule.rule_id),
            DETAIL = 'No downgrade of it holds now.',
            HINT = coalesce('Told lower are ' || (SELECT string_agg(DISTINCT d.rule_id, ', ') FROM raxx_detect.downgrades d
                WHERE d.began_at <= now() AND least(d.until, d.ended_at) > now()) || '.', 'No rule is: see raxx_detect.downgrades.');
    END IF;
    RETURN ended;
END $$;
COMMENT ON FUNCTION raxx_detect.undo_downgrade(text, text) IS
'Takes back that a rule is told lower, from now on, and returns how many severities of it were. The findings that led to it count for no other downgrade. Errors: 42704 unknown rule, or one that is not told lower; 22023 no reason.';

CREATE FUNCTION raxx_detect.self_tune_daily() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state text; message text; detail text; hint text;
BEGIN
    IF has_table_privilege('raxx_detect.downgrades', 'INSERT') AND raxx_detect.hold_heartbeat(wait => false) THEN
        PERFORM FROM raxx_detect.self_tune();
    END IF;
EXCEPTION WHEN OTHERS THEN  -- what cannot be tuned must not undo what the run has found
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RAISE WARNING USING ERRCODE = state, MESSAGE = 'a run could not see which rules people pass over: ' || message, DETAIL = detail, HINT = hint;
END $$;
COMMENT ON FUNCTION raxx_detect.self_tune_daily() IS 'raxx_detect.self_tune as a part of the first run of a UTC day, if the caller may insert into raxx_detect.downgrades. What fails is a warning.';
