"""What the engine itself costs: per document, per further stage, and in memory for any input size.

    python -m benchmarks.engine

Documents go through stages that do nothing, by one worker of a process pool.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cost import ALONE, Cost, cost
from benchmarks.nothing import Nothing
from benchmarks.page import CACHE, circumstances, keep, table, words
from pipelines import Flow, Pipeline, Pool, run
from stages.base import DOCUMENT
from stages.quality import GopherQuality, GopherRepetition
from stages.read import Parquet

DOCUMENTS, CHARACTERS = 100_000, 2_000
SIZES = (50, 200, 800)  # MB of text


def main() -> None:
    """Measure, and rewrite the section of docs/benchmarks.md."""
    work = CACHE / "engine"
    work.mkdir(parents=True, exist_ok=True)
    about = circumstances("bateia", "pyarrow", "numba")
    path = write(work / "many.parquet", [CHARACTERS] * DOCUMENTS)
    few, many = (spent(path, stages, work).cpu for stages in (1, 21))
    empty = spent(write(work / "one.parquet", [CHARACTERS]), 1, work).cpu
    rows = [
        (f"{size} MB in {size * 100:,} documents", "nothing", mb(spent(path, 1, work)))
        for size in SIZES
        for path in [write(work / f"{size}.parquet", [10_000] * (size * 100))]
    ]
    path = write(work / "large.parquet", [100_000_000, *[CHARACTERS] * 1_000])
    rows.append(
        (
            "100 MB in one document, 1,000 more",
            "Gopher quality and repetition",
            mb(spent(path, 0, work)),
        )
    )
    per_document = (few - empty) / DOCUMENTS * 1e6
    per_stage = (many - few) / DOCUMENTS / 20 * 1e6
    results = {
        "about": about,
        "microseconds_per_document": per_document,
        "microseconds_per_document_and_stage": per_stage,
        "seconds_to_start": empty,
        "memory": rows,
    }
    text = f"""
## The engine itself

`python -m benchmarks.engine`: {DOCUMENTS:,} documents of {CHARACTERS:,} characters, read from and written to
Parquet with checksums, counters and statistics of every shard: **{per_document:.0f} microseconds of CPU per
document** and **{per_stage:.2f} for each further stage** that does nothing; {empty:.1f} CPU seconds to start and end.
For the last row the source's limit of 32 MB for one document was raised.

{table(["input", "stages", "MB, largest process"], rows)}

{words(about)}
"""
    keep("engine", results, text)


def mb(found: Cost) -> int:
    return round(found.worker / 1e6)


def spent(path: Path, stages: int, work: Path) -> Cost:
    """The cost of a run in processes of its own; `stages` do nothing, or are Gopher's if 0."""
    command = [sys.executable, "-m", "benchmarks.engine", str(path), str(stages)]
    return cost(command, work / "log.txt", **ALONE)


def write(path: Path, sizes: list[int]) -> Path:
    """Documents of made-up words, the same every time."""
    made = np.random.default_rng(0)
    alphabet = np.frombuffer(b"aeiouaeioubcdlmnprst    ", np.uint8)
    with pq.ParquetWriter(path, DOCUMENT, compression="zstd") as file:
        for first in range(0, len(sizes), 1_000):
            some = range(first, min(first + 1_000, len(sizes)))
            texts = [made.choice(alphabet, sizes[at]).tobytes().decode() for at in some]
            rows = [
                {"id": f"{at}", "text": text, "source": "made"}
                for at, text in zip(some, texts, strict=True)
            ]
            file.write_table(pa.Table.from_pylist(rows, DOCUMENT))
    return path


def work_through(path: str, stages: str) -> None:
    """One run, into a store that is thrown away."""
    import tempfile

    nothing = [Nothing(number=at) for at in range(int(stages))]
    gopher = [GopherRepetition(), GopherQuality()]
    recipe = Pipeline(
        "engine",
        {"all": Flow([Parquet(paths=path, max_document_bytes=1 << 30)], nothing or gopher)},
    )
    runner = Pool(1)
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as store:
        try:
            run(recipe, store, runner)
        finally:
            runner.close()


if __name__ == "__main__":
    work_through(*sys.argv[1:]) if sys.argv[1:] else main()
