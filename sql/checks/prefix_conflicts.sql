--! description = "No step is learned as vulnerable and as secure after the same text: a causal model cannot tell them apart"
--! severity = "warn"

SELECT label_mode, value, vulnerable, secure, pairs, datasets, splits, vulnerable_example, secure_example
FROM label_conflicts
WHERE kind = 'prefix' AND label_mode = $train_label_mode
