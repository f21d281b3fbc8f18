--! description = "A row of train_shards of the training split, and how often an epoch sees it"
--! [columns]
--! left_out = "What of [mix] leave_out leaves it out of training; null where it is trained on"
--! repeats = "How often an epoch sees it; 0 where it is left out"

SELECT
    *,
    CAST(CASE WHEN left_out IS NULL THEN coalesce(map_extract($mix_repeats, dataset)[1], 1) ELSE 0 END AS INT) AS repeats
FROM (
    SELECT
        t.*,
        CASE
            WHEN array_has($mix_leave_out, dataset) THEN dataset
            WHEN array_has($mix_leave_out, concat(dataset, '/', subset)) THEN concat(dataset, '/', subset)
        END AS left_out
    FROM train_shards AS t
    WHERE split = 'train'
) AS judged
