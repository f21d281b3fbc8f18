--! description = "One reason for a step's label 0: the label ledger"
--! [columns]
--! sample_id = "The sample: a pair's vulnerable version"
--! step_index = "The step in its sample, from 0"
--! source = "diff, insertion, expert, analyzer, caller; forced in the published modes"
--! rule = "The rule that speaks: its number in LABELS.md, or the published procedure"
--! rule_version = "Version of the label rules of the mode"
--! operation = "What the fix does to the lines: replace, delete or insert; null where the reason is no difference"
--! start_line = "First line of the vulnerable version that the reason names, as steps count lines"
--! end_line = "Last line; the one before start_line where the place is empty"
--! fixed_start_line = "First line of the fixed version that the fix brings there"
--! fixed_end_line = "Last line"
--! detail = "The chain of calls down to the vulnerable function; the analyser, its rule and level; what is special about a hunk"

-- What is labelled without a difference needs no entry: unpaired versions have the source `sequence` on every step.
SELECT
    sample_id, pair_id, label_mode,
    e['step_index'] AS step_index,
    e['source'] AS source,
    CASE
        WHEN label_mode <> 'natural' THEN 'published procedure'
        WHEN e['source'] IN ('diff', 'insertion') THEN 'rule 6'
        WHEN e['source'] = 'caller' THEN 'rule 8'
        ELSE 'rule 10'
    END AS rule,
    rule_version,
    e['operation'] AS operation,
    e['start_line'] AS start_line,
    e['end_line'] AS end_line,
    e['fixed_start_line'] AS fixed_start_line,
    e['fixed_end_line'] AS fixed_end_line,
    e['detail'] AS detail,
    split, dataset, slice
FROM (SELECT sample_id, pair_id, label_mode, rule_version, split, dataset, slice, unnest(evidence) AS e FROM samples) AS reasons
