--! description = "A group, commit, CVE, code or project that stands in more than one split"
--! scope = "global"
--! [columns]
--! kind = "group, commit, cve, code or project"
--! value = "The group_id; the commit (with its project before it where it is no full hash); the CVE; the hash of the code; the project"
--! split_by = "The rule that the splits were made by: group, upstream or project"
--! train = "Pairs in train that have it"
--! validation = "Pairs in validation that have it"
--! test = "Pairs in test that have it"

-- A table, since it looks at everything and finds little. The check split_leaks takes no stage's word and looks again.
SELECT kind, value, split_by, train, validation, test FROM split_conflicts_live
