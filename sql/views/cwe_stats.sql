--! description = "The paper's table 12 for what is published: the CWE identifiers of each dataset and split, and how often they occur"
--! [columns]
--! cwe = "A CWE identifier, as CWE-79; null for samples that have none. A sample with several counts for each"
--! pairs = "Pairs, or rows that are one side alone, that gave a sample in this label mode"
--! vulnerable = "Samples with at least one step labelled 0"
--! secure = "Samples without one"

-- Samples with equal lists are counted first, so that few lists are taken apart.
WITH alike AS (
    SELECT
        dataset, label_mode, split, cwe,
        count(*) FILTER (WHERE role <> 'fixed') AS pairs,
        count(*) FILTER (WHERE vulnerable) AS vulnerable,
        count(*) FILTER (WHERE NOT vulnerable) AS secure
    FROM samples
    GROUP BY dataset, label_mode, split, cwe
),
listed AS (
    SELECT
        dataset, label_mode, split,
        unnest(CASE WHEN cardinality(cwe) > 0 THEN cwe ELSE [CAST(NULL AS VARCHAR)] END) AS cwe,
        pairs, vulnerable, secure
    FROM alike
)
SELECT dataset, label_mode, split, cwe, sum(pairs) AS pairs, sum(vulnerable) AS vulnerable, sum(secure) AS secure
FROM listed
GROUP BY dataset, label_mode, split, cwe
