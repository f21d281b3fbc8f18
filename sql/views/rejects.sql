--! description = "Everything that is not carried on, by the stage that left it out"

SELECT
    'ingest' AS stage, dataset, source_file, source_row, CAST(NULL AS VARCHAR) AS pair_id,
    CAST(NULL AS VARCHAR) AS label_mode, CAST(NULL AS VARCHAR) AS sample_id, CAST(NULL AS BIGINT) AS step_index, reason, detail, raw
FROM ingest_rejects
UNION ALL
SELECT
    'findings' AS stage, NULL, source_file, source_row, NULL, NULL, NULL, NULL, reason, detail, raw
FROM finding_rejects
UNION ALL
SELECT
    'label' AS stage, r.dataset, p.source_file, p.source_row, r.pair_id, r.label_mode, NULL, NULL, r.reason, r.detail, NULL
FROM label_rejects AS r
INNER JOIN provenance AS p ON p.pair_id = r.pair_id AND p.dataset = r.dataset
UNION ALL
SELECT
    'shards' AS stage, r.dataset, p.source_file, p.source_row, r.pair_id, $train_label_mode, r.sample_id, r.step_index, r.reason, r.detail, NULL
FROM shard_rejects AS r
INNER JOIN provenance AS p ON p.pair_id = r.pair_id AND p.dataset = r.dataset
