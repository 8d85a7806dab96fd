-- Which functions evaluate, learn and recheck which method.

UPDATE raxx_detect.methods m SET evaluator = f.evaluator, learner = f.learner, rechecker = f.rechecker
FROM (VALUES
    ('velocity', 'raxx_detect.evaluate_velocity_and_mix', 'raxx_detect.learn_counts', NULL),
    ('spike', 'raxx_detect.evaluate_velocity', 'raxx_detect.learn_counts', NULL),
    ('distinct', 'raxx_detect.evaluate_distinct_or_restarts', 'raxx_detect.learn_counts', NULL),
    ('distinct + velocity', 'raxx_detect.evaluate_distinct_velocity', 'raxx_detect.learn_counts', NULL),
    ('pattern', 'raxx_detect.evaluate_pattern', NULL, NULL),
    ('drift', 'raxx_detect.evaluate_drift', 'raxx_detect.learn_statements', NULL),
    ('gap', 'raxx_detect.evaluate_gap', 'raxx_detect.learn_gaps', NULL),
    ('ratio', 'raxx_detect.evaluate_ratio', 'raxx_detect.learn_outcomes', NULL),
    ('unmatched', 'raxx_detect.evaluate_unmatched', NULL, 'raxx_detect.recheck_unmatched'),
    ('quantile', 'raxx_detect.evaluate_quantile', 'raxx_detect.learn_points', NULL),
    ('temporal', 'raxx_detect.evaluate_temporal', NULL, NULL),
    ('temporal_ordered', 'raxx_detect.evaluate_temporal', NULL, NULL),
    ('benford', 'raxx_detect.evaluate_benford', NULL, NULL),
    ('chain', 'raxx_detect.watch_chain', NULL, NULL)  -- of no window: see raxx_detect.evaluate_source
) f(method, evaluator, learner, rechecker) WHERE f.method = m.method;
