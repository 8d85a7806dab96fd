-- What a source's database knows, as files. Variables: year, out.
\set runs :out-runs.csv
\set alarms :out-alarms.csv
\set incidents :out-incidents.csv
CREATE VIEW sim.alarms AS
SELECT :year AS year, f.rule_id, f.source, f.entity, lower(f.episode) AS began, upper(f.episode) AS ended, f.observed, f.threshold,
       f.fired_by, f.p_value, f.summary
FROM raxx_detect.detection_findings f JOIN sim.source s USING (source) ORDER BY f.rule_id, began;
CREATE VIEW sim.outcomes AS
SELECT k.rule_id, k.position, k.kind, k.description, k.sizes, i.size, i.instant, i.at, i.outcome, i.found, i.fired_by, i.observed
FROM sim.incidents i JOIN sim.kinds k USING (kind) ORDER BY k.position, i.size, i.instant;
\o :runs
COPY sim.runs TO STDOUT CSV;
\o :alarms
COPY (SELECT * FROM sim.alarms) TO STDOUT CSV;
\o :incidents
COPY (SELECT * FROM sim.outcomes) TO STDOUT CSV;
