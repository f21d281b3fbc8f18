--! description = "Every encoded step has a score under the published model"
--! severity = "warn"

-- Only where a model exists: a nightly refresh with [train] when = "manual" publishes data before scores.
SELECT e.sample_id, e.steps, coalesce(c.scored, 0) AS scored
FROM (SELECT sample_id, sum(cardinality(step_positions)) AS steps FROM train_shards GROUP BY sample_id) AS e
LEFT JOIN (SELECT sample_id, count(*) AS scored FROM step_scores GROUP BY sample_id) AS c ON c.sample_id = e.sample_id
WHERE EXISTS (SELECT 1 FROM step_scores) AND e.steps <> coalesce(c.scored, 0)
