--! description = "What each stage left out, by reason, and how large a share of what it was given"
--! [columns]
--! stage = "The stage that left it out: ingest, findings, label or shards"
--! dataset = "The dataset; null for findings, which may belong to none"
--! label_mode = "The label mode; null before there is one"
--! reason = "Why; `ingest_rejects`, `finding_rejects`, `label_rejects` and `shard_rejects` say what each means"
--! rejects = "How many"
--! unit = "What the stage is given: records, results, pairs or steps"
--! given = "How many of them, left out or not"
--! share = "rejects / given; a record can be the cause of several rejects, and give pairs beside them"

WITH rejected AS (
    SELECT 'ingest' AS stage, dataset, CAST(NULL AS VARCHAR) AS label_mode, reason, count(*) AS rejects
    FROM ingest_rejects
    GROUP BY dataset, reason
    UNION ALL
    SELECT 'findings' AS stage, CAST(NULL AS VARCHAR) AS dataset, CAST(NULL AS VARCHAR) AS label_mode, reason, count(*) AS rejects
    FROM finding_rejects
    GROUP BY reason
    UNION ALL
    SELECT 'label' AS stage, dataset, label_mode, reason, count(*) AS rejects
    FROM label_rejects
    GROUP BY dataset, label_mode, reason
    UNION ALL
    SELECT 'shards' AS stage, dataset, $train_label_mode AS label_mode, reason, count(*) AS rejects
    FROM shard_rejects
    GROUP BY dataset, reason
),
given AS (
    SELECT 'ingest' AS stage, dataset, 'records' AS unit, sum(records) AS n FROM sources GROUP BY dataset
    UNION ALL
    SELECT 'findings' AS stage, CAST(NULL AS VARCHAR) AS dataset, 'results' AS unit, sum(results) AS n FROM analyses
    UNION ALL
    SELECT 'label' AS stage, dataset, 'pairs' AS unit, count(*) AS n FROM base.pairs GROUP BY dataset
    UNION ALL
    SELECT 'shards' AS stage, dataset, 'steps' AS unit, sum(n_steps) AS n
    FROM samples
    WHERE label_mode = $train_label_mode
    GROUP BY dataset
)
SELECT
    r.stage, r.dataset, r.label_mode, r.reason, r.rejects,
    g.unit,
    g.n AS given,
    CAST(r.rejects AS DOUBLE) / g.n AS share
FROM rejected AS r
INNER JOIN given AS g ON r.stage = g.stage AND r.dataset IS NOT DISTINCT FROM g.dataset
