"""XXH64 over every value of an Arrow string column: bytes in, one uint64 per value out.

The algorithm and its constants are those of the xxHash specification (github.com/Cyan4973/xxHash,
doc/xxhash_spec.md), so that any other implementation gives the same numbers.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.eight import eight

Hashes: TypeAlias = npt.NDArray[np.uint64]
Bytes: TypeAlias = npt.NDArray[np.uint8]
Offsets: TypeAlias = npt.NDArray[np.int64]

P1 = np.uint64(0x9E3779B185EBCA87)
P2 = np.uint64(0xC2B2AE3D27D4EB4F)
P3 = np.uint64(0x165667B19E3779F9)
P4 = np.uint64(0x85EBCA77C2B2AE63)
P5 = np.uint64(0x27D4EB2F165667C5)


def hash64(column: pa.Array, seed: int = 0) -> Hashes:
    """The XXH64 of each value's UTF-8 bytes; a null hashes as the empty string does."""
    return hash_values(*string_buffers(column), np.uint64(seed))


def positions(column: pa.Array, seed: int = 0) -> npt.NDArray[np.float64]:
    """A number in [0, 1) for each value, uniform over values and the same everywhere: 53 bits."""
    high: npt.NDArray[np.float64] = (hash64(column, seed) >> np.uint64(11)).astype(np.float64)
    return high * 2.0**-53


def string_buffers(column: pa.Array) -> tuple[Offsets, Bytes]:
    """Offsets (one more than values, int64) and bytes of a string column, without a copy of the bytes.

    What lies under a null is not read: a column with nulls is rewritten with empty strings.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        column = column.fill_null("")
    column = column.cast(pa.large_string())
    _, places, data = column.buffers()
    offsets = np.zeros(1, np.int64)
    if len(column):
        offsets = np.frombuffer(places, np.int64, len(column) + 1, column.offset * 8)
    content = np.frombuffer(data, np.uint8) if data else np.zeros(0, np.uint8)
    return offsets, content


@lean_inline
def mix(h: np.uint64) -> np.uint64:
    """The avalanche of XXH64: every bit of the input moves every bit of the output."""
    h = (h ^ (h >> np.uint64(33))) * P2
    h = (h ^ (h >> np.uint64(29))) * P3
    return h ^ (h >> np.uint64(32))


@lean_inline
def _turn(x: np.uint64, bits: int) -> np.uint64:
    return (x << np.uint64(bits)) | (x >> np.uint64(64 - bits))


@lean_inline
def _four(data: Bytes, at: int) -> np.uint64:
    a = np.uint64(at)
    return (
        np.uint64(data[a])
        | np.uint64(data[a + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[a + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[a + np.uint64(3)]) << np.uint64(24)
    )


@lean_inline
def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _turn(lane + word * P2, 31) * P1


@lean
def hash_bytes(data: Bytes, start: int, stop: int, seed: np.uint64) -> np.uint64:
    """The XXH64 of bytes `start` to `stop`."""
    at = start
    if stop - start >= 32:
        a, b, c, d = seed + P1 + P2, seed + P2, seed, seed - P1
        while at <= stop - 32:
            a = _round(a, eight(data, at))
            b = _round(b, eight(data, at + 8))
            c = _round(c, eight(data, at + 16))
            d = _round(d, eight(data, at + 24))
            at += 32
        h = _turn(a, 1) + _turn(b, 7) + _turn(c, 12) + _turn(d, 18)
        for lane in (a, b, c, d):
            h = (h ^ _round(np.uint64(0), lane)) * P1 + P4
    else:
        h = seed + P5
    h += np.uint64(stop - start)
    while at <= stop - 8:
        h = _turn(h ^ _round(np.uint64(0), eight(data, at)), 27) * P1 + P4
        at += 8
    if at <= stop - 4:
        h = _turn(h ^ (_four(data, at) * P1), 23) * P2 + P3
        at += 4
    while at < stop:
        h = _turn(h ^ (np.uint64(data[at]) * P5), 11) * P1
        at += 1
    return mix(h)


@njit(cache=True)
def hash_values(offsets: Offsets, data: Bytes, seed: np.uint64) -> Hashes:
    """The XXH64 of each stretch of bytes between two offsets."""
    out = np.empty(len(offsets) - 1, np.uint64)
    for at in range(len(out)):
        out[at] = hash_bytes(data, offsets[at], offsets[at + 1], seed)
    return out
