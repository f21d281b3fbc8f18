--! description = "What split_conflicts holds, looked up now in all pairs: seconds where there are a million"
--! [columns]
--! kind = "group, commit, cve, code or project"
--! value = "The group_id; the commit (with its project before it where it is no full hash); the CVE; the hash of the code; the project"
--! split_by = "The rule that the splits were made by: group, upstream or project"
--! train = "Pairs in train that have it"
--! validation = "Pairs in validation that have it"
--! test = "Pairs in test that have it"

-- In pairs and code_keys themselves, whatever the groups are.
WITH placed AS (
    SELECT s.pair_id, s.split, g.group_id, g.split_by
    FROM splits AS s
    INNER JOIN split_groups AS g ON s.pair_id = g.pair_id
),
named AS (
    SELECT
        placed.split_by,
        placed.split,
        p.project,
        CASE WHEN upper(p.cve) LIKE 'CVE-%' THEN upper(p.cve) END AS cve,
        CASE
            WHEN regexp_like(p.commit_id, '^[0-9a-fA-F]{40,}$') THEN lower(p.commit_id)
            WHEN p.commit_id IS NOT NULL THEN concat_ws(' ', p.project, p.commit_id)
        END AS commit_name
    FROM placed
    INNER JOIN base.pairs AS p ON placed.pair_id = p.pair_id
),
told AS (
    SELECT 'group' AS kind, group_id AS value, split_by, split FROM placed
    UNION ALL
    SELECT unnest(['commit', 'cve', 'project']) AS kind, unnest([commit_name, cve, project]) AS value, split_by, split FROM named
    UNION ALL
    SELECT 'code' AS kind, CAST(k.code_hash AS VARCHAR) AS value, split_by, split
    FROM placed
    INNER JOIN (SELECT pair_id, unnest(code_hashes) AS code_hash FROM code_keys) AS k ON placed.pair_id = k.pair_id
)

SELECT
    kind,
    value,
    split_by,
    count(*) FILTER (WHERE split = 'train') AS train,
    count(*) FILTER (WHERE split = 'validation') AS validation,
    count(*) FILTER (WHERE split = 'test') AS test
FROM told
WHERE value IS NOT NULL
GROUP BY kind, value, split_by
HAVING count(*) <> greatest(
    count(*) FILTER (WHERE split = 'train'),
    count(*) FILTER (WHERE split = 'validation'),
    count(*) FILTER (WHERE split = 'test')
)
