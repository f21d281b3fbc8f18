--! description = "One tokenised example: a window of one sample's steps, for training and for scoring"
--! scope = "slice"
--! [columns]
--! sample_id = "The sample"
--! window_index = "0 unless the sample is longer than max_tokens and was cut at step boundaries"
--! step_indices = "The sample's steps in this window"
--! input_ids = "Token ids: prompt, then each step and its separator"
--! step_positions = "Index into input_ids of each step's separator (its last token): where the head is read"
--! step_labels = "One label a step: 1 secure, 0 vulnerable"
--! step_supervised = "Whether the step takes part in the loss"
--! n_supervised = "Steps in this window that take part in the loss"
--! n_tokens = "Length of input_ids"
--! code_tokens = "Length of the whole sample: its steps and separators over all windows, steps too long for one among them, and no prompt (table 11)"
--! tokenizer_id = "The tokenizer that made the ids"

SELECT
    sample_id,
    e['window_index'] AS window_index,
    e['step_indices'] AS step_indices,
    e['input_ids'] AS input_ids,
    e['step_positions'] AS step_positions,
    e['step_labels'] AS step_labels,
    e['step_supervised'] AS step_supervised,
    -- Counted here, so that the mixture is summed up without reading a list of every window.
    CAST(cardinality(array_remove_all(e['step_supervised'], false)) AS INT) AS n_supervised,
    e['n_tokens'] AS n_tokens,
    e['code_tokens'] AS code_tokens,
    tokenizer_id,
    label_mode,
    vulnerable,
    language,
    subset,
    split,
    dataset,
    slice
FROM (
    SELECT
        s.sample_id, s.label_mode, s.vulnerable, s.language, s.subset, s.split, s.dataset, s.slice, t.tokenizer_id,
        unnest(encode_example(s.prompt, s.completions, s.labels, s.supervised, t.tokenizer_id, $max_tokens)) AS e
    FROM samples AS s
    CROSS JOIN tokenizers AS t
    WHERE s.label_mode = $train_label_mode
) AS encoded
