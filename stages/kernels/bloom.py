"""Which of some 64-bit keys may be in a set: a Bloom filter whose bits of a key lie in one cache line.

Putze, Sanders and Singler, Cache-, Hash- and Space-Efficient Bloom Filters (2007). At 10 bits a key
about 1.2 % of the keys that are not in the set are taken for such that may be.
"""

import numpy as np
from numba import njit

from stages.kernels.hashing import Hashes, mix

BITS_PER_KEY, BITS = 10, 6  # bits of the filter, and of these how many are set for a key
LINE = 8  # words of 64 bits


@njit(cache=True)
def bloom(keys: Hashes) -> Hashes:
    """The filter of some keys, as words."""
    lines = max(1, -(-len(keys) * BITS_PER_KEY // (64 * LINE)))
    words = np.zeros(lines * LINE, np.uint64)
    for key in keys:
        line, bits = _place(key, lines)
        for _ in range(BITS):
            words[line + (bits >> np.uint64(6)) % LINE] |= np.uint64(1) << (bits & np.uint64(63))
            bits >>= np.uint64(9)
    return words


@njit(cache=True)
def may_hold(words: Hashes, keys: Hashes) -> np.ndarray:
    """For each key whether it may be in the set: false is certain."""
    out = np.ones(len(keys), np.bool_)
    for at in range(len(keys)):
        line, bits = _place(keys[at], len(words) // LINE)
        for _ in range(BITS):
            word = words[line + (bits >> np.uint64(6)) % LINE]
            out[at] &= word >> (bits & np.uint64(63)) & np.uint64(1)
            bits >>= np.uint64(9)
    return out


@njit(cache=True, inline="always")
def _place(key: np.uint64, lines: int) -> tuple[np.uint64, np.uint64]:
    h = mix(key)
    return ((h >> np.uint64(32)) * np.uint64(lines) >> np.uint64(32)) * np.uint64(LINE), mix(h)
