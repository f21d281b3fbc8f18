--! description = "The paper's table 11 for what is published: sizes, lengths and step ratios per dataset, subset, split and label mode"
--! [columns]
--! vulnerable = "V: samples with at least one step labelled 0"
--! secure = "S: samples without one"
--! tokens_vulnerable = "Mean length of V in tokens: steps and separators without the prompt; null in label modes that are not trained on"
--! tokens_secure = "Mean length of S in tokens"
--! chars_vulnerable = "Mean length of V in code points"
--! chars_secure = "Mean length of S in code points"
--! steps_vulnerable = "Mean number of steps of V"
--! steps_secure = "Mean number of steps of S"
--! step_v_percent = "Step_v: mean over V of the share of steps labelled 0, in percent"
--! step_a_percent = "Step_a: steps labelled 0 among all steps, in percent"
--! one_step_vulnerable = "Samples of V that are one step"
--! one_step_secure = "Samples of S that are one step"
--! all_zero_vulnerable = "Samples of V whose steps are all labelled 0"

-- The paper's row of BigVul has the vulnerable samples of `paired` and the secure ones of `unpaired`.
SELECT
    dataset, subset, label_mode, split,
    coalesce(sum(samples) FILTER (WHERE vulnerable), 0) AS vulnerable,
    coalesce(sum(samples) FILTER (WHERE NOT vulnerable), 0) AS secure,
    CAST(sum(tokens) FILTER (WHERE vulnerable) AS DOUBLE) / sum(encoded) FILTER (WHERE vulnerable) AS tokens_vulnerable,
    CAST(sum(tokens) FILTER (WHERE NOT vulnerable) AS DOUBLE) / sum(encoded) FILTER (WHERE NOT vulnerable) AS tokens_secure,
    CAST(sum(chars) FILTER (WHERE vulnerable) AS DOUBLE) / sum(samples) FILTER (WHERE vulnerable) AS chars_vulnerable,
    CAST(sum(chars) FILTER (WHERE NOT vulnerable) AS DOUBLE) / sum(samples) FILTER (WHERE NOT vulnerable) AS chars_secure,
    CAST(sum(steps) FILTER (WHERE vulnerable) AS DOUBLE) / sum(samples) FILTER (WHERE vulnerable) AS steps_vulnerable,
    CAST(sum(steps) FILTER (WHERE NOT vulnerable) AS DOUBLE) / sum(samples) FILTER (WHERE NOT vulnerable) AS steps_secure,
    100 * sum(zero_shares) FILTER (WHERE vulnerable) / sum(samples) FILTER (WHERE vulnerable) AS step_v_percent,
    100 * CAST(sum(zeros) AS DOUBLE) / sum(steps) AS step_a_percent,
    coalesce(sum(one_step) FILTER (WHERE vulnerable), 0) AS one_step_vulnerable,
    coalesce(sum(one_step) FILTER (WHERE NOT vulnerable), 0) AS one_step_secure,
    coalesce(sum(all_zero) FILTER (WHERE vulnerable), 0) AS all_zero_vulnerable
FROM sample_sums
GROUP BY dataset, subset, label_mode, split
