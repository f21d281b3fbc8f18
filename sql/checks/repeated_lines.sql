--! description = "No code has more than [checks.limits] repeated_lines lines that equal the line before them, as damaged records of BigVul do"
--! severity = "warn"

SELECT pair_id, dataset, repeated_lines FROM code_keys WHERE repeated_lines > $repeated_lines
