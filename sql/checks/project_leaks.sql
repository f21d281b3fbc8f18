--! description = "No project stands in two splits; splits by group allow it, [split] by = 'project' does not"
--! severity = "off"

SELECT value AS project, train, validation, test FROM split_conflicts WHERE kind = 'project'
