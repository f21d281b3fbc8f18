--! description = "The paper's table 11 for what is published: sizes, lengths and step ratios per dataset, split and label mode"

-- V: a sample with at least one step labelled 0. Step_v: mean share of 0 steps within V. Step_a: 0 steps among all steps.
WITH counted AS (
    SELECT
        s.dataset, s.label_mode, s.split, s.n_chars, s.n_steps, s.vulnerable,
        count_zeros(s.labels) AS zeros
    FROM samples AS s
)
SELECT
    dataset,
    label_mode,
    split,
    count(*) FILTER (WHERE vulnerable) AS vulnerable,
    count(*) FILTER (WHERE NOT vulnerable) AS secure,
    avg(n_chars) FILTER (WHERE vulnerable) AS chars_vulnerable,
    avg(n_chars) FILTER (WHERE NOT vulnerable) AS chars_secure,
    avg(n_steps) FILTER (WHERE vulnerable) AS steps_vulnerable,
    avg(n_steps) FILTER (WHERE NOT vulnerable) AS steps_secure,
    100 * avg(CAST(zeros AS DOUBLE) / n_steps) FILTER (WHERE vulnerable) AS step_v_percent,
    100 * CAST(sum(zeros) AS DOUBLE) / sum(n_steps) AS step_a_percent
FROM counted
GROUP BY dataset, label_mode, split
