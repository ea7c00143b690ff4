"""Where personal data is in a column of texts, and the texts with something else in its place."""

from bisect import bisect
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stages.kernels.hashing import hash64, string_buffers
from stages.kernels.scan import Bytes, Numbers, scan
from stages.pii.patterns import REGIONS, TYPES, Region, Type, plan

TAGS = {t: "IP" if t in ("ipv4", "ipv6") else t.upper() for t in TYPES}


def find(
    column: pa.Array, types: tuple[Type, ...] = TYPES, regions: tuple[Region, ...] = REGIONS
) -> pa.Table:
    """Every span: `row`, `type`, `start`, `stop` (int64 bytes of the text in UTF-8), in order."""
    offsets, data = string_buffers(column)
    rows, kinds, starts, stops = scan(offsets, data, plan(types, regions)).T
    return table(rows, kinds, starts - offsets[rows], stops - offsets[rows])


def table(rows: Numbers, kinds: Numbers, starts: Numbers, stops: Numbers) -> pa.Table:
    """Spans as `find` returns them; `kinds` are places in TYPES."""
    names = pa.array(TYPES, pa.string()).take(pa.array(kinds, pa.int64()))
    columns = [pa.array(numbers, pa.int64()) for numbers in (rows, starts, stops)]
    return pa.table({"row": columns[0], "type": names, "start": columns[1], "stop": columns[2]})


def resolve(spans: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Of spans (kind, start, stop) that overlap, the longest; of equals, the first of TYPES."""
    taken: list[tuple[int, int, int]] = []
    for span in sorted(spans, key=lambda s: (s[1] - s[2], s[0], s[1])):
        at = bisect(taken, span[1], key=lambda s: s[1])
        clear_before = at == 0 or taken[at - 1][2] <= span[1]
        if clear_before and (at == len(taken) or span[2] <= taken[at][1]):
            taken.insert(at, span)
    return taken


def name(column: pa.Array, spans: pa.Table, numbered: bool) -> pa.Array:
    """What is written for every span: `<EMAIL>`, or `<EMAIL_2>` for the second address of a text."""
    tags = pa.array([TAGS[t] for t in TYPES], pa.string())
    kinds = pc.index_in(spans["type"], value_set=pa.array(TYPES, pa.string()))
    chosen = tags.take(kinds.combine_chunks())
    parts = ["<", chosen]
    if numbered and len(spans):
        hashes = hash64(cut(column, spans))
        labels = np.unique(chosen.to_numpy(zero_copy_only=False), return_inverse=True)[1]
        numbers = rank(spans["row"].to_numpy(), labels, hashes)
        parts += ["_", pa.array(numbers).cast(pa.string())]
    return pc.binary_join_element_wise(*parts, ">", "").cast(pa.large_string())


def rank(rows: Numbers, labels: Numbers, hashes: np.ndarray) -> Numbers:
    """The number of each value among those of its label in its row, in order of appearance, from 1."""
    keys = np.stack([rows.astype(np.uint64), labels.astype(np.uint64), hashes], axis=1)
    _, first, same = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    new = np.zeros(len(rows), np.int64)
    new[first] = 1
    order = np.lexsort((np.arange(len(rows)), labels, rows))
    counted = np.cumsum(new[order])
    groups = np.stack([rows[order], labels[order]], axis=1)
    begins = np.ones(len(rows), np.bool_)
    begins[1:] = (groups[1:] != groups[:-1]).any(axis=1)
    before = (counted - new[order])[np.flatnonzero(begins)]
    numbers = np.empty(len(rows), np.int64)
    numbers[order] = counted - before[np.cumsum(begins) - 1]
    found: Numbers = numbers[first][same.ravel()]
    return found


def cut(column: pa.Array, spans: pa.Table) -> pa.Array:
    """The bytes of every span (large_binary)."""
    offsets, data = string_buffers(column)
    starts = offsets[spans["row"].to_numpy()] + spans["start"].to_numpy()
    sizes = spans["stop"].to_numpy() - spans["start"].to_numpy()
    places = np.concatenate(([0], np.cumsum(sizes)))
    out = np.empty(places[-1], np.uint8)
    gather(data, starts, places, out)
    buffers = [None, pa.py_buffer(places), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.large_binary(), len(sizes), buffers)


def rewrite(column: pa.Array, spans: pa.Table, words: pa.Array) -> pa.Array:
    """The texts (large_string) with every span replaced by its word, written once."""
    if not len(spans):
        return column
    offsets, data = string_buffers(column)
    rows = spans["row"].to_numpy()
    starts, stops = (offsets[rows] + spans[key].to_numpy() for key in ("start", "stop"))
    places, letters = string_buffers(words)
    grown = np.zeros(len(offsets), np.int64)
    np.add.at(grown, rows + 1, np.diff(places) - (stops - starts))
    after = offsets - offsets[0] + np.cumsum(grown)
    out = np.empty(after[-1], np.uint8)
    splice(data, int(offsets[0]), int(offsets[-1]), starts, stops, places, letters, out)
    buffers = [None, pa.py_buffer(after), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.large_string(), len(column), buffers)


def count(spans: pa.Table, rows: int) -> tuple[pa.Array, pa.Array]:
    """How many spans every text has (int64), and how many of each type (map)."""
    at = spans["row"].to_numpy()
    kinds = pc.index_in(spans["type"], value_set=pa.array(TYPES, pa.string())).to_numpy()
    cells = np.bincount(at * len(TYPES) + kinds, minlength=rows * len(TYPES))
    filled = np.flatnonzero(cells)
    offsets = np.searchsorted(filled, np.arange(rows + 1) * len(TYPES)).astype(np.int32)
    keys = pa.array(TYPES, pa.string()).take(pa.array(filled % len(TYPES)))
    types = pa.MapArray.from_arrays(pa.array(offsets), keys, pa.array(cells[filled], pa.int64()))
    return pa.array(np.bincount(at, minlength=rows), pa.int64()), types


@njit(cache=True)
def gather(data: Bytes, starts: Numbers, places: Numbers, out: Bytes) -> None:
    """Copy the pieces that begin at `starts` one after the other."""
    for at in range(len(starts)):
        for place in range(places[at], places[at + 1]):
            out[place] = data[starts[at] + place - places[at]]


@njit(cache=True)
def splice(
    data: Bytes,
    at: int,
    end: int,
    starts: Numbers,
    stops: Numbers,
    places: Numbers,
    letters: Bytes,
    out: Bytes,
) -> None:
    """Copy `data` from `at` to `end`, a word in the place of every span."""
    filled = 0
    for span in range(len(starts) + 1):
        stop = starts[span] if span < len(starts) else end
        out[filled : filled + stop - at] = data[at:stop]
        filled += stop - at
        if span < len(starts):
            size = places[span + 1] - places[span]
            out[filled : filled + size] = letters[places[span] : places[span + 1]]
            filled += size
            at = stops[span]
