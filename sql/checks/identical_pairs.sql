--! description = "The versions of every pair differ in code"
--! severity = "warn"

SELECT pair_id, dataset, code_difference FROM code_keys WHERE code_difference <> 'code'
