--! description = "Counts and sums of samples that are alike in dataset, subset, label mode, split, language and label: what the statistics are made of"
--! scope = "slice"
--! [columns]
--! samples = "How many samples"
--! chars = "Their code points"
--! steps = "Their steps"
--! zeros = "Their steps labelled 0"
--! zero_shares = "The share of steps labelled 0, summed over samples"
--! one_step = "Samples of one step, whose label is all there is to learn"
--! all_zero = "Samples whose steps are all labelled 0"
--! encoded = "Samples with tokens: those of the trained label mode that are in train_shards; null in other label modes"
--! tokens = "Tokens of their steps and separators, as the release's tokenizer reads them, without prompts"

-- A table, so that what the statistics read does not grow with the number of steps.
WITH measured AS (
    SELECT
        dataset, slice, subset, label_mode, split, language, vulnerable, n_chars, n_steps,
        count_zeros(labels) AS n_zeros
    FROM samples
),
summed AS (
    SELECT
        dataset, slice, subset, label_mode, split, language, vulnerable,
        count(*) AS samples,
        sum(n_chars) AS chars,
        sum(n_steps) AS steps,
        sum(n_zeros) AS zeros,
        -- Decimals have the same sum in any order, floats have not.
        CAST(sum(CAST(CAST(n_zeros AS DOUBLE) / n_steps AS DECIMAL(18, 12))) AS DOUBLE) AS zero_shares,
        count(*) FILTER (WHERE n_steps = 1) AS one_step,
        count(*) FILTER (WHERE n_zeros = n_steps) AS all_zero
    FROM measured
    GROUP BY dataset, slice, subset, label_mode, split, language, vulnerable
),
-- A sample's length in tokens stands in each of its windows.
encoded AS (
    SELECT dataset, slice, subset, label_mode, split, language, vulnerable, count(*) AS samples, sum(code_tokens) AS tokens
    FROM train_shards
    WHERE window_index = 0
    GROUP BY dataset, slice, subset, label_mode, split, language, vulnerable
)
SELECT
    s.subset, s.label_mode, s.split, s.language, s.vulnerable,
    s.samples, s.chars, s.steps, s.zeros, s.zero_shares, s.one_step, s.all_zero,
    e.samples AS encoded,
    e.tokens,
    s.dataset, s.slice
FROM summed AS s
LEFT JOIN encoded AS e
    ON s.dataset = e.dataset AND s.slice = e.slice AND s.subset = e.subset AND s.label_mode = e.label_mode AND s.split = e.split
    AND s.language = e.language AND s.vulnerable = e.vulnerable
