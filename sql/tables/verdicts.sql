--! description = "One sample under one model and aggregation"
--! scope = "slice"
--! [columns]
--! model_id = "The checkpoint"
--! sample_id = "The sample"
--! aggregation = "How the step rewards became one (FORMULAS: risk is equation 2)"
--! tau = "Temperature of the softmax over steps"
--! threshold = "p_secure below it is called vulnerable"
--! reward = "R, in [-1, 1]"
--! p_secure = "(R + 1) / 2; R itself for the binary aggregations"
--! predicted = "1 secure, 0 vulnerable"
--! label = "1 secure, 0 vulnerable: 0 if any step is labelled 0"
--! n_tokens = "Tokens the model read"

SELECT
    model_id,
    sample_id,
    aggregation,
    $tau AS tau,
    $threshold AS threshold,
    reward,
    p_secure(aggregation, reward) AS p_secure,
    predict_secure(aggregation, reward, $threshold, $tie) AS predicted,
    label,
    n_tokens,
    role, pair_id, label_mode, split,
    dataset,
    slice
FROM (
    SELECT
        r.*,
        sequence_reward(r.rewards, r.aggregation, $tau) AS reward
    FROM (
        SELECT
            c.model_id, c.sample_id, c.rewards, c.n_tokens,
            CASE WHEN s.vulnerable THEN 0 ELSE 1 END AS label,
            s.role, s.pair_id, s.label_mode, s.split, s.dataset, s.slice,
            unnest($aggregations) AS aggregation
        FROM (
            SELECT
                model_id, sample_id, dataset, slice,
                array_agg(reward ORDER BY step_index) AS rewards,
                max(sample_tokens) AS n_tokens
            FROM step_scores
            GROUP BY model_id, sample_id, dataset, slice
        ) AS c
        INNER JOIN samples AS s ON s.sample_id = c.sample_id
    ) AS r
) AS aggregated
WHERE reward IS NOT NULL
