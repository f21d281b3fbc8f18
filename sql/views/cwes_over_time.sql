--! description = "Pairs by CWE and the year of their fixing commit"
--! [columns]
--! year = "The year of committed_at; null where the commit has no date"
--! cwe = "A CWE identifier, as CWE-79; null for pairs that have none. A pair with several counts for each"
--! pairs = "Pairs, or rows that are one side alone, labelled or not"

SELECT dataset, year, cwe, sum(pairs) AS pairs
FROM (
    SELECT
        dataset, year,
        unnest(CASE WHEN cardinality(cwe) > 0 THEN cwe ELSE [CAST(NULL AS VARCHAR)] END) AS cwe,
        pairs
    FROM (
        SELECT dataset, date_part('year', committed_at) AS year, cwe, count(*) AS pairs
        FROM base.pairs
        GROUP BY dataset, year, cwe
    ) AS alike
) AS listed
GROUP BY dataset, year, cwe
