--! description = "What a pair's code is known by when splits look for equal and nearly equal code, and what its versions differ in"
--! scope = "slice"
--! [columns]
--! pair_id = "The pair"
--! code_hashes = "Hashes of the code of each file of each version, without comments and layout; none of a text without code"
--! vulnerable_hashes = "Those of the vulnerable version, without files that both versions have"
--! secure_hashes = "Those of the fixed (or never vulnerable) version, without files that both versions have"
--! signatures = "MinHash signatures of the files of the vulnerable (or only) version that have at least 50 tokens: 120 values of 16 bits, the lower byte first"
--! repeated_lines = "Lines of at least 20 bytes that equal the line before them, in the version that has more"
--! code_difference = "none, whitespace, comment or code: what the versions differ in; null where there is one side only"

-- unnest() keeps the planner from calling code_keys() once for each field.
SELECT
    pair_id, keys['code_hashes'] AS code_hashes, keys['vulnerable_hashes'] AS vulnerable_hashes,
    keys['secure_hashes'] AS secure_hashes, keys['signatures'] AS signatures,
    keys['repeated_lines'] AS repeated_lines, keys['code_difference'] AS code_difference,
    dataset, slice
FROM (
    SELECT pair_id, unnest([code_keys(vulnerable_code, secure_code, language, files)]) AS keys, dataset, slice
    FROM base.pairs
) AS keyed
