--! description = "What changed between two releases: tables, pairs, splits, samples and labels; schema `previous` is the earlier one"

WITH sizes AS (
    SELECT 'pairs' AS name, 'now' AS at, dataset, '' AS label_mode, count(*) AS n FROM base.pairs GROUP BY dataset
    UNION ALL
    SELECT 'pairs' AS name, 'then' AS at, dataset, '' AS label_mode, count(*) AS n FROM previous.pairs GROUP BY dataset
    UNION ALL
    SELECT 'samples' AS name, 'now' AS at, dataset, label_mode, count(*) AS n FROM base.samples GROUP BY dataset, label_mode
    UNION ALL
    SELECT 'samples' AS name, 'then' AS at, dataset, label_mode, count(*) AS n FROM previous.samples GROUP BY dataset, label_mode
),
-- A version of a pair keeps its place when rules change, though its sample_id does not: it holds the rules' version.
versions AS (
    SELECT
        coalesce(b.dataset, a.dataset) AS dataset, coalesce(b.label_mode, a.label_mode) AS label_mode, coalesce(b.role, a.role) AS role,
        coalesce(b.pair_id, a.pair_id) AS pair_id, a.sample_id AS old_id, b.sample_id AS new_id,
        a.rule_version AS old_rule, b.rule_version AS new_rule,
        a.step_end_byte AS old_ends, b.step_end_byte AS new_ends, a.labels AS old_labels, b.labels AS new_labels,
        a.label_sources AS old_sources, b.label_sources AS new_sources, a.supervised AS old_supervised, b.supervised AS new_supervised
    FROM (
        SELECT sample_id, pair_id, role, label_mode, rule_version, labels, label_sources, supervised, step_end_byte, dataset FROM previous.samples
    ) AS a
    FULL OUTER JOIN (
        SELECT sample_id, pair_id, role, label_mode, rule_version, labels, label_sources, supervised, step_end_byte, dataset FROM base.samples
    ) AS b
        ON b.pair_id = a.pair_id AND b.role = a.role AND b.label_mode = a.label_mode AND b.dataset = a.dataset
),
changed AS (
    SELECT * FROM versions
    WHERE old_id IS NOT NULL AND new_id IS NOT NULL
        AND (old_labels <> new_labels OR old_sources <> new_sources OR old_ends <> new_ends OR old_supervised <> new_supervised)
),
old_steps AS (
    SELECT
        dataset, label_mode, pair_id, role, old_rule, unnest(old_ends) AS end_byte, unnest(old_labels) AS label, unnest(old_sources) AS source,
        unnest(old_supervised) AS supervised
    FROM changed
),
new_steps AS (
    SELECT
        dataset, label_mode, pair_id, role, new_id, new_rule, unnest(new_ends) AS end_byte, unnest(new_labels) AS label,
        unnest(new_sources) AS source, unnest(new_supervised) AS supervised, unnest(range(0, cardinality(new_labels))) AS step_index
    FROM changed
),
steps AS (
    SELECT
        coalesce(b.dataset, a.dataset) AS dataset, coalesce(b.label_mode, a.label_mode) AS label_mode,
        CASE WHEN a.label IS NULL THEN 'no such step' ELSE concat(a.label, ' ', a.source, CASE WHEN a.supervised THEN '' ELSE ' (not supervised)' END) END AS before,
        CASE WHEN b.label IS NULL THEN 'no such step' ELSE concat(b.label, ' ', b.source, CASE WHEN b.supervised THEN '' ELSE ' (not supervised)' END) END AS after,
        a.old_rule, b.new_rule,
        CASE WHEN b.new_id IS NULL THEN a.pair_id ELSE concat_ws(' ', b.new_id, b.step_index) END AS example
    FROM old_steps AS a
    FULL OUTER JOIN new_steps AS b
        ON b.pair_id = a.pair_id AND b.role = a.role AND b.label_mode = a.label_mode AND b.dataset = a.dataset AND b.end_byte = a.end_byte
)
SELECT 1 AS section, 'rows' AS what, dataset, label_mode, name AS change,
    CAST(coalesce(max(CASE at WHEN 'then' THEN n END), 0) AS VARCHAR) AS before,
    CAST(coalesce(max(CASE at WHEN 'now' THEN n END), 0) AS VARCHAR) AS after,
    coalesce(max(CASE at WHEN 'now' THEN n END), 0) - coalesce(max(CASE at WHEN 'then' THEN n END), 0) AS n,
    CAST(NULL AS VARCHAR) AS rules, CAST(NULL AS VARCHAR) AS example
FROM sizes
GROUP BY dataset, label_mode, name
UNION ALL
SELECT 2, 'pair', coalesce(b.dataset, a.dataset), '', CASE WHEN a.pair_id IS NULL THEN 'added' ELSE 'removed' END, NULL, NULL, count(*), NULL,
    min(coalesce(b.pair_id, a.pair_id))
FROM (SELECT pair_id, dataset FROM previous.pairs) AS a
FULL OUTER JOIN (SELECT pair_id, dataset FROM base.pairs) AS b ON b.pair_id = a.pair_id AND b.dataset = a.dataset
WHERE a.pair_id IS NULL OR b.pair_id IS NULL
GROUP BY coalesce(b.dataset, a.dataset), CASE WHEN a.pair_id IS NULL THEN 'added' ELSE 'removed' END
UNION ALL
SELECT 3, 'split', b.dataset, '', 'moved', a.split, b.split, count(*), NULL, min(b.pair_id)
FROM previous.splits AS a INNER JOIN base.splits AS b ON b.pair_id = a.pair_id AND b.dataset = a.dataset AND b.split <> a.split
GROUP BY b.dataset, a.split, b.split
UNION ALL
SELECT 4, 'sample', dataset, label_mode,
    CASE
        WHEN old_id IS NULL THEN 'added'
        WHEN new_id IS NULL THEN 'removed'
        WHEN old_ends <> new_ends THEN 'cut otherwise'
        WHEN old_labels <> new_labels THEN 'labelled otherwise'
        ELSE 'renamed: another version of the rules'
    END,
    NULL, NULL, count(*),
    concat(coalesce(CAST(max(old_rule) AS VARCHAR), 'none'), ' to ', coalesce(CAST(max(new_rule) AS VARCHAR), 'none')), min(coalesce(new_id, old_id))
FROM versions
WHERE old_id IS NULL OR new_id IS NULL OR old_id <> new_id OR old_ends <> new_ends OR old_labels <> new_labels
GROUP BY dataset, label_mode, CASE
    WHEN old_id IS NULL THEN 'added'
    WHEN new_id IS NULL THEN 'removed'
    WHEN old_ends <> new_ends THEN 'cut otherwise'
    WHEN old_labels <> new_labels THEN 'labelled otherwise'
    ELSE 'renamed: another version of the rules'
END
UNION ALL
SELECT 5, 'label', dataset, label_mode, 'changed', before, after, count(*),
    concat(coalesce(CAST(max(old_rule) AS VARCHAR), 'none'), ' to ', coalesce(CAST(max(new_rule) AS VARCHAR), 'none')), min(example)
FROM steps
WHERE before <> after
GROUP BY dataset, label_mode, before, after
