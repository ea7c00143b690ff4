"""Every n-gram of words of a text looked up among those of benchmarks."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes, Table
from stages.kernels.forms import STEP
from stages.kernels.measures import word_room
from stages.kernels.ngrams import find, table_size
from stages.kernels.spans import grams_of
from stages.kernels.units import NUMBERED, WORD, cut_units, units_room
from stages.kernels.words import Hashes, Numbers

SIEVE = 16  # bits per n-gram of the sieve in front of the table: it says no to 15 of 16 that are not there


class NGrams(NamedTuple):
    """The n-grams of benchmarks: a hash table, and in front of it a sieve that stays in the cache."""

    sieve: Hashes
    keys: Hashes
    items: Numbers  # the first item that has it


@njit(cache=True)
def ngrams_of(data: Bytes, offsets: Numbers, table: Table, size: int) -> tuple[Hashes, Numbers]:
    """The hash of every run of `size` words of the texts, and the text it is of. Never 0."""
    units = units_room(offsets)
    grams = np.empty(len(units.codes), np.uint64)
    room = word_room(offsets, True)
    found, items = np.empty(room, np.uint64), np.empty(room, np.int64)
    many = 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, WORD, NUMBERED, units)
        here = grams_of(units.codes, count, size, STEP, grams)
        for at in range(here):
            found[many], items[many] = grams[at] | np.uint64(1), row
            many += 1
    return found[:many].copy(), items[:many].copy()


@njit(cache=True)
def build(hashes: Hashes, items: Numbers) -> NGrams:
    """The n-grams as they are looked up; of an n-gram of several items the first counts."""
    size = table_size(len(hashes))
    keys, owners = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    sieve = np.zeros(max(1, size * SIEVE // 128), np.uint64)
    for at in range(len(hashes)):
        slot = find(keys, np.uint64(size - 1), hashes[at])
        if keys[slot] == 0:
            keys[slot], owners[slot] = hashes[at], items[at]
        bit = _bit(sieve, hashes[at])
        sieve[bit >> np.uint64(6)] |= np.uint64(1) << (bit & np.uint64(63))
    return NGrams(sieve, keys, owners)


@njit(cache=True, inline="always")
def _bit(sieve: Hashes, key: np.uint64) -> np.uint64:
    return (key >> np.uint64(20)) & np.uint64(len(sieve) * 64 - 1)


@njit(cache=True)
def look_up(
    data: Bytes, offsets: Numbers, table: Table, size: int, known: NGrams, judged: Numbers
) -> tuple[Numbers, Numbers, Numbers, Numbers, Numbers]:
    """The n-grams of each text that are known, as (places, words, items, starts, stops).

    Those of text `row` are from `places[row]` to `places[row + 1]`: the first word of each, the item
    that has it, and its bytes. `judged` (texts x 2) gets the words of each text, and how many of
    them are in n-grams that are known.
    """
    units = units_room(offsets)
    grams = np.empty(len(units.codes), np.uint64)
    room = word_room(offsets, True)
    words, items = np.empty(room, np.int64), np.empty(room, np.int64)
    starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)
    places = np.zeros(len(offsets), np.int64)
    mask, many = np.uint64(len(known.keys) - 1), 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, WORD, NUMBERED, units)
        free = 0  # the first word that no n-gram found so far holds
        judged[row, 0] = count
        for at in range(grams_of(units.codes, count, size, STEP, grams)):
            key = grams[at] | np.uint64(1)
            bit = _bit(known.sieve, key)
            if not known.sieve[bit >> np.uint64(6)] >> (bit & np.uint64(63)) & np.uint64(1):
                continue
            slot = find(known.keys, mask, key)
            if known.keys[slot] == key:
                words[many], items[many] = at, known.items[slot]
                starts[many], stops[many] = units.starts[at], units.stops[at + size - 1]
                judged[row, 1] += at + size - max(free, at)
                free = at + size
                many += 1
        places[row + 1] = many
    return (
        places,
        words[:many].copy(),
        items[:many].copy(),
        starts[:many].copy(),
        stops[:many].copy(),
    )
