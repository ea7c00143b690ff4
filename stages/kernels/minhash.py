"""Shingles, MinHash signatures and the similarity of shingle sets, over hashes of words or letters.

Input is a list column of hashes of words, or of characters, as (offsets, hashes): document d holds
the hashes from offsets[d] to offsets[d + 1]. A shingle is `size` of them in a row; a text of fewer
is one shingle, an empty text none. Scheme: Broder, On the resemblance and containment of documents (1997);
permutations: `affine32` of datasketch 2, number for number, for shingles whose 32-bit hash is the
upper half of ours; banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import CLASS_BITS, PUNCTUATION, SPACE, Table, decode
from stages.kernels.hashing import P1, P5, Bytes, Hashes, Offsets, mix

Signatures: TypeAlias = npt.NDArray[np.uint32]
BLANK, ZERO = 32, 48
CUT = np.uint64(24)  # lower bits of a shingle's hash that are not compared
FEW = 24  # values that are put in order one by one


def permutations(count: int, seed: int) -> tuple[Signatures, Signatures]:
    """Factors (odd) and addends that turn a 32-bit hash into `count` others, one to one."""
    draw = np.random.RandomState(seed)  # its numbers are frozen for all versions of numpy
    factors = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@njit(cache=True, inline="always")
def _count(words: int, size: int) -> int:
    return max(words - size + 1, min(words, 1))


@njit(cache=True)
def _shingles(hashes: Hashes, start: int, stop: int, size: int, out: Hashes) -> int:
    """Write the hash of every shingle of hashes `start` to `stop`, in order; how many.

    A polynomial of the words that rolls: a shingle of 24 characters costs what one of 5 words does.
    """
    if start == stop:
        return 0
    size = min(size, stop - start)
    rolled, power = np.uint64(0), np.uint64(1)
    for at in range(size):
        rolled = rolled * P1 + hashes[start + at]
        power *= P1
    count = _count(stop - start, size)
    for at in range(count):
        if at:
            last = start + at + size - 1
            rolled = rolled * P1 + hashes[last] - hashes[last - size] * power
        out[at] = mix(np.uint64(size) * power + rolled)
    return count


@njit(cache=True, inline="always")
def _narrow(shingle: np.uint64) -> np.uint32:
    """The upper half of a hash, mixed (fmix32 of MurmurHash3). Numba widens: narrow every product."""
    x = np.uint32(shingle >> np.uint64(32))
    x = np.uint32((x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    x = np.uint32((x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(x ^ (x >> np.uint32(16)))


@njit(cache=True)
def signatures(
    offsets: Offsets, hashes: Hashes, size: int, factors: Signatures, addends: Signatures
) -> Signatures:
    """The least value of each permutation over the shingles of each document: (documents, lanes)."""
    lanes = len(factors)
    out = np.full((len(offsets) - 1, lanes), np.uint32(0xFFFFFFFF))
    least = np.empty(lanes, np.uint32)
    shingles = np.empty(longest(offsets), np.uint64)
    for d in range(len(out)):
        least[:] = np.uint32(0xFFFFFFFF)
        for at in range(_shingles(hashes, offsets[d], offsets[d + 1], size, shingles)):
            x = _narrow(shingles[at])
            for lane in range(lanes):
                least[lane] = min(least[lane], np.uint32(x * factors[lane] + addends[lane]))
        out[d] = least
    return out


@njit(cache=True)
def signatures_of_sets(
    offsets: Offsets, shingles: Hashes, factors: Signatures, addends: Signatures
) -> Signatures:
    """`signatures`, from what `distinct_shingles` gives of the same documents."""
    out = np.full((len(offsets) - 1, len(factors)), np.uint32(0xFFFFFFFF))
    for d in range(len(out)):
        for at in range(offsets[d], offsets[d + 1]):
            x = _narrow(shingles[at] << CUT)
            for lane in range(len(factors)):
                out[d, lane] = min(out[d, lane], np.uint32(x * factors[lane] + addends[lane]))
    return out


@njit(cache=True)
def longest(offsets: Offsets) -> int:
    """The most values that one row has."""
    most = 0
    for row in range(len(offsets) - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    return most


@njit(cache=True)
def band_keys(signed: Signatures, bands: int) -> Hashes:
    """One hash per document and band: equal where the rows of that band are. (documents, bands)."""
    rows = signed.shape[1] // bands
    out = np.empty((len(signed), bands), np.uint64)
    for d in range(len(signed)):
        for band in range(bands):
            h = np.uint64(band + 1) * P5
            for at in range(band * rows, (band + 1) * rows):
                h = mix(h ^ np.uint64(signed[d, at]) * P1)
            out[d, band] = h
    return out


@njit(cache=True)
def distinct_shingles(offsets: Offsets, hashes: Hashes, size: int) -> tuple[Offsets, Hashes]:
    """The shingles of each document, as (offsets, hashes): the upper 40 bits, sorted, each once.

    Of two documents with n shingles each, n * n / 2**40 are taken for common that are not, on average: it
    moves their similarity by n / 2**40, 1e-9 for 1,000 shingles.
    """
    places = np.zeros(len(offsets), np.int64)
    out = np.empty(len(hashes), np.uint64)
    end = 0
    most = longest(offsets)
    shingles, found = np.empty(most, np.uint64), np.empty(most, np.uint64)
    starts = np.empty(4 * most + 2, np.int64)
    for d in range(len(offsets) - 1):
        count = _shingles(hashes, offsets[d], offsets[d + 1], size, shingles)
        _sort(shingles, count, found, starts)
        for at in range(count):
            if at == 0 or found[at] >> CUT != found[at - 1] >> CUT:
                out[end] = found[at] >> CUT
                end += 1
        places[d + 1] = end
    return places, out[:end].copy()


@njit(cache=True)
def _sort(values: Hashes, count: int, out: Hashes, starts: Offsets) -> None:
    """Write values in order: hashes are uniform, so their first bits say about where each belongs."""
    bits = 1
    while 1 << bits < count:
        bits += 1
    shift = np.uint64(64 - bits)
    starts[: (1 << bits) + 1] = 0
    for at in range(count):
        starts[(values[at] >> shift) + np.uint64(1)] += 1
    for bucket in range(1 << bits):
        starts[bucket + 1] += starts[bucket]
    for at in range(count):
        bucket = values[at] >> shift
        out[starts[bucket]] = values[at]
        starts[bucket] += 1
    start = 0
    for bucket in range(1 << bits):
        stop = starts[bucket]
        if stop - start > FEW:
            out[start:stop].sort()
        else:
            for at in range(start + 1, stop):
                value, place = out[at], at
                while place > start and out[place - 1] > value:
                    out[place] = out[place - 1]
                    place -= 1
                out[place] = value
        start = stop


@njit(cache=True)
def alike(hashes: Hashes, a: int, a_stop: int, b: int, b_stop: int, contained: bool) -> float:
    """How alike two sorted sets among the hashes are; 0 where both are empty.

    Common values per value of either (Jaccard) or, if `contained`, per value of the first.
    """
    first, both = a_stop - a, (a_stop - a) + (b_stop - b)
    common = 0
    while a < a_stop and b < b_stop:
        x, y = hashes[a], hashes[b]
        common += x == y
        a += x <= y
        b += y <= x
    whole = first if contained else both - common
    return common / whole if whole else 0.0


@njit(cache=True)
def letters(data: Bytes, offsets: Offsets, table: Table) -> tuple[Offsets, Hashes]:
    """One hash per folded letter of each text, all else between them one blank: (offsets, hashes).

    Folding is that of words (`stages.kernels.words`): lower case without accents, a
    run of digits is one 0. Letters of scripts without spaces follow each other without a blank.
    """
    places = np.zeros(len(offsets), np.int64)
    out = np.empty(offsets[-1] - offsets[0], np.uint64)
    end = 0
    for d in range(len(offsets) - 1):
        at, first, last = offsets[d], end, np.uint32(BLANK)
        while at < offsets[d + 1]:
            point, size = decode(data, at, offsets[d + 1])
            at += size
            entry = table[point]
            letter = entry >> np.uint32(CLASS_BITS)
            if entry & (SPACE | PUNCTUATION):
                letter = np.uint32(BLANK)
            if letter == 0 or (letter == last and letter in (BLANK, ZERO)):
                continue
            last = letter
            out[end] = mix(np.uint64(letter))
            end += 1
        if end > first and last == BLANK:
            end -= 1
        places[d + 1] = end
    return places, out[:end].copy()
