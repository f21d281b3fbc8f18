--! description = "A group, a commit, a CVE or code stands in one split only, where splits are made by group or project"

SELECT kind, value, train, validation, test FROM split_conflicts WHERE split_by <> 'upstream'
