--! description = "At most [checks.limits] unparsed_share of a dataset's vulnerable samples have a file whose callers are unknown"
--! severity = "warn"

SELECT dataset, label_mode, count(*) AS samples, count(*) FILTER (WHERE n_unparsed_files > 0) AS unparsed
FROM samples
WHERE role = 'vulnerable'
GROUP BY dataset, label_mode
HAVING count(*) FILTER (WHERE n_unparsed_files > 0) > $unparsed_share * count(*)
