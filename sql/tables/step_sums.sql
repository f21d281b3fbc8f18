--! description = "Counts of steps that are alike in dataset, label mode, split and label source"
--! scope = "slice"
--! [columns]
--! label_source = "The rules that decided the label, joined by +"
--! steps = "How many steps"
--! zeros = "Those labelled 0"
--! unsupervised = "Those that take no part in the loss (rule 7)"

-- A table for the same reason as sample_sums. The view `steps` would read the code too: a list that is unnested is read, asked for or not.
SELECT
    label_mode, split, label_source,
    count(*) AS steps,
    count(*) FILTER (WHERE label = 0) AS zeros,
    count(*) FILTER (WHERE NOT supervised) AS unsupervised,
    dataset, slice
FROM (
    SELECT
        label_mode, split,
        unnest(label_sources) AS label_source,
        unnest(labels) AS label,
        unnest(supervised) AS supervised,
        dataset, slice
    FROM samples
) AS listed
GROUP BY dataset, slice, label_mode, split, label_source
