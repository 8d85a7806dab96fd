-- Which functions evaluate and learn which method.

UPDATE raxx_detect.methods m SET evaluator = f.evaluator, learner = f.learner
FROM (VALUES
    ('velocity', 'raxx_detect.evaluate_velocity', 'raxx_detect.learn_counts'),
    ('spike', 'raxx_detect.evaluate_velocity', 'raxx_detect.learn_counts'),
    ('distinct', 'raxx_detect.evaluate_distinct', 'raxx_detect.learn_counts'),
    ('distinct + velocity', 'raxx_detect.evaluate_distinct_velocity', 'raxx_detect.learn_counts'),
    ('pattern', 'raxx_detect.evaluate_pattern', NULL),
    ('drift', 'raxx_detect.evaluate_drift', 'raxx_detect.learn_statements'),
    ('gap', 'raxx_detect.evaluate_gap', 'raxx_detect.learn_gaps')
) f(method, evaluator, learner) WHERE f.method = m.method;
