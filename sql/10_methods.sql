-- The methods as plain functions on any relation: for ad hoc use, and for checking the engine, which uses the same
-- evaluators. They read with the caller's rights, take no lock but a reader's, and can be cancelled at any time.

CREATE FUNCTION raxx_detect.velocity_episodes(relation regclass, event_time name, entity name, time_window interval,
    threshold bigint, from_time timestamptz, to_time timestamptz, OUT entity text, OUT episode tstzrange, OUT peak bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_velocity_episodes' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.velocity_episodes(regclass, name, name, interval, bigint, timestamptz, timestamptz) IS
'When an entity was too fast: the maximal intervals [start, end) of instants t for which (t - time_window, t] holds at least threshold rows of one entity, with the most rows that one window held (peak). Reads the rows with from_time < event_time <= to_time; an episode ends when its last window does, be that after to_time. Ordered by start, then entity. Rows with a NULL entity or an infinite time are ignored, and counted in a NOTICE; the empty string is an entity. Entities are the same when their texts are. event_time: a timestamptz column; time_window: positive, no months; threshold: at least 1; infinite bounds are open ones. Errors: 22023 value out of range, 22004 NULL argument, 42703 no such column, 42804 wrong type, 42501 not permitted, 54000 the window does not fit raxx_detect.memory_limit.';

CREATE FUNCTION raxx_detect.distinct_episodes(relation regclass, event_time name, entity name, value name,
    time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz,
    OUT entity text, OUT episode tstzrange, OUT peak bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_distinct_episodes' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.distinct_episodes(regclass, name, name, name, interval, bigint, timestamptz, timestamptz) IS
'As raxx_detect.velocity_episodes, but counting the distinct values in each window, exactly. Rows with a NULL value are ignored and counted, too.';

CREATE FUNCTION raxx_detect.gaps(relation regclass, event_time name, longer_than interval, from_time timestamptz,
    to_time timestamptz, OUT gap tstzrange, OUT length interval)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_gaps' LANGUAGE C STABLE ROWS 100;
COMMENT ON FUNCTION raxx_detect.gaps(regclass, name, interval, timestamptz, timestamptz) IS
'The silences: every [row, next row) longer than longer_than among the rows with from_time < event_time <= to_time, in order of time. What lies before the first row and after the last one is not a gap, since nothing in the range bounds it. Infinite times are ignored. Arguments and errors as raxx_detect.velocity_episodes.';

CREATE FUNCTION raxx_detect.gap_quantiles(relation regclass, event_time name, quantile float8, from_time timestamptz,
    to_time timestamptz, OUT hour int, OUT gaps bigint, OUT quantile interval)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_gap_quantiles' LANGUAGE C STABLE ROWS 24;
COMMENT ON FUNCTION raxx_detect.gap_quantiles(regclass, name, float8, timestamptz, timestamptz) IS
'The cadence of a table: for each UTC hour of the day in which gaps begin, how many there are, and the quantile (0 to 1) of their lengths at the nearest rank, as percentile_disc counts it, at most 0.1 % off. In constant memory. Arguments and errors as raxx_detect.gaps.';

-- What the rules are evaluated with: any of the methods, with a filter and the number of rows that took part.
CREATE FUNCTION raxx_detect.episodes(method text, relation regclass, event_time name, entity name, value name, filter name,
    patterns text[], network int[], time_window interval, threshold bigint, from_time timestamptz, to_time timestamptz,
    OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_episodes' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.episodes(text, regclass, name, name, name, name, text[], int[], interval, bigint, timestamptz, timestamptz) IS
'Episodes by method: velocity (rows), distinct (distinct values of the value column) or email_pattern (rows by the registrable domain, and by the shape at that domain, of the entity column, which holds e-mail addresses). filter: a column, or NULL for none; only rows in which it is LIKE any of patterns count. network: the prefix lengths of IPv4 and IPv6 by which addresses in the entity column are client networks, NULL for single addresses. sample_size: the rows in the window that held the peak. Otherwise as raxx_detect.velocity_episodes, without the NOTICE: raxx_detect.reading() has the counts.';

CREATE FUNCTION raxx_detect.limited_episodes(method text, relation regclass, event_time name, entity name, value name, filter name,
    patterns text[], network int[], time_window interval, limit_entities text[], limit_from timestamptz[], limits bigint[],
    from_time timestamptz, to_time timestamptz, OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_limited_episodes' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.limited_episodes(text, regclass, name, name, name, name, text[], int[], interval, text[], timestamptz[], bigint[], timestamptz, timestamptz) IS
'As raxx_detect.episodes, with a threshold for each entity, from a time on until the entity''s next: three arrays of one length, without NULLs (22004, 22023). Entities that have none, and times before an entity''s first, have no episodes. An episode begins with a row that finds the threshold of its time reached, and ends when a row leaves, or comes, and finds it missed.';

CREATE FUNCTION raxx_detect.threshold_curve(method text, relation regclass, event_time name, entity name, value name, filter name, patterns text[],
    network int[], time_window interval, watched text[], from_time timestamptz, to_time timestamptz,
    OUT entity text, OUT at timestamptz, OUT level bigint, OUT episodes bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_threshold_curve' LANGUAGE C VOLATILE ROWS 100;
COMMENT ON FUNCTION raxx_detect.threshold_curve(text, regclass, name, name, name, name, text[], int[], interval, text[], timestamptz, timestamptz) IS
'How many episodes each threshold would have, in one pass: rows of entity NULL, in the order of level, say that from the threshold level on, up to the next row''s, as many episodes begin after from_time and up to to_time as raxx_detect.episodes would find. Then follow, for each entity of watched, the instants at which the number in its window became another, and which: level. Reads one window more, before from_time, for it. method: velocity or distinct. Otherwise as raxx_detect.episodes.';

CREATE FUNCTION raxx_detect.client_network(address inet, ipv4_prefix int, ipv6_prefix int) RETURNS text
AS 'MODULE_PATHNAME', 'raxx_client_network' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION raxx_detect.client_network(inet, int, int) IS
'The client network that an address is in: its first ipv4_prefix or ipv6_prefix bits, as text, 203.0.113.7 or 2001:db8:0:1::/64. An IPv4 address mapped into IPv6 (::ffff:203.0.113.7) counts as IPv4; an address with a shorter netmask keeps it. NULL arguments give NULL; 22023 for a prefix length out of range.';

CREATE FUNCTION raxx_detect.episodes_of(method text, times timestamptz[], entities text[], keys text[], time_window interval,
    threshold bigint, OUT entity text, OUT episode tstzrange, OUT peak bigint, OUT sample_size bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_episodes_of' LANGUAGE C VOLATILE ROWS 10;
COMMENT ON FUNCTION raxx_detect.episodes_of(text, timestamptz[], text[], text[], interval, bigint) IS
'As raxx_detect.episodes, of rows given as arrays in any order, for rows that no filter on a column can choose. method: velocity (rows; keys are not looked at), distinct (distinct keys) or ordered (a row of each of threshold steps, of which there can be 32, in their order, rows of one instant in any; keys are the numbers of steps, from 1 on). Rows with a NULL element or an infinite time are ignored, and counted in raxx_detect.reading(). Errors: 22004 NULL argument (keys may be NULL for velocity), 22023 arrays of unequal length, an unknown method or a value out of range, 54000 more rows than half of raxx_detect.memory_limit sorts.';

CREATE FUNCTION raxx_detect.add_reading(rows_read bigint, null_rows bigint) RETURNS void
AS 'MODULE_PATHNAME', 'raxx_add_reading' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION raxx_detect.add_reading(bigint, bigint) IS
'Adds to raxx_detect.reading() what an evaluator read that is written in SQL. Does nothing with NULL.';

CREATE FUNCTION raxx_detect.reading(OUT rows_read bigint, OUT null_rows bigint, OUT infinite_times bigint)
RETURNS record AS 'MODULE_PATHNAME', 'raxx_reading' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION raxx_detect.reading() IS
'What the evaluations of this session have read so far: all rows, and of them those ignored for a NULL entity or value, or for an infinite time.';
