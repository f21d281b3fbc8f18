--! description = "Steps that are in no shard: longer than max_tokens on their own"
--! scope = "slice"
--! [columns]
--! pair_id = "The pair the sample belongs to"
--! sample_id = "The sample that holds the step"
--! step_index = "Which step"
--! reason = "step_too_long"
--! detail = "Size of the step and what to do about it"

-- Samples that lost a step are found by counts first, so that the text of their steps alone is joined. Joins hold their left side in memory.
WITH encoded AS (
    SELECT sample_id, dataset, slice, sum(cardinality(step_indices)) AS steps FROM train_shards GROUP BY sample_id, dataset, slice
),
incomplete AS (
    SELECT s.sample_id
    FROM (SELECT sample_id, n_steps, dataset, slice FROM samples WHERE label_mode = $train_label_mode) AS s
    LEFT JOIN encoded AS e ON e.sample_id = s.sample_id AND e.dataset = s.dataset AND e.slice = s.slice
    WHERE s.n_steps > coalesce(e.steps, 0)
)
SELECT
    s.pair_id,
    s.sample_id,
    s.step_index,
    'step_too_long' AS reason,
    concat('the step of ', octet_length(s.text), ' bytes does not fit in [tokenizer] max_tokens; raise it, or lower [label] max_step_bytes') AS detail,
    s.dataset,
    s.slice
FROM (
    SELECT s.sample_id, s.pair_id, s.step_index, s.text, s.dataset, s.slice
    FROM incomplete AS i
    INNER JOIN steps AS s ON s.sample_id = i.sample_id
) AS s
LEFT ANTI JOIN (
    SELECT sample_id, unnest(step_indices) AS step_index FROM train_shards
) AS e ON s.sample_id = e.sample_id AND s.step_index = e.step_index
