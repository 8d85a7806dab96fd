SELECT sim.begin_source('waitlist_signups', $$
Some 800 sign-ups a day. Three busy origins, forty small ones from two a week to ten a day, and every four days a new one (a talk, a
post, a newsletter) that is forgotten within weeks. One person in thirty brings one to three colleagues of the same company within
ten minutes. A quarter of the addresses are of three thousand companies. The mix of 25 countries follows the hour and the weekend,
and each country's share varies by 8 % from day to day.
$$);
INSERT INTO sim.watched VALUES ('signup_waitlist_velocity_per_origin'), ('signup_email_pattern_anomaly'), ('signup_geographic_burst');

-- Origins with the rate of their sign-ups, per block at human = 1, and the block at which they are first named.
CREATE TABLE sim.origins AS
SELECT number, 'https://' || name AS origin, rate, 0 AS since, 1e9::float8 AS lifetime
FROM (VALUES (1, 'getraxx.com', 3.4), (2, 'www.getraxx.com', 1.6), (3, 'blog.getraxx.com', 1.0)) AS busy (number, name, rate)
UNION ALL  -- always there, from one sign-up every other day to ten a day
SELECT 10 + i, 'https://partner' || i || '.example', 0.008 * 20 ^ sim.u(i, 101), 0, 1e9 FROM generate_series(1, 40) i
UNION ALL  -- new ones: a talk, a post, a newsletter
SELECT 100 + i, 'https://post' || i || '.example', 0.1 * 12 ^ sim.u(i, 102), (576 * i + 400 * sim.u(i, 103))::int, 144 * (1 + 6 * sim.u(i, 104))
FROM generate_series(0, 90) i;

CREATE TABLE sim.countries AS
SELECT country, number, share, east FROM unnest(
    '{US,GB,DE,CA,IN,FR,AU,NL,BR,ES,SE,CH,SG,JP,PL,IT,IE,MX,ZA,IL,NO,DK,FI,NZ,KR}'::text[],
    '{40,9,7,6,6,4,3.5,3,2.5,2,2,1.8,1.6,1.5,1.4,1.3,1.1,1,0.9,0.8,0.7,0.6,0.5,0.4,0.4}'::float8[],
    -- how far the country's noon is ahead of New York's, in hours
    '{0,5,6,0,10,6,15,6,2,6,6,6,13,14,6,6,5,-1,7,7,6,6,7,17,14}'::float8[]) WITH ORDINALITY AS c (country, share, east, number);

-- The mix of each hour: awake countries more, office countries less at weekends, and 8 % of chance per country and day.
CREATE TABLE sim.mix AS
SELECT hour, array_agg(upto ORDER BY number) AS upto
FROM (SELECT hour, number, sum(weight) OVER (PARTITION BY hour ORDER BY number) / sum(weight) OVER (PARTITION BY hour) AS upto
      FROM (SELECT b.block / 6 AS hour, c.number,
                   c.share * (1 + 0.35 * cos(2 * pi() * (extract(hour FROM b.at AT TIME ZONE 'America/New_York')::float8 + c.east - 15) / 24))
                       * CASE WHEN b.quiet AND c.number <= 7 THEN 0.9 ELSE 1 END
                       * sim.lognormal(b.day * 64 + c.number, 110, 0.08) AS weight
            FROM sim.blocks b, sim.countries c WHERE b.block % 6 = 0) weighted) cumulated
GROUP BY hour;
ANALYZE sim.mix;

INSERT INTO sim.year (event_time, email, origin, ip, country)
WITH counts AS (
    SELECT b.block, b.at, o.number, o.origin,
           sim.poisson(o.number::bigint * 60000 + b.block, 120,
               o.rate * b.human * b.growth * exp(-greatest(b.block - o.since, 0) / o.lifetime)
                   * sim.lognormal(b.day, 121, 0.12) * sim.gamma3(o.number::bigint * 60000 + b.block, 123)) AS n
    FROM sim.blocks b, sim.origins o WHERE b.block >= o.since AND b.block - o.since < 8 * o.lifetime
), persons AS (
    SELECT row_number() OVER (ORDER BY c.block, c.number, k) AS person, c.block, c.at, c.origin
    FROM counts c, generate_series(1, c.n) k WHERE c.n > 0
), signups AS (
    SELECT p.person, p.block, p.origin, p.at + sim.u(p.person, 130) * interval '10 minutes' AS event_time, sim.email(p.person) AS email, 0 AS colleague
    FROM persons p
    UNION ALL
    SELECT p.person, p.block, p.origin, p.at + (sim.u(p.person, 130) + sim.u(p.person, 131 + k)) * interval '10 minutes',
           sim.mailbox(p.person * 4 + k + 400000000) || '@' || sim.company(floor(3000 * sim.u(p.person, 135) ^ 2)::bigint), k
    FROM persons p, generate_series(1, 1 + floor(3 * sim.u(p.person, 136))::int) k WHERE sim.u(p.person, 137) < 0.033
)
SELECT event_time, email, origin, sim.home(person * 4 + colleague), c.country
FROM signups JOIN sim.mix m ON m.hour = block / 6
JOIN sim.countries c ON c.number = 1 + width_bucket(sim.u(person, 138), m.upto)
ORDER BY event_time, person, colleague;

-- ---- incidents ---------------------------------------------------------------------------------------------------

