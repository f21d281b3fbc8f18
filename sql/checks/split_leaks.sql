--! description = "A group, a commit, a CVE, code or (by project) a project stands in one split only, where splits are made by group or project"

SELECT kind, value, train, validation, test FROM split_conflicts_live
-- Splits by group may part a project; see project_leaks.
WHERE split_by <> 'upstream' AND (kind <> 'project' OR split_by = 'project')
