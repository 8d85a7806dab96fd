-- Incidents: each kind plants one of a given size into a copy of the days around an instant of the year, has the rule
-- judge the copy, sees whether it found the incident, and takes everything back.

CREATE TABLE sim.watched (rule_id text PRIMARY KEY);    -- the rules that this source is simulated for
CREATE TABLE sim.source (source text NOT NULL, traffic text NOT NULL, event_time name NOT NULL, columns text NOT NULL, life interval NOT NULL);

CREATE TABLE sim.kinds (
    kind text PRIMARY KEY,
    position int GENERATED ALWAYS AS IDENTITY,
    rule_id text NOT NULL,
    description text NOT NULL,     -- with the word SIZE where the size stands
    sizes float8[] NOT NULL,
    moment text NOT NULL CHECK (moment IN ('busy', 'night', 'weekend', 'day')),
    plant regproc NOT NULL,        -- plant(size, at): changes public.<source>
    entity text,                   -- whom the finding must name; NULL: whomever
    lasts interval NOT NULL,       -- a finding counts if its episode meets [at, at + lasts]
    history interval NOT NULL DEFAULT '9 days'
);

CREATE TABLE sim.incidents (kind text, size float8, instant int, at timestamptz, outcome text, found boolean, fired_by text, observed float8);

-- The times of incidents: ten weeks (or as many as asked for) spread over the year from its seventh on, Tuesday to Thursday; UTC.
CREATE FUNCTION sim.instant(number int, instants int, moment text) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT date_trunc('day', sim.year_start() + week * interval '7 days'
                   + CASE moment WHEN 'weekend' THEN 5 ELSE 1 + floor(3 * sim.u(number, 8001)) END * interval '1 day', 'UTC')
           + CASE moment WHEN 'day' THEN interval '0' WHEN 'night' THEN interval '7 hours' ELSE interval '16 hours' END
           + CASE moment WHEN 'day' THEN interval '0' ELSE floor(60 * sim.u(number, 8002)) * interval '1 minute' END
    FROM (SELECT 6 + (number - 1) * 43 / greatest(instants - 1, 1) AS week) w
$$;

-- Starts a source: sim.year, for its year, and its own empty table in public, bound. traffic says what the year is like; life
-- how much of it goes on until now.
CREATE FUNCTION sim.begin_source(source text, traffic text, life interval DEFAULT '0') RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    event_time name := (SELECT r.role FROM raxx_detect.source_roles r WHERE r.source = begin_source.source AND r.position = 1);
BEGIN
    PERFORM raxx_detect.create_source_table(source);
    PERFORM raxx_detect.create_source_table(source, 'sim.year');
    INSERT INTO sim.source SELECT source, traffic, event_time, string_agg(quote_ident(r.role), ', ' ORDER BY r.position), life
    FROM raxx_detect.source_roles r WHERE r.source = begin_source.source;
END $$;

-- Some rules want another source besides: an event every ten minutes, all year and now, without an entity. Only the last hour
-- of the year is judged.
CREATE FUNCTION sim.bind_heartbeat(source text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM raxx_detect.create_source_table(source);
    EXECUTE format('INSERT INTO %I (event_time) SELECT at FROM sim.blocks UNION ALL SELECT now()', source);
    EXECUTE format('ANALYZE %I', source);
    PERFORM raxx_detect.bind_source(source, source::regclass, judge_from => sim.year_end() - interval '1 hour');
END $$;

-- Fills public.<source> with the year's rows of a period, and with some of the present day: rules that wait for a source
-- in use look at the clock on the wall.
CREATE FUNCTION sim.fill(period tstzrange) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s sim.source := (SELECT x FROM sim.source x);
BEGIN
    EXECUTE format('TRUNCATE %I', s.source);
    EXECUTE format('INSERT INTO %1$I (%3$s) SELECT %3$s FROM sim.year WHERE %2$I >= $1 AND %2$I < $2 ORDER BY %2$I',
                   s.source, s.event_time, s.columns) USING lower(period), upper(period);
    EXECUTE format('INSERT INTO %1$I (%3$s) SELECT now() - (e.last - %2$I), %4$s FROM sim.year, (SELECT max(%2$I) AS last FROM sim.year) e
                    WHERE %2$I >= e.last - $1', s.source, s.event_time, s.columns, substr(s.columns, length(quote_ident(s.event_time)) + 3))
    USING s.life;
    EXECUTE format('ANALYZE %I', s.source);
END $$;

-- Plants one incident (none if the size is 0), judges, records, and takes all but the record back.
CREATE FUNCTION sim.try(kind text, size float8, number int, instants int) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    k sim.kinds := (SELECT x FROM sim.kinds x WHERE x.kind = try.kind);
    s sim.source := (SELECT x FROM sim.source x);
    at timestamptz := sim.instant(number, instants, k.moment);
    midnight timestamptz := date_trunc('day', at, 'UTC');
    result raxx_detect.rule_run;
    found raxx_detect.detection_findings;
BEGIN
    BEGIN
        PERFORM sim.fill(tstzrange(midnight - k.history, at + k.lasts + interval '1 day'));
        IF size <> 0 THEN
            EXECUTE format('SELECT %s($1, $2)', k.plant) USING size, at;
        END IF;
        PERFORM raxx_detect.bind_source(s.source, s.source::regclass, judge_from => midnight - interval '1 hour');
        SELECT * INTO result FROM raxx_detect.run(k.rule_id, at + k.lasts + interval '10 minutes');
        SELECT f.* INTO found FROM raxx_detect.detection_findings f
        WHERE f.rule_id = k.rule_id AND f.source = s.source AND (k.entity IS NULL OR f.entity = k.entity)
          AND f.episode && tstzrange(at, at + k.lasts, '[]') ORDER BY lower(f.episode) LIMIT 1;
        RAISE EXCEPTION SQLSTATE 'RD000';
    EXCEPTION WHEN SQLSTATE 'RD000' THEN
        NULL;
    END;
    INSERT INTO sim.incidents VALUES (kind, size, number, at, CASE WHEN result.outcome IN ('ok', 'no_data', 'skipped') THEN 'ok' ELSE result.outcome || ': ' || result.detail END,
                                      found.finding_id IS NOT NULL, found.fired_by, found.observed);
END $$;
