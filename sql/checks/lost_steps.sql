--! description = "At most [checks.limits] lost_step_share of a dataset's steps are too long for a window of max_tokens"
--! severity = "warn"

SELECT s.dataset, s.steps, r.lost
FROM (SELECT dataset, sum(n_steps) AS steps FROM samples WHERE label_mode = $train_label_mode GROUP BY dataset) AS s
INNER JOIN (SELECT dataset, count(*) AS lost FROM shard_rejects GROUP BY dataset) AS r ON r.dataset = s.dataset
WHERE r.lost > $lost_step_share * s.steps
