--! description = "Every 0 of a pair has its evidence and every 1 has none; an unpaired version has one label throughout"
--! severity = "error"

SELECT sample_id, pair_id, label_mode, role, labels_without_evidence(labels, evidence) AS steps, 'label and evidence differ' AS what
FROM samples
WHERE subset = 'paired' AND labels_without_evidence(labels, evidence) > 0
UNION ALL
SELECT sample_id, pair_id, label_mode, role, count_zeros(labels) AS steps, 'labels of an unpaired version differ' AS what
FROM samples
WHERE subset <> 'paired' AND count_zeros(labels) <> CASE role WHEN 'vulnerable' THEN n_steps ELSE 0 END
