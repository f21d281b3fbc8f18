--! description = "A run and how it ended; killed where it never said so"

SELECT
    run_id,
    min(recorded_at) AS started_at,
    max(CASE WHEN status <> 'running' THEN recorded_at END) AS finished_at,
    coalesce(max(CASE WHEN status <> 'running' THEN status END), 'running or killed') AS status,
    max(version) AS version,
    max(release_id) AS release_id,
    max(failure) AS failure,
    max(config) AS config
FROM base.runs
GROUP BY run_id
