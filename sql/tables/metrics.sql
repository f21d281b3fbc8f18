--! description = "One number: how well a model, a baseline or a judge of the shortcut audit tells vulnerable from secure code"
--! scope = "global"
--! [columns]
--! model_id = "The checkpoint, a baseline's name, or a judge of the shortcut audit (audit_metrics)"
--! task = "detection: one verdict a sample, positive is vulnerable; of the audit also pair (which version is the vulnerable one) and step"
--! aggregation = "How step rewards became one verdict; none for what gives a verdict of its own"
--! tau = "Temperature of the softmax over steps, where there is one"
--! threshold = "p_secure below it is called vulnerable, where there is one"
--! group_by = "What the row is broken down by beside dataset and split; empty for all"
--! group_value = "The group"
--! metric = "accuracy, precision, recall, f1 or auroc; of the audit also both_right and what ends in _excess_over_length"
--! value = "The number; null where it is not defined (no positives, one class only)"
--! n = "Verdicts it was computed from; pairs or steps, where the task is pair or step"
--! ci_low = "Lower end of the 95 % interval"
--! ci_high = "Upper end of the 95 % interval"
--! coverage = "Share of the group's samples (or pairs, or steps) that n is"

-- Model and baselines go through the same function, so that they can be put side by side.
WITH judged AS (
    SELECT model_id, label_mode, dataset, split, aggregation, tau, threshold, label, predicted, reward FROM verdicts
    UNION ALL
    SELECT model_id, label_mode, dataset, split, 'none' AS aggregation, CAST(NULL AS DOUBLE) AS tau, CAST(NULL AS DOUBLE) AS threshold,
        label, predicted, reward
    FROM baseline_verdicts
),
expected AS (
    SELECT label_mode, dataset, split, count(*) AS samples
    FROM samples
    GROUP BY label_mode, dataset, split
),
measured AS (
    SELECT
        j.model_id, j.label_mode, j.dataset, j.split, j.aggregation, j.tau, j.threshold,
        count(*) AS n,
        unnest(detection_metrics(j.label, j.predicted, j.reward)) AS m
    FROM judged AS j
    GROUP BY j.model_id, j.label_mode, j.dataset, j.split, j.aggregation, j.tau, j.threshold
)
SELECT
    m.model_id, m.label_mode, m.dataset, m.split,
    'detection' AS task,
    m.aggregation, m.tau, m.threshold,
    '' AS group_by,
    '' AS group_value,
    m.m['metric'] AS metric,
    m.m['value'] AS value,
    m.n,
    m.m['ci_low'] AS ci_low,
    m.m['ci_high'] AS ci_high,
    CAST(m.n AS DOUBLE) / e.samples AS coverage
FROM measured AS m
INNER JOIN expected AS e ON e.label_mode = m.label_mode AND e.dataset = m.dataset AND e.split = m.split
UNION ALL
SELECT
    a.model_id, a.label_mode, a.dataset, a.split,
    a.task,
    'none' AS aggregation,
    CAST(NULL AS DOUBLE) AS tau,
    CAST(NULL AS DOUBLE) AS threshold,
    '' AS group_by,
    '' AS group_value,
    a.metric, a.value, a.n, a.ci_low, a.ci_high, a.coverage
FROM audit_metrics AS a
