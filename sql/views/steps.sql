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

-- The lists are unnested side by side: they have one entry a step each. Since of_length() says so, those that a query does not name are
-- not read, the code among them.
SELECT
    sample_id,
    pair_id,
    role,
    label_mode,
    unnest(of_length(range(0, n_steps), n_steps)) AS step_index,
    unnest(of_length(completions, n_steps)) AS text,
    unnest(of_length(labels, n_steps)) AS label,
    unnest(of_length(label_sources, n_steps)) AS label_source,
    unnest(of_length(supervised, n_steps)) AS supervised,
    unnest(of_length(step_start_byte, n_steps)) AS start_byte,
    unnest(of_length(step_end_byte, n_steps)) AS end_byte,
    unnest(of_length(step_start_line, n_steps)) AS start_line,
    unnest(of_length(step_end_line, n_steps)) AS end_line,
    split,
    language,
    cwe,
    dataset,
    slice
FROM samples
