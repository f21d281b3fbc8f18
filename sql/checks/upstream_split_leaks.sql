--! description = "A group, a commit, a CVE or code stands in one of the datasets' own splits only, where those are taken as they are"
--! severity = "warn"

SELECT kind, value, train, validation, test FROM split_conflicts WHERE split_by = 'upstream' AND kind <> 'project'
