--! description = "In the trained label mode no structure of steps tells vulnerable code better than the code's length does"
--! severity = "error"

-- Words are left out: they are what a model is to learn from. A bar of chance would be the wrong one, since fixes make code longer.
SELECT model_id, dataset, task, metric, value, ci_low, ci_high, n
FROM audit_metrics
WHERE label_mode = $train_label_mode
    AND split = 'test'
    AND metric LIKE '%\_excess\_over\_length'
    AND model_id <> 'audit:words'
    AND ci_low > $audit_margin
