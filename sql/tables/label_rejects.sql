--! description = "Pairs that gave no sample in a label mode, and why"
--! scope = "slice"
--! [columns]
--! pair_id = "The pair that was not labelled"
--! label_mode = "The label mode that left it out"
--! reason = "no_code_difference: the versions are equal or differ in white space or comments only; empty_version: a version has no text; unlabelled: anything else (a check fails on it)"
--! detail = "What differs, in words"

-- Whatever label_pair() left out is listed here by construction: nothing can be lost in between.
SELECT
    p.pair_id,
    p.label_mode,
    CASE
        WHEN k.code_difference IN ('none', 'whitespace', 'comment') THEN 'no_code_difference'
        WHEN p.is_empty THEN 'empty_version'
        ELSE 'unlabelled'
    END AS reason,
    CASE k.code_difference
        WHEN 'none' THEN 'both versions are byte-identical'
        WHEN 'whitespace' THEN 'the versions differ in white space only'
        WHEN 'comment' THEN 'the versions differ in comments and white space only'
        ELSE CASE WHEN p.is_empty THEN 'the vulnerable version is empty' ELSE 'the pair gave no sample' END
    END AS detail,
    p.dataset,
    p.slice
-- Whether there is code is asked before the joins, which must not hold the code.
FROM (
    SELECT pair_id, dataset, slice, coalesce(vulnerable_code, '') = '' AS is_empty, unnest($label_modes) AS label_mode FROM base.pairs
) AS p
LEFT JOIN code_keys AS k ON k.pair_id = p.pair_id AND k.dataset = p.dataset AND k.slice = p.slice
LEFT ANTI JOIN samples AS s ON p.pair_id = s.pair_id AND p.label_mode = s.label_mode
UNION ALL
-- A version without text has no step: a fix that removes all code, or in the published modes one that adds it.
SELECT
    p.pair_id, s.label_mode, 'empty_version' AS reason,
    CASE s.role
        WHEN 'vulnerable' THEN 'the fixed version is empty; the vulnerable one is a sample'
        ELSE 'the vulnerable version is empty; the fixed one is a sample'
    END AS detail,
    p.dataset, p.slice
FROM (SELECT pair_id, dataset, slice FROM base.pairs WHERE vulnerable_code IS NOT NULL AND secure_code IS NOT NULL) AS p
INNER JOIN (
    SELECT pair_id, label_mode, min(role) AS role FROM samples GROUP BY pair_id, label_mode HAVING count(*) = 1
) AS s ON p.pair_id = s.pair_id
