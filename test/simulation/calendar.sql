-- The simulated year: 365 days from Monday 2025-01-06 00:00 UTC in 52,560 blocks of ten minutes, with both changes of
-- the clocks in New York (2025-03-09 and 2025-11-02) and the public holidays of the United States.

CREATE FUNCTION sim.year_start() RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT timestamptz '2025-01-06 00:00:00+00' $$;
CREATE FUNCTION sim.year_end() RETURNS timestamptz LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT timestamptz '2026-01-06 00:00:00+00' $$;

-- A profile of 24 hourly values, in between by straight lines.
CREATE FUNCTION sim.profile(hourly float8[], hour float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT hourly[1 + floor(hour)::int] * (1 - (hour - floor(hour))) + hourly[1 + (floor(hour)::int + 1) % 24] * (hour - floor(hour))
$$;

CREATE TABLE sim.blocks (
    block int PRIMARY KEY,  -- 0 to 52559
    at timestamptz NOT NULL,
    day int NOT NULL,       -- 0 to 364, UTC
    quiet boolean NOT NULL, -- weekend or public holiday in New York
    human float8 NOT NULL,  -- how much people do: 1 at the busiest hour of a weekday, about 0.4 on average
    office float8 NOT NULL, -- how much is done at work: 1 at the busiest hour, about 0.02 at night
    growth float8 NOT NULL  -- 1 at the start, 1.8 at the end
);

INSERT INTO sim.blocks
SELECT block, at, block / 144, quiet,
       sim.profile('{.18,.12,.08,.06,.05,.06,.10,.22,.45,.75,.95,1,.95,.9,.95,1,.95,.85,.75,.7,.65,.55,.42,.28}', hour)
           * CASE WHEN quiet THEN 0.5 ELSE 1 END,
       sim.profile('{.02,.02,.02,.02,.02,.02,.03,.08,.35,.9,1,1,.75,.9,1,1,.95,.6,.25,.12,.08,.06,.04,.03}', hour)
           * CASE WHEN quiet THEN 0.1 ELSE 1 END,
       1 + 0.8 * block / 52560.0
FROM (SELECT block, at, extract(epoch FROM local::time) / 3600 AS hour,
             extract(isodow FROM local) >= 6 OR local::date = ANY ('{2025-01-20,2025-02-17,2025-05-26,2025-06-19,2025-07-04,
                 2025-09-01,2025-11-11,2025-11-27,2025-11-28,2025-12-24,2025-12-25,2025-12-26,2025-12-31,2026-01-01}'::date[]) AS quiet
      FROM (SELECT block, at, at AT TIME ZONE 'America/New_York' AS local
            FROM (SELECT block, sim.year_start() + block * interval '10 minutes' AS at FROM generate_series(0, 52559) block) b) l) h;
ANALYZE sim.blocks;
