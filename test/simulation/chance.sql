-- Chance without chance: every draw is a hash of what it is for, so that a seed gives the same year on every version
-- and in every order of evaluation. Needs the psql variable seed.

CREATE SCHEMA sim;

CREATE FUNCTION sim.seed() RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN :seed::bigint;

-- In (0, 1), evenly: the draw numbered `draw` of event (or block, or person) n, which must be below 2^32.
CREATE FUNCTION sim.u(n bigint, draw int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT ((hashint8extended(n, (sim.seed() << 32) + draw) >> 12 & x'fffffffffffff'::bigint) + 0.5) / 4503599627370496.0::float8 $$;

-- Standard normal; uses the draws draw and draw + 1.
CREATE FUNCTION sim.normal(n bigint, draw int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT sqrt(-2 * ln(sim.u(n, draw))) * cos(2 * pi() * sim.u(n, draw + 1)) $$;

-- Log-normal with mean 1 and this standard deviation of the logarithm; uses two draws.
CREATE FUNCTION sim.lognormal(n bigint, draw int, sd float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT exp(sd * sim.normal(n, draw) - sd * sd / 2) $$;

-- Gamma with mean 1 and shape 3 (standard deviation 0.58): what makes counts of blocks of ten minutes bursty. Three draws.
CREATE FUNCTION sim.gamma3(n bigint, draw int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT -ln(sim.u(n, draw) * sim.u(n, draw + 1) * sim.u(n, draw + 2)) / 3 $$;

-- Poisson by inversion, for means up to some hundreds. One draw.
CREATE FUNCTION sim.poisson(n bigint, draw int, mean float8) RETURNS int LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    u float8 := sim.u(n, draw);
    k int := 0;
    term float8 := exp(-mean);
    total float8 := term;
BEGIN
    WHILE u > total AND k < 10 * mean + 100 LOOP
        k := k + 1;
        term := term * mean / k;
        total := total + term;
    END LOOP;
    RETURN k;
END $$;

CREATE FUNCTION sim.pick(choices text[], u float8) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT choices[1 + floor(u * cardinality(choices))::int] $$;
