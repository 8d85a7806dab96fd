-- Judges one source: incidents in copies first, then the year as it is. Variables: year, instants, triage.
\set ON_ERROR_STOP 1
SET jit = off;
SET client_min_messages = warning;
ANALYZE sim.year;
SELECT format('SELECT sim.try(%L, %s, %s, %s)', k.kind, size, i, :instants)
FROM sim.kinds k, unnest(k.sizes) size, generate_series(1, :instants) i
WHERE :year = 1 ORDER BY k.position, size, i \gexec

-- The year in one go, or week by week (triage, in days), after each of which somebody closes its findings as false alarms.
CREATE TABLE sim.runs (year int, source text, traffic text, rule_id text, rows bigint, outcome text, detail text, seconds float8);
CREATE FUNCTION sim.judge_year(year int, rule_id text, triage int) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    as_of timestamptz := sim.year_start();
    result raxx_detect.rule_run;
    seconds float8 := 0;
BEGIN
    WHILE as_of < sim.year_end() LOOP
        as_of := least(CASE WHEN triage > 0 THEN as_of + triage * interval '1 day' END, sim.year_end());
        SELECT * INTO result FROM raxx_detect.run(rule_id, as_of);
        seconds := seconds + extract(epoch FROM result.elapsed);
        EXIT WHEN result.outcome IN ('error', 'busy');  -- dormant in the first weeks is as it should be
        IF triage > 0 THEN
            UPDATE raxx_detect.detection_findings f SET triage = 'closed', disposition = 'confirmed_fp'
            WHERE f.rule_id = rule_id AND f.condition = 'cleared' AND f.triage = 'new';
        END IF;
    END LOOP;
    INSERT INTO sim.runs SELECT year, s.source, s.traffic, rule_id, (SELECT count(*) FROM sim.year), result.outcome, result.detail, seconds FROM sim.source s;
END $$;
SELECT sim.fill(tstzrange(sim.year_start(), sim.year_end()));
SELECT sim.judge_year(:year, w.rule_id, :triage) FROM sim.watched w ORDER BY w.rule_id;
