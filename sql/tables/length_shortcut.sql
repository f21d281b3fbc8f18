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
WITH lengths AS (
    SELECT dataset, subset, label_mode, split, vulnerable, measured['measure'] AS measure, measured['length'] AS length
    FROM (
        SELECT
            dataset, subset, label_mode, split, vulnerable,
            unnest([
                named_struct('measure', 'characters', 'length', CAST(n_chars AS BIGINT)),
                named_struct('measure', 'steps', 'length', CAST(n_steps AS BIGINT))
            ]) AS measured
        FROM samples
    ) AS listed
    UNION ALL
    SELECT dataset, subset, label_mode, split, vulnerable, 'tokens' AS measure, code_tokens AS length
    FROM train_shards
    WHERE window_index = 0
),
-- Samples of equal length are counted together, so that ranks are sums over lengths and not over samples.
counted AS (
    SELECT
        dataset, subset, label_mode, split, measure, length,
        count(*) FILTER (WHERE vulnerable) AS vulnerable,
        count(*) FILTER (WHERE NOT vulnerable) AS secure
    FROM (
        SELECT dataset, unnest([subset, 'all']) AS subset, label_mode, split, vulnerable, measure, length
        FROM lengths
    ) AS in_subsets
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
        dataset, label_mode, split,
        unnest([
            named_struct('measure', 'characters', 'growth', CAST(chars AS BIGINT)),
            named_struct('measure', 'steps', 'growth', CAST(steps AS BIGINT)),
            named_struct('measure', 'tokens', 'growth', CAST(tokens AS BIGINT))
        ]) AS grown
    FROM (
        SELECT
            v.dataset, v.label_mode, v.split,
            f.n_chars - v.n_chars AS chars,
            f.n_steps - v.n_steps AS steps,
            fe.code_tokens - ve.code_tokens AS tokens
        FROM samples AS v
        INNER JOIN samples AS f
            ON f.pair_id = v.pair_id AND f.label_mode = v.label_mode AND f.dataset = v.dataset AND f.slice = v.slice
        LEFT JOIN (SELECT * FROM train_shards WHERE window_index = 0) AS ve
            ON ve.sample_id = v.sample_id AND ve.dataset = v.dataset AND ve.slice = v.slice
        LEFT JOIN (SELECT * FROM train_shards WHERE window_index = 0) AS fe
            ON fe.sample_id = f.sample_id AND fe.dataset = f.dataset AND fe.slice = f.slice
        WHERE v.role = 'vulnerable' AND f.role = 'fixed'
    ) AS compared
),
-- Pairs are all in the subset `paired`, and so count in `all` as they do there.
compared AS (
    SELECT
        dataset, label_mode, split,
        grown['measure'] AS measure,
        count(grown['growth']) AS pairs,
        count(*) FILTER (WHERE grown['growth'] > 0) AS fixed_longer,
        count(*) FILTER (WHERE grown['growth'] < 0) AS fixed_shorter
    FROM grown
    GROUP BY dataset, label_mode, split, grown['measure']
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
