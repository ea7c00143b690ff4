"""Hashes of the tokens of a text: of their characters, and of the form that they fold to."""

import numpy as np

from stages.kernels import lean, lean_inline
from stages.kernels.characters import CLASS_BITS, PUNCTUATION, Bytes, Table, decode
from stages.kernels.eight import below, eight, few
from stages.kernels.hashing import mix

BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
ZERO = 48


@lean_inline
def hash_of(data: Bytes, at: int, stop: int, end: int, ascii_: bool) -> np.uint64:
    """The hash of the characters up to `stop`; `ascii_`: all of them are ASCII."""
    code = BASIS
    if ascii_:
        while at < stop:
            some = eight(data, at) if at + 8 <= end else few(data, at, stop)
            code = (code ^ some & below(stop - at)) * STEP
            code ^= code >> np.uint64(32)
            at += 8
        return mix(code)
    while at < stop:
        point, size = decode(data, at, stop)
        code = (code ^ np.uint64(point)) * PRIME
        at += size
    return mix(code)


@lean
def fold_of(data: Bytes, at: int, end: int, table: Table) -> np.uint64:
    """The hash of a word as it is folded: without marks, and a run of digits is one 0."""
    fold, last = BASIS, np.uint32(0)
    while at < end:
        point, size = decode(data, at, end)
        at += size
        entry = table[point]
        letter = entry >> np.uint32(CLASS_BITS)
        if entry & PUNCTUATION or letter == 0 or (letter == ZERO and last == ZERO):
            continue
        fold = (fold ^ np.uint64(letter)) * PRIME
        last = letter
    return mix(fold)
