"""Five crawls one after another against an index, and one run over all of them: what it costs, what it keeps.

    python -m benchmarks.index DOCUMENTS.parquet [--documents N]

DOCUMENTS has the column `text`; its rows are dealt to the crawls by chance, so that most copies of a
document are in other crawls.
"""

import argparse
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.page import CACHE, circumstances, keep, table, words
from pipelines import Flow, InProcess, Pipeline, Run, run
from stages.base import DOCUMENT
from stages.dedup import ExactDedup, MinHashDedup, Remember
from stages.dedup import index as index_module
from stages.dedup.compact import compact
from stages.dedup.index import File, Index
from stages.read import Parquet

CRAWLS = 5
WORK = CACHE / "index"
PACKAGES = ("bateia", "pyarrow", "numba")
Found = dict[str, Any]


class Counted:
    """Look-ups and files of indexes in this process."""

    def __init__(self) -> None:
        self.keys = self.passed = 0
        self.files: dict[str, int] = {}
        asked, opened = index_module.may_hold, Index.open

        def may_hold(held: Any, keys: Any) -> Any:
            found = asked(held, keys)
            self.keys, self.passed = self.keys + len(keys), self.passed + int(found.sum())
            return found

        def opening(index: Index, file: File) -> Path:
            self.files[file.path] = file.bytes
            return opened(index, file)

        index_module.may_hold, Index.open = may_hold, opening  # type: ignore[method-assign, assignment]

    def taken(self) -> Found:
        """What was counted since the last time."""
        read = {"tables": 0, "bloom": 0, "documents": 0}
        for path, size in self.files.items():
            kind = "bloom" if path.endswith(".bloom") else path.partition("/")[0]
            read["documents" if kind == "crawls" else kind] += size
        found = {"keys": self.keys, "passed": self.passed, "read": read}
        self.keys = self.passed = 0
        self.files = {}
        return found


