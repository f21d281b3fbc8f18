--! description = "Every vulnerable version has at least one step labelled 0, and no fixed version has one"
--! severity = "error"

SELECT sample_id, pair_id, label_mode, role
FROM samples
WHERE (role = 'vulnerable' AND NOT vulnerable) OR (role <> 'vulnerable' AND vulnerable)
