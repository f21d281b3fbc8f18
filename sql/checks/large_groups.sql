--! description = "No group of pairs is larger than [split] max_group_share allows, near-duplicates included"
--! severity = "warn"

SELECT 'group over the limit' AS what, group_id, count(*) AS pairs
FROM split_groups
WHERE over_limit
GROUP BY group_id
UNION ALL
SELECT 'near-duplicates left apart' AS what, NULL AS group_id, count(*) AS pairs
FROM split_groups
WHERE near_code_dropped
HAVING count(*) > 0
