--! description = "What a sample's steps are known by when equal text is looked for"
--! scope = "slice"
--! [columns]
--! sample_id = "The sample"
--! text_hashes = "A hash of each step's text; null where it is blank"
--! prefix_hashes = "For each step a hash of all text up to its end"
--! labels = "One label a step: 1 secure, 0 vulnerable"
--! supervised = "Whether the step takes part in the loss"

-- Apart from `samples`, since training and scoring have no use for it, and computed slice by slice, so that a refresh hashes new code only.
SELECT
    sample_id, pair_id, label_mode, step_hashes(completions) AS text_hashes, prefix_hashes(completions) AS prefix_hashes,
    labels, supervised, split, dataset, slice
FROM samples
