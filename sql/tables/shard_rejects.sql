--! description = "Steps that are in no shard: longer than max_tokens on their own"
--! scope = "slice"
--! [columns]
--! pair_id = "The pair the sample belongs to"
--! sample_id = "The sample that holds the step"
--! step_index = "Which step"
--! reason = "step_too_long"
--! detail = "Size of the step and what to do about it"

SELECT
    s.pair_id,
    s.sample_id,
    s.step_index,
    'step_too_long' AS reason,
    concat('the step of ', octet_length(s.text), ' bytes does not fit in [tokenizer] max_tokens; raise it, or lower [label] max_step_bytes') AS detail,
    s.dataset,
    s.slice
FROM steps AS s
LEFT ANTI JOIN (
    SELECT sample_id, unnest(step_indices) AS step_index, dataset, slice FROM train_shards
) AS e ON s.sample_id = e.sample_id AND s.step_index = e.step_index
WHERE s.label_mode = $train_label_mode
