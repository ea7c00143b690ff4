"""Our MinHash deduplication, for benchmarks/dedup.py; each command in a process of its own.

python -m benchmarks.dedup_side whole FOLDER OUT.json
python -m benchmarks.dedup_side sign DOCUMENTS.parquet OUT.json
python -m benchmarks.dedup_side central DOCUMENTS OUT.json
"""

import json
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import Flow, InProcess, Pipeline, Store, run
from pipelines.exchange import between
from pipelines.shelf import write_sketch
from pipelines.tasks import Task, perform
from stages.base import DOCUMENT
from stages.config import dump_step
from stages.dedup import MinHashDedup
from stages.measure import WORD_HASHES, Measure
from stages.read import Parquet
from stages.shards import SKETCH

ROWS = 256  # documents of a batch
SHARDS = 1_000  # that made-up documents are spread over
BUCKETS = 10  # of 14 bands, that the documents of a cluster share


class Counted(InProcess):
    """Notes of every round its tasks, CPU seconds, peak memory, and bytes and rows of every file."""

    def __init__(self) -> None:
        self.rounds: dict[str, dict[str, Any]] = {}

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, Any]]:
        some = list(tasks)
        if not some:
            return
        name = some[0].kind
        name = f"{name} again" if name in self.rounds else name
        about = self.rounds[name] = {"tasks": len(some), "seconds": 0.0, "peak": 0, "files": {}}
        for task in some:
            commit, seconds, about["before"], peak = measured(store, task)
            about["seconds"] += seconds
            about["peak"] = max(about["peak"], peak)
            for file, said in commit.files.items():
                sums = about["files"].setdefault(file, [0, 0])
                sums[:] = sums[0] + said.bytes, sums[1] + said.rows
            yield task, commit


def measured(store: Store, task: Task) -> tuple[Any, float, int, int]:
    """What a task commits, its CPU seconds, and the memory of the process before and at most within."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, start = memory("VmRSS"), time.process_time()
    commit = perform(store, task)
    return commit, time.process_time() - start, before, memory("VmHWM")


def memory(line: str) -> int:
    """Bytes of a line of this process's status; ru_maxrss would be that of who started us."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{line}:\s+(\d+)", status)
    assert found
    return int(found[1]) * 1024


def whole(folder: str, out: str) -> None:
    """Read, sign, exchange, verify, cluster and filter folder/*.parquet in this process.

    Kernels are compiled and libraries loaded before, by a run over folder/warm/*.parquet.
    """
    once(f"{folder}/warm/*.parquet", f"{out}.store", InProcess())
    counted, start = Counted(), time.process_time()
    decided = once(f"{folder}/*.parquet", f"{out}.store", counted)
    found = {
        "seconds": time.process_time() - start,
        "peak": max(about["peak"] for about in counted.rounds.values()),
        "rounds": counted.rounds,
    }
    Path(out).write_text(json.dumps({**found, **decided}), "utf-8")


def once(paths: str, store: str, runner: InProcess) -> dict[str, Any]:
    """One run into a store that is thrown away; who left, for whom, in the order of the input."""
    shutil.rmtree(store, ignore_errors=True)
    done = run(
        Pipeline("dedup", {"crawl": Flow([Parquet(paths=paths)], [MinHashDedup()])}),
        store,
        runner,
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


def central(documents: str, out: str) -> None:
    """The rounds that are one task each, over so many documents, three to a cluster, two of which leave."""
    shutil.rmtree(f"{out}.store", ignore_errors=True)
    store, barrier = Store(f"{out}.store"), MinHashDedup()
    store.note("passes/barrier.json", dump_step(barrier))
    docs = clusters(int(documents) // 3)
    made: dict[str, Any] = {"rows": docs.size * BUCKETS, "pairs": len(docs) * 2}
    put(store, "proposed", {"proposals.parquet": memberships(docs)})
    doc, other = docs[:, 1:].ravel(), docs[:, 0].repeat(2)
    sure = {"value": np.full(len(doc), 0.9), "leaves": np.ones(len(doc), bool)}
    put(store, "verified", {"proposals.parquet": pa.table({"doc": doc, "other": other, **sure})})
    ids = pa.array([f"crawl/{at:032}" for at in range(len(docs))])
    put(store, "named", {"names.parquet": pa.table({"doc": docs[:, 0], "id": ids})})
    del docs, doc, other, sure, ids
    for kind, args in (
        ("ask", ("barrier", listed(store, "proposed"))),
        ("conclude", ("barrier", listed(store, "verified"))),
        ("settle", ("conclude", listed(store, "named"))),
    ):
        made[kind] = round_of(store, Task(kind, kind, args))
    made["open"] = opening(store)
    Path(out).write_text(json.dumps(made), encoding="utf-8")
    shutil.rmtree(f"{out}.store")


def opening(store: Store) -> dict[str, float]:
    """What a range of the key costs in each shard of 50,000 documents: CPU seconds, bytes of the file."""
    key = np.random.default_rng(0).integers(0, 1 << 64, 14 * 50_000, np.uint64)
    row = np.arange(len(key), dtype=np.uint32) // np.uint32(14)
    folder, times = store.scratch("sketched"), 50
    write_sketch(folder, [pa.table({"key": key, "row": row})])
    store.commit("sketched", folder, {}, {})
    path = store.open("sketched", SKETCH)
    start = time.process_time()
    for at in range(times):
        low = at << 58
        pq.read_table(path, filters=between("key", low, low + (1 << 64) // 35_000))
    seconds = (time.process_time() - start) / times
    file = pq.ParquetFile(path).metadata
    return {"seconds": seconds, "bytes": path.stat().st_size, "groups": file.num_row_groups}


def clusters(count: int) -> np.ndarray:
    """The documents of each cluster, a row of three, in order: far from each other, as in a crawl."""
    place = np.arange(3 * count, dtype=np.uint64).reshape(3, count).T
    docs = place % np.uint64(SHARDS) << np.uint64(32) | place // np.uint64(SHARDS)
    docs.sort(axis=1)
    return docs


def memberships(docs: np.ndarray) -> pa.Table:
    """What `decide` says of clusters: the documents of each bucket, in order of key and document."""
    keys = np.random.default_rng(0).integers(0, 1 << 64, (len(docs), BUCKETS), np.uint64).ravel()
    order = np.argsort(keys)
    return pa.table({"key": keys[order].repeat(3), "doc": docs[order // BUCKETS].ravel()})


def put(store: Store, key: str, tables: dict[str, pa.Table]) -> None:
    """Commit tables as a task would."""
    folder = store.scratch(key)
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd", compression_level=1)
    store.commit(key, folder, {}, {})


def listed(store: Store, key: str) -> str:
    store.note(f"manifests/{key}.json", [key])
    return key


def round_of(store: Store, task: Task) -> dict[str, float]:
    """CPU seconds, and bytes of memory beyond what the process held before."""
    pa.default_memory_pool().release_unused()
    _, seconds, before, peak = measured(store, task)
    return {"seconds": seconds, "bytes": peak - before}


if __name__ == "__main__":
    {"whole": whole, "sign": sign, "central": central}[sys.argv[1]](*sys.argv[2:])
