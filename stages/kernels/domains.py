"""Large lists of domains and pages as sorted 64-bit hashes, and addresses that are in them."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.hashing import Bytes, Hashes, Offsets, hash_bytes

Numbers: TypeAlias = npt.NDArray[np.int64]

NEWLINE, SPACE, NUMBER_SIGN, DOT, SLASH, COLON, AT = 10, 32, 35, 46, 47, 58, 64
STAR, QUESTION = 42, 63
WWW = np.frombuffer(b"www.", np.uint8)


@njit(cache=True)
def hash_lines(data: Bytes, pages: bool, out: Hashes) -> int:
    """The XXH64 of the name on each line of a list, in lower case; how many. Writes to `data` too.

    Of a line, what is behind its last blank counts (`0.0.0.0 bad.example`) and before a `#`. A domain
    loses `*.` and dots at its ends; a page its scheme, `www.` and the slash at its end.
    """
    many, at = 0, 0
    while at < len(data):
        start = at
        while at < len(data) and data[at] != NEWLINE:
            if 0x41 <= data[at] <= 0x5A:
                data[at] |= 0x20
            at += 1
        stop = start
        while stop < at and data[stop] != NUMBER_SIGN:
            stop += 1
        at += 1
        while stop > start and data[stop - 1] <= SPACE:
            stop -= 1
        for blank in range(stop - 1, start, -1):
            if data[blank] <= SPACE:
                start = blank + 1
                break
        start, stop = _page(data, start, stop) if pages else _domain(data, start, stop)
        if start < stop:
            out[many] = hash_bytes(data, start, stop, np.uint64(0))
            many += 1
    return many


@njit(cache=True)
def _domain(data: Bytes, start: int, stop: int) -> tuple[int, int]:
    while start < stop and (data[start] == DOT or data[start] == STAR):
        start += 1
    while start < stop and data[stop - 1] == DOT:
        stop -= 1
    return start, stop


@njit(cache=True)
def _page(data: Bytes, start: int, stop: int) -> tuple[int, int]:
    """Where an address begins behind scheme, user and `www.`, and ends without a slash."""
    at = start
    while at < stop - 2 and data[at] != SLASH:
        if data[at] == COLON and data[at + 1] == SLASH and data[at + 2] == SLASH:
            start = at + 3
            break
        at += 1
    at = start
    while at < stop and data[at] != SLASH and data[at] != QUESTION and data[at] != NUMBER_SIGN:
        if data[at] == AT:
            start = at + 1
        at += 1
    if stop - start > len(WWW) and np.all(data[start : start + len(WWW)] == WWW):
        start += len(WWW)
    while stop > start and data[stop - 1] == SLASH:
        stop -= 1
    return start, stop


@njit(cache=True)
def index(hashes: Hashes) -> Numbers:
    """Where the hashes with each of the 65,536 beginnings start, and the end."""
    starts = np.zeros((1 << 16) + 1, np.int64)
    for found in hashes:
        starts[np.int64(found >> np.uint64(48)) + 1] += 1
    return np.cumsum(starts)


@njit(cache=True)
def _find(hashes: Hashes, starts: Numbers, wanted: np.uint64) -> int:
    """The place of a hash, -1 if it is not there."""
    bucket = np.int64(wanted >> np.uint64(48))
    low, high = starts[bucket], starts[bucket + 1]
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < starts[bucket + 1] and hashes[low] == wanted else -1


@njit(cache=True)
def covering(offsets: Offsets, data: Bytes, hashes: Hashes, starts: Numbers) -> Numbers:
    """For each host name, the place of the longest listed domain that it is or ends in; -1: none."""
    out = np.full(len(offsets) - 1, -1)
    for host in range(len(out)):
        stop = offsets[host + 1]
        for at in range(offsets[host], stop):
            if at == offsets[host] or data[at - 1] == DOT:
                out[host] = _find(hashes, starts, hash_bytes(data, at, stop, np.uint64(0)))
                if out[host] >= 0:
                    break
    return out


@njit(cache=True)
def leading(offsets: Offsets, data: Bytes, hashes: Hashes, starts: Numbers) -> Numbers:
    """For each URL in lower case, the place of the shortest listed page that it leads with; -1: none.

    A page ends at a slash, `?` or `#` of the URL, or where the URL ends.
    """
    out = np.full(len(offsets) - 1, -1)
    for url in range(len(out)):
        start, stop = _page(data, offsets[url], offsets[url + 1])
        for at in range(start + 1, stop + 1):
            if at == stop or data[at] == SLASH or data[at] == QUESTION or data[at] == NUMBER_SIGN:
                out[url] = _find(hashes, starts, hash_bytes(data, start, at, np.uint64(0)))
                if out[url] >= 0:
                    break
    return out
