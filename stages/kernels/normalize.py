"""One pass over texts: hidden characters go, blanks are squeezed, and what may need composing shows.

Sources: Unicode Standard Annex 15 (the quick check), Annex 31 (where joiners mean something),
Technical Report 36 (characters that hide text).
"""

import unicodedata
from functools import cache
from typing import Literal, TypeAlias

import numba as nb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.kernels.characters import SIZE, decode
from stages.kernels.hashing import string_buffers

Form: TypeAlias = Literal["NFC", "NFKC"]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Table: TypeAlias = npt.NDArray[np.uint16]

# What is done with a character: the low three bits of its entry.
KEEP, DROP, BLANK, BREAK, JOINER, SELECTOR = range(6)
KIND = 7
JOINS = 8  # of a script, or an emoji, whose shape a joiner beside it changes
UNSURE = 16  # its quick check is not Yes: the text may not be in the form
ORDER = 8  # the canonical combining class is in the bits from here

# By hand, not by category: a newer Unicode must not change what an older one decided.
RANGES = {
    DROP: (
        *((0x00, 0x08), (0x0E, 0x1B), (0x7F, 0x84), (0x86, 0x9F)),  # controls
        *((0xAD, 0xAD), (0x34F, 0x34F), (0x200B, 0x200B), (0x2060, 0x2064)),  # no width
        *((0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x206F)),  # directions
        *((0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A)),  # format
        *((0xE0000, 0xE00FF), (0xE01F0, 0xE0FFF)),  # tags: they can hide a whole text
        *((0xE000, 0xF8FF), (0xF0000, SIZE - 1)),  # private use: glyphs of some web font
        *((0xFDD0, 0xFDEF), *((plane | 0xFFFE, plane | 0xFFFF) for plane in range(0, SIZE, 65536))),
    ),
    BLANK: (
        *((0x09, 0x09), (0x1F, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
        *((0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000)),
    ),
    BREAK: ((0x0A, 0x0D), (0x1C, 0x1E), (0x85, 0x85), (0x2028, 0x2029)),
    JOINER: ((0x180E, 0x180E), (0x200C, 0x200D)),
    SELECTOR: ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF)),
    JOINS: (
        *((0x600, 0x109F), (0x1780, 0x180D), (0x180F, 0x18AF), (0x1A20, 0x1AAF), (0x1B00, 0x1C4F)),
        *((0xA800, 0xABFF), (0xFB50, 0xFDCF), (0xFDF0, 0xFDFF), (0xFE70, 0xFEFC)),
        *((0x10A00, 0x11FFF), (0x1E900, 0x1E95F)),
        *((0x2190, 0x21FF), (0x2300, 0x27BF), (0x2900, 0x297F), (0x2B00, 0x2BFF)),  # emoji
        *((0xFE0F, 0xFE0F), (0x1F000, 0x1FAFF)),
    ),
}


@cache
def actions(form: Form) -> Table:
    """The entry of every code point for one normalisation form, of the running Python's Unicode."""
    table = np.zeros(SIZE, np.uint16)
    for action, ranges in RANGES.items():
        for low, high in ranges:
            table[low : high + 1] |= action
    for low, high in ((0x80, 0x3400), (0xA000, 0xAC00), (0xF900, 0x20000), (0x2F800, 0x2FA20)):
        for point in range(low, high):  # what lies between decomposes in no form, or is Hangul
            character = chr(point)
            table[point] |= unicodedata.combining(character) << ORDER
            if unicodedata.normalize(form, character) != character:
                table[point] |= UNSURE
            if unicodedata.normalize("NFC", character) == character:
                for mark in unicodedata.normalize("NFD", character)[1:]:
                    table[ord(mark)] |= UNSURE  # may compose with what is before it
    table[0x1161:0x1176] |= UNSURE  # vowels and finals of Hangul
    table[0x11A8:0x11C3] |= UNSURE
    return table


def squeeze(column: pa.Array, form: Form) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """The cleaned texts (large_string), and which of them may not be in the form."""
    offsets, data = string_buffers(column)
    places = np.zeros(len(offsets), np.int64)
    unsure = np.zeros(len(offsets) - 1, np.bool_)
    out = np.empty(offsets[-1] - offsets[0], np.uint8)
    squeeze_rows(offsets, data, actions(form), places, out, unsure)
    buffers = [None, pa.py_buffer(places), pa.py_buffer(out[: places[-1]])]
    return pa.Array.from_buffers(pa.large_string(), len(unsure), buffers), unsure


@nb.njit(cache=True)
def squeeze_rows(
    offsets: npt.NDArray[np.int64],
    data: Bytes,
    table: Table,
    places: npt.NDArray[np.int64],
    out: Bytes,
    unsure: npt.NDArray[np.bool_],
) -> None:
    """`squeeze` of every row into `out`, which is as long as the input."""
    for row in range(len(offsets) - 1):
        filled, doubt = squeeze_row(data, offsets[row], offsets[row + 1], table, out, places[row])
        places[row + 1] = filled
        unsure[row] = doubt


@nb.njit(cache=True)
def squeeze_row(
    data: Bytes, at: int, end: int, table: Table, out: Bytes, filled: int
) -> tuple[int, bool]:
    """Clean one text into `out` from `filled` on: where it ends, and whether it may be in no form."""
    begin = filled
    gap = 0  # white space not yet written: 1 a blank, 2 a line end, 3 an empty line
    before = np.uint32(0)
    order = 0
    unsure = False
    while at < end:
        if 0x20 < data[at] < 0x7F:
            filled = fill(out, filled, gap if filled > begin else 0)
            gap = order = 0
            while at < end and 0x20 < data[at] < 0x7F:
                out[filled] = data[at]
                filled += 1
                at += 1
            before = np.uint32(data[at - 1])
            continue
        point, size = decode(data, at, end)
        entry = table[point]
        kind = entry & KIND
        at += size
        if kind == BLANK:
            gap = max(gap, 1)
        elif kind == BREAK:
            if not (point == 0x0D and at < end and data[at] == 0x0A):
                gap = 3 if gap >= 2 else 2
        elif size == 1 or kind == DROP:  # of one byte: malformed
            continue
        elif kind == KEEP or (
            gap == 0 and filled > begin and belongs(kind, table, before, data, at, end)
        ):
            if gap:
                filled = fill(out, filled, gap if filled > begin else 0)
                gap = order = 0
            rank = entry >> ORDER
            unsure = unsure or entry & UNSURE != 0 or (rank != 0 and rank < order)
            order = rank
            before = point
            for part in range(at - size, at):
                out[filled] = data[part]
                filled += 1
    return filled, unsure


@nb.njit(cache=True, inline="always")
def fill(out: Bytes, filled: int, gap: int) -> int:
    """Write the white space between two words."""
    if gap == 1:
        out[filled] = 0x20
        return filled + 1
    for _ in range(1, gap):
        out[filled] = 0x0A
        filled += 1
    return filled


@nb.njit(cache=True)
def belongs(kind: int, table: Table, before: np.uint32, data: Bytes, at: int, end: int) -> bool:
    """Whether a joiner or selector means something.

    A joiner does between two letters of a script that needs it or two emoji, a selector as the
    first after its character.
    """
    if kind == SELECTOR:
        return bool(table[before] & KIND != SELECTOR)
    if at >= end or table[before] & JOINS == 0:
        return False
    point, _ = decode(data, at, end)
    return bool(table[point] & KIND == KEEP and table[point] & JOINS != 0)
