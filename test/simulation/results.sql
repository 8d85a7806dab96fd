-- The tables that the report is made from, and the statistics that it needs.
CREATE SCHEMA sim;
CREATE TABLE sim.runs (year int, source text, traffic text, rule_id text, rows bigint, outcome text, detail text, seconds float8);
CREATE TABLE sim.alarms (year int, rule_id text, source text, entity text, began timestamptz, ended timestamptz, observed float8,
    threshold float8, fired_by text, p_value float8, summary text);
CREATE TABLE sim.incidents (rule_id text, position int, kind text, description text, sizes float8[], size float8, instant int,
    at timestamptz, outcome text, found boolean, fired_by text, observed float8);

-- The mean at which a Poisson variable is k or more with probability p, by bisection.
CREATE FUNCTION sim.poisson_mean(k bigint, p float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    low float8 := 0;
    high float8 := 2 * k + 20;
    middle float8;
BEGIN
    IF k = 0 THEN
        RETURN 0;
    END IF;
    FOR step IN 1..60 LOOP
        middle := (low + high) / 2;
        IF raxx_detect.poisson_upper_tail(k, middle) < p THEN low := middle; ELSE high := middle; END IF;
    END LOOP;
    RETURN middle;
END $$;
