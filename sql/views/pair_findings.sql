--! description = "The findings of a pair that label it, as label_pair() takes them: those of [label] analyzer_levels"
--! [columns]
--! findings = "The file among the pair's `files`, the lines in it, and the analyser, its rule and the level; one entry a finding"

SELECT
    pair_id,
    array_agg(
        named_struct('file', file_index, 'start_line', start_line, 'end_line', end_line, 'rule', concat_ws(' ', tool, rule_id, level))
        ORDER BY file_index, start_line, end_line, tool, rule_id
    ) AS findings,
    dataset,
    slice
FROM findings
WHERE array_has($analyzer_levels, level)
GROUP BY pair_id, dataset, slice
