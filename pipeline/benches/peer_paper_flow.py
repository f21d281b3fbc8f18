"""The published labelling procedure, as our description of mode `paper` has it, in plain Python: the peer of benches/refresh.rs.

Usage: python3 peer_paper_flow.py FOLDER_OF_SVEN   (prints MB/s of raw input; writes JSON lines to a temporary file)
"""

import difflib
import json
import pathlib
import sys
import tempfile
import time


def parts_of(before, after):
    old, new = before.strip().split("\n"), after.strip().split("\n")
    matcher = difflib.SequenceMatcher(None, old, new)
    vulnerable, fixed, changed = [], [], []
    for tag, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        pieces = "\n".join(old[a_start:a_end]).split("\n\n")
        vulnerable += pieces
        changed += [0 if tag != "equal" else 1] * len(pieces)
        fixed += "\n".join(new[b_start:b_end]).split("\n\n")
    if all(changed):
        changed[-1] = 0
    return vulnerable, changed, fixed


def main(folder):
    files = sorted(pathlib.Path(folder).glob("*/*.jsonl"))
    size = sum(file.stat().st_size for file in files)
    start = time.perf_counter()
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as out:
        for file in files:
            for line in open(file, encoding="utf-8"):
                record = json.loads(line)
                vulnerable, labels, fixed = parts_of(record["func_src_before"], record["func_src_after"])
                out.write(json.dumps({"completions": vulnerable, "labels": labels}) + "\n")
                out.write(json.dumps({"completions": fixed, "labels": [1] * len(fixed)}) + "\n")
        out.flush()
    seconds = time.perf_counter() - start
    print(f"{size / 1e6:.1f} MB in {seconds:.2f} s: {size / 1e6 / seconds:.1f} MB/s")


main(sys.argv[1])
