"""Asks DuckDB what `history` asks: rows from an Arrow stream, questions from the standard input, answers to the output.

python3 history_duckdb.py ROWS.arrows DATABASE (needs the packages duckdb and pyarrow). One thread, as ours is one.
"""

import json
import pathlib
import sys
import time

import duckdb
import pyarrow.ipc

ROUNDS = 5

rows, path = sys.argv[1:]
is_new = not pathlib.Path(path).exists()
database = duckdb.connect(path, config={"threads": 1})
if is_new:
    stream = pyarrow.ipc.open_stream(rows)
    database.execute("CREATE TABLE processes_history AS SELECT * FROM stream ORDER BY seen_from")
    database.execute("CHECKPOINT")
answers = []
for question in json.load(sys.stdin):
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        answer = database.execute(question).fetchall()
        took.append(time.perf_counter() - began)
    answers.append({"micros": sorted(took)[ROUNDS // 2] * 1e6, "rows": answer})
json.dump(answers, sys.stdout)
