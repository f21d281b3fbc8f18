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

WITH labelled AS (
    SELECT
        'file' AS kind, '' AS label_mode, f.hash, f.label, f.pair_id, f.pair_id AS example, f.dataset, g.split
    FROM (
        SELECT pair_id, dataset, slice, unnest(vulnerable_hashes) AS hash, 0 AS label FROM code_keys
        UNION ALL
        SELECT pair_id, dataset, slice, unnest(secure_hashes) AS hash, 1 AS label FROM code_keys
    ) AS f
    INNER JOIN splits AS g ON g.pair_id = f.pair_id AND g.dataset = f.dataset AND g.slice = f.slice
    UNION ALL
    SELECT
        'step' AS kind, label_mode, unnest(text_hashes) AS hash, unnest(labels) AS label, pair_id, sample_id AS example, dataset, split
    FROM step_keys
    UNION ALL
    SELECT kind, label_mode, hash, label, pair_id, example, dataset, split
    FROM (
        SELECT
            'prefix' AS kind, label_mode, unnest(prefix_hashes) AS hash, unnest(labels) AS label, unnest(supervised) AS supervised,
            pair_id, sample_id AS example, dataset, split
        FROM step_keys
    ) AS prefixes
    WHERE supervised
)
-- What is labelled 0 somewhere is little beside the rest, so that it can be held in memory while the rest goes by: first for what is
-- labelled 1 as well, then for the rows of what has both labels.
SELECT
    l.kind, nullif(l.label_mode, '') AS label_mode, CAST(l.hash AS VARCHAR) AS value,
    count(*) FILTER (WHERE l.label = 0) AS vulnerable, count(*) FILTER (WHERE l.label = 1) AS secure,
    count(DISTINCT l.pair_id) AS pairs, count(DISTINCT l.dataset) AS datasets, count(DISTINCT l.split) AS splits,
    min(CASE WHEN l.label = 0 THEN l.example END) AS vulnerable_example,
    min(CASE WHEN l.label = 1 THEN l.example END) AS secure_example
FROM (
    SELECT v.kind, v.label_mode, v.hash
    FROM (SELECT DISTINCT kind, label_mode, hash FROM labelled WHERE label = 0) AS v
    LEFT SEMI JOIN (SELECT kind, label_mode, hash FROM labelled WHERE label = 1) AS s
        ON v.kind = s.kind AND v.label_mode = s.label_mode AND v.hash = s.hash
) AS z
INNER JOIN labelled AS l ON z.kind = l.kind AND z.label_mode = l.label_mode AND z.hash = l.hash
GROUP BY l.kind, l.label_mode, l.hash
