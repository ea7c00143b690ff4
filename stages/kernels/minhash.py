"""Shingles, MinHash signatures and the Jaccard similarity of shingle sets, over word hashes.

Input is a list column of word hashes as (offsets, hashes): document d holds the hashes from
offsets[d] to offsets[d + 1]. A shingle is `size` words in a row; a text of fewer words is one
shingle, an empty text none. Scheme: Broder, On the resemblance and containment of documents (1997);
permutations: `affine32` of datasketch 2, number for number, for shingles whose 32-bit hash is the
upper half of ours; banding: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.hashing import P1, P5, Hashes, Offsets, mix

Signatures: TypeAlias = npt.NDArray[np.uint32]


def permutations(count: int, seed: int) -> tuple[Signatures, Signatures]:
    """Factors (odd) and addends that turn a 32-bit hash into `count` others, one to one."""
    draw = np.random.RandomState(seed)  # its numbers are frozen for all versions of numpy
    factors = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@njit(cache=True, inline="always")
def _count(words: int, size: int) -> int:
    return max(words - size + 1, min(words, 1))


@njit(cache=True, inline="always")
def _shingle(hashes: Hashes, at: int, stop: int) -> np.uint64:
    h = np.uint64(stop - at)
    for word in range(at, stop):
        h = h * P1 + hashes[word]
    return mix(h)


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
    for d in range(len(out)):
        start, stop = offsets[d], offsets[d + 1]
        least[:] = np.uint32(0xFFFFFFFF)
        for at in range(start, start + _count(stop - start, size)):
            x = _narrow(_shingle(hashes, at, min(at + size, stop)))
            for lane in range(lanes):
                least[lane] = min(least[lane], np.uint32(x * factors[lane] + addends[lane]))
        out[d] = least
    return out


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
    """The shingle hashes of each document, sorted, each once, as (offsets, hashes)."""
    places = np.zeros(len(offsets), np.int64)
    out = np.empty(len(hashes), np.uint64)
    end = 0
    for d in range(len(offsets) - 1):
        start, stop = offsets[d], offsets[d + 1]
        found = np.empty(_count(stop - start, size), np.uint64)
        for at in range(len(found)):
            found[at] = _shingle(hashes, start + at, min(start + at + size, stop))
        found.sort()
        for at in range(len(found)):
            if at == 0 or found[at] != found[at - 1]:
                out[end] = found[at]
                end += 1
        places[d + 1] = end
    return places, out[:end].copy()


@njit(cache=True)
def similarities(
    offsets: Offsets, hashes: Hashes, other_offsets: Offsets, other_hashes: Hashes
) -> npt.NDArray[np.float64]:
    """The Jaccard similarity of each pair of sorted sets; 0 where both are empty."""
    out = np.zeros(len(offsets) - 1)
    for pair in range(len(out)):
        a, a_stop = offsets[pair], offsets[pair + 1]
        b, b_stop = other_offsets[pair], other_offsets[pair + 1]
        union = (a_stop - a) + (b_stop - b)
        common = 0
        while a < a_stop and b < b_stop:
            x, y = hashes[a], other_hashes[b]
            common += x == y
            a += x <= y
            b += y <= x
        union -= common
        if union:
            out[pair] = common / union
    return out
