"""The shipped views over the Parquet files of a release, in secprm and in DuckDB: how long each takes, medians of five.

Usage: python3 peer_views.py SECPRM CONFIG   (needs the PyPI package duckdb; run it in the repository)

Both are timed on an open session, DuckDB by its query alone, secprm by what a process takes longer that asks six times rather than once.
Beside it, what a person waits for: the whole process that asks once.
Views that give few rows are read whole; of views with a row a pair, step or sample, the rows are counted by dataset.
"""

import pathlib
import re
import statistics
import subprocess
import sys
import time

import duckdb

COUNTED = [
    "pairs", "rejects", "label_evidence", "training_samples", "training_shards", "steps", "split_conflicts_live",
]
WHOLE = [
    "dataset_stats", "language_stats", "cwe_stats", "label_sources", "reject_stats", "languages_over_time", "cwes_over_time", "mixture",
]
PARAMETERS = {
    "train_label_mode": "'natural'", "mix_leave_out": "['bigvul', 'primevul/unpaired']", "mix_repeats": "MAP {'none': 1}",
    "analyzer_levels": "['error', 'warning']",
}
MACROS = """
    CREATE MACRO of_length(l, n) AS l;
    CREATE MACRO cardinality(l) AS len(l);
    CREATE MACRO array_remove_all(l, v) AS list_filter(l, lambda x: x <> v);
    CREATE MACRO array_has(l, v) AS list_contains(l, v);
    CREATE MACRO regexp_like(t, p) AS regexp_matches(t, p);
"""
ROUNDS = 5
# How often more than once a process asks that is to tell what a query takes on an open session.
AGAIN = 5


def secprm(binary, config, *arguments):
    start = time.perf_counter()
    done = subprocess.run([binary, "--config", config, *arguments], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return (done.stdout if done.returncode == 0 else None), seconds


def connect(binary, config):
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    connection.execute("CREATE SCHEMA base")
    connection.execute(MACROS)
    listed, _ = secprm(binary, config, "status", "--format", "csv")
    for name in [line.split(",")[0] for line in listed.splitlines()[1:]]:
        files, _ = secprm(binary, config, "files", name, "--format", "csv")
        paths = re.findall(r"[^,\s\"]+\.parquet", files)
        if paths:
            source = f"SELECT * FROM read_parquet({paths!r}, hive_partitioning = true)"
            for schema in ["main", "base"]:
                connection.execute(f"CREATE VIEW {schema}.{name} AS {source}")
    return connection


def add_views(connection):
    waiting = {path.stem: path.read_text() for path in sorted(pathlib.Path("sql/views").glob("*.sql"))}
    failures = {}
    for _ in range(len(waiting)):
        for name in list(waiting):
            text = re.sub(r"\$(\w+)", lambda found: PARAMETERS.get(found[1], found[0]), waiting[name])
            try:
                connection.execute(f"CREATE OR REPLACE VIEW main.{name} AS {text}")
                del waiting[name]
            except duckdb.Error as error:
                failures[name] = str(error).splitlines()[0]
    return {name: failures[name] for name in waiting}


def main(binary, config):
    connection = connect(binary, config)
    failures = add_views(connection)
    print("| view | rows | whole process, s | secprm, s | DuckDB, s | ratio |\n| --- | --- | --- | --- | --- | --- |")
    for view in WHOLE + COUNTED:
        by = "kind" if view == "split_conflicts_live" else "dataset"
        query = f"SELECT * FROM {view}" if view in WHOLE else f"SELECT {by}, count(*) FROM {view} GROUP BY {by}"
        whole, repeated, theirs, rows = [], [], [], "?"
        for _ in range(ROUNDS):
            answer, seconds = secprm(binary, config, "sql", "-c", query, "--format", "csv")
            rows = "failed" if answer is None else max(answer.count("\n") - 1, 0)
            whole.append(seconds)
            repeated.append(secprm(binary, config, "sql", "-c", ";".join([query] * (1 + AGAIN)), "--format", "csv")[1])
            if view not in failures:
                start = time.perf_counter()
                try:
                    connection.execute(query).fetchall()
                    theirs.append(time.perf_counter() - start)
                except duckdb.Error as error:
                    failures[view] = str(error).splitlines()[0]
        process, peer = statistics.median(whole), statistics.median(theirs) if theirs else None
        own = max((statistics.median(repeated) - process) / AGAIN, 0.001)
        told = f"{peer:.3f} | {own / peer:.2f}" if peer else "not its SQL | "
        print(f"| `{view}` | {rows} | {process:.3f} | {own:.3f} | {told} |", flush=True)
    for view, failure in failures.items():
        print(f"DuckDB, {view}: {failure}", file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
