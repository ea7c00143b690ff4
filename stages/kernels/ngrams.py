"""How much of a text is said by repeated n-grams of words.

An n-gram can be repeated only where the (n-1)-grams that it begins and ends with are. So every
position is looked at for n = 2 only; longer n-grams are looked for among the positions that are
left, which in prose are few. This is exact, and several times faster than counting each n anew.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.hashing import mix
from stages.kernels.words import Hashes, Numbers

Places: TypeAlias = npt.NDArray[np.int32]

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)
STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio


@njit(cache=True)
def table_size(entries: int) -> int:
    """The power of two that keeps a hash table of so many entries at most half full."""
    size = 2
    while size < 2 * entries:
        size *= 2
    return size


@njit(cache=True, inline="always")
def find(keys: Hashes, mask: np.uint64, key: np.uint64) -> np.uint64:
    """The slot that holds the key, or the empty one (0) where it belongs."""
    slot = key & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True)
def measure_ngrams(
    hashes: Hashes,
    ends: Numbers,
    tokens: int,
    longest: int,
    out: Numbers,
) -> None:
    """Characters in the top 2- to 4-grams and the duplicate 5- to 10-grams, into `out[0:9]`.

    `hashes` and `ends` are those of `words.cut`. n-grams longer than `longest` are left alone.
    What is counted is said in `stages.measure`.
    """
    out[:] = 0
    left = max(0, tokens - 1)
    places = np.arange(left).astype(np.int32)
    slots = np.empty(left, np.int32)
    keys = np.empty(table_size(left), np.uint64)
    counts = np.empty(len(keys), np.int32)
    for n in range(2, longest + 1):
        if not left:
            break
        _count(hashes, places, left, n, keys, counts, slots)
        if n <= TOP[-1]:
            out[n - 2] = _top(ends, places, left, n, counts, slots)
        else:
            out[n - 2] = _duplicate(ends, places, left, n, counts, slots)
        left = _narrow(places, left, counts, slots)


@njit(cache=True)
def _count(
    hashes: Hashes, places: Places, left: int, n: int, keys: Hashes, counts: Places, slots: Places
) -> None:
    """Count the n-grams at the places; `slots` says where in `counts`."""
    size = table_size(left)
    mask = np.uint64(size - 1)
    keys[:size] = 0
    for j in range(left):
        at = places[j]
        key = hashes[at]
        for k in range(1, n):
            key = key * STEP + hashes[at + k]
        key = mix(key) | np.uint64(1) << np.uint64(63)
        slot = find(keys, mask, key)
        if keys[slot] == 0:
            keys[slot] = key
            counts[slot] = 0
        counts[slot] += 1
        slots[j] = slot


@njit(cache=True)
def _top(ends: Numbers, places: Places, left: int, n: int, counts: Places, slots: Places) -> int:
    """Characters in all occurrences of the most frequent n-gram, the first seen of several."""
    best, first = 1, 0
    for j in range(left):
        if counts[slots[j]] > best:
            best, first = counts[slots[j]], places[j]
    if best == 1:
        return 0
    length: int = ends[first + n] - ends[first] + n - 1
    return best * length


@njit(cache=True)
def _duplicate(
    ends: Numbers, places: Places, left: int, n: int, counts: Places, slots: Places
) -> int:
    """Characters in n-grams seen before, none counted twice. Leaves counts of the seen negative."""
    characters, free = 0, 0
    for j in range(left):
        at = places[j]
        if at < free or counts[slots[j]] == 1:
            continue
        if counts[slots[j]] < 0:
            characters += ends[at + n] - ends[at]
            free = at + n
        else:
            counts[slots[j]] = -counts[slots[j]]
    return characters


@njit(cache=True)
def _narrow(places: Places, left: int, counts: Places, slots: Places) -> int:
    """Keep the places where an (n+1)-gram may be repeated; how many there are."""
    kept = 0
    for j in range(left - 1):
        here, after = places[j], places[j + 1]
        if after == here + 1 and abs(counts[slots[j]]) > 1 and abs(counts[slots[j + 1]]) > 1:
            places[kept] = here
            kept += 1
    return kept
