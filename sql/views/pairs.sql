--! description = "A vulnerable/fixed pair, or one side alone, with the split it was given and what its versions differ in"

SELECT p.*, k.code_difference, s.split
-- The code comes last, since the side that a join holds in memory must not be the one with the code.
FROM splits AS s
INNER JOIN code_keys AS k ON k.pair_id = s.pair_id AND k.dataset = s.dataset AND k.slice = s.slice
INNER JOIN base.pairs AS p ON p.pair_id = s.pair_id AND p.dataset = s.dataset AND p.slice = s.slice
