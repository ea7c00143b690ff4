"""MinHash deduplication against the truth, against datatrove and rensa, and as it grows.

    python -m benchmarks.dedup DOCUMENTS.parquet [--hosts REGEX] [--rensa PYTHON] [--parts ...]

DOCUMENTS has the columns `text` and `url` and many near copies, such as a crawl of documentation in
language and architecture versions. datatrove runs in this environment, rensa in PYTHON's.
"""

import argparse
import gzip
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import dedup_truth as truth
from benchmarks.page import CACHE, ROOT, circumstances, earlier, keep, table, words
from stages.base import DOCUMENT

LIMIT = 10_000  # documents that all pairs are compared of
SIGNED = 1_000  # documents that datatrove signs for the comparison by MB/s
SIZES = (10_000, 100_000, 1_000_000)
SYNTHETIC_WORDS, COPY_EVERY = 60, 10
CLUSTERED = (3_000, 150_000, 1_500_000)  # documents; the first to compile kernels
WORK = CACHE / "dedup"
PACKAGES = ("bateia", "pyarrow", "numba", "datatrove", "scipy")
Found = dict[str, Any]


def main() -> None:
    """Measure the parts asked for; the page is written from the last results of all."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("documents", type=Path)
    asked.add_argument("--hosts", default="", help="only documents whose URL matches")
    asked.add_argument("--rensa", default=sys.executable, help="a Python that has rensa")
    asked.add_argument("--parts", nargs="*", choices=[*PARTS], default=[*PARTS])
    given = asked.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    results = earlier("dedup")
    sample(given.documents, given.hosts)
    for name in given.parts:
        about = circumstances(*PACKAGES)
        results[name] = {**PARTS[name](given), "about": about}
        keep("dedup", results, page(results))


def sample(documents: Path, hosts: str) -> None:
    """At most LIMIT documents, neighbours by URL together, for all sides."""
    rows = pq.read_table(documents, columns=["text", "url"])
    rows = rows.filter(pc.match_substring_regex(rows["url"], hosts)).sort_by("url")
    rows = rows.slice(0, LIMIT)
    for folder in ("ours", "ours/warm", "theirs"):
        (WORK / folder).mkdir(parents=True, exist_ok=True)
    columns = {
        "id": [f"{at}" for at in range(rows.num_rows)],
        "text": rows["text"].cast(pa.large_string()),
        "source": ["bench"] * rows.num_rows,
        "url": [f"bench://{at}" for at in range(rows.num_rows)],
        "date": pa.nulls(rows.num_rows, pa.timestamp("s")),
        "meta": pa.nulls(rows.num_rows, DOCUMENT.field("meta").type),
    }
    made = pa.table(columns, DOCUMENT)
    pq.write_table(made, WORK / "ours" / "documents.parquet", row_group_size=1_000)
    few = pa.concat_tables([made.slice(0, 300), made.slice(0, 300)])
    pq.write_table(few, WORK / "ours/warm/documents.parquet")
    pq.write_table(made.slice(0, SIGNED), WORK / "few.parquet")
    with gzip.open(WORK / "theirs" / "documents.jsonl.gz", "wt", encoding="utf-8") as out:
        for row in made.select(["id", "text"]).to_pylist():
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


def run(command: Sequence[str], out: Path) -> Found:
    """What a side writes down."""
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    found: Found = json.loads(out.read_text(encoding="utf-8"))
    return found


def ours(what: str, documents: Path, out: Path) -> Found:
    command = [sys.executable, "-m", "benchmarks.dedup_side", what, str(documents), str(out)]
    return run(command, out)


def whole(given: argparse.Namespace) -> Found:  # noqa: ARG001
    """All steps of both sides, and both results against the truth."""
    mine = ours("whole", WORK / "ours", WORK / "ours.json")
    folder = WORK / "datatrove"
    subprocess.run(["rm", "-rf", str(folder)], check=True)  # it skips what it finds done
    texts = pq.read_table(WORK / "ours/documents.parquet", columns=["text"])["text"]
    side = [sys.executable, str(ROOT / "benchmarks/datatrove_side.py"), "dedup"]
    found = folder / "found.json"
    theirs = run([*side, str(WORK / "theirs"), str(len(texts)), str(folder)], found)
    return {
        "documents": len(texts),
        "mb": pc.sum(pc.binary_length(texts)).as_py() / 1e6,
        "seconds": {"bateia": mine["seconds"], "datatrove": sum(theirs["seconds"].values())},
        "steps": theirs["seconds"],
        "peak": {"bateia": mine["peak"], "datatrove": theirs["peak"]},
        "rounds": mine["rounds"],
        **truth.judge(texts.combine_chunks(), mine, theirs),
    }


def signatures(given: argparse.Namespace) -> Found:
    """MB/s from texts to signatures of 112 permutations."""
    few, many = WORK / "few.parquet", WORK / "ours/documents.parquet"
    sizes = {path: size(path) for path in (few, many)}
    mine = ours("sign", many, WORK / "sign.json")
    side, out = str(ROOT / "benchmarks/rensa_side.py"), WORK / "rensa.json"
    theirs = run([given.rensa, side, str(many), str(out)], out)
    side, out = str(ROOT / "benchmarks/datatrove_side.py"), WORK / "trove.json"
    trove = run([sys.executable, side, "sign", str(few), str(out)], out)
    return {
        "bateia": {key: sizes[many] / mine[key] for key in mine},
        "rensa": {key: sizes[many] / theirs[key] for key in theirs},
        "datatrove": {key: sizes[few] / trove[key] for key in trove},
    }


def size(path: Path) -> float:
    """MB of text."""
    texts = pq.read_table(path, columns=["text"])["text"]
    return float(pc.sum(pc.binary_length(texts)).as_py()) / 1e6


def growth(given: argparse.Namespace) -> Found:  # noqa: ARG001
    """The whole deduplication of made-up documents, every tenth a copy with one other word."""
    rows = []
    for count in SIZES:
        folder = WORK / f"made-{count}"
        planted = synthetic(folder, count)
        found = ours("whole", folder, WORK / "growth.json")
        rows.append(
            {
                "documents": count,
                "seconds": found["seconds"],
                "peak": found["peak"],
                "planted": planted,
                "found": len(found["copies"]),
                "rounds": found["rounds"],
            }
        )
    return {"rows": rows}


def central(given: argparse.Namespace) -> Found:  # noqa: ARG001
    """The rounds of one task each by themselves, over made-up clusters."""
    rows = []
    for count in CLUSTERED:
        command = [sys.executable, "-m", "benchmarks.dedup_side", "central", str(count)]
        found = run([*command, str(WORK / "central.json")], WORK / "central.json")
        rows.append({"documents": count, **found})
    return {"rows": rows[1:]}


def synthetic(folder: Path, count: int) -> int:
    """Documents of random words, and how many of them are copies; the same every time."""
    copies = np.arange(COPY_EVERY, count, COPY_EVERY)
    path, part = folder / "documents.parquet", folder / "documents.part"
    if path.exists():
        return len(copies)
    (folder / "warm").mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    letters = np.frombuffer(b"aeioubcdlmnprst", "S1").astype("U1")
    vocabulary = np.unique(["".join(draw.choice(letters, 6)) for _ in range(20_000)])
    texts = draw.integers(0, len(vocabulary), (count, SYNTHETIC_WORDS), np.int32)
    texts[copies] = texts[(draw.random(len(copies)) * (copies - 1)).astype(np.int64)]
    other = draw.integers(0, SYNTHETIC_WORDS, len(copies))
    texts[copies, other] = draw.integers(0, len(vocabulary), len(copies))
    with pq.ParquetWriter(part, DOCUMENT) as out:
        for first in range(0, count, 10_000):
            lines = [" ".join(row) for row in vocabulary[texts[first : first + 10_000]]]
            some = [
                {"id": str(first + at), "text": text, "source": "made", "url": f"bench://{at}"}
                for at, text in enumerate(lines)
            ]
            made = pa.Table.from_pylist(some, DOCUMENT)
            out.write_table(made)
            if not first:
                pq.write_table(made.slice(0, 500), folder / "warm/documents.parquet")
    part.rename(path)
    return len(copies)


PARTS = {"whole": whole, "signatures": signatures, "growth": growth, "central": central}


def page(results: Found) -> str:
    """The section of docs/benchmarks.md, of the parts that there are."""
    parts = [
        f"{written[name](results[name])}\n\n{words(results[name]['about'])}"
        for name in PARTS
        if name in results
    ]
    head = "## MinHash deduplication\n\n`python -m benchmarks.dedup`; CPU seconds of one process, warm."
    return "\n\n".join([head, *parts])


def whole_text(found: Found) -> str:
    ratio = found["seconds"]["datatrove"] / found["seconds"]["bateia"]
    rows = [
        (name, found["seconds"][name], found["peak"][name] / 1e6)
        for name in ("datatrove", "bateia")
    ]
    removed, clusters, alike = found["removed"], found["clusters"], found["alike"]
    alone = [
        (name, why, many)
        for name, reasons in found["alone"].items()
        for why, many in reasons.items()
    ]
    return f"""
