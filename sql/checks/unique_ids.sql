--! description = "pair_id and sample_id are keys"
--! severity = "error"

SELECT 'pairs' AS relation, pair_id AS id, count(*) AS rows
FROM base.pairs GROUP BY pair_id HAVING count(*) > 1
UNION ALL
SELECT 'samples' AS relation, sample_id AS id, count(*) AS rows
FROM samples GROUP BY sample_id HAVING count(*) > 1
