--! description = "Every vulnerable version has at least one step labelled 0, and no fixed version has one"
--! severity = "error"

-- paper_cleaned is left out: its cleaning removes the only 0 of pairs whose fix only inserts, a defect it is kept to show.
SELECT sample_id, pair_id, label_mode, role
FROM samples
WHERE label_mode <> 'paper_cleaned' AND ((role = 'vulnerable' AND NOT vulnerable) OR (role <> 'vulnerable' AND vulnerable))
