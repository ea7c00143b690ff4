"""Our MinHash deduplication, for benchmarks/dedup.py; each command in a process of its own.

python -m benchmarks.dedup_side whole FOLDER OUT.json
python -m benchmarks.dedup_side sign DOCUMENTS.parquet OUT.json
"""

import json
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines import Flow, InProcess, Pipeline, run
from stages.base import DOCUMENT
from stages.dedup import MinHashDedup
from stages.measure import WORD_HASHES, Measure
from stages.read import Parquet

ROWS = 256  # documents of a batch


def whole(folder: str, out: str) -> None:
    """Read, sign, exchange, verify, cluster and filter folder/*.parquet in this process.

    Kernels are compiled and libraries loaded before, by a run over folder/warm/*.parquet.
    """
    once(f"{folder}/warm/*.parquet", f"{out}.store")
    start = time.process_time()
    decided = once(f"{folder}/*.parquet", f"{out}.store")
    seconds = time.process_time() - start
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of who started us
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024
    Path(out).write_text(json.dumps({"seconds": seconds, "peak": peak, **decided}), "utf-8")


def once(paths: str, store: str) -> dict[str, Any]:
    """One run into a store that is thrown away; who left, for whom, in the order of the input."""
    shutil.rmtree(store, ignore_errors=True)
    done = run(
        Pipeline("dedup", {"crawl": Flow([Parquet(paths=paths)], [MinHashDedup()])}),
        store,
        InProcess(),
    )
    last = done.record["stretches"][-1]
    rejects = [pq.read_table(done.store.open(key, "rejects.parquet")) for key in last["keys"]]
    found = {
        "copies": [name for part in rejects for name in part["id"].to_pylist()],
        "kept": [name for part in rejects for name in part["copy_of"].to_pylist()],
        "similarity": [value for part in rejects for value in part["value"].to_pylist()],
    }
    shutil.rmtree(store)
    return found


def sign(documents: str, out: str) -> None:
    """CPU seconds from texts to signatures, and of the signatures alone."""
    table = pq.read_table(documents).select(DOCUMENT.names).cast(DOCUMENT)
    batches = table.combine_chunks().to_batches(max_chunksize=ROWS)
    measure, barrier = Measure(names=(WORD_HASHES,)), MinHashDedup()
    barrier.sign(measure(batches[0])[WORD_HASHES])
    signing, start = 0.0, time.process_time()
    for batch in batches:
        column = measure(batch)[WORD_HASHES]
        began = time.process_time()
        barrier.sign(column)
        signing += time.process_time() - began
    found = {"seconds": time.process_time() - start, "hashing": signing}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    {"whole": whole, "sign": sign}[sys.argv[1]](*sys.argv[2:])
