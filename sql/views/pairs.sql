--! description = "A vulnerable/fixed pair, or one side alone, with the split it was given"

SELECT p.*, s.split
FROM base.pairs AS p
INNER JOIN splits AS s ON p.pair_id = s.pair_id AND p.dataset = s.dataset AND p.slice = s.slice
