"""The files of an index: documents by number, tables by key, and filters that say what these may hold."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.dedup.index import DOCUMENTS_PER_FILE, File, Part, deltas, sha256_of
from stages.dedup.minhash import list_buffers
from stages.kernels.bloom import bloom

ROWS_PER_FILE = 1 << 20  # of a table
GROUP = 512  # documents
Made: TypeAlias = tuple[File, Path]


class Documents:
    """Files of ids and shingles, some thousand documents each."""

    def __init__(self, work: Path) -> None:
        self.work, self.made = work, list[Made]()
        self.waiting: list[pa.Table] = []
        self.rows = 0

    def add(self, ids: pa.Array, shingles: pa.Array | None) -> None:
        columns = {"id": ids.cast(pa.string())}
        if shingles is not None:
            offsets, values = list_buffers(shingles)
            steps = deltas(values, offsets)
            columns["shingles"] = pa.LargeListArray.from_arrays(offsets, steps)
        self.waiting.append(pa.table(columns))
        self.rows += len(ids)
        while self.rows >= DOCUMENTS_PER_FILE:
            self._write(DOCUMENTS_PER_FILE)

    def _write(self, rows: int) -> None:
        table = pa.concat_tables(self.waiting).combine_chunks()
        path = self.work / f"documents-{len(self.made):05}.parquet"
        write(table.slice(0, rows), path, ["shingles.list.element"], GROUP)
        self.made.append(made(path, rows))
        self.waiting = [table.slice(rows)]
        self.rows -= rows

    def close(self) -> list[Made]:
        if self.rows:
            self._write(self.rows)
        return self.made


def write_parts(
    table: str, columns: Mapping[str, np.ndarray], work: Path, first: int
) -> Iterator[tuple[Part, Made, Made]]:
    """Write rows of a table as files sorted by key, each with its filter, numbered from `first` on."""
    order = np.lexsort((columns["doc"], columns["by"], columns["key"]))
    for number, start in enumerate(range(0, len(order), ROWS_PER_FILE), first):
        some = {
            name: column[order[start : start + ROWS_PER_FILE]] for name, column in columns.items()
        }
        path = work / f"{table}-{number:05}.parquet"
        write(pa.table(some), path, ["key", "doc"], ROWS_PER_FILE)
        key = some["key"]
        few = path.with_suffix(".bloom")
        few.write_bytes(bloom(np.unique(key)).tobytes())
        crawls = tuple(sorted({*np.unique(some["by"]).tolist()}))
        rows, filtered = made(path, len(key)), made(few, 0)
        yield Part(table, int(key[0]), int(key[-1]), crawls, rows[0], filtered[0]), rows, filtered


def write(table: pa.Table, path: Path, split: list[str], group: int) -> None:
    """Write Parquet; the bytes of columns of near numbers (`split`) apart, so that they compress."""
    split = [name for name in split if name.partition(".")[0] in table.column_names]
    pq.write_table(
        table, path, row_group_size=group, compression="zstd", compression_level=3,
        use_dictionary=[name for name in ("by",) if name in table.column_names],
        column_encoding=dict.fromkeys(split, "BYTE_STREAM_SPLIT"), write_statistics=False,
    )  # fmt: skip


def made(path: Path, rows: int) -> Made:
    """A file that was made, by its name alone."""
    return File(path.name, path.stat().st_size, sha256_of(path), rows), path


def named(file: File, folder: str) -> File:
    return replace(file, path=f"{folder}/{file.path}")
