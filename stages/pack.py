"""Token ids of documents, of any length, to rows of one length: what a trainer maps and reads."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, NamedTuple

import numba
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, Sink
from stages.errors import SpecError
from stages.shards import TOKENS, packed

INDEX = "documents.arrow"
INDEX_SCHEMA = pa.schema([("id", pa.string()), ("start", pa.int64()), ("tokens", pa.int64())])
ROWS = 256  # rows of a record batch
WINDOW = 4096  # documents, or pieces of them, that `best_fit` arranges at a time


class Chunk(NamedTuple):
    """Some rows end to end, and where in them a document, or its part, ends."""

    ids: np.ndarray  # rows * length
    ends: np.ndarray  # ascending; a part that goes on in the next row needs no end
    padding: np.ndarray  # ids at the end of each row that are none
    index: pa.Table  # INDEX_SCHEMA; `start` counts from the first row of the chunk


class Ragged(NamedTuple):
    """The documents of a batch: their ids, and all their tokens with the length of each."""

    names: pa.Array
    ids: np.ndarray
    lengths: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Pack(Sink):
    """Pack `tokens` into rows of `length` ids; every token is in exactly one row.

    `cut` lays the documents end to end and cuts every `length` tokens: no padding but in a shard's
    last row. `best_fit` cuts only documents longer than a row, and puts each into the fullest row
    that still has room, over 4,096 documents at a time (best-fit decreasing; Ding et al. 2024,
    "Fewer Truncations Improve Language Modeling"), for the price of some padding.

    Writes `tokens.arrow` (`stages.shards.packed`; the metadata of the tokens' column becomes the
    schema's) and `documents.arrow`: `id` of each document, in order, with where its tokens are:
    `tokens` of them from `start`, counted as row * length + position. A document that `best_fit`
    cut has a line for each piece.
    """

    length: int = 2048  # tokens of a row
    mode: Literal["cut", "best_fit"] = "cut"  # what happens at the end of a row

    @property
    def needs(self) -> tuple[str, ...]:
        return ("id", "tokens")

    def check(self) -> None:
        if not 2 <= self.length <= 1 << 24:
            raise SpecError(f"length: expected 2 to 16,777,216 tokens, got {self.length}")

    def write(self, batches: Iterable[Batch], folder: Path) -> dict[str, int]:
        stream = iter(batches)
        first = next(stream, None)
        about = {} if first is None else first.schema.field("tokens").metadata or {}
        token = pa.uint16() if first is None else first.schema.field("tokens").type.value_type
        schema = packed(self.length, 1 << 16 if token == pa.uint16() else 1 << 31)
        counts = dict.fromkeys(("documents", "tokens", "rows", "padding"), 0)
        with (
            pa.ipc.new_stream(folder / TOKENS, schema.with_metadata(about)) as rows,
            pa.ipc.new_stream(folder / INDEX, INDEX_SCHEMA) as index,
        ):
            documents = _count(
                _documents(stream if first is None else chain([first], stream)), counts
            )
            pack = _cut if self.mode == "cut" else _best_fit
            lines = INDEX_SCHEMA.empty_table()
            for chunk in pack(documents, self.length, token.to_pandas_dtype()):
                starts = pc.add(chunk.index["start"], counts["rows"] * self.length)
                lines = pa.concat_tables([lines, chunk.index.set_column(1, "start", starts)])
                while lines.num_rows >= WINDOW:
                    index.write_table(_copied(lines[:WINDOW]))
                    lines = lines[WINDOW:]
                record = _record(chunk, self.length, schema)
                for at in range(0, record.num_rows, ROWS):
                    rows.write_batch(record.slice(at, ROWS))
                counts["rows"] += chunk.padding.size
                counts["padding"] += int(chunk.padding.sum())
            index.write_table(_copied(lines))
        return counts


def _documents(batches: Iterable[Batch]) -> Iterator[Ragged]:
    for batch in batches:
        tokens = batch.column("tokens")
        lengths = np.diff(tokens.offsets.to_numpy())
        yield Ragged(batch.column("id"), tokens.flatten().to_numpy(), lengths)


def _count(documents: Iterable[Ragged], counts: dict[str, int]) -> Iterator[Ragged]:
    for some in documents:
        counts["documents"] += some.lengths.size
        counts["tokens"] += some.ids.size
        yield some


def _cut(documents: Iterable[Ragged], length: int, token: type) -> Iterator[Chunk]:
    """Full rows as they come, and at the end one that may not be full."""
    size = ROWS * length
    ids: np.ndarray = np.empty(0, token)
    ends, lines = np.empty(0, np.int64), [INDEX_SCHEMA.empty_table()]
    for some in documents:
        stops = ids.size + np.cumsum(some.lengths)
        lines.append(_index(some.names, stops - some.lengths, some.lengths))
        ids, ends = np.concatenate([ids, some.ids]), np.concatenate([ends, stops])
        while ids.size >= size:
            at = np.searchsorted(ends, size, "right")
            yield Chunk(ids[:size], ends[:at], np.zeros(ROWS, np.int32), pa.concat_tables(lines))
            ids, ends, lines = ids[size:], ends[at:] - size, [INDEX_SCHEMA.empty_table()]
    padding = np.zeros(-(-ids.size // length), np.int32)
    padding[-1:] = -ids.size % length
    ids = np.concatenate([ids, np.zeros(-ids.size % length, token)])
    yield Chunk(ids, ends, padding, pa.concat_tables(lines))


def _best_fit(documents: Iterable[Ragged], length: int, token: type) -> Iterator[Chunk]:
    """Documents, those longer than a row in pieces, arranged a window at a time."""
    ids: np.ndarray = np.empty(0, token)
    sizes, names = np.empty(0, np.int64), pa.array([], pa.string())
    for some in documents:
        parts = np.maximum(-(-some.lengths // length), 1)
        cut = np.full(parts.sum(), length)
        cut[np.cumsum(parts) - 1] = some.lengths - (parts - 1) * length
        of = pa.array(np.repeat(np.arange(parts.size), parts))
        ids, sizes = np.concatenate([ids, some.ids]), np.concatenate([sizes, cut])
        names = pa.concat_arrays([names, some.names.take(of)])
        while sizes.size >= WINDOW:
            taken = sizes[:WINDOW].sum()
            yield _arrange(ids[:taken], sizes[:WINDOW], names[:WINDOW], length)
            ids, sizes, names = ids[taken:], sizes[WINDOW:], names[WINDOW:]
    yield _arrange(ids, sizes, names, length)


def _arrange(ids: np.ndarray, sizes: np.ndarray, names: pa.Array, length: int) -> Chunk:
    order = np.argsort(-sizes, kind="stable")
    row = np.empty(sizes.size, np.int64)
    row[order], rows = _fit(sizes[order], length)
    used = np.bincount(row, sizes, rows).astype(np.int64)
    order = np.argsort(row, kind="stable")
    before = np.cumsum(sizes[order]) - sizes[order]  # tokens in the rows and the parts before it
    starts = np.empty_like(sizes)
    starts[order] = before + (np.arange(rows) * length - (np.cumsum(used) - used))[row[order]]
    packed_ids = np.zeros(rows * length, ids.dtype)
    packed_ids[np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(ids.size)] = ids
    padding = (length - used).astype(np.int32)
    return Chunk(packed_ids, (starts + sizes)[order], padding, _index(names, starts, sizes))


@numba.njit(cache=True)
def _fit(sizes: np.ndarray, length: int) -> tuple[np.ndarray, int]:
    """The row of each size: of the rows with room for it the one with least, else a new one."""
    rows, room, row = 0, np.empty(sizes.size, np.int64), np.empty(sizes.size, np.int64)
    for i in range(sizes.size):
        best, least = rows, length + 1
        for j in range(rows):
            if sizes[i] <= room[j] < least:
                best, least = j, room[j]
        if best == rows:
            room[rows] = length
            rows += 1
        row[i] = best
        room[best] -= sizes[i]
    return row, rows


def _index(names: pa.Array, starts: np.ndarray, lengths: np.ndarray) -> pa.Table:
    return pa.table([names, starts, lengths], schema=INDEX_SCHEMA)


def _copied(table: pa.Table) -> pa.Table:
    """In buffers of its own: what lies behind the end of a slice is written with it."""
    return table.take(pa.array(np.arange(table.num_rows))).combine_chunks()


def _record(chunk: Chunk, length: int, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a chunk; `lengths` parts each row at the ends of documents and at its padding."""
    rows = np.arange(chunk.padding.size + 1) * length
    bounds = np.unique(np.concatenate([rows, chunk.ends, rows[1:] - chunk.padding]))
    offsets = np.searchsorted(bounds, rows).astype(np.int32)
    lengths = pa.ListArray.from_arrays(offsets, np.diff(bounds).astype(np.int32))
    ids = pa.FixedSizeListArray.from_arrays(pa.array(chunk.ids), length)
    return pa.record_batch([ids, lengths, pa.array(chunk.padding)], schema=schema)
