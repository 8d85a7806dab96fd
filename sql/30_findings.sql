-- Findings, and how an evaluation becomes findings: one row for each rule, entity and overlapping episode.

CREATE TABLE raxx_detect.detection_findings (
    finding_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    rule_id text NOT NULL REFERENCES raxx_detect.rules,
    det_id text NOT NULL,
    category text NOT NULL,
    source text NOT NULL,
    severity raxx_detect.severity NOT NULL,
    entity text NOT NULL,
    episode tstzrange NOT NULL,
    observed float8 NOT NULL,
    threshold float8,
    unit text NOT NULL,
    p_value float8,
    fired_by text NOT NULL CHECK (fired_by IN ('threshold', 'baseline')),
    sample_size bigint NOT NULL,
    summary text NOT NULL,
    evidence jsonb NOT NULL,
    verdict text CHECK (verdict IN ('benign', 'adversarial', 'undetermined')),
    condition text NOT NULL CHECK (condition IN ('firing', 'cleared', 'no_data')),
    triage text NOT NULL DEFAULT 'new' CHECK (triage IN ('new', 'acknowledged', 'closed')),
    disposition text CHECK (disposition IN ('true_positive', 'confirmed_operational', 'confirmed_fp', 'benign')),
    occurrences int NOT NULL,
    escalation_owner text NOT NULL,
    detected_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    late boolean NOT NULL DEFAULT false,
    note text,
    exception_id bigint,
    outlasted_exception bigint,
    evidence_changed_at timestamptz,
    evidence_note text,
    CONSTRAINT one_finding_per_episode EXCLUDE USING gist (rule_id WITH =, entity WITH =, episode WITH &&)
);
CREATE INDEX detection_findings_open ON raxx_detect.detection_findings (rule_id, source) WHERE condition = 'firing';
CREATE INDEX detection_findings_excepted ON raxx_detect.detection_findings (exception_id) WHERE exception_id IS NOT NULL;
COMMENT ON TABLE raxx_detect.detection_findings IS 'What was found. A rule''s entity has one finding for each episode; the constraint one_finding_per_episode holds that. triage, disposition and note are people''s (raxx_detect.acknowledge, raxx_detect.triage), all else is the engine''s.';
COMMENT ON COLUMN raxx_detect.detection_findings.entity IS 'Whom or what it is about; longer texts are cut at 200 characters and told apart by a hash.';
COMMENT ON COLUMN raxx_detect.detection_findings.episode IS 'When the condition held: [start, end), without an end while it lasts.';
COMMENT ON COLUMN raxx_detect.detection_findings.observed IS 'The peak, in the unit: for bursts the most in one window, for gaps minutes.';
COMMENT ON COLUMN raxx_detect.detection_findings.sample_size IS 'How many rows the peak was made of.';
COMMENT ON COLUMN raxx_detect.detection_findings.evidence IS 'Bounded: keys of the rows with which it began, and numbers; not copies of contents.';
COMMENT ON COLUMN raxx_detect.detection_findings.occurrences IS 'How many of the rule''s conditions held during the episode; evidence names them.';
COMMENT ON COLUMN raxx_detect.detection_findings.late IS 'Whether it was found only when settled hours were judged again, since rows had come later than their source''s lateness, or gone.';
COMMENT ON COLUMN raxx_detect.detection_findings.note IS 'What was said at the last triage; raxx_detect.finding_actions has all of it.';
COMMENT ON COLUMN raxx_detect.detection_findings.exception_id IS 'The exception by which it is set aside: it is not told, and not open. NULL: none.';
COMMENT ON COLUMN raxx_detect.detection_findings.outlasted_exception IS 'The exception that it was set aside by until that ended.';
COMMENT ON COLUMN raxx_detect.detection_findings.evidence_changed_at IS 'When it was first noticed that a row which the evidence names has changed or is gone. NULL: none has, as far as was looked.';
COMMENT ON COLUMN raxx_detect.detection_findings.evidence_note IS 'What the rows of the evidence were like when they were last found to be otherwise than before, in a sentence.';

-- What an evaluator returns: a would-be finding.
CREATE TYPE raxx_detect.candidate AS (
    entity text,
    episode tstzrange,
    severity raxx_detect.severity,
    observed float8,
    threshold float8,
    unit text,
    p_value float8,
    fired_by text,
    sample_size bigint,
    conditions text[],
    summary text,
    evidence jsonb,
    verdict text,
    condition text,
    escalation_owner text
);
COMMENT ON TYPE raxx_detect.candidate IS 'A would-be finding, as an evaluator returns it. Its episode has no end if it has none yet. condition: firing or cleared, NULL where the end of the episode tells; escalation_owner: NULL for the rule''s.';

