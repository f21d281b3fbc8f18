--! description = "Every raw record is a pair or a reject"
--! severity = "error"

-- Counted twice, apart: the reader's own count per file against the rows that were written.
SELECT
    s.dataset, s.records, coalesce(p.pairs, 0) AS pairs, coalesce(r.rejects, 0) AS rejects
FROM (SELECT dataset, sum(records) AS records FROM sources GROUP BY dataset) AS s
LEFT JOIN (SELECT dataset, count(*) AS pairs FROM base.pairs GROUP BY dataset) AS p ON p.dataset = s.dataset
LEFT JOIN (SELECT dataset, count(*) AS rejects FROM ingest_rejects GROUP BY dataset) AS r ON r.dataset = s.dataset
WHERE s.records <> coalesce(p.pairs, 0) + coalesce(r.rejects, 0)
