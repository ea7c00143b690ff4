"""Eight bytes at a time: loads and classes of ASCII in one 64-bit number, its first byte lowest.

A mask has the highest bit of each byte that is meant, and no other bit.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from stages.kernels import lean_inline
from stages.kernels.characters import Bytes

HIGH = np.uint64(0x8080808080808080)
LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
CASE = np.uint64(0x2020202020202020)
EVERY = np.uint64(0x0101010101010101)
# What carries into the highest bit of a seven-bit byte that is not below a character.
FROM_BLANK, FROM_0, ABOVE_9 = (
    EVERY * np.uint64(0x60),
    EVERY * np.uint64(0x50),
    EVERY * np.uint64(0x46),
)
FROM_A, ABOVE_Z = EVERY * np.uint64(0x1F), EVERY * np.uint64(0x05)


@lean_inline
def eight(data: Bytes, at: int) -> np.uint64:
    """Bytes `at` to `at + 8`, which must be there. Unsigned places make it one load."""
    a = np.uint64(at)
    return (
        np.uint64(data[a])
        | np.uint64(data[a + np.uint64(1)]) << np.uint64(8)
        | np.uint64(data[a + np.uint64(2)]) << np.uint64(16)
        | np.uint64(data[a + np.uint64(3)]) << np.uint64(24)
        | np.uint64(data[a + np.uint64(4)]) << np.uint64(32)
        | np.uint64(data[a + np.uint64(5)]) << np.uint64(40)
        | np.uint64(data[a + np.uint64(6)]) << np.uint64(48)
        | np.uint64(data[a + np.uint64(7)]) << np.uint64(56)
    )


@lean_inline
def few(data: Bytes, at: int, end: int) -> np.uint64:
    """The bytes from `at` to `end`, eight at most, zeros behind them."""
    some = np.uint64(0)
    for place in range(min(8, end - at)):
        some |= np.uint64(data[at + place]) << np.uint64(8 * place)
    return some


@lean_inline
def below(many: int) -> np.uint64:
    """All bits of the first `many` bytes, of eight at most."""
    if many >= 8:
        return ~np.uint64(0)
    return (np.uint64(1) << (np.uint64(many) << np.uint64(3))) - np.uint64(1)


@lean_inline
def letters(some: np.uint64) -> np.uint64:
    """The mask of A to Z and a to z."""
    low = (some | CASE) & LOW
    return (low + FROM_A) & ~(low + ABOVE_Z) & ~some & HIGH


@lean_inline
def digits(some: np.uint64) -> np.uint64:
    """The mask of 0 to 9."""
    low = some & LOW
    return (low + FROM_0) & ~(low + ABOVE_9) & ~some & HIGH


@lean_inline
def printed(some: np.uint64) -> np.uint64:
    """The mask of ASCII without its controls below the blank."""
    return ((some & LOW) + FROM_BLANK) & ~some & HIGH


@lean_inline
def first(mask: np.uint64) -> int:
    """The place of the first byte that is meant; 8 if none is."""
    return lowest(mask) >> 3


@lean_inline
def lowest(some: np.uint64) -> int:
    """The number of the lowest bit that is set; 64 if none is."""
    return int(trailing_zeros(some))  # type: ignore[call-arg]  # numba gives an intrinsic its context