### All of it, and whether it is right

{found["documents"]:,} documents, {found["mb"]:.1f} MB, 14 bands of 8 rows over 5 words, threshold {truth.THRESHOLD}; read, sign,
exchange, cluster, filter and write. bateia reads candidates again and verifies them: **{ratio:.0f} times** less CPU.

{table(["", "CPU seconds", "peak memory, MB"], rows)}

The truth: true Jaccard of all pairs by scipy, over the same words. {alike["pairs"]:,} pairs are at or above the
threshold. *Found*: a band agrees. *Resolved*: they do not both stay. Wrong: documents that were removed
though no document that stays is that similar.

{table(["pairs of similarity", "pairs", "expected", "found", "resolved", "resolved by datatrove"], found["bins"])}

At or above the threshold {alike["expected"]:.2%} are expected, {alike["found"]:.2%} found, **{alike["resolved"]:.2%} resolved**.

{table(["", "removed", "wrong", "wrong, share"], [(name, *removed[name]) for name in ("datatrove", "bateia")])}

Both remove {removed["both"]:,}. Those that one side alone removes:

{table(["removed by", "a document that", "documents"], alone)}

datatrove finds {clusters["number"]["datatrove"]:,} clusters, bateia {clusters["number"]["bateia"]:,}; {clusters["same"]:,} are the same documents.
Of the pairs of documents that share a cluster of either side, {clusters["before"]:.1%} share one of both if
bateia's are taken before verification, {clusters["after"]:.1%} after.
The largest cluster has {clusters["largest"]["datatrove"]:,} documents in datatrove, {clusters["largest"]["bateia"]:,} in bateia.

