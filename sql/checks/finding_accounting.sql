--! description = "Every result of a SARIF file is a finding or a reject, and every one of these was written"
--! severity = "error"

-- Counted apart: the reader's own count of a file's results, those that something was made of, and the rows of the tables.
SELECT
    a.source_file, a.results, a.accounted,
    a.findings, coalesce(f.findings, 0) AS findings_written,
    a.rejects, coalesce(r.rejects, 0) AS rejects_written
FROM (
    SELECT source_file, sum(results) AS results, sum(accounted) AS accounted, sum(findings) AS findings, sum(rejects) AS rejects
    FROM analyses
    GROUP BY source_file
) AS a
LEFT JOIN (SELECT source_file, count(*) AS findings FROM findings GROUP BY source_file) AS f ON f.source_file = a.source_file
LEFT JOIN (SELECT source_file, count(*) AS rejects FROM finding_rejects GROUP BY source_file) AS r ON r.source_file = a.source_file
WHERE a.results <> a.accounted OR a.findings <> coalesce(f.findings, 0) OR a.rejects <> coalesce(r.rejects, 0)
