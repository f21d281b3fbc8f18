--! description = "Equal code that is called vulnerable in one place and secure in another"
--! scope = "global"
--! [columns]
--! kind = "file: a whole function or file, without comments and layout; step: a step's text; prefix: a step and all text before it"
--! label_mode = "The label mode; null for files, whose labels come from the datasets"
--! value = "The hash that they share"
--! vulnerable = "How often it is vulnerable; of prefixes, supervised steps alone"
--! secure = "How often it is secure"
--! pairs = "Pairs that have it"
--! datasets = "How many datasets these are from"
--! splits = "How many splits they are in"
--! vulnerable_example = "A pair (of files) or a sample (of steps) where it is vulnerable"
--! secure_example = "One where it is secure"

WITH files AS (
    SELECT k.pair_id, k.dataset, g.split, unnest(k.vulnerable_hashes) AS hash, 0 AS label
    FROM code_keys AS k INNER JOIN splits AS g ON g.pair_id = k.pair_id AND g.dataset = k.dataset AND g.slice = k.slice
    UNION ALL
    SELECT k.pair_id, k.dataset, g.split, unnest(k.secure_hashes) AS hash, 1 AS label
    FROM code_keys AS k INNER JOIN splits AS g ON g.pair_id = k.pair_id AND g.dataset = k.dataset AND g.slice = k.slice
),
texts AS (
    SELECT sample_id, pair_id, label_mode, split, dataset, unnest(text_hashes) AS hash, unnest(labels) AS label FROM step_keys
),
prefixes AS (
    SELECT
        sample_id, pair_id, label_mode, split, dataset, unnest(prefix_hashes) AS hash, unnest(labels) AS label,
        unnest(supervised) AS supervised
    FROM step_keys
)
SELECT
    'file' AS kind, CAST(NULL AS VARCHAR) AS label_mode, CAST(hash AS VARCHAR) AS value,
    count(*) FILTER (WHERE label = 0) AS vulnerable, count(*) FILTER (WHERE label = 1) AS secure,
    count(DISTINCT pair_id) AS pairs, count(DISTINCT dataset) AS datasets, count(DISTINCT split) AS splits,
    min(CASE WHEN label = 0 THEN pair_id END) AS vulnerable_example, min(CASE WHEN label = 1 THEN pair_id END) AS secure_example
FROM files
WHERE hash IN (SELECT hash FROM files WHERE label = 0)
GROUP BY hash
HAVING count(*) FILTER (WHERE label = 1) > 0
UNION ALL
-- Few steps are vulnerable: only what equals one of them is put into groups.
SELECT
    'step' AS kind, t.label_mode, CAST(t.hash AS VARCHAR) AS value,
    count(*) FILTER (WHERE t.label = 0) AS vulnerable, count(*) FILTER (WHERE t.label = 1) AS secure,
    count(DISTINCT t.pair_id) AS pairs, count(DISTINCT t.dataset) AS datasets, count(DISTINCT t.split) AS splits,
    min(CASE WHEN t.label = 0 THEN t.sample_id END) AS vulnerable_example,
    min(CASE WHEN t.label = 1 THEN t.sample_id END) AS secure_example
FROM texts AS t
LEFT SEMI JOIN (SELECT label_mode, hash FROM texts WHERE label = 0) AS z ON z.label_mode = t.label_mode AND z.hash = t.hash
GROUP BY t.label_mode, t.hash
HAVING count(*) FILTER (WHERE t.label = 1) > 0
UNION ALL
SELECT
    'prefix' AS kind, t.label_mode, CAST(t.hash AS VARCHAR) AS value,
    count(*) FILTER (WHERE t.label = 0) AS vulnerable, count(*) FILTER (WHERE t.label = 1) AS secure,
    count(DISTINCT t.pair_id) AS pairs, count(DISTINCT t.dataset) AS datasets, count(DISTINCT t.split) AS splits,
    min(CASE WHEN t.label = 0 THEN t.sample_id END) AS vulnerable_example,
    min(CASE WHEN t.label = 1 THEN t.sample_id END) AS secure_example
FROM prefixes AS t
LEFT SEMI JOIN (SELECT label_mode, hash FROM prefixes WHERE label = 0 AND supervised) AS z ON z.label_mode = t.label_mode AND z.hash = t.hash
WHERE t.supervised
GROUP BY t.label_mode, t.hash
HAVING count(*) FILTER (WHERE t.label = 1) > 0