-- A script: size sign-ups in 5 minutes, with addresses that look like anybody's.
CREATE FUNCTION sim.plant_signups(size float8, at timestamptz, origin text, country text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.waitlist_signups (event_time, email, origin, ip, country)
    SELECT at + (i - 1) * interval '299 seconds' / greatest(size - 1, 1), sim.email(800000000 + i), origin, sim.home(15000000 + i),
           coalesce(country, sim.pick('{US,US,US,GB,DE,FR,CA,IN}', sim.u(i, 140)))
    FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.new_origin(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_signups(size, at, 'https://pump.example', NULL) $$;
CREATE FUNCTION sim.small_origin(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_signups(size, at, 'https://partner7.example', NULL) $$;
CREATE FUNCTION sim.busy_origin(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_signups(size, at, 'https://getraxx.com', NULL) $$;
CREATE FUNCTION sim.small_country(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_signups(size, at, 'https://getraxx.com', 'NZ') $$;
CREATE FUNCTION sim.big_country(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_signups(size, at, 'https://getraxx.com', 'US') $$;

-- A list: size sign-ups in 5 minutes, of one domain or of one shape.
CREATE FUNCTION sim.plant_list(size float8, at timestamptz, pattern text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO public.waitlist_signups (event_time, email, origin, ip, country)
    SELECT at + (i - 1) * interval '299 seconds' / greatest(size - 1, 1),
           CASE pattern WHEN 'domain' THEN sim.mailbox(800000000 + i) || '@mail' || i || '.freshly-registered.com'
               WHEN 'rare' THEN 'k' || i * 37 || '.mx' || i * 11 || 'q@gmail.com'                    -- a9a9a
               ELSE sim.pick('{anna,omar,li,maria,peter,eva}', sim.u(i, 141)) || '.t' || i * 7 || '@gmail.com' END,  -- a9
           'https://getraxx.com', sim.home(15000000 + i), 'US'
    FROM generate_series(1, size::int) i
$$;
CREATE FUNCTION sim.one_domain(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_list(size, at, 'domain') $$;
CREATE FUNCTION sim.rare_shape(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_list(size, at, 'rare') $$;
CREATE FUNCTION sim.common_shape(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$ SELECT sim.plant_list(size, at, 'common') $$;

-- A drifted mix: for a day, size percent of all sign-ups are from one small country, spread over the day.
CREATE FUNCTION sim.drifted_mix(size float8, at timestamptz) RETURNS void LANGUAGE sql AS $$
    UPDATE public.waitlist_signups s SET country = 'NZ'
    WHERE s.event_time >= at AND s.event_time < at + interval '1 day' AND sim.u(s.id, 142) < size / 100
$$;

INSERT INTO sim.kinds (kind, rule_id, description, sizes, moment, plant, entity, lasts) VALUES
    ('signups new origin', 'signup_waitlist_velocity_per_origin', 'SIZE sign-ups in 5 min from an origin never seen', '{0,5,8,10,12,15,20}', 'busy', 'sim.new_origin', 'https://pump.example', '5 minutes'),
    ('signups small origin', 'signup_waitlist_velocity_per_origin', 'SIZE sign-ups in 5 min from an origin with a few a day', '{0,3,4,5,6,8,10,20}', 'busy', 'sim.small_origin', 'https://partner7.example', '5 minutes'),
    ('signups busy origin', 'signup_waitlist_velocity_per_origin', 'SIZE sign-ups in 5 min on top of the busiest origin', '{0,5,10,15,20,30,40}', 'busy', 'sim.busy_origin', 'https://getraxx.com', '5 minutes'),
    ('signups busy origin, night', 'signup_waitlist_velocity_per_origin', 'the same at night', '{0,5,8,10,15,20,30}', 'night', 'sim.busy_origin', 'https://getraxx.com', '5 minutes'),
    ('list of one domain', 'signup_email_pattern_anomaly', 'SIZE sign-ups in 5 min from one company''s domain', '{0,5,7,8,10,15}', 'busy', 'sim.one_domain', 'freshly-registered.com', '5 minutes'),
    ('list of a rare shape', 'signup_email_pattern_anomaly', 'SIZE sign-ups in 5 min of a rare shape at gmail.com', '{0,5,7,8,10,15}', 'busy', 'sim.rare_shape', 'a9a9a@gmail.com', '5 minutes'),
    ('list of a common shape', 'signup_email_pattern_anomaly', 'SIZE sign-ups in 5 min of a common shape at gmail.com', '{0,8,10,12,15,20,30}', 'busy', 'sim.common_shape', 'a9@gmail.com', '5 minutes'),
    ('country small', 'signup_geographic_burst', 'SIZE sign-ups in 5 min from a country with three a day', '{0,3,4,5,6,8,10,20}', 'busy', 'sim.small_country', 'NZ', '5 minutes'),
    ('country big', 'signup_geographic_burst', 'SIZE sign-ups in 5 min from the most frequent country', '{0,5,10,15,20,30,40}', 'busy', 'sim.big_country', 'US', '5 minutes'),
    ('country mix', 'signup_geographic_burst', 'a day on which SIZE % of the sign-ups are from a country that has 0.4 %', '{0,1,2,3,5,10,20}', 'day', 'sim.drifted_mix', NULL, '1 day');