CREATE FUNCTION raxx_detect.bounded_entity(entity text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN length(entity) <= 200 THEN entity
                ELSE left(entity, 200) || '... sha256:' || encode(sha256(decode(replace(entity, E'\\', E'\\\\'), 'escape')), 'hex') END
$$;
COMMENT ON FUNCTION raxx_detect.bounded_entity(text) IS 'The entity as a finding names it: up to 200 characters as they are, more of them cut and told apart by a SHA-256 of the whole.';

CREATE FUNCTION raxx_detect.printable(entity text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN entity = '' THEN '(empty)'
                WHEN length(clean) <= 80 THEN clean ELSE left(clean, 77) || '...' END
    FROM (SELECT regexp_replace(left(entity, 200), '[[:cntrl:]]', '?', 'g') AS clean) c
$$;
COMMENT ON FUNCTION raxx_detect.printable(text) IS 'An entity as a sentence may show it: without control characters, at most 80 characters.';

CREATE FUNCTION raxx_detect.in_words(length interval) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(nullif(concat_ws(' ', nullif(s / 86400, 0) || ' d', nullif(s / 3600 % 24, 0) || ' h', nullif(s / 60 % 60, 0) || ' min',
                                     nullif(s % 60, 0) || ' s'), ''), '0 s')
    FROM (SELECT floor(extract(epoch FROM length))::bigint AS s) whole
$$;
COMMENT ON FUNCTION raxx_detect.in_words(interval) IS 'An interval as a sentence says it, in whole seconds: 1 h 5 min.';

CREATE FUNCTION raxx_detect.continued(c raxx_detect.candidate, old raxx_detect.detection_findings) RETURNS raxx_detect.candidate
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    reason CONSTANT text := E' \\((?:threshold|limit) [^()]*\\)$|; it was the shape of [^;]*$';  -- what a summary says of the limit and its history
    told_by_old boolean;
BEGIN
    c.episode := tstzrange(least(lower(old.episode), lower(c.episode)), upper(c.episode));
    c.conditions := ARRAY(SELECT DISTINCT x FROM unnest(c.conditions || ARRAY(
        SELECT jsonb_array_elements_text(old.evidence -> 'conditions'))) x ORDER BY x);
    -- Where it is told in two ways, a threshold tells it rather than a baseline, as within one look.
    told_by_old := (old.severity, CASE WHEN old.unit <> c.unit THEN old.fired_by ELSE '' END, old.observed, old.sample_size)
                   >= (c.severity, CASE WHEN old.unit <> c.unit THEN c.fired_by ELSE '' END, c.observed, c.sample_size);
    c.p_value := CASE WHEN old.unit = c.unit THEN least(c.p_value, old.p_value) WHEN told_by_old THEN old.p_value ELSE c.p_value END;
    IF told_by_old THEN
        c.severity := old.severity; c.observed := old.observed; c.sample_size := old.sample_size;
        c.threshold := old.threshold; c.unit := old.unit; c.fired_by := old.fired_by;
        c.summary := old.summary; c.verdict := old.verdict;
    ELSIF c.unit = old.unit AND NOT coalesce(c.evidence -> 'baseline' ? 'share', false) THEN
        -- It reached the limit at which it began. (Of a share, each window has a limit of its own.)
        c.threshold := old.threshold; c.fired_by := old.fired_by;
        c.summary := regexp_replace(c.summary, reason, '') || coalesce(substring(old.summary FROM reason), substring(c.summary FROM reason), '');
    END IF;
    c.evidence := old.evidence;  -- what it began with
    c.p_value := coalesce(CASE WHEN c.fired_by = 'baseline' THEN raxx_detect.count_p_value(c.evidence -> 'baseline', c.observed) END,
                          c.p_value);
    RETURN c;
END $$;
COMMENT ON FUNCTION raxx_detect.continued(raxx_detect.candidate, raxx_detect.detection_findings) IS
'The candidate joined with what is known of its episode from before: the whole episode, all conditions, told by the worse half, with the evidence that it began with. What is joined is a maximum, so that it does not matter where the halves were cut.';

CREATE FUNCTION raxx_detect.refutation(rule raxx_detect.rules) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN rule.params ? 'deploy_margin' THEN 'a deploy of the app has come close to the restarts since, or their rows have changed'
                ELSE 'the rows that showed it have changed since' END
$$;
COMMENT ON FUNCTION raxx_detect.refutation(raxx_detect.rules) IS 'What has happened when the rows no longer show a finding of the rule, as its summary says it.';

CREATE FUNCTION raxx_detect.record_findings(rule raxx_detect.rules, source text, candidates raxx_detect.candidate[],
    exact_from timestamptz, as_of timestamptz, first_look boolean, may_withdraw boolean, settled_before timestamptz DEFAULT NULL,
    OUT added bigint, OUT changed bigint, OUT withdrawn bigint)
RETURNS record LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    c raxx_detect.candidate;
    old raxx_detect.detection_findings;
    kept raxx_detect.detection_findings;
    gone raxx_detect.detection_findings;
    seen bigint[] := '{}';
    condition text;
    ahead timestamptz;
BEGIN
    added := 0; changed := 0; withdrawn := 0;
    FOR c IN SELECT * FROM unnest(candidates) u ORDER BY u.entity, lower(u.episode) LOOP
        c.entity := raxx_detect.bounded_entity(c.entity);
        -- A source that is judged again from its beginning has findings that lie ahead. Up to them an episode may last;
        -- whether it takes them in, the next slice knows.
        ahead := (SELECT min(lower(f.episode)) FROM raxx_detect.detection_findings f
                  WHERE f.rule_id = rule.rule_id AND f.entity = c.entity AND lower(f.episode) > as_of);
        c.episode := c.episode * tstzrange(NULL, ahead);
        kept := NULL;
        FOR old IN SELECT f.* FROM raxx_detect.detection_findings f
                   WHERE f.rule_id = rule.rule_id AND f.entity = c.entity AND f.episode && c.episode
                   ORDER BY lower(f.episode), f.finding_id LOOP
            -- Runs before this one judged what lies before exact_from; from there on the candidate is the truth.
            IF lower(old.episode) < exact_from THEN
                c := raxx_detect.continued(c, old);
            END IF;
            -- Severity never falls by itself; but a silence that looked longer while rows were merely late never was.
            IF NOT (may_withdraw AND lower(old.episode) >= exact_from AND old.triage = 'new'
                    AND coalesce(lower(old.episode) >= settled_before, true)) THEN
                c.severity := greatest(c.severity, old.severity);
                c.escalation_owner := coalesce(c.escalation_owner, old.escalation_owner);
            END IF;
            IF kept.finding_id IS NULL THEN
                kept := old;
            ELSE
                -- Two become one. What somebody is at outlives what is new, and that what is closed; what is told outlives what an exception sets aside.
                gone := old;
                IF (old.exception_id IS NULL, array_position('{closed,new,acknowledged}'::text[], old.triage))
                   > (kept.exception_id IS NULL, array_position('{closed,new,acknowledged}'::text[], kept.triage)) THEN
                    gone := kept;
                    kept := old;
                END IF;
                DELETE FROM raxx_detect.detection_findings f WHERE f.finding_id = gone.finding_id;
                kept.updated_at := NULL;  -- is another than it was
            END IF;
        END LOOP;
        condition := coalesce(c.condition, CASE WHEN upper(c.episode) <= as_of THEN 'cleared' ELSE 'firing' END);
        IF condition = 'firing' AND c.condition IS NULL THEN
            c.episode := tstzrange(lower(c.episode), ahead);
        END IF;
        IF kept.finding_id IS NULL THEN
            INSERT INTO raxx_detect.detection_findings (rule_id, det_id, category, source, severity, entity, episode,
                observed, threshold, unit, p_value, fired_by, sample_size, summary, evidence, verdict, condition,
                occurrences, escalation_owner, late)
            VALUES (rule.rule_id, rule.det_id, rule.category, source, c.severity, c.entity, c.episode,
                c.observed, c.threshold, c.unit, c.p_value, c.fired_by, c.sample_size, c.summary,
                c.evidence || jsonb_build_object('conditions', c.conditions), c.verdict, condition,
                cardinality(c.conditions), coalesce(c.escalation_owner, rule.escalation_owner), coalesce(lower(c.episode) < settled_before, false))
            RETURNING finding_id INTO kept.finding_id;
            added := added + 1;
        ELSIF kept.updated_at IS NULL
              OR (kept.episode, kept.severity, kept.observed, kept.threshold, kept.unit, kept.p_value, kept.fired_by, kept.sample_size,
                  kept.verdict, kept.condition, kept.occurrences, kept.escalation_owner)
                 IS DISTINCT FROM (c.episode, c.severity, c.observed, c.threshold, c.unit, c.p_value, c.fired_by, c.sample_size,
                  c.verdict, condition, cardinality(c.conditions), coalesce(c.escalation_owner, rule.escalation_owner))
              OR kept.evidence -> 'baseline' IS DISTINCT FROM c.evidence -> 'baseline'
              -- What is said of a silence that goes on changes with every look; it is told anew when anything else does.
              OR (rule.method <> 'gap' OR condition <> 'firing')
                 AND (kept.summary, kept.evidence) IS DISTINCT FROM (c.summary, c.evidence || jsonb_build_object('conditions', c.conditions)) THEN
            UPDATE raxx_detect.detection_findings f
            SET episode = c.episode, severity = c.severity, observed = c.observed, sample_size = c.sample_size,
                condition = condition, occurrences = cardinality(c.conditions), threshold = c.threshold, unit = c.unit,
                p_value = c.p_value, fired_by = c.fired_by, summary = c.summary, verdict = c.verdict,
                escalation_owner = coalesce(c.escalation_owner, rule.escalation_owner),
                evidence = c.evidence || jsonb_build_object('conditions', c.conditions), updated_at = now()
            WHERE f.finding_id = kept.finding_id;
            changed := changed + 1;
        END IF;
        seen := seen || kept.finding_id;
    END LOOP;

    -- Findings of the stretch just evaluated that the rows no longer show: late rows filled the gap, or rows went. (At
    -- a first look at a relation there are none but those of another relation, which it cannot refute.)
    IF first_look THEN
        RETURN;
    END IF;
    FOR old IN SELECT f.* FROM raxx_detect.detection_findings f
               WHERE f.rule_id = rule.rule_id AND f.source = source AND f.finding_id <> ALL (seen)
                 AND f.episode && tstzrange(exact_from, as_of, '(]') AND NOT f.evidence @> '{"conditions": ["rows_gone"]}' LOOP
        -- What a baseline found stays found when the baseline is another one by now; silences and verdicts are looked at anew.
        CONTINUE WHEN lower(old.episode) < settled_before AND old.fired_by = 'baseline' AND rule.method <> 'gap' AND NOT old.evidence ? 'verdict_at';
        -- A verdict on what was then the past changes when rows of that past come late: an average, a share, a mix. So does
        -- one on a share of all the rows in a window.
        IF lower(old.episode) >= exact_from AND old.triage = 'new'
           AND (may_withdraw OR old.evidence ?| '{verdict_at,share}' OR old.evidence -> 'baseline' ? 'share')
           AND coalesce(lower(old.episode) >= settled_before, true) THEN
            -- Somebody may have touched it meanwhile: who holds the row is waited for.
            DELETE FROM raxx_detect.detection_findings f WHERE f.finding_id = old.finding_id AND f.triage = 'new';
            IF FOUND THEN
                withdrawn := withdrawn + 1;
                CONTINUE;
            END IF;
        END IF;
        IF NOT old.evidence ? 'refuted_at' AND (old.condition <> 'cleared' OR lower(old.episode) >= exact_from) THEN
            UPDATE raxx_detect.detection_findings f
            SET episode = tstzrange(lower(old.episode), least(upper(old.episode), greatest(lower(old.episode), exact_from)), '[]'),
                condition = 'cleared', updated_at = now(), evidence = old.evidence || jsonb_build_object('refuted_at', as_of),
                summary = old.summary || '; ' || raxx_detect.refutation(rule)
            WHERE f.finding_id = old.finding_id;
            changed := changed + 1;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION raxx_detect.record_findings(raxx_detect.rules, text, raxx_detect.candidate[], timestamptz, timestamptz, boolean, boolean, timestamptz) IS
'Writes the candidates of one rule and source: new episodes are inserted, known ones grow, findings that one episode now spans become the earliest of them, and findings that the rows no longer show are cleared and say so, or withdrawn where may_withdraw says that rows which were merely late explain it (or the finding is a verdict of an instant, evidence verdict_at, or of a share, which they always may) and nobody has touched them. Candidates are the truth for what lies after exact_from. settled_before (NULL: nothing): what begins before it had been judged for good before rows came later than their lateness, or went; what is found there now is late, and nothing there is withdrawn.';
