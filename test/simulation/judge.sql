-- Judges one source: incidents in copies first, then the year as it is, in one go. Variables: year, instants.
\set ON_ERROR_STOP 1
SET jit = off;
SET client_min_messages = warning;
ANALYZE sim.year;
SELECT format('SELECT sim.try(%L, %s, %s, %s)', k.kind, size, i, :instants)
FROM sim.kinds k, unnest(k.sizes) size, generate_series(1, :instants) i
WHERE :year = 1 ORDER BY k.position, size, i \gexec

CREATE TABLE sim.runs (year int, source text, traffic text, rule_id text, rows bigint, outcome text, detail text, seconds float8);
SELECT sim.fill(tstzrange(sim.year_start(), sim.year_end()));
SELECT format('INSERT INTO sim.runs SELECT %s, s.source, s.traffic, r.rule_id, (SELECT count(*) FROM sim.year), r.outcome, r.detail,
               extract(epoch FROM r.elapsed) FROM sim.source s, raxx_detect.run(%L, sim.year_end()) r', :year, w.rule_id)
FROM sim.watched w ORDER BY w.rule_id \gexec
