"""How much of a text is said by repeated n-grams of words.

An n-gram can be repeated only where the (n-1)-grams that it begins and ends with are. So every
position is looked at for n = 2 only; longer n-grams are looked for among the positions that are
left, which in prose are few. This is exact, and several times faster than counting each n anew.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.forms import STEP
from stages.kernels.words import Hashes, Numbers

Places: TypeAlias = npt.NDArray[np.int32]

TOP = (2, 3, 4)
DUPLICATE = (5, 6, 7, 8, 9, 10)


@lean
def table_size(entries: int) -> int:
    """The power of two that keeps a hash table of so many entries at most half full."""
    size = 2
    while size < 2 * entries:
        size *= 2
    return size


@lean_inline
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
    every: bool,
    out: Numbers,
) -> None:
    """Characters in the top 2- to 4-grams and the duplicate 5- to 10-grams, into `out[0:9]`.

    `hashes` and `ends` are those of `words.cut`. n-grams longer than `longest` are left alone.
    `every`: all occurrences of what is repeated count, the first too, and no spaces, as in
    RedPajama. What is counted is said in `stages.measure`.
    """
    out[:] = 0
    left = max(0, tokens - 1)
    places = np.empty(left, np.int32)
    numbers, codes = np.empty(left, np.int32), np.empty(left, np.uint64)
    heads = np.empty(table_size(left), np.int32)
    keys, counts = np.empty(left + 1, np.uint64), np.empty(left + 1, np.int32)
    for j in range(left):
        codes[j], places[j] = hashes[j] * STEP + hashes[j + 1], j
    for n in range(2, longest + 1):
        if not left:
            break
        _count(codes, left, heads, keys, counts, numbers)
        if n <= TOP[-1]:
            out[n - 2] = _top(ends, places, left, n, every, counts, numbers)
        elif every:
            out[n - 2] = _repeated(ends, places, left, n, counts, numbers)
        else:
            out[n - 2] = _duplicate(ends, places, left, n, counts, numbers)
        left = _narrow(places, left, counts, numbers, codes)


@njit(cache=True)
def diversity(hashes: Hashes, words: int) -> tuple[int, float]:
    """How many different words there are, and the entropy of their frequencies in nats."""
    heads, keys = np.empty(table_size(words), np.int32), np.empty(words + 1, np.uint64)
    counts, numbers = np.empty(words + 1, np.int32), np.empty(words, np.int32)
    many = _count(hashes, words, heads, keys, counts, numbers)
    entropy = 0.0
    for number in range(1, many + 1):
        share = counts[number] / words
        entropy -= share * np.log(share)
    return many, entropy


@lean
def _count(
    codes: Hashes, left: int, heads: Places, keys: Hashes, counts: Places, numbers: Places
) -> int:
    """Number the first `left` codes from 1 on, in `numbers`, and count each, in `counts`.

    Returns how many different ones there are. `heads` is a hash table of numbers: a quarter of the
    bytes of one of codes and counts, so that it stays in the nearest cache for most texts.
    """
    size = table_size(left)
    mask = np.uint64(size - 1)
    heads[:size] = 0
    many = 0
    for j in range(left):
        slot = (codes[j] >> np.uint64(32)) & mask
        while heads[slot] and keys[heads[slot]] != codes[j]:
            slot = (slot + np.uint64(1)) & mask
        number = heads[slot]
        if number == 0:
            many += 1
            number = np.int32(many)
            heads[slot], keys[number], counts[number] = number, codes[j], 0
        counts[number] += 1
        numbers[j] = number
    return many


@lean
def _top(
    ends: Numbers, places: Places, left: int, n: int, every: bool, counts: Places, numbers: Places
) -> int:
    """Characters in all occurrences of the most frequent n-gram, the first seen of several."""
    best, first = 1, 0
    for j in range(left):
        if counts[numbers[j]] > best:
            best, first = counts[numbers[j]], places[j]
    if best == 1:
        return 0
    length: int = ends[first + n] - ends[first] + (0 if every else n - 1)
    return best * length


@lean
def _duplicate(
    ends: Numbers, places: Places, left: int, n: int, counts: Places, numbers: Places
) -> int:
    """Characters in n-grams seen before, none counted twice. Leaves counts of the seen negative."""
    characters, free = 0, 0
    for j in range(left):
        at = places[j]
        if at < free or counts[numbers[j]] == 1:
            continue
        if counts[numbers[j]] < 0:
            characters += ends[at + n] - ends[at]
            free = at + n
        else:
            counts[numbers[j]] = -counts[numbers[j]]
    return characters


@lean
def _repeated(
    ends: Numbers, places: Places, left: int, n: int, counts: Places, numbers: Places
) -> int:
    """Characters in n-grams that occur more than once, none counted twice."""
    characters, free = 0, 0
    for j in range(left):
        if counts[numbers[j]] > 1:
            at = places[j]
            characters += ends[at + n] - ends[max(at, free)]
            free = at + n
    return characters


@lean
def _narrow(places: Places, left: int, counts: Places, numbers: Places, codes: Hashes) -> int:
    """Keep the places where an (n+1)-gram may be repeated, and give it a code; how many there are.

    The code is made of the numbers of the two n-grams in it: one to one, as the factor is odd.
    """
    kept = 0
    for j in range(left - 1):
        here, after = places[j], places[j + 1]
        if after == here + 1 and abs(counts[numbers[j]]) > 1 and abs(counts[numbers[j + 1]]) > 1:
            places[kept] = here
            pair = np.uint64(numbers[j]) << np.uint64(32) | np.uint64(numbers[j + 1])
            codes[kept] = pair * STEP
            kept += 1
    return kept
