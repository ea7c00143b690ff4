"""Small steps with a temper, to try the engine with."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from stages.base import DOCUMENT, Batch, Job, Slice, Source, Stage, drop, fault, replace, texts


@dataclass(frozen=True, kw_only=True)
class Lines(Source):
    """A document per line of every *.txt file of a folder; a line that begins with `!` is broken."""

    paths: str
    rows: int = 7

    def slices(self) -> list[Slice]:
        found = []
        for path in sorted(Path(self.paths).glob("*.txt")):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            size = path.stat().st_size
            found.append(Slice(str(path), path.name, 0, size, size, content))
        return found

    def read(self, part: Slice) -> Iterator[Batch]:
        lines = Path(part.path).read_text().splitlines()
        for first in range(0, max(1, len(lines)), self.rows):
            some = lines[first : first + self.rows]
            rows = [
                {"id": f"lines/{part.name}#{first + at}", "text": text, "source": "lines"}
                for at, text in enumerate(some)
            ]
            batch = pa.RecordBatch.from_pylist(rows, DOCUMENT)
            yield fault(
                batch, ["BadLine: begins with !" if t.startswith("!") else None for t in some]
            )


@dataclass(frozen=True, kw_only=True)
class Upper(Stage):
    """Upper case; slow to redo."""

    rewrites = True
    costly = True

    def __call__(self, batch: Batch) -> Batch:
        return replace(batch, "text", pc.utf8_upper(batch.column("text")))


@dataclass(frozen=True, kw_only=True)
class Longer(Stage):
    """Drop documents shorter than some characters."""

    than: int = 3

    def __call__(self, batch: Batch) -> Batch:
        sizes = pc.utf8_length(batch.column("text"))
        short = pc.less_equal(sizes, self.than)
        return drop(
            batch, pc.if_else(short, "longer.than", pa.scalar(None, pa.string())), values=sizes
        )


@dataclass(frozen=True, kw_only=True)
class Trap(Stage):
    """Do something terrible to the documents that ask for it by their text."""

    def __call__(self, batch: Batch) -> Batch:
        for text in texts(batch):
            if text == "RAISE":
                raise ValueError("this one raises")
            if text == "DIE":
                os._exit(9)
            if text == "HANG":
                while True:
                    pass
        return batch


@dataclass(frozen=True, kw_only=True)
class Count(Job):
    """Count the documents of every flow."""

    def run(self, inputs, output, work):
        import pyarrow.parquet as pq

        counts = {
            name: sum(pq.read_metadata(folder / "documents.parquet").num_rows for folder in folders)
            for name, folders in inputs.items()
        }
        (output / "counts.txt").write_text(str(counts))
        return {"numbers": counts}
