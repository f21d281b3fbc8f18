--! description = "What a verdict is worth without any model: always secure, always vulnerable, and length alone"
--! scope = "global"
--! [columns]
--! model_id = "The baseline's name, in place of a model"
--! reward = "R, in [-1, 1]; for length, the signed and squashed distance to the median of what is trained on"
--! predicted = "1 secure, 0 vulnerable"
--! label = "1 secure, 0 vulnerable"

-- Length is given its best chance: which side of the median is the secure one is read off what the model is trained on.
WITH scored AS (
    SELECT s.sample_id, s.dataset, s.slice, s.split, s.label_mode, s.role, s.pair_id, s.n_chars,
        CASE WHEN s.vulnerable THEN 0 ELSE 1 END AS label
    FROM samples AS s
    WHERE s.label_mode = $train_label_mode
),
fitted AS (
    SELECT
        median(CAST(n_chars AS DOUBLE)) AS middle,
        CASE WHEN avg(n_chars) FILTER (WHERE NOT vulnerable) >= avg(n_chars) FILTER (WHERE vulnerable) THEN 1.0 ELSE -1.0 END AS direction
    FROM training_samples
),
rewarded AS (
    SELECT s.*, 'baseline:always_secure' AS model_id, CAST(1 AS DOUBLE) AS reward FROM scored AS s
    UNION ALL
    SELECT s.*, 'baseline:always_vulnerable' AS model_id, CAST(-1 AS DOUBLE) AS reward FROM scored AS s
    UNION ALL
    SELECT s.*, 'baseline:length' AS model_id, f.direction * tanh((s.n_chars - f.middle) / greatest(f.middle, 1.0)) AS reward
    FROM scored AS s CROSS JOIN fitted AS f
)
SELECT
    model_id, sample_id, reward,
    CASE WHEN reward < 0 THEN 0 ELSE 1 END AS predicted,
    label, label_mode, split, dataset
FROM rewarded
WHERE reward IS NOT NULL
