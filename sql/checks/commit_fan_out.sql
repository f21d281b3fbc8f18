--! description = "No fixing commit gave more than [checks.limits] pairs_per_commit pairs: it may have changed more than the vulnerability"
--! severity = "warn"

SELECT dataset, project, commit_id, count(*) AS pairs, min(pair_id) AS example
FROM base.pairs
WHERE commit_id IS NOT NULL AND subset = 'paired'
GROUP BY dataset, project, commit_id
HAVING count(*) > $pairs_per_commit
