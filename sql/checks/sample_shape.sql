--! description = "A sample's step columns all have one entry a step, and at least one"
--! severity = "error"

SELECT sample_id, n_steps
FROM samples
WHERE n_steps < 1
    OR n_steps <> cardinality(completions)
    OR n_steps <> cardinality(labels)
    OR n_steps <> cardinality(label_sources)
    OR n_steps <> cardinality(supervised)
    OR n_steps <> cardinality(step_start_byte)
    OR n_steps <> cardinality(step_end_byte)
