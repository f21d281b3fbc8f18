--! description = "One step of one sample"
--! [columns]
--! step_index = "The step in its sample, from 0"
--! text = "The step's text, original bytes"
--! label = "1 secure, 0 vulnerable"
--! label_source = "The rules that decided the label, joined by +"
--! start_byte = "The step's first byte in the code version (without its comments, where [label] comments = strip)"
--! end_byte = "The byte after the step"
--! start_line = "The step's first line, from 1; lines count on from file to file"
--! end_line = "The step's last line"

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
