-- What a rule's params may hold: one row for each parameter of each method, with its type, its limits and its meaning.
--
-- Limits of an interval are in seconds, limits of an array hold for each of its elements. A lower limit of a float8 is
-- exclusive and an interval is always longer than zero; other limits are inclusive.

INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning) VALUES
    ('velocity', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('velocity', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which rows are counted.'),
    ('velocity', 'threshold', 'bigint', 1, NULL,
     'Rows of one entity within the window from which the rule fires.'),
    ('velocity', 'ipv4_prefix', 'bigint', 1, 32,
     'Bits of an IPv4 address that make a client network, when the entity is an address.'),
    ('velocity', 'ipv6_prefix', 'bigint', 1, 128,
     'Bits of an IPv6 address that make a client network, when the entity is an address.'),
    ('velocity', 'mix_window', 'interval', 86400, 86400,
     'Length of the period whose mix of entities is compared with that of the days before: a day, by the clock of time_zone.'),
    ('velocity', 'mix_floor', 'bigint', 1, NULL,
     'Rows in that period, and rows in the days before, below which the mix has no verdict.'),
    ('velocity', 'mix_expected', 'float8', 0, NULL,
     'Entities of which fewer rows are to be expected in that period are taken together.'),
    ('velocity', 'mix_days', 'bigint', 1, NULL,
     'Days before that the over-dispersion of the mix has to be estimated from at least.'),

    ('distinct', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that distinct values are counted for.'),
    ('distinct', 'value', 'text', NULL, NULL,
     'Role whose distinct values are counted.'),
    ('distinct', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which distinct values are counted.'),
    ('distinct', 'threshold', 'bigint', 1, NULL,
     'Distinct values of one entity within the window from which the rule fires.'),
    ('distinct', 'baseline_floor', 'bigint', 1, NULL,
     'Distinct values below which the baseline never makes the rule fire.'),
    ('distinct', 'baseline_quantile', 'float8', 0, 1,
     'Quantile of the baseline, as a share of 1, that the number of distinct values has to exceed.'),
    ('distinct', 'ipv4_prefix', 'bigint', 1, 32,
     'Bits of an IPv4 address that make a client network, when the entity is an address.'),
    ('distinct', 'ipv6_prefix', 'bigint', 1, 128,
     'Bits of an IPv6 address that make a client network, when the entity is an address.'),
    ('distinct', 'excluded_causes', 'text[]', NULL, NULL,
     'Values of the cause role whose rows are not counted.'),
    ('distinct', 'deploy_margin', 'interval', NULL, NULL,
     'Rows this close to a deploy of the same app, before or after it, are not counted.'),

    ('distinct + velocity', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('distinct + velocity', 'value', 'text', NULL, NULL,
     'Role whose distinct values are counted, and which the elevated patterns are held against.'),
    ('distinct + velocity', 'window', 'interval', NULL, NULL,
     'Length of the sliding window of both conditions.'),
    ('distinct + velocity', 'distinct_threshold', 'bigint', 1, NULL,
     'Distinct values of one entity within the window from which the rule fires at MEDIUM.'),
    ('distinct + velocity', 'elevated_threshold', 'bigint', 1, NULL,
     'Rows of one entity with an elevated value within the window from which the rule fires at HIGH.'),
    ('distinct + velocity', 'elevated', 'text[]', NULL, NULL,
     'Patterns of the values that count as elevated; * stands for any text, and the whole value has to match.'),

    ('pattern', 'email', 'text', NULL, NULL,
     'Role that holds the e-mail address.'),
    ('pattern', 'window', 'interval', NULL, NULL,
     'Length of the sliding window in which rows that share a pattern are counted.'),
    ('pattern', 'threshold', 'bigint', 1, NULL,
     'Rows of one pattern within the window from which the rule may fire.'),
    ('pattern', 'shape_history', 'interval', NULL, NULL,
     'Length of the preceding period that gives the usual share of a shape.'),
    ('pattern', 'shape_tail', 'float8', 0, 1,
     'Probability that so many rows share a shape by chance, at or below which a shape makes the rule fire.'),

    ('chain', 'full_pass', 'interval', 3600, NULL,
     'Within this time every entry of the chain is verified again, slice by slice.'),
    ('chain', 'slice_every', 'interval', NULL, NULL,
     'How often a slice is verified.'),
    ('chain', 'checkpoint_every', 'interval', NULL, NULL,
     'How old the last checkpoint may be, also while nothing is written, and how often earlier ones are looked at again.'),
    ('chain', 'checkpoint_rows', 'bigint', 1, NULL,
     'How many entries the last checkpoint may be behind.'),

    ('gap', 'business_from', 'time', NULL, NULL,
     'Time of day at which business hours begin, in time_zone.'),
    ('gap', 'business_to', 'time', NULL, NULL,
     'Time of day at which business hours end, in time_zone.'),
    ('gap', 'business_days', 'int[]', 1, 7,
     'Days of the week that have business hours: 1 is Monday, 7 is Sunday.'),
    ('gap', 'time_zone', 'time_zone', NULL, NULL,
     'Time zone of the business hours.'),
    ('gap', 'business_gap', 'interval', NULL, NULL,
     'The rule fires when the part of a gap inside business hours is longer than this.'),
    ('gap', 'off_hours_gap', 'interval', NULL, NULL,
     'The rule fires when the part of a gap outside business hours is longer than this.'),
    ('gap', 'critical_gap', 'interval', NULL, NULL,
     'A gap whose part inside business hours is longer than this is CRITICAL.'),
    ('gap', 'baseline_gap', 'interval', NULL, NULL,
     'A gap that is not longer than this never makes the rule fire by its baseline.'),
    ('gap', 'baseline_quantile', 'float8', 0, 1,
     'Quantile, as a share of 1, of the gaps of the same hour of the day that a gap has to exceed.'),

    ('spike', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that rows are counted for.'),
    ('spike', 'window', 'interval', NULL, NULL,
     'Length of the period in which rows are counted.'),
    ('spike', 'threshold', 'bigint', 1, NULL,
     'Rows within the window from which the rule fires for an entity that has no baseline yet.'),
    ('spike', 'sigmas', 'float8', 0, NULL,
     'Standard deviations above the mean of the baseline that the count has to exceed.'),
    ('spike', 'baseline_floor', 'bigint', 1, NULL,
     'Rows within the window below which the baseline never makes the rule fire.'),

    ('drift', 'sample_every', 'interval', NULL, NULL,
     'Time between two snapshots of the statement statistics.'),
    ('drift', 'window', 'interval', NULL, NULL,
     'Length of the period whose distribution is compared with that of the baseline window.'),
    ('drift', 'quantile', 'float8', 0, 1,
     'Quantile, as a share of 1, whose rise is measured.'),
    ('drift', 'step', 'interval', NULL, NULL,
     'Time between two verdicts.'),
    ('drift', 'baseline_intervals', 'bigint', 1, NULL,
     'Times below which neither the window nor the baseline allows a verdict.'),
    ('drift', 'rise', 'float8', 0, NULL,
     'Rise of the quantile, as a share of its baseline value, from which the rule may fire.'),

    ('quantile', 'entity', 'text', NULL, NULL,
     'Role whose value is the entity that is measured.'),
    ('quantile', 'value', 'text', NULL, NULL,
     'Role that holds the measured number.'),
    ('quantile', 'window', 'interval', 60, 86400,
     'Length of one point; the samples within it are averaged. Points are laid from midnight on, in time_zone.'),
    ('quantile', 'baseline_quantile', 'float8', 0, 1,
     'Quantile of the baseline, as a share of 1, that a point has to exceed.'),
    ('quantile', 'median_margin', 'float8', 0, NULL,
     'How far above the quantile a point has to be, as a share of the distance from the median to the quantile.'),
    ('quantile', 'rise', 'float8', 0, NULL,
     'How far above the quantile a point has to be at least, as a share of the quantile.'),
    ('quantile', 'value_floor', 'float8', 0, NULL,
     'Value below which a point never makes the rule fire.'),
    ('quantile', 'baseline_points', 'bigint', 1, NULL,
     'Points of an entity in the baseline below which it has no verdict.'),
    ('quantile', 'baseline_entities', 'bigint', 1, 1000000,
     'How many entities a day of the baseline keeps at most, those with the most samples first.'),

    ('benford', 'value', 'text', NULL, NULL,
     'Role that holds the number whose first significant digit is counted.'),
    ('benford', 'window', 'interval', NULL, NULL,
     'Length of the preceding period whose digits are tested together.'),
    ('benford', 'step', 'interval', 60, 604800,
     'Time between two tests. They are made at multiples of it since 2000-01-01 00:00 UTC.'),
    ('benford', 'run_above', 'bigint', 0, NULL,
     'The test is made only on more digits than this.'),
    ('benford', 'activate_above', 'bigint', 0, NULL,
     'The rule becomes active once there are more digits than this within the window.'),
    ('benford', 'mad_threshold', 'float8', 0, 1,
     'Mean absolute deviation of the nine shares from Benford''s law from which the rule may fire.'),

    ('ratio', 'value', 'text', NULL, NULL,
     'Role that says how each row ended.'),
    ('ratio', 'failure', 'text', NULL, NULL,
     'Value of that role, written as text, that counts as a failure.'),
    ('ratio', 'window', 'interval', NULL, NULL,
     'Length of the period in which failures are held against all rows; it slides unless there is a long_window.'),
    ('ratio', 'threshold', 'bigint', 1, NULL,
     'Failures within the window from which the rule fires while there is no baseline.'),
    ('ratio', 'baseline_floor', 'bigint', 1, NULL,
     'Failures within the window below which the baseline never makes the rule fire.'),
    ('ratio', 'floor', 'bigint', 1, NULL,
     'Rows within the window below which there is no verdict.'),
    ('ratio', 'long_window', 'interval', 86400, 86400,
     'Length of a second, longer period that is judged in the same way: a day. With it, periods go by the clock of time_zone and are counted from midnight.'),
    ('ratio', 'long_floor', 'bigint', 1, NULL,
     'Rows within the longer period below which there is no verdict.'),
    ('ratio', 'activate_above', 'bigint', 0, NULL,
     'The rule becomes active once there are more rows than this on each day of activation_span.'),
    ('ratio', 'activation_span', 'interval', NULL, NULL,
     'How long the volume has to stay above activate_above.'),

    ('unmatched', 'match', 'text[]', NULL, NULL,
     'Roles in which a change and its change record have to agree; their values, joined by /, are the entity.'),
    ('unmatched', 'tolerance', 'interval', NULL, NULL,
     'How far a change record may be from its change, before or after it.'),

    ('temporal', 'threshold', 'bigint', 1, 32,
     'How many of the steps have to happen within the window.');

INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, NULL, NULL, p.meaning
FROM unnest('{temporal,temporal_ordered}'::text[]) m(method)
CROSS JOIN (VALUES
    ('entity', 'text', 'Role whose value is the entity that does them.'),
    ('value', 'text', 'Role whose value says what is done.'),
    ('steps', 'text[]', 'What is done: for each step a pattern of the values of value, or several with | between them; * stands for any text, and the whole value has to match.'),
    ('window', 'interval', 'Length of the sliding window in which the steps have to happen.')
) p(name, type, meaning);

-- What every method with a baseline has.
INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, p.minimum, p.maximum, p.meaning
FROM unnest('{velocity,distinct,distinct + velocity,spike,gap,ratio,quantile,drift}'::text[]) m(method)
CROSS JOIN (VALUES
    ('time_zone', 'time_zone', NULL, NULL, 'Time zone whose days and hours the baseline goes by.'),
    ('baseline_ready', 'interval', 86400, 2592000, 'How many whole days the baseline needs before it judges.')
) p(name, type, minimum, maximum, meaning)
WHERE NOT EXISTS (SELECT FROM raxx_detect.method_parameters k WHERE k.method = m.method AND k.name = p.name);

-- What every method has that learns counts.
INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, p.minimum, p.maximum, p.meaning
FROM unnest('{velocity,distinct,distinct + velocity,spike}'::text[]) m(method)
CROSS JOIN (VALUES
    ('season', 'text', NULL::float8, NULL::float8, 'hour_of_week: an entity''s own baseline goes by the hour of the week; none: it does not.'),
    ('baseline_floor', 'bigint', 1, NULL, 'Count within the window below which the baseline never makes the rule fire.'),
    ('baseline_rows', 'bigint', 1, NULL, 'Rows of an entity in the baseline below which it is judged as one never seen before.'),
    ('baseline_entities', 'bigint', 1, 1000000, 'How many entities a day of the baseline keeps at most, the busiest first.')
) p(name, type, minimum, maximum, meaning)
WHERE NOT EXISTS (SELECT FROM raxx_detect.method_parameters k WHERE k.method = m.method AND k.name = p.name);

-- What is counted, where that is not every row.
INSERT INTO raxx_detect.method_parameters (method, name, type, minimum, maximum, meaning)
SELECT m.method, p.name, p.type, NULL, NULL, p.meaning
FROM unnest('{velocity,distinct}'::text[]) m(method)
CROSS JOIN (VALUES
    ('filter', 'text', 'Role whose value decides whether a row counts, for a rule without a baseline; every row counts unless it is given.'),
    ('only', 'text[]', 'Patterns of the values of filter whose rows count; * stands for any text, and the whole value has to match.')
) p(name, type, meaning);

-- What a rule cannot do without. Whatever is not named here is always needed.
UPDATE raxx_detect.method_parameters p SET needed = CASE
    WHEN p.name IN ('mix_window', 'long_window', 'deploy_margin', 'excluded_causes') THEN 'never'
    WHEN p.name = 'filter' THEN 'with only'
    WHEN p.name = 'only' THEN 'with filter'
    WHEN p.name = 'ipv4_prefix' THEN 'with ipv6_prefix'
    WHEN p.name = 'ipv6_prefix' THEN 'with ipv4_prefix'
    WHEN p.name IN ('mix_floor', 'mix_expected', 'mix_days') THEN 'with mix_window'
    WHEN p.method = 'ratio' AND p.name IN ('floor', 'long_floor') THEN 'with long_window'
    WHEN p.method = 'ratio' AND p.name IN ('threshold', 'baseline_floor') THEN 'unless long_window'
    WHEN p.method = 'ratio' AND p.name = 'activate_above' THEN 'never'
    WHEN p.name = 'activation_span' THEN 'with activate_above'
    WHEN p.method IN ('velocity', 'distinct')
         AND p.name IN ('time_zone', 'season', 'baseline_ready', 'baseline_floor', 'baseline_quantile', 'baseline_rows', 'baseline_entities') THEN 'with a baseline'
    ELSE 'always' END;
