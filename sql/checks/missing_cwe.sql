--! description = "At most [checks.limits] missing_cwe_share of a dataset's pairs have no CWE"
--! severity = "warn"

SELECT dataset, subset, count(*) AS pairs, count(*) FILTER (WHERE coalesce(cardinality(cwe), 0) = 0) AS without_cwe
FROM base.pairs
-- Code that was never vulnerable has no weakness to name.
WHERE vulnerable_code IS NOT NULL
GROUP BY dataset, subset
HAVING count(*) FILTER (WHERE coalesce(cardinality(cwe), 0) = 0) > $missing_cwe_share * count(*)
