--! description = "The split each pair belongs to; apart from `pairs`, so that a new assignment rewrites no code"
--! scope = "slice"
--! [columns]
--! pair_id = "The pair"
--! split = "train, validation or test: what training and evaluation go by"
--! split_source = "Why the pair is there: upstream (the dataset's own split) or hash (the dataset has none)"

-- Where a dataset has no split of its own, a hash of the pair's group decides, 80/10/10: a group is one commit.
SELECT
    pair_id,
    CASE
        -- SVEN has two splits only: what it calls val is what it is tested on (table 11).
        WHEN dataset = 'sven' AND upstream_split = 'val' THEN 'test'
        WHEN upstream_split IN ('val', 'valid') THEN 'validation'
        WHEN upstream_split IS NOT NULL THEN upstream_split
        WHEN bucket < 80 THEN 'train'
        WHEN bucket < 90 THEN 'validation'
        ELSE 'test'
    END AS split,
    CASE WHEN upstream_split IS NOT NULL THEN 'upstream' ELSE 'hash' END AS split_source,
    dataset,
    slice
FROM (
    SELECT *, hash_bucket(coalesce(commit_id, pair_id), 100) AS bucket
    FROM base.pairs
) AS bucketed
