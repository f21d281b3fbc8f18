--! description = "Every step of the trained label mode is at exactly one position of one shard row, or a reject"
--! severity = "error"

SELECT
    s.sample_id, s.n_steps, coalesce(e.encoded, 0) AS encoded, coalesce(r.rejected, 0) AS rejected
FROM samples AS s
LEFT JOIN (
    SELECT sample_id, sum(cardinality(step_positions)) AS encoded FROM train_shards GROUP BY sample_id
) AS e ON e.sample_id = s.sample_id
LEFT JOIN (
    SELECT sample_id, count(*) AS rejected FROM shard_rejects GROUP BY sample_id
) AS r ON r.sample_id = s.sample_id
WHERE s.label_mode = $train_label_mode
    AND s.n_steps <> coalesce(e.encoded, 0) + coalesce(r.rejected, 0)
