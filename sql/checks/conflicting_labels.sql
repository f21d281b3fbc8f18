--! description = "No function or file is vulnerable in one pair and secure in another"
--! severity = "warn"

SELECT value, vulnerable, secure, pairs, datasets, splits, vulnerable_example, secure_example
FROM label_conflicts
WHERE kind = 'file'
