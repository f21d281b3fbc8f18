--! description = "Every version of every pair is a sample or a reject in every label mode"
--! severity = "error"

-- Counted anew from pairs, samples and label_rejects, whoever wrote them.
SELECT p.pair_id, p.label_mode, 'neither a sample nor a reject' AS what, p.dataset
FROM (SELECT pair_id, unnest($label_modes) AS label_mode, dataset FROM base.pairs) AS p
LEFT ANTI JOIN samples AS s ON s.pair_id = p.pair_id AND s.label_mode = p.label_mode
LEFT ANTI JOIN label_rejects AS r ON r.pair_id = p.pair_id AND r.label_mode = p.label_mode
UNION ALL
SELECT s.pair_id, s.label_mode, concat('the ', s.role, ' version alone, and no reject of the other') AS what, s.dataset
FROM samples AS s
LEFT ANTI JOIN samples AS o ON o.pair_id = s.pair_id AND o.label_mode = s.label_mode AND o.role <> s.role
LEFT ANTI JOIN label_rejects AS r ON r.pair_id = s.pair_id AND r.label_mode = s.label_mode
WHERE s.subset = 'paired'
UNION ALL
SELECT pair_id, label_mode, detail AS what, dataset
FROM label_rejects
WHERE reason = 'unlabelled'
