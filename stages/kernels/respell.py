"""How Sudachi reads a Japanese text: normalised, with the categories of its characters."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes, decode
from stages.kernels.lattice import WRITTEN_TOGETHER, Ids, Kinds, Text
from stages.kernels.words import Numbers

KANJI = np.uint32(1 << 2)
KANA = np.uint32(1 << 6 | 1 << 7)
READING = 4  # characters of a reading in brackets at most
LENGTHENERS = (0x30FC, 0x2D, 0x2053, 0x301C, 0x3030)
LENGTHENER = 0x30FC
OPENING, CLOSING = (0x28, 0xFF08), (0x29, 0xFF09)
AT_ONCE = 40_000  # bytes that datatrove gives to Sudachi
STEP = 10  # characters by which it seeks their end


class Spelling(NamedTuple):
    """How Sudachi rewrites characters before it looks words up."""

    changes: Ids  # of each code point, where its replacement begins in `points`; -1: it stays
    points: Kinds  # number of code points, then the code points
    pairs: Numbers  # first << 32 | second code point that are one, sorted
    joined: Kinds  # the one they are
    kinds: Kinds  # bits of categories of each code point


@njit(cache=True)
def parts_of(data: Bytes, start: int, end: int) -> Numbers:
    """Where datatrove cuts a text in two or more for Sudachi: places of its parts, and its end."""
    places = np.empty(end - start + 1, np.int64)
    sizes = np.empty(end - start + 1, np.int64)
    many, at, size = 0, start, 0
    while at < end:
        places[many], sizes[many] = at, size
        point, width = decode(data, at, end)
        at += width
        size += 1 + int(point >= 0x80) + int(point >= 0x800) + int(point >= 0x10000)
        many += 1
    places[many], sizes[many] = end, size
    if size <= AT_ONCE:
        return np.array([start, end])
    guess = int(max(AT_ONCE * (many / size) - 10, 1))
    cuts, used, first = np.empty(4 * (size // AT_ONCE) + 16, np.int64), 0, 0
    while first < many:
        left = many - first
        if sizes[min(first + guess, many)] - sizes[first] > AT_ONCE:
            guess = max(guess - 10, 1)
            continue
        cut = guess
        stop = min(first + cut, many)
        while sizes[stop] - sizes[first] < AT_ONCE and stop != many:
            cut = min(left, cut + STEP)
            stop = first + cut
        if sizes[stop] - sizes[first] > AT_ONCE:
            cut -= STEP
        if used + 2 > len(cuts):
            cuts = np.concatenate((cuts, cuts))
        cuts[used] = places[first]
        used += 1
        first = min(first + cut, many)
    cuts[used] = end
    return cuts[: used + 1]


@njit(cache=True)
def _read(
    data: Bytes, start: int, end: int, spelling: Spelling, points: Kinds, origins: Numbers
) -> int:
    """The characters, each rewritten by itself, and where each was; their number."""
    many, at = 0, start
    while at < end:
        point, width = decode(data, at, end)
        if at + width < end and len(spelling.pairs):
            after, wide = decode(data, at + width, end)
            if after in (0x3099, 0x309A, 0x309B, 0x309C, 0xFF9E, 0xFF9F):
                pair = np.int64(point) << 32 | np.int64(after)
                found = np.searchsorted(spelling.pairs, pair)
                if found < len(spelling.pairs) and spelling.pairs[found] == pair:
                    points[many], origins[many] = spelling.joined[found], at
                    many += 1
                    at += width + wide
                    continue
        change = spelling.changes[point]
        if change < 0:
            points[many], origins[many] = point, at
            many += 1
        else:
            for each in range(spelling.points[change]):
                points[many] = spelling.points[change + 1 + each]
                origins[many] = at + width if each else at
                many += 1
        at += width
    origins[many] = end
    return many


@njit(cache=True)
def _shorten(points: Kinds, origins: Numbers, many: int, spelling: Spelling) -> int:
    """Make one of several signs of a long vowel, and none of a reading in brackets behind kanji."""
    to, at = 0, 0
    while at < many:
        stop = at
        while stop < many and points[stop] in LENGTHENERS:
            stop += 1
        if stop - at > 1:
            points[to], origins[to] = LENGTHENER, origins[at]
            at = stop
        else:
            points[to], origins[to] = points[at], origins[at]
            at += 1
        to += 1
    origins[to] = origins[many]
    many, to, at = to, 0, 0
    while at < many:
        points[to], origins[to] = points[at], origins[at]
        to += 1
        at += 1
        if at < many and points[at] in OPENING and spelling.kinds[points[at - 1]] & KANJI:
            stop = at + 1
            while stop < many and spelling.kinds[points[stop]] & KANA:
                stop += 1
            if 1 <= stop - at - 1 <= READING and stop < many and points[stop] in CLOSING:
                at = stop + 1
    origins[to] = origins[many]
    return to


@njit(cache=True)
def read(data: Bytes, start: int, end: int, spelling: Spelling) -> Text:
    """A text as Sudachi reads it."""
    room = (end - start) * 18 + 1  # no character is rewritten to more than 18
    points, origins = np.empty(room, np.uint32), np.empty(room + 1, np.int64)
    many = _read(data, start, end, spelling, points, origins)
    many = _shorten(points, origins, many, spelling)
    out = np.empty(4 * many + 1, np.uint8)
    places, numbers = np.empty(many + 1, np.int32), np.empty(4 * many + 1, np.int32)
    kinds, runs = np.empty(many, np.uint32), np.empty(many, np.int32)
    free = np.ones(many + 1, np.uint8)
    size, common, first = 0, np.uint32(0), 0
    for at in range(many):
        point = points[at]
        kind = spelling.kinds[point]
        kinds[at], places[at], numbers[size] = kind, size, at
        size = _write(out, size, point)
        if at and kind & np.uint32(WRITTEN_TOGETHER) and kind & kinds[at - 1]:
            free[at] = 0
        if not common & kind:
            for one in range(first, at):
                runs[one] = at - one
            first, common = at, kind
        else:
            common &= kind
    for one in range(first, many):
        runs[one] = many - one
    places[many], numbers[size] = size, many
    return Text(out, places, numbers, points[:many], kinds, runs, free, origins)


@njit(cache=True)
def _write(out: Bytes, size: int, point: np.uint32) -> int:
    if point < 0x80:
        out[size] = point
        return size + 1
    if point < 0x800:
        out[size], out[size + 1] = 0xC0 | point >> 6, 0x80 | point & 0x3F
        return size + 2
    if point < 0x10000:
        out[size], out[size + 1] = 0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F
        out[size + 2] = 0x80 | point & 0x3F
        return size + 3
    out[size], out[size + 1] = 0xF0 | point >> 18, 0x80 | point >> 12 & 0x3F
    out[size + 2], out[size + 3] = 0x80 | point >> 6 & 0x3F, 0x80 | point & 0x3F
    return size + 4
