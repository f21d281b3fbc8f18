--! description = "Everything about one sample, one row a step; $sample_id stands for the sample"

-- The chain: raw file, pair, sample, shard, model, score. What a stage has not made yet is null.
SELECT
    s.sample_id, s.pair_id, s.role, s.label_mode, s.rule_version, s.dataset, s.subset, s.granularity, s.language, s.cwe, s.cve, s.project,
    s.commit_id, s.file_path, s.function_name, s.split, s.upstream_split, s.n_steps, s.n_chars, s.alignment, s.propagation,
    g.split_source, k.code_difference,
    r.source_file, r.source_row, r.byte_offset, r.source_hash,
    h.windows, h.tokens, h.tokenizer_id,
    s.step_index, s.text, s.label, s.label_source, s.supervised, s.start_line, s.end_line, s.file_index,
    p.files[s.file_index + 1]['path'] AS step_path,
    c.model_id, c.p_secure, c.reward, c.prefix_reward,
    v.verdict_reward, v.predicted,
    e.reasons
FROM (
    SELECT
        sample_id, pair_id, role, label_mode, rule_version, dataset, slice, subset, granularity, language, cwe, cve, project, commit_id,
        file_path, function_name, split, upstream_split, n_steps, n_chars, alignment, propagation,
        unnest(range(0, n_steps)) AS step_index, unnest(completions) AS text, unnest(labels) AS label,
        unnest(label_sources) AS label_source, unnest(supervised) AS supervised, unnest(step_start_line) AS start_line,
        unnest(step_end_line) AS end_line, unnest(step_file) AS file_index
    FROM samples WHERE sample_id = $sample_id
) AS s
LEFT JOIN base.pairs AS p ON p.pair_id = s.pair_id AND p.dataset = s.dataset AND p.slice = s.slice
LEFT JOIN splits AS g ON g.pair_id = s.pair_id AND g.dataset = s.dataset AND g.slice = s.slice
LEFT JOIN code_keys AS k ON k.pair_id = s.pair_id AND k.dataset = s.dataset AND k.slice = s.slice
LEFT JOIN (
    SELECT pair_id, min(source_file) AS source_file, min(source_row) AS source_row, min(byte_offset) AS byte_offset, min(source_hash) AS source_hash
    FROM provenance GROUP BY pair_id
) AS r ON r.pair_id = s.pair_id
LEFT JOIN (
    SELECT sample_id, count(*) AS windows, sum(n_tokens) AS tokens, min(tokenizer_id) AS tokenizer_id
    FROM train_shards WHERE sample_id = $sample_id GROUP BY sample_id
) AS h ON h.sample_id = s.sample_id
LEFT JOIN (
    SELECT model_id, sample_id, step_index, p_secure, reward, prefix_reward FROM step_scores WHERE sample_id = $sample_id
) AS c ON c.sample_id = s.sample_id AND c.step_index = s.step_index
LEFT JOIN (
    SELECT model_id, sample_id, min(reward) AS verdict_reward, min(predicted) AS predicted
    FROM verdicts WHERE sample_id = $sample_id AND aggregation = 'risk' GROUP BY model_id, sample_id
) AS v ON v.sample_id = s.sample_id
LEFT JOIN (
    SELECT
        sample_id, step_index,
        array_agg(
            named_struct(
                'source', source, 'rule', rule, 'operation', operation, 'start_line', start_line, 'end_line', end_line,
                'fixed_start_line', fixed_start_line, 'fixed_end_line', fixed_end_line, 'detail', detail
            )
            ORDER BY source, start_line
        ) AS reasons
    FROM label_evidence WHERE sample_id = $sample_id GROUP BY sample_id, step_index
) AS e ON e.sample_id = s.sample_id AND e.step_index = s.step_index
ORDER BY s.step_index
