--! description = "Every raw record is in a pair or in a reject, and every one of these was written"
--! severity = "error"

-- Counted apart: the reader's own count of a file's records, those that something was made of, and the rows of the tables.
SELECT
    s.dataset, s.records, s.accounted,
    s.pairs, coalesce(p.pairs, 0) AS pairs_written,
    s.rejects, coalesce(r.rejects, 0) AS rejects_written
FROM (
    SELECT dataset, sum(records) AS records, sum(accounted) AS accounted, sum(pairs) AS pairs, sum(rejects) AS rejects
    FROM sources
    GROUP BY dataset
) AS s
LEFT JOIN (SELECT dataset, count(*) AS pairs FROM base.pairs GROUP BY dataset) AS p ON p.dataset = s.dataset
LEFT JOIN (SELECT dataset, count(*) AS rejects FROM ingest_rejects GROUP BY dataset) AS r ON r.dataset = s.dataset
WHERE s.records <> s.accounted OR s.pairs <> coalesce(p.pairs, 0) OR s.rejects <> coalesce(r.rejects, 0)
