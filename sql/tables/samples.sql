--! description = "One code version with its steps, in one label mode"
--! scope = "slice"
--! [columns]
--! sample_id = "Hash of pair, role, label mode, code and rule version"
--! pair_id = "The pair the version belongs to"
--! role = "vulnerable, fixed, or secure (an unpaired row that was never vulnerable)"
--! label_mode = "natural, paper or paper_cleaned"
--! rule_version = "Version of the label rules that were applied"
--! prompt = "The constant sentence before the first step (TRL's `prompt`)"
--! completions = "The steps' text, original bytes (TRL's `completions`)"
--! labels = "One label a step: 1 secure, 0 vulnerable (TRL's `labels`)"
--! label_sources = "The rules that decided each step's label, joined by +"
--! supervised = "Whether the step takes part in the loss; false where both versions are byte-identical up to here but the labels differ"
--! step_start_byte = "First byte of each step in the code version (without its comments, where [label] comments = strip)"
--! step_end_byte = "Byte after each step"
--! step_start_line = "First line of each step, from 1; lines count on from file to file, and each file begins a line of its own"
--! step_end_line = "Last line of each step"
--! step_file = "Index of the file each step lies in (pairs.files); 0 where a sample is one text"
--! evidence = "Why steps of a pair's vulnerable version are labelled 0, one entry a reason, by step (view label_evidence)"
--! n_chars = "Length in code points: in `natural` of the text, in the `paper` modes of the steps joined by the separator (table 11)"
--! n_steps = "Number of steps"
--! vulnerable = "Whether any step is labelled 0: the sample's own label"
--! alignment = "gestalt, or histogram where the pair was too large for it"
--! n_propagated = "Steps with the source caller: of functions that call a vulnerable one"
--! propagation = "none: no callers; full: all callers are marked; capped: the farther ones are left out, for their share of the steps"
--! n_unparsed_files = "Files whose callers are unknown: too large, or too much work to parse"

-- label_pair() reads both versions at once and is called once a pair: everything below reads its answer.
SELECT
    stable_id('sample', pair_id, s['role'], s['label_mode'], s['code_hash'], s['rule_version']) AS sample_id,
    pair_id,
    s['role'] AS role,
    s['label_mode'] AS label_mode,
    s['rule_version'] AS rule_version,
    $prompt AS prompt,
    s['completions'] AS completions,
    s['labels'] AS labels,
    s['label_sources'] AS label_sources,
    s['supervised'] AS supervised,
    s['step_start_byte'] AS step_start_byte,
    s['step_end_byte'] AS step_end_byte,
    s['step_start_line'] AS step_start_line,
    s['step_end_line'] AS step_end_line,
    s['step_file'] AS step_file,
    s['evidence'] AS evidence,
    s['n_chars'] AS n_chars,
    s['n_steps'] AS n_steps,
    s['vulnerable'] AS vulnerable,
    s['alignment'] AS alignment,
    s['n_propagated'] AS n_propagated,
    s['propagation'] AS propagation,
    s['n_unparsed_files'] AS n_unparsed_files,
    subset, split, upstream_split, granularity, language, cwe, cve, project, commit_id, committed_at, file_path, function_name,
    dataset,
    slice
FROM (
    SELECT
        p.*,
        g.split,
        unnest(
            label_pair(
                p.vulnerable_code, p.secure_code, p.language, $label_modes, $label_options, p.files, p.expert_lines, f.findings
            )
        ) AS s
    -- The code comes last, since the side that a join holds in memory must not be the one with the code.
    FROM splits AS g
    LEFT JOIN pair_findings AS f ON f.pair_id = g.pair_id AND f.dataset = g.dataset AND f.slice = g.slice
    INNER JOIN base.pairs AS p ON p.pair_id = g.pair_id AND p.dataset = g.dataset AND p.slice = g.slice
) AS labelled
