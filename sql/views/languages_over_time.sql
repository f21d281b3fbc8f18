--! description = "Pairs by language and the year of their fixing commit"
--! [columns]
--! year = "The year of committed_at; null where the commit has no date"
--! pairs = "Pairs, or rows that are one side alone, labelled or not"

SELECT dataset, date_part('year', committed_at) AS year, language, count(*) AS pairs
FROM base.pairs
GROUP BY dataset, year, language
