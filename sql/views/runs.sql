--! description = "A run and how it ended; killed where it never said so"
--! [columns]
--! run_id = "The run; identifiers sort by time"
--! started_at = "When it began"
--! finished_at = "When it ended; null where it never said so"
--! status = "done, failed, checks_failed or interrupted; running or killed where it never said so"
--! version = "The version of secprm"
--! release_id = "The release it published; null where it published none"
--! failure = "Why it failed"
--! config = "The effective configuration"

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
