--! description = "Every finding in a pair that gave a vulnerable sample lies in the lines of one of its steps"
--! severity = "warn"

-- One that does not is of another text than the pair has: of an older release, perhaps.
SELECT f.pair_id, f.file_index, f.start_line, f.end_line, f.tool, f.rule_id
FROM findings AS f
LEFT SEMI JOIN samples AS s ON s.pair_id = f.pair_id AND s.dataset = f.dataset AND s.role = 'vulnerable'
LEFT ANTI JOIN step_findings AS i
    ON i.pair_id = f.pair_id AND i.dataset = f.dataset AND i.file_index = f.file_index AND i.start_line = f.start_line AND i.end_line = f.end_line
