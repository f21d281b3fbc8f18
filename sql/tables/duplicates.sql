--! description = "Code that several pairs have, and where"
--! scope = "global"
--! [columns]
--! kind = "pair: both versions byte for byte; code: a file of either version without comments and layout; near_code: nearly equal code"
--! value = "The hash that they share; of near_code the two pairs"
--! pairs = "Pairs that have it"
--! datasets = "The datasets they are from"
--! train = "Pairs of it in train"
--! validation = "Pairs of it in validation"
--! test = "Pairs of it in test"
--! similarity = "Estimated share of runs of five tokens in common; 1 where nothing but layout differs"
--! example = "The smallest pair_id"
--! other_example = "The largest pair_id"

-- What stands alone, nearly everything, is put aside first: counting is cheap, and what is told of a group is not.
WITH hashes AS (
    SELECT pair_id, unnest(code_hashes) AS hash FROM code_keys
),
repeated AS (
    SELECT 'pair' AS kind, p.content_hash AS value, p.pair_id
    FROM base.pairs AS p
    LEFT SEMI JOIN (SELECT content_hash FROM base.pairs GROUP BY content_hash HAVING count(*) > 1) AS r ON r.content_hash = p.content_hash
    UNION ALL
    SELECT 'code' AS kind, CAST(h.hash AS VARCHAR) AS value, h.pair_id
    FROM hashes AS h
    LEFT SEMI JOIN (SELECT hash FROM hashes GROUP BY hash HAVING count(*) > 1) AS r ON r.hash = h.hash
),
placed AS (
    SELECT r.kind, r.value, r.pair_id, g.dataset, g.split
    FROM repeated AS r INNER JOIN splits AS g ON g.pair_id = r.pair_id
)
SELECT
    kind, value, count(*) AS pairs, array_sort(array_agg(DISTINCT dataset)) AS datasets,
    count(*) FILTER (WHERE split = 'train') AS train,
    count(*) FILTER (WHERE split = 'validation') AS validation,
    count(*) FILTER (WHERE split = 'test') AS test,
    CAST(1 AS DOUBLE) AS similarity, min(pair_id) AS example, max(pair_id) AS other_example
FROM placed
GROUP BY kind, value
UNION ALL
SELECT
    'near_code' AS kind, concat_ws(' ', n.pair_id, n.other_pair_id) AS value, 2 AS pairs,
    CASE WHEN one.dataset = other.dataset THEN [one.dataset] ELSE array_sort([one.dataset, other.dataset]) END AS datasets,
    CASE WHEN one.split = 'train' THEN 1 ELSE 0 END + CASE WHEN other.split = 'train' THEN 1 ELSE 0 END AS train,
    CASE WHEN one.split = 'validation' THEN 1 ELSE 0 END + CASE WHEN other.split = 'validation' THEN 1 ELSE 0 END AS validation,
    CASE WHEN one.split = 'test' THEN 1 ELSE 0 END + CASE WHEN other.split = 'test' THEN 1 ELSE 0 END AS test,
    n.similarity, n.pair_id AS example, n.other_pair_id AS other_example
FROM near_duplicates AS n
INNER JOIN splits AS one ON one.pair_id = n.pair_id
INNER JOIN splits AS other ON other.pair_id = n.other_pair_id