def main() -> None:
    """Measure, and write the page."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("documents", type=Path)
    asked.add_argument("--documents", type=int, default=20_000, dest="count")
    given = asked.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    results = measured(given.documents, given.count)
    results["about"] = circumstances(*PACKAGES)
    keep("index", results, page(results))


def deal(documents: Path, count: int) -> tuple[list[Path], float]:
    """The crawls, a file each, and their MB of text."""
    rows = pq.read_table(documents, columns=["text"]).slice(0, count)
    draw = np.random.default_rng(0)
    crawl = draw.integers(0, CRAWLS, rows.num_rows)
    columns = {
        "id": [f"{at}" for at in range(rows.num_rows)],
        "text": rows["text"].cast(pa.large_string()),
        "source": ["bench"] * rows.num_rows,
        "url": [f"bench://{at}" for at in range(rows.num_rows)],
        "date": pa.nulls(rows.num_rows, pa.timestamp("s")),
        "meta": pa.nulls(rows.num_rows, DOCUMENT.field("meta").type),
    }
    made, paths = pa.table(columns, DOCUMENT), []
    for at in range(CRAWLS):
        paths.append(WORK / "in" / f"{at}.parquet")
        paths[-1].parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(made.filter(pa.array(crawl == at)), paths[-1], row_group_size=1_000)
    pq.write_table(made.slice(0, 300), WORK / "warm.parquet")
    return paths, made["text"].nbytes / 1e6


def once(paths: list[Path], store: str, index: Path | None = None, name: str = "") -> Found:
    """One run: what stays, and CPU seconds of deduplication and of remembering."""
    against = str(index) if index else None
    steps = [ExactDedup(against=against), MinHashDedup(against=against)]
    flows = {"crawl": Flow([Parquet(paths=str(path)) for path in paths], steps)}
    if index:
        flows["remembered"] = Flow(["crawl"], [Remember(index=str(index), crawl=name)])
    start = time.process_time()
    done = run(Pipeline("index", flows), str(WORK / store), InProcess())
    seconds = time.process_time() - start
    adding, sizes = 0.0, {}
    if index:
        made = done.store.get(done.record["stretches"][-1]["keys"][0]).made
        adding, numbers = made["cpu"], made["job"]["numbers"]
        del numbers["documents"]  # how many; the others are bytes
        sizes = {name.removesuffix("_bytes"): many for name, many in numbers.items()}
    return {"stay": stays(done), "seconds": seconds - adding, "adding": adding, "bytes": sizes}


def stays(done: Run) -> list[str]:
    last = [one for one in done.record["stretches"] if one["flow"] == "crawl"][-1]
    tables = [
        pq.read_table(done.store.open(k, "documents.parquet"), columns=["url"])
        for k in last["keys"]
    ]
    return [url for part in tables for url in part["url"].to_pylist()]


def measured(documents: Path, count: int) -> Found:
    """Both ways, over the same documents."""
    paths, size = deal(documents, count)
    for name in ("a", "b"):  # kernels are compiled before anything is measured
        once([WORK / "warm.parquet"], "warm", WORK / "warm-index", name)
    whole = once(paths, "whole")
    counted, rows, stay = Counted(), [], []
    total: dict[str, int] = {}
    for at, path in enumerate(paths):
        found = once([path], "store", WORK / "index", f"C-{at}")
        stay += found.pop("stay")
        for name, many in found["bytes"].items():
            total[name] = total.get(name, 0) + many
        rows.append({"crawl": at + 1, **found, **counted.taken()})
    if sorted(stay) != sorted(whole["stay"]):
        raise AssertionError("the crawls one after another do not keep what one run keeps")
    compact(Index(str(WORK / "index")))
    parts = Index(str(WORK / "index")).manifest().parts
    merged = sum(part.rows.bytes + part.bloom.bytes for part in parts)
    return {
        "documents": count, "mb": size, "kept": len(stay), "whole": whole["seconds"],
        "crawls": rows, "bytes": total, "compacted": merged,
    }  # fmt: skip


def page(found: Found) -> str:
    """The section of docs/benchmarks.md."""
    kept, rows = found["kept"], found["crawls"]
    crawls = [
        (row["crawl"], row["seconds"], row["adding"], row["keys"], row["passed"],
         1 - row["passed"] / row["keys"] if row["keys"] else None,
         *(row["read"][kind] / 1e6 for kind in ("bloom", "tables", "documents")))
        for row in rows
    ]  # fmt: skip
    crawls = [(*row[:5], "" if row[5] is None else f"{row[5]:.1%}", *row[6:]) for row in crawls]
    seconds = sum(row["seconds"] for row in rows)
    adding = sum(row["adding"] for row in rows)
    names = {"documents": "ids and shingles", "near": "bands", "bloom": "filters"}
    sizes = [(names.get(name, name), many / kept) for name, many in sorted(found["bytes"].items())]
    sizes.append(("all", sum(found["bytes"].values()) / kept))
    head = ["crawl", "deduplicating, s", "adding, s", "look-ups", "not settled by filters", "settled",
            "filters read, MB", "tables read, MB", "shingles read, MB"]  # fmt: skip
    return f"""
## An index of earlier crawls

`python -m benchmarks.index`; CPU seconds of one process, warm. {found["documents"]:,} documents, {found["mb"]:.1f} MB,
dealt to {CRAWLS} crawls by chance; exact and MinHash deduplication, reading and writing included.

One run over all takes {found["whole"]:.1f} s. One after another they take {seconds:.1f} s to deduplicate and {adding:.1f} s to be added,
read no text of an earlier crawl, and keep **the same {kept:,} documents** (the script fails if not).

{table(head, crawls)}

A look-up is a key of a document of the new crawl, in the tables of one earlier crawl.

{table(["bytes per document kept", ""], sizes)}

Compacted, bands, exact hashes and filters take {found["compacted"] / kept:.0f} bytes.

{words(found["about"])}
""".strip()


if __name__ == "__main__":
    main()
