--! description = "Every pair gave samples or a reject in every label mode"
--! severity = "error"

SELECT pair_id, label_mode, reason, detail, dataset
FROM label_rejects
WHERE reason = 'unlabelled'