Round by round:

{rounds_table(found)}
""".strip()


def signatures_text(found: Found) -> str:
    mine = found["bateia"]
    rows = [
        (name, found[name]["seconds"], mine["seconds"] / found[name]["seconds"],
         found[name].get("hashing"))
        for name in ("datatrove", "rensa", "bateia")
    ]  # fmt: skip
    return f"""
### Signatures

112 permutations over shingles of 5 words, MB of text per second of CPU, one thread. *Hashing*: of that
the part behind the shingles (bateia: behind the words).

{table(["", "text to signature", "times less than bateia", "hashing"], rows)}
""".strip()


def growth_text(found: Found) -> str:
    rows = [
        (row["documents"], row["seconds"], row["seconds"] / row["documents"] * 1e6,
         row["peak"] / 1e6, row["planted"], row["found"])
        for row in found["rows"]
    ]  # fmt: skip
    head = ["documents", "CPU seconds", "microseconds each", "peak memory, MB", "planted", "found"]
    return f"""
### Growth

Documents of {SYNTHETIC_WORDS} random words, every {COPY_EVERY}th a copy of an earlier one with one other word; reading,
writing and checksums included. A copy of a copy that left is too unlike its origin and stays, as it should:
with the 98 % that the bands find, 88 % of what was planted is to leave.

{table(head, rows)}

Round by round, of the most documents; bytes are those that it leaves on the store for each document. The
memory of the process is that of its libraries too, {found["rows"][-1]["rounds"]["decide"]["before"] / 1e6:.0f} MB before the first range of keys.

{rounds_table(found["rows"][-1])}
""".strip()


def rounds_table(row: Found) -> str:
    """What each round of a run costs and leaves."""
    many = row["documents"]
    rows = [
        (
            name,
            about["tasks"],
            about["seconds"] / many * 1e6,
            about["peak"] / 1e6,
            ", ".join(
                f"{file.rpartition('.')[0]} {size / many:.3g}"
                for file, (size, _) in sorted(about["files"].items())
                if size / many >= 0.05
            ),
        )
        for name, about in row["rounds"].items()
    ]
    head = ["round", "tasks", "microseconds each", "peak memory, MB", "bytes each"]
    return table(head, rows)


def central_text(found: Found) -> str:
    least, most = found["rows"]
    more = most["documents"] - least["documents"]
    rows = []
    for kind, what in (("ask", "rows"), ("conclude", "pairs"), ("settle", "pairs")):
        seconds, size = (most[kind][name] - least[kind][name] for name in ("seconds", "bytes"))
        each = more / (most[what] - least[what])
        rows.append((kind, 1 / each, seconds / more * 1e6, size / more, size / more * each))
    opened = most["open"]
    return f"""
### The rounds that are one task each

{most["documents"]:,} documents in clusters of three that share ten of the 14 buckets, two of which leave; what
{least["documents"]:,} take is taken off. A row is a document in a bucket or, behind `verify`, a pair.

{table(["round", "rows per document", "microseconds per document", "bytes of memory per document", "per row"], rows)}

A range of keys is read from every shard. Of the sketch of 50,000 documents, {opened["bytes"] / 1e6:.1f} MB in {opened["groups"]} row groups,
one of 35,000 ranges takes {opened["seconds"] * 1e3:.1f} ms of CPU.
""".strip()


written = {
    "whole": whole_text,
    "signatures": signatures_text,
    "growth": growth_text,
    "central": central_text,
}


if __name__ == "__main__":
    main()
