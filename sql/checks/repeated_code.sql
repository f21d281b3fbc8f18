--! description = "The same pair of versions stands in the data more than once"
--! severity = "warn"

SELECT content_hash, count(*) AS pairs, min(pair_id) AS example
FROM base.pairs
GROUP BY content_hash
HAVING count(*) > 1
