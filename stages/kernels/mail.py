"""The e-mail address around an `@`, in time bounded by the longest address there may be."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes: TypeAlias = npt.NDArray[np.uint8]

ALNUM, LOCAL, DOMAIN, LETTER, JOIN, GAP = 1, 2, 4, 8, 16, 32  # what a byte may be part of
LOCAL_MOST, DOMAIN_MOST = 64, 255  # RFC 5321, 4.5.3.1


@njit(cache=True)
def email(data: Bytes, start: int, at: int, end: int, table: Bytes) -> tuple[int, int]:
    """Where the address around the @ begins and stops; it stops at -1 if there is none."""
    begin, least = at, max(start, at - LOCAL_MOST)
    while begin > least:
        if table[data[begin - 1]] & LOCAL:
            begin -= 1
        elif begin - 2 >= least and accented(data, begin - 2, begin):
            begin -= 2
        else:
            break
    while begin < at and data[begin] < 0x80 and table[data[begin]] & ALNUM == 0:
        begin += 1  # a quote, a dash
    if begin == at or data[at - 1] == 0x2E:
        return at, -1
    stop, labels, size, letters = -1, 0, 0, True
    place, most = at + 1, min(end, at + 1 + DOMAIN_MOST)
    while place <= most:
        byte = data[place] if place < most else np.uint8(0)
        wide = 2 if place < most and accented(data, place, most) else 1
        if wide == 2 or table[byte] & DOMAIN:
            letters = letters and (wide == 2 or table[byte] & LETTER != 0)
            size += 1
            place += wide
            continue
        if size == 0 or data[place - 1] == 0x2D:
            break
        labels += 1
        if labels > 1 and size > 1 and (letters or puny(data, place - size, place)):
            stop = place
        if byte != 0x2E:
            break
        size, letters = 0, True
        place += 1
    return begin, stop


@njit(cache=True)
def puny(data: Bytes, at: int, stop: int) -> bool:
    """Whether a label of a host is the ASCII form of one in another script: `xn--...`."""
    return bool(
        stop - at > 4
        and data[at] | 0x20 == 0x78
        and data[at + 1] | 0x20 == 0x6E
        and data[at + 2] == 0x2D
        and data[at + 3] == 0x2D
    )


@njit(cache=True, inline="always")
def accented(data: Bytes, at: int, end: int) -> bool:
    """Whether a letter of two bytes is here (accented Latin, Greek, Cyrillic)."""
    return bool(at + 1 < end and 0xC3 <= data[at] <= 0xD3 and data[at + 1] & 0xC0 == 0x80)
