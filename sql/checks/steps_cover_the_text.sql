--! description = "Law 3: in mode natural the steps' byte ranges join up and end where the text ends"
--! severity = "error"

SELECT s.sample_id, s.role
FROM samples AS s
INNER JOIN base.pairs AS p ON p.pair_id = s.pair_id AND p.dataset = s.dataset AND p.slice = s.slice
WHERE s.label_mode = 'natural'
    AND (
        s.step_start_byte[1] <> 0
        OR array_slice(s.step_start_byte, 2, s.n_steps)
            <> array_slice(s.step_end_byte, 1, s.n_steps - 1)
        -- Without comments the steps are those of a shorter text.
        OR (
            $label_options NOT LIKE '%"comments":"strip"%'
            AND s.step_end_byte[s.n_steps]
                <> octet_length(CASE WHEN s.role = 'vulnerable' THEN p.vulnerable_code ELSE p.secure_code END)
        )
    )
