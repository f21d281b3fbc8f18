--! description = "Everything that is not carried on, by the stage that left it out"
--! [columns]
--! stage = "The stage that left it out: ingest, findings, label or shards"
--! dataset = "The dataset; null for findings, which may belong to none"
--! source_file = "The raw file, or the SARIF file of a finding, below its source's url"
--! source_row = "The record (or result) in the file, from 0"
--! pair_id = "The pair; null before there is one"
--! label_mode = "The label mode; null before there is one"
--! sample_id = "The sample that holds the step, in stage shards"
--! step_index = "The step in its sample, from 0, in stage shards"
--! reason = "Why; `ingest_rejects`, `finding_rejects`, `label_rejects` and `shard_rejects` say what each means"
--! detail = "What was found, in words"
--! raw = "The record or result as far as it can be shown"

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
