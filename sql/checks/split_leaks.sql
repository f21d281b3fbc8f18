--! description = "A commit stands in more than one split"
--! severity = "warn"

SELECT project, commit_id, array_agg(DISTINCT split ORDER BY split) AS splits, count(*) AS pairs
FROM pairs
WHERE commit_id IS NOT NULL
GROUP BY project, commit_id
HAVING count(DISTINCT split) > 1
