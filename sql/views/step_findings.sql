--! description = "A step of a vulnerable version and a static analyser's finding in its lines, whatever the finding's level"
--! [columns]
--! tool = "The analyser, as it calls itself"
--! tool_version = "Its version, where it tells"
--! rule_id = "The rule, where the analyser names it"
--! level = "error, warning, note or none; [label] analyzer_levels says which label"
--! message = "What the analyser says"
--! file_index = "The file among the pair's `files`, from 0"
--! step_index = "The step in its sample, from 0"
--! label = "The step's label: 1 secure, 0 vulnerable"
--! label_source = "The rules that decided it, joined by +"
--! start_line = "The finding's first line, from 1, in its file"
--! end_line = "The finding's last line"

-- Lines of a step count from the start of the sample, lines of a finding from that of its file: the file's first step tells the difference.
-- With [label] comments = "strip" a step's lines are those of the stripped text, so that the step shown may be one farther down.
SELECT
    sample_id, pair_id, label_mode, step_index, tool, tool_version, rule_id, level, message, file_index, start_line, end_line,
    label, label_source, dataset, slice
FROM (
    SELECT
        s.sample_id, s.pair_id, s.label_mode, f.tool, f.tool_version, f.rule_id, f.level, f.message, f.file_index, f.start_line, f.end_line,
        s.step_start_line[CAST(array_position(s.step_file, f.file_index) AS BIGINT)] - 1 AS lines_before,
        unnest(of_length(range(0, s.n_steps), s.n_steps)) AS step_index,
        unnest(of_length(s.step_file, s.n_steps)) AS step_file,
        unnest(of_length(s.step_start_line, s.n_steps)) AS step_start_line,
        unnest(of_length(s.step_end_line, s.n_steps)) AS step_end_line,
        unnest(of_length(s.labels, s.n_steps)) AS label,
        unnest(of_length(s.label_sources, s.n_steps)) AS label_source,
        s.dataset, s.slice
    FROM findings AS f
    INNER JOIN samples AS s ON s.pair_id = f.pair_id AND s.dataset = f.dataset AND s.slice = f.slice
    WHERE s.role = 'vulnerable'
) AS crossed
WHERE step_file = file_index AND step_start_line <= lines_before + end_line AND lines_before + start_line <= step_end_line
