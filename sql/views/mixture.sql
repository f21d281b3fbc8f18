--! description = "What an epoch of training is made of, by dataset and subset; what is left out too"
--! [columns]
--! samples = "Samples of the training split that are in shards"
--! windows = "Their rows of train_shards: what training repeats and batches"
--! supervised_steps = "Their steps that count in the loss"
--! tokens = "Their tokens, prompts included"
--! repeats = "How often an epoch sees each; 0 where they are left out"
--! step_share = "Share of an epoch's supervised steps, repeats counted; null where all are left out"
--! token_share = "Share of an epoch's tokens, repeats counted; null where all are left out"
--! left_out = "What of [mix] leave_out leaves them out of training; null where they are trained on"

-- As the view training_shards judges each row, but once a subset: a look into a map takes longer than summing a row up.
WITH counted AS (
    SELECT
        dataset, subset,
        count(*) FILTER (WHERE window_index = 0) AS samples,
        count(*) AS windows,
        sum(n_supervised) AS supervised_steps,
        sum(n_tokens) AS tokens
    FROM train_shards
    WHERE split = 'train'
    GROUP BY dataset, subset
),
judged AS (
    SELECT
        *,
        CASE
            WHEN array_has($mix_leave_out, dataset) THEN dataset
            WHEN array_has($mix_leave_out, concat(dataset, '/', subset)) THEN concat(dataset, '/', subset)
        END AS left_out
    FROM counted
),
repeated AS (
    SELECT *, CAST(CASE WHEN left_out IS NULL THEN coalesce(map_extract($mix_repeats, dataset)[1], 1) ELSE 0 END AS INT) AS repeats
    FROM judged
)
SELECT
    dataset, subset, samples, windows, supervised_steps, tokens, repeats,
    CAST(repeats * supervised_steps AS DOUBLE) / nullif(sum(repeats * supervised_steps) OVER (), 0) AS step_share,
    CAST(repeats * tokens AS DOUBLE) / nullif(sum(repeats * tokens) OVER (), 0) AS token_share,
    left_out
FROM repeated
