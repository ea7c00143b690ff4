"""The blocks of Sudachi's dictionary file, read into arrays."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes
from stages.kernels.lattice import LAST, MOST, NUMBER, SPLIT, Ids, Kinds
from stages.kernels.words import Numbers

# Places in an entry, in bytes; entries are known by their place divided by 8.
UNIT = 8
COST, KIND, LENGTH = 4, 6, 24
SPLITS_C, SPLITS_B, SPLITS_A, SPLITS = 26, 27, 28, 32
NOWHERE, TOO_MANY = -1, -2
SYSTEM = 0x0FFFFFFF  # of a reference to an entry: without the number of its dictionary


class Parts(NamedTuple):
    """The parts of words that Sudachi cuts in mode A."""

    places: Ids  # of each word, where its parts are in `sizes`
    sizes: Ids  # number of parts, then the bytes of each


@njit(cache=True)
def _varint(data: Bytes, at: int) -> tuple[np.int64, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    number, shift = np.int64(0), 0
    while True:
        byte = np.int64(data[at])
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return number, at


@njit(cache=True)
def point_to(pointers: Bytes, trie: Kinds) -> tuple[Kinds, Numbers, Bytes]:
    """The double array with places in a list of entries instead of places in `pointers`.

    With it that list, and 1 where an entry is the last of its spelling.
    """
    entries = np.empty(len(pointers), np.int64)
    last = np.zeros(len(pointers), np.uint8)
    places = np.full(len(pointers), NOWHERE, np.int64)
    at, many = 0, 0
    while at < len(pointers):
        start = at
        count, at = _varint(pointers, at)
        places[start] = many if count < MOST else TOO_MANY
        entry = np.int64(0)
        for _ in range(count):
            step, at = _varint(pointers, at)
            entry += step
            entries[many] = entry
            many += 1
        last[many - 1] = 1
    out = trie.copy()
    for unit in range(len(trie)):
        if trie[unit] >> np.uint32(31):
            value = np.int64(trie[unit] & np.uint32(0x7FFFFFFF))
            if value >= len(places) or places[value] == NOWHERE:
                continue
            if places[value] == TOO_MANY:
                raise ValueError("too many words of one spelling")
            out[unit] = np.uint32(places[value]) | np.uint32(1 << 31)
    return out, entries[:many].copy(), last[:many].copy()


@njit(cache=True)
def _short(data: Bytes, at: int) -> np.int64:
    return np.int64(np.int16(np.uint16(data[at]) | np.uint16(data[at + 1]) << np.uint16(8)))


@njit(cache=True)
def pack(
    data: Bytes, entries: Numbers, last: Bytes, lefts: Ids, rights: Ids, numeral: int
) -> Numbers:
    """Each entry as one number, as `stages.kernels.lattice` has it; ids by their new numbers."""
    out = np.empty(len(entries), np.int64)
    for word in range(len(entries)):
        at = entries[word] * UNIT
        left, right, cost = _short(data, at), _short(data, at + 2), _short(data, at + COST)
        packed = np.int64(0)
        if left >= 0 and right >= 0:
            packed = np.int64(lefts[left]) | np.int64(rights[right]) << 16
        packed |= (cost & 0xFFFF) << 32
        a, b, c = data[at + SPLITS_A], data[at + SPLITS_B], data[at + SPLITS_C]
        if a or (a == 0xFF and (b or (b == 0xFF and c))):
            packed |= SPLIT
        if last[word]:
            packed |= LAST
        if _short(data, at + KIND) == numeral:
            packed |= NUMBER
        out[word] = packed
    return out


@njit(cache=True)
def cut_parts(data: Bytes, entries: Numbers, words: Numbers) -> Parts:
    """The parts of each word that has some."""
    places = np.zeros(len(entries), np.int32)
    sizes = np.empty(1 << 16, np.int32)
    used = 0
    for word in range(len(entries)):
        if not words[word] & SPLIT:
            continue
        at = entries[word] * UNIT
        c = np.int64(np.int8(data[at + SPLITS_C]))
        b = np.int64(np.int8(data[at + SPLITS_B]))
        a = np.int64(np.int8(data[at + SPLITS_A]))
        first, count = 4 * (c + b), a
        if b < 0:
            first = 4 * c
        if a < 0:
            first, count = 4 * c, b
            if b < 0:
                first, count = np.int64(0), c
        if used + 200 > len(sizes):
            more = np.empty(2 * len(sizes), np.int32)
            more[:used] = sizes[:used]
            sizes = more
        places[word] = used
        sizes[used] = count
        used += 1
        for part in range(count):
            place = int(at + SPLITS + first + 4 * part)
            entry = _short(data, place) & 0xFFFF | (_short(data, place + 2) & 0xFFFF) << 16
            sizes[used] = _short(data, int((entry & SYSTEM) * UNIT + LENGTH))
            used += 1
    return Parts(places, sizes[:used].copy())


@njit(cache=True)
def heads_of(trie: Kinds) -> Ids:
    """Where the double array is after each character below 0x10000; see `Lexicon`."""
    out = np.full(1 << 16, -1, np.int32)
    root = _offset(trie[0])
    size = np.empty(3, np.uint32)
    for point in range(1, 1 << 16):
        if point < 0x80:
            size[0], many = point, 1
        elif point < 0x800:
            size[0], size[1], many = 0xC0 | point >> 6, 0x80 | point & 0x3F, 2
        else:
            size[0], size[1], many = 0xE0 | point >> 12, 0x80 | point >> 6 & 0x3F, 3
            size[2] = 0x80 | point & 0x3F
        node, unit, found = root, np.uint32(0), True
        for at in range(many):
            node ^= size[at]
            unit = trie[node]
            if unit & np.uint32(0x800000FF) != size[at]:
                found = False
                break
            node ^= _offset(unit)
        if found:
            out[point] = np.int32(node) << 1 | np.int32(unit >> np.uint32(8) & np.uint32(1))
    return out


@njit(cache=True, inline="always")
def _offset(unit: np.uint32) -> np.uint32:
    return (unit >> np.uint32(10)) << ((unit & np.uint32(1 << 9)) >> np.uint32(6))
