--! description = "One step of one sample"

-- The lists are unnested side by side: they have one entry a step each (check sample_shape).
SELECT
    sample_id,
    pair_id,
    role,
    label_mode,
    unnest(range(0, n_steps)) AS step_index,
    unnest(completions) AS text,
    unnest(labels) AS label,
    unnest(label_sources) AS label_source,
    unnest(supervised) AS supervised,
    unnest(step_start_byte) AS start_byte,
    unnest(step_end_byte) AS end_byte,
    unnest(step_start_line) AS start_line,
    unnest(step_end_line) AS end_line,
    split,
    language,
    cwe,
    dataset,
    slice
FROM samples
