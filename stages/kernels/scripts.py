"""Which script a text is in, by counting its characters."""

from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import SIZE, Bytes, decode

Numbers: TypeAlias = npt.NDArray[np.int64]
Shares: TypeAlias = npt.NDArray[np.float64]

NONE = "Zyyy"  # ISO 15924: no character that belongs to one script
KANA = 0.1  # share of kana among Han and kana from which on all of it is Japanese


@cache
def names() -> tuple[str, ...]:
    """The scripts that are told apart (ISO 15924), in the order of their numbers; the first is none."""
    return (NONE, *(name for name, _ in _rows()))


@cache
def script_table() -> Bytes:
    """The number of the script of every code point; 0 for what all scripts share."""
    numbers = np.zeros(SIZE, np.uint8)
    for number, (_, ranges) in enumerate(_rows(), 1):
        for first, last in ranges:
            numbers[first : last + 1] = number
    return numbers


@cache
def _rows() -> tuple[tuple[str, tuple[tuple[int, int], ...]], ...]:
    """As in `scripts.txt`, where Jpan is kana alone."""
    text = Path(__file__).with_name("scripts.txt").read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    ends = [[edge.split("-") for edge in row[1:]] for row in rows]
    return tuple(
        (row[0], tuple((int(a, 16), int(b, 16)) for a, b in edges))
        for row, edges in zip(rows, ends, strict=True)
    )


@njit(cache=True)
def dominant(
    data: Bytes, offsets: Numbers, scripts: Bytes, many: int, han: int, kana: int
) -> tuple[Numbers, Shares]:
    """The number of the script most characters of each text are in, and its share of those in any.

    Han is taken for Japanese if at least a tenth of it and the kana is kana. Of equals, the first.
    """
    found, shares = np.zeros(len(offsets) - 1, np.int64), np.zeros(len(offsets) - 1)
    counts = np.zeros(many, np.int64)
    for text in range(len(found)):
        counts[:] = 0
        at, end = offsets[text], offsets[text + 1]
        while at < end:
            point, size = decode(data, at, end)
            counts[scripts[point]] += 1
            at += size
        counts[0] = 0
        both = counts[han] + counts[kana]
        if counts[kana] and counts[kana] >= KANA * both:
            counts[han], counts[kana] = 0, both
        total = counts.sum()
        if total:
            found[text] = counts.argmax()
            shares[text] = counts[found[text]] / total
    return found, shares
