--! description = "No nearly equal code stands in two splits; what is equal is the business of split_leaks"
--! severity = "warn"

SELECT kind, value, similarity, datasets, train, validation, test, example, other_example
FROM duplicates
WHERE kind = 'near_code' AND pairs <> greatest(train, validation, test)
