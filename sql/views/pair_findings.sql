--! description = "The findings of a pair that label it, as label_pair() takes them: those of [label] analyzer_levels"
--! [columns]
--! findings = "The file among the pair's `files` and the lines in it, one entry a finding"

SELECT
    pair_id,
    array_agg(
        named_struct('file', file_index, 'start_line', start_line, 'end_line', end_line)
        ORDER BY file_index, start_line, end_line
    ) AS findings,
    dataset,
    slice
FROM findings
WHERE array_has($analyzer_levels, level)
GROUP BY pair_id, dataset, slice
