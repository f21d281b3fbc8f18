--! description = "How far the length of code alone tells vulnerable from secure samples, per dataset, subset, split, label mode and measure of length"
--! scope = "global"
--! [columns]
--! subset = "paired, unpaired, or all of both"
--! measure = "characters (code points), steps, or tokens (steps and separators without the prompt; of the trained label mode alone)"
--! vulnerable = "V: samples with at least one step labelled 0"
--! secure = "S: samples without one"
--! mean_vulnerable = "Mean length of V"
--! mean_secure = "Mean length of S"
--! ratio = "mean_vulnerable / mean_secure"
--! auroc = "Chance that a sample of V is longer than one of S, ties counted half; 0.5 where length tells nothing, below it where the shorter ones are vulnerable; null where V or S is empty"
--! pairs = "Pairs with a sample of either version, which the next two columns count in"
--! fixed_longer = "Pairs whose fixed version is the longer one"
--! fixed_shorter = "Pairs whose fixed version is the shorter one"

-- A table, since the two versions of a pair are found by a join of samples with themselves.
WITH measured AS (
    SELECT
        s.pair_id, s.role, s.dataset, s.slice, s.subset, s.label_mode, s.split, s.vulnerable, s.n_chars, s.n_steps,
        e.code_tokens AS n_tokens
    FROM samples AS s
    LEFT JOIN train_shards AS e ON e.sample_id = s.sample_id AND e.dataset = s.dataset AND e.slice = s.slice AND e.window_index = 0
),
lengths AS (
    SELECT dataset, subset, label_mode, split, vulnerable, 'characters' AS measure, n_chars AS length FROM measured
    UNION ALL
    SELECT dataset, subset, label_mode, split, vulnerable, 'steps' AS measure, n_steps AS length FROM measured
    UNION ALL
    SELECT dataset, subset, label_mode, split, vulnerable, 'tokens' AS measure, n_tokens AS length FROM measured WHERE n_tokens IS NOT NULL
),
-- Samples of equal length are counted together, so that ranks are sums over lengths and not over samples.
counted AS (
    SELECT
        dataset, subset, label_mode, split, measure, length,
        count(*) FILTER (WHERE vulnerable) AS vulnerable,
        count(*) FILTER (WHERE NOT vulnerable) AS secure
    FROM (
        SELECT * FROM lengths
        UNION ALL
        SELECT dataset, 'all' AS subset, label_mode, split, vulnerable, measure, length FROM lengths
    ) AS counted_twice
    GROUP BY dataset, subset, label_mode, split, measure, length
),
ranked AS (
    SELECT
        *,
        sum(secure) OVER (PARTITION BY dataset, subset, label_mode, split, measure ORDER BY length) - secure AS shorter_secure
    FROM counted
),
told AS (
    SELECT
        dataset, subset, label_mode, split, measure,
        sum(vulnerable) AS vulnerable,
        sum(secure) AS secure,
        CAST(sum(vulnerable * length) AS DOUBLE) / nullif(sum(vulnerable), 0) AS mean_vulnerable,
        CAST(sum(secure * length) AS DOUBLE) / nullif(sum(secure), 0) AS mean_secure,
        sum(CAST(vulnerable AS DOUBLE) * (shorter_secure + 0.5 * secure))
        / nullif(CAST(sum(vulnerable) AS DOUBLE) * sum(secure), 0) AS auroc
    FROM ranked
    GROUP BY dataset, subset, label_mode, split, measure
),
grown AS (
    SELECT
        v.dataset, v.subset, v.label_mode, v.split,
        f.n_chars - v.n_chars AS chars,
        f.n_steps - v.n_steps AS steps,
        f.n_tokens - v.n_tokens AS tokens
    FROM measured AS v
    INNER JOIN measured AS f
        ON v.pair_id = f.pair_id AND v.label_mode = f.label_mode AND v.dataset = f.dataset AND v.slice = f.slice
    WHERE v.role = 'vulnerable' AND f.role = 'fixed'
),
-- Pairs are all in the subset `paired`, and so count in `all` as they do there.
compared AS (
    SELECT
        dataset, label_mode, split, measure,
        count(growth) AS pairs,
        count(*) FILTER (WHERE growth > 0) AS fixed_longer,
        count(*) FILTER (WHERE growth < 0) AS fixed_shorter
    FROM (
        SELECT dataset, label_mode, split, 'characters' AS measure, chars AS growth FROM grown
        UNION ALL
        SELECT dataset, label_mode, split, 'steps' AS measure, steps AS growth FROM grown
        UNION ALL
        SELECT dataset, label_mode, split, 'tokens' AS measure, tokens AS growth FROM grown
    ) AS growths
    GROUP BY dataset, label_mode, split, measure
)
SELECT
    t.dataset, t.subset, t.label_mode, t.split, t.measure,
    t.vulnerable, t.secure,
    t.mean_vulnerable, t.mean_secure,
    t.mean_vulnerable / nullif(t.mean_secure, 0) AS ratio,
    t.auroc,
    CASE WHEN t.subset = 'unpaired' THEN 0 ELSE coalesce(c.pairs, 0) END AS pairs,
    CASE WHEN t.subset = 'unpaired' THEN 0 ELSE coalesce(c.fixed_longer, 0) END AS fixed_longer,
    CASE WHEN t.subset = 'unpaired' THEN 0 ELSE coalesce(c.fixed_shorter, 0) END AS fixed_shorter
FROM told AS t
LEFT JOIN compared AS c
    ON t.dataset = c.dataset AND t.label_mode = c.label_mode AND t.split = c.split AND t.measure = c.measure
