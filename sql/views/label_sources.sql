--! description = "Steps by the rules that decided their label, per dataset, split and label mode"
--! [columns]
--! counted = "combination: steps with exactly these sources, so that the rows add up to all steps; source: steps that have this source, alone or with others"
--! label_source = "A rule, or several joined by + (LABELS.md, rules 6 to 10)"

WITH combinations AS (
    SELECT dataset, label_mode, split, label_source, sum(steps) AS steps, sum(zeros) AS zeros, sum(unsupervised) AS unsupervised
    FROM step_sums
    GROUP BY dataset, label_mode, split, label_source
),
sources AS (
    SELECT dataset, label_mode, split, unnest(string_to_array(label_source, '+')) AS label_source, steps, zeros, unsupervised
    FROM combinations
)
SELECT dataset, label_mode, split, 'combination' AS counted, label_source, steps, zeros, unsupervised
FROM combinations
UNION ALL
SELECT
    dataset, label_mode, split, 'source' AS counted, label_source, sum(steps) AS steps, sum(zeros) AS zeros, sum(unsupervised) AS unsupervised
FROM sources
GROUP BY dataset, label_mode, split, label_source
