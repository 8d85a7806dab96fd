-- The type quantile_sketch: quantiles of any number of values in a few kilobytes, that merge. Immutable, parallel safe;
-- NULL arguments give NULL.

CREATE TYPE raxx_detect.quantile_sketch;

CREATE FUNCTION raxx_detect.quantile_sketch_in(cstring) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_in(cstring) IS
'Reads a quantile sketch from text. Error 22P02 for whatever is not a whole and consistent sketch of a version that is known.';

CREATE FUNCTION raxx_detect.quantile_sketch_out(raxx_detect.quantile_sketch) RETURNS cstring
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_out(raxx_detect.quantile_sketch) IS
'Writes a quantile sketch as text: version;count;min;max;key:count,key:count,... No setting changes it, and reading it gives the same sketch.';

CREATE FUNCTION raxx_detect.quantile_sketch_recv(internal) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_recv(internal) IS
'Reads a quantile sketch from bytes. Error 22P03 for whatever is not a whole and consistent sketch of a version that is known.';

CREATE FUNCTION raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch) RETURNS bytea
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_send(raxx_detect.quantile_sketch) IS
'Writes a quantile sketch as bytes, big-endian: version, count, min, max, then a key and a count for each bucket. Sketches of the same values have the same bytes.';

CREATE TYPE raxx_detect.quantile_sketch (
    INPUT = raxx_detect.quantile_sketch_in, OUTPUT = raxx_detect.quantile_sketch_out,
    RECEIVE = raxx_detect.quantile_sketch_recv, SEND = raxx_detect.quantile_sketch_send,
    INTERNALLENGTH = VARIABLE, ALIGNMENT = double, STORAGE = extended);
COMMENT ON TYPE raxx_detect.quantile_sketch IS
'How often which values occurred: a histogram whose buckets are a sign, an exponent and the top 8 bits of the mantissa of a double (after DDSketch, Masson, Rim and Lee 2019). 32 bytes and 12 for each bucket that is not empty: a factor of 2 has 256 of them, all doubles together a million. A quantile is off by less than 1/256 (0.4 %) of its value at any q and any count; see raxx_detect.quantile. Sketches of the same values are the same, byte for byte, in whatever order and grouping they were made and merged.';

CREATE FUNCTION raxx_detect.quantile_sketch_accumulate(state raxx_detect.quantile_sketch, value float8)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_accumulate(raxx_detect.quantile_sketch, float8) IS
'The sketch with one value more; transition function of raxx_detect.quantile_sketch. NaN is ignored. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_accumulate(state raxx_detect.quantile_sketch, value float8, weight bigint)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_accumulate' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_accumulate(raxx_detect.quantile_sketch, float8, bigint) IS
'The sketch with a value that occurred weight times more; transition function of raxx_detect.quantile_sketch with weights. NaN and a weight of 0 are ignored. Errors: 22023 for a negative weight, 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_combine(state raxx_detect.quantile_sketch, other raxx_detect.quantile_sketch)
RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_combine' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_combine(raxx_detect.quantile_sketch, raxx_detect.quantile_sketch) IS
'The sketch of the values of both; combine function of raxx_detect.quantile_sketch, transition and combine function of raxx_detect.merge. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile_sketch_final(state raxx_detect.quantile_sketch) RETURNS raxx_detect.quantile_sketch
AS 'MODULE_PATHNAME', 'raxx_quantile_sketch_final' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile_sketch_final(raxx_detect.quantile_sketch) IS
'The sketch, without the room to spare that a state has while it is filled; final function of raxx_detect.quantile_sketch and raxx_detect.merge.';

CREATE AGGREGATE raxx_detect.quantile_sketch(float8) (
    SFUNC = raxx_detect.quantile_sketch_accumulate, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.quantile_sketch(float8) IS
'The quantile sketch of the values; quantile(quantile_sketch(x), 0.999) asks it. NULL and NaN are ignored, the infinities are values, the two zeros are one. Without a value it is a sketch of none.';

CREATE AGGREGATE raxx_detect.quantile_sketch(value float8, weight bigint) (
    SFUNC = raxx_detect.quantile_sketch_accumulate, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.quantile_sketch(float8, bigint) IS
'The quantile sketch of values that each occurred weight times: the same, byte for byte, as that of a row for each time. Rows with a NULL, a value of NaN or a weight of 0 are ignored. Errors: 22023 for a negative weight, 22003 for more than 9223372036854775807 values.';

CREATE AGGREGATE raxx_detect.merge(raxx_detect.quantile_sketch) (
    SFUNC = raxx_detect.quantile_sketch_combine, STYPE = raxx_detect.quantile_sketch, INITCOND = '1;0;;;',
    COMBINEFUNC = raxx_detect.quantile_sketch_combine, FINALFUNC = raxx_detect.quantile_sketch_final, PARALLEL = SAFE);
COMMENT ON AGGREGATE raxx_detect.merge(raxx_detect.quantile_sketch) IS
'The sketch of all values of the sketches, the same that quantile_sketch would have made of them. NULL is ignored; without a sketch it is a sketch of no value. Error 22003 for more than 9223372036854775807 values.';

CREATE FUNCTION raxx_detect.quantile(sketch raxx_detect.quantile_sketch, q float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_quantile' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.quantile(raxx_detect.quantile_sketch, float8) IS
'The value at rank ceil(q * count), as percentile_disc has it, or less than 1/256 (0.4 %) of it nearer to zero, at any q and any count; q = 0 is the minimum. Exact are the least and the greatest value, the infinities and whole numbers up to 512. Below 2.3e-308, where doubles lose precision, it is off by up to 8.7e-311. NULL for a sketch of no value. Error 22023 for a q outside 0 to 1.';

CREATE FUNCTION raxx_detect.sketch_count(sketch raxx_detect.quantile_sketch) RETURNS bigint
AS 'MODULE_PATHNAME', 'raxx_sketch_count' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_count(raxx_detect.quantile_sketch) IS 'How many values the sketch is of.';

CREATE FUNCTION raxx_detect.sketch_share_above(sketch raxx_detect.quantile_sketch, x float8) RETURNS float8
AS 'MODULE_PATHNAME', 'raxx_sketch_share_above' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_share_above(raxx_detect.quantile_sketch, float8) IS
'The share of the values in buckets that lie wholly above x, 0 to 1. It never exceeds the share of the values above x, and falls short by at most the share of the bucket of x, which is less than 1/256 of x wide. Exact for whole numbers and a whole x from -512 to 511, and for an x outside the range of the values. NULL for a sketch of no value. Error 22023 if x is NaN.';

CREATE FUNCTION raxx_detect.sketch_ks_test(x raxx_detect.quantile_sketch, y raxx_detect.quantile_sketch, OUT d float8, OUT p_value float8)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_sketch_ks_test' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.sketch_ks_test(raxx_detect.quantile_sketch, raxx_detect.quantile_sketch) IS
'Two-sample, two-sided Kolmogorov-Smirnov test on sketches: d is the largest difference of the two distribution functions at the ends of buckets, at most the d of the values themselves, and p_value is Kolmogorov''s limit at d whatever the counts; so the test is conservative. (Not ks_test by name: a call of that with two untyped literals would be ambiguous.) Error 22023 if a sketch is of no value.';
