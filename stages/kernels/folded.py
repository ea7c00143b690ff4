"""A text as an n-gram model sees it: lines of folded words and marks, hashed or spelled."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean
from stages.kernels.characters import (
    CLASS_BITS,
    MARK,
    PUNCTUATION,
    SINGLE,
    SPACE,
    Bytes,
    Table,
    decode,
)
from stages.kernels.forms import BASIS, PRIME, ZERO, fold_of
from stages.kernels.hashing import mix
from stages.kernels.manners import CLASS
from stages.kernels.words import COUNTS, NEWLINE, _mark

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]

DELETE = 0x7F
EMPTY = mix(BASIS)  # the hash of a word that folds away altogether


@njit(cache=True)
def next_token(
    data: Bytes, at: int, end: int, table: Table, counts: Numbers
) -> tuple[int, int, np.uint64]:
    """The token at or behind `at`: where it begins and ends, and its hash; 0 where there is none.

    Tokens are runs of letters, digits and what stands on them, folded (in scripts without spaces each
    letter), and marks, of a run of them only the first character; control characters are none. An end
    of line is a token of hash 0, but one that begins before the end of the text. `counts` (COUNTS) is
    scratch.
    """
    while at < end:
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        if point == NEWLINE:
            return at, at + size, np.uint64(0)
        if kind & (SPACE | MARK) or point < 0x20 or point == DELETE:
            at += size
        elif kind & PUNCTUATION:
            stop = _mark(data, at, end, table, counts)[0]
            return at, stop, mix((BASIS ^ np.uint64(point)) * PRIME)
        else:
            stop = run_end(data, at, end, table)
            fold = fold_of(data, at, stop, table)
            if fold != EMPTY:
                return at, stop, fold
            at = stop
    return end, end, np.uint64(0)


@njit(cache=True)
def run_end(data: Bytes, at: int, end: int, table: Table) -> int:
    """Where the run of letters and digits that begins here ends."""
    single = table[decode(data, at, end)[0]] & SINGLE != 0
    while at < end:
        at += decode(data, at, end)[1]
        if at >= end:
            break
        kind = table[decode(data, at, end)[0]] & CLASS
        if not kind & MARK and (single or kind & (SPACE | PUNCTUATION | SINGLE)):
            break
    return at


@njit(cache=True)
def tokens_of(
    data: Bytes, offsets: Numbers, table: Table, border: np.uint64, hashes: Hashes, places: Numbers
) -> int:
    """Every token of all texts, and where it begins and ends (two columns); how many.

    Behind a line with any there is one more, of hash `border`.
    """
    counts = np.zeros(COUNTS, np.int64)
    many = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        inside = False
        while at < end or inside:
            start, at, code = next_token(data, at, end, table, counts)
            if code != 0 or inside:
                hashes[many] = code if code != 0 else border
                places[many, 0], places[many, 1] = start, at
                many += 1
            inside = code != 0
    return many


@njit(cache=True)
def spell(data: Bytes, places: Numbers, table: Table, out: Bytes, ends: Numbers) -> None:
    """The tokens at these places, as their hashes mean them, end to end in UTF-8."""
    to = 0
    for row in range(len(places)):
        at, stop = places[row]
        last = np.uint32(0)
        while at < stop:
            point, size = decode(data, at, stop)
            kind = table[point] & CLASS
            at += size
            if not last and kind & PUNCTUATION:
                to = encode(out, to, point)
                break
            letter = table[point] >> np.uint32(CLASS_BITS)
            if letter and not kind & PUNCTUATION and not (letter == ZERO and last == ZERO):
                to = encode(out, to, letter)
                last = letter
        ends[row + 1] = to


@njit(cache=True)
def encode(out: Bytes, to: int, point: np.uint32) -> int:
    """Write a code point in UTF-8; the place behind it."""
    if point < 0x80:
        out[to] = point
        return to + 1
    size = 2 if point < 0x800 else 3 if point < 0x10000 else 4
    for at in range(size - 1, 0, -1):
        out[to + at] = 0x80 | point & np.uint32(0x3F)
        point >>= np.uint32(6)
    out[to] = np.uint32(0xF00 >> size & 0xFF) | point
    return to + size


@lean
def hash_points(data: Bytes, at: int, end: int) -> np.uint64:
    """The hash of a text by its code points, as a token's is by those it means."""
    code = BASIS
    while at < end:
        point, size = decode(data, at, end)
        code = (code ^ np.uint64(point)) * PRIME
        at += size
    return mix(code)
