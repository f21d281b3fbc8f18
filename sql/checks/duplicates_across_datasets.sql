--! description = "No code stands in two datasets"
--! severity = "warn"

SELECT kind, value, datasets, pairs, train, validation, test, example, other_example
FROM duplicates
WHERE cardinality(datasets) > 1
