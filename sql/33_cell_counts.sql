-- Counting by cells: what a day of counts is learnt from, in one reading.

CREATE FUNCTION raxx_detect.cell_counts(relation regclass, event_time name, entity name, value name, network int[], cell interval,
    from_time timestamptz, to_time timestamptz, hour_starts timestamptz[], hours int[],
    left_out_entities text[], left_out_periods tstzrange[], keep bigint,
    OUT entity text, OUT cells bigint[], OUT sums bigint[], OUT squares float8[], OUT sketch raxx_detect.quantile_sketch,
    OUT counted bigint, OUT left_out bigint)
RETURNS SETOF record AS 'MODULE_PATHNAME', 'raxx_cell_counts' LANGUAGE C VOLATILE ROWS 1000;
COMMENT ON FUNCTION raxx_detect.cell_counts(regclass, name, name, name, int[], interval, timestamptz, timestamptz, timestamptz[], int[], text[], tstzrange[], bigint) IS
'How many rows, or where value is not NULL distinct values of that column, each entity has in each cell of the time from from_time until before to_time. Cells begin at from_time and are all of the length cell. The first row, of entity NULL, is of all entities together: for each hour of the clock, 0 to 23, the cells that held anything (those of each entity for themselves), the sum of what they held and the sum of the squares, a sketch of what they held (NULL if there was none), and how many rows counted and how many were left out. A row each follows for the entities with the largest sums, at most keep of them (0 to 10000000), of equal sums the first by text, byte for byte; sketch, counted and left_out are NULL. The hour of a cell is that of hours, 0 to 23, whose element of hour_starts, ascending from from_time or earlier on, is the last up to the cell''s beginning (raxx_detect.hours_of_cells). Rows of left_out_entities (as raxx_detect.bounded_entity names them) within the period beside it are left out; NULL: none. network: as in raxx_detect.episodes. Rows with a NULL entity or value or an infinite time are ignored; raxx_detect.reading() does not change. Errors: 22004 NULL argument or element, 22023 value out of range or arrays that do not match, 42703 no such column, 42804 wrong type, 42501 not permitted, 54000 the entities do not fit raxx_detect.memory_limit.';

CREATE FUNCTION raxx_detect.hours_of_cells(rule raxx_detect.rules, period tstzrange, cell interval,
    OUT hour_starts timestamptz[], OUT hours int[])
RETURNS record LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT array_agg(c.at ORDER BY c.at), array_agg(c.hour ORDER BY c.at)
    FROM (SELECT b.at, b.hour, lag(b.hour) OVER (ORDER BY b.at) AS before
          FROM (SELECT at, extract(hour FROM timezone(raxx_detect.rule_time_zone(rule), at))::int AS hour
                FROM generate_series(lower(period), upper(period) - interval '1 microsecond',
                                     make_interval(secs => extract(epoch FROM cell)::float8)) at) b) c
    WHERE c.hour IS DISTINCT FROM c.before
$$;
COMMENT ON FUNCTION raxx_detect.hours_of_cells(raxx_detect.rules, tstzrange, interval) IS
'The cells of a period with which another hour of the clock of the rule''s time zone begins, and which: 23 or 25 of them on the days on which the clock changes.';
