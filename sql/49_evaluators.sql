-- Which function evaluates which method.

UPDATE raxx_detect.methods SET evaluator = CASE method
    WHEN 'velocity' THEN 'raxx_detect.evaluate_velocity'
    WHEN 'distinct' THEN 'raxx_detect.evaluate_distinct'
    WHEN 'distinct + velocity' THEN 'raxx_detect.evaluate_distinct_velocity'
    WHEN 'pattern' THEN 'raxx_detect.evaluate_pattern'
    WHEN 'gap' THEN 'raxx_detect.evaluate_gap' END;
