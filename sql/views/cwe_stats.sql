--! description = "The paper's table 12 for what is published: the CWE identifiers of each dataset and split, and how often they occur"
--! [columns]
--! cwe = "A CWE identifier, as CWE-79; null for samples that have none. A sample with several counts for each"
--! pairs = "Pairs, or rows that are one side alone, that gave a sample in this label mode"
--! vulnerable = "Samples with at least one step labelled 0"
--! secure = "Samples without one"

WITH listed AS (
    SELECT
        dataset, label_mode, split, role, vulnerable,
        unnest(CASE WHEN cardinality(cwe) > 0 THEN cwe ELSE [CAST(NULL AS VARCHAR)] END) AS cwe
    FROM samples
)
SELECT
    dataset, label_mode, split, cwe,
    count(*) FILTER (WHERE role <> 'fixed') AS pairs,
    count(*) FILTER (WHERE vulnerable) AS vulnerable,
    count(*) FILTER (WHERE NOT vulnerable) AS secure
FROM listed
GROUP BY dataset, label_mode, split, cwe
