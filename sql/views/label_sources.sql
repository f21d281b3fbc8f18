--! description = "Steps by the rules that decided their label, per dataset, split and label mode"
--! [columns]
--! counted = "combination: steps with exactly these sources, so that the rows add up to all steps; source: steps that have this source, alone or with others"
--! label_source = "A rule, or several joined by + (LABELS.md, rules 6 to 10)"
--! steps = "How many steps"
--! zeros = "Those labelled 0"
--! unsupervised = "Those that take no part in the loss (rule 7)"

WITH counted AS (
    SELECT dataset, label_mode, split, unnest(source_counts(label_sources, labels, supervised)) AS source
    FROM samples
),
combinations AS (
    SELECT
        dataset, label_mode, split,
        source['label_source'] AS label_source,
        sum(source['steps']) AS steps,
        sum(source['zeros']) AS zeros,
        sum(source['unsupervised']) AS unsupervised
    FROM counted
    GROUP BY dataset, label_mode, split, source['label_source']
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
