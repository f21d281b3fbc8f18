--! description = "Against the previous release no number of rows changed by more than [checks.limits] row_drift, no rate by more than rate_drift"
--! severity = "warn"

-- A dataset that is new has nothing to be compared with; one that is gone has lost all its rows.
WITH counts AS (
    SELECT 'now' AS at, 'pairs' AS measure, dataset, '' AS label_mode, count(*) AS n FROM base.pairs GROUP BY dataset
    UNION ALL
    SELECT 'then' AS at, 'pairs' AS measure, dataset, '' AS label_mode, count(*) AS n FROM previous.pairs GROUP BY dataset
    UNION ALL
    SELECT 'now' AS at, 'samples' AS measure, dataset, label_mode, count(*) AS n FROM samples GROUP BY dataset, label_mode
    UNION ALL
    SELECT 'then' AS at, 'samples' AS measure, dataset, label_mode, count(*) AS n FROM previous.samples GROUP BY dataset, label_mode
),
rates AS (
    SELECT
        'now' AS at, 'share of steps labelled 0' AS measure, dataset, label_mode,
        CAST(sum(count_zeros(labels)) AS DOUBLE) / sum(n_steps) AS rate
    FROM samples GROUP BY dataset, label_mode
    UNION ALL
    SELECT
        'then' AS at, 'share of steps labelled 0' AS measure, dataset, label_mode,
        CAST(sum(count_zeros(labels)) AS DOUBLE) / sum(n_steps) AS rate
    FROM previous.samples GROUP BY dataset, label_mode
    UNION ALL
    SELECT
        'now' AS at, 'share of pairs in test' AS measure, dataset, '' AS label_mode,
        CAST(count(*) FILTER (WHERE split = 'test') AS DOUBLE) / count(*) AS rate
    FROM splits GROUP BY dataset
    UNION ALL
    SELECT
        'then' AS at, 'share of pairs in test' AS measure, dataset, '' AS label_mode,
        CAST(count(*) FILTER (WHERE split = 'test') AS DOUBLE) / count(*) AS rate
    FROM previous.splits GROUP BY dataset
),
compared AS (
    SELECT
        measure, dataset, label_mode, coalesce(max(CASE at WHEN 'now' THEN n END), 0) AS now, max(CASE at WHEN 'then' THEN n END) AS before
    FROM counts GROUP BY measure, dataset, label_mode
),
compared_rates AS (
    SELECT
        measure, dataset, label_mode, max(CASE at WHEN 'now' THEN rate END) AS now, max(CASE at WHEN 'then' THEN rate END) AS before
    FROM rates GROUP BY measure, dataset, label_mode
)
SELECT measure, dataset, label_mode, CAST(before AS DOUBLE) AS before, CAST(now AS DOUBLE) AS now
FROM compared
WHERE abs(now - before) > $row_drift * before
UNION ALL
SELECT measure, dataset, label_mode, before, now
FROM compared_rates
WHERE abs(now - before) > $rate_drift
