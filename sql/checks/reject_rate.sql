--! description = "At most [checks.limits] reject_share of a dataset's raw records are rejects"
--! severity = "warn"

SELECT s.dataset, s.records, r.rejected
FROM (SELECT dataset, sum(records) AS records FROM sources GROUP BY dataset) AS s
INNER JOIN (
    SELECT dataset, count(DISTINCT concat_ws(' ', source_file, source_row)) AS rejected FROM ingest_rejects GROUP BY dataset
) AS r ON r.dataset = s.dataset
WHERE r.rejected > $reject_share * s.records
