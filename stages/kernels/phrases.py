"""Fixed phrases looked for in lines of text, whatever their case and accents."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import CLASS_BITS, SPACE, Table, table

Points: TypeAlias = npt.NDArray[np.uint32]
Phrases: TypeAlias = tuple[Points, npt.NDArray[np.int64], npt.NDArray[np.int64]]

LOREM_IPSUM, JAVASCRIPT, POLICY = 1, 2, 4


@cache
def boilerplate() -> Phrases:
    """The phrases of C4 with their kinds: `lorem ipsum`, `javascript`, those of policies."""
    text = Path(__file__).with_name("policy_phrases.txt").read_text(encoding="utf-8")
    rows = [line.partition(" ")[2] for line in text.splitlines() if not line.startswith("#")]
    policies = {phrase.strip(): POLICY for row in rows for phrase in row.split(";")}
    return compile_phrases({"lorem ipsum": LOREM_IPSUM, "javascript": JAVASCRIPT, **policies})


def compile_phrases(kinds: Mapping[str, int]) -> Phrases:
    """Phrases (and the bit of each) as (folded code points, offsets, bits), by their `pair`.

    A phrase has at least two folded code points.
    """
    known = {(tuple(fold(phrase)), bit) for phrase, bit in kinds.items()}
    folded = sorted(known, key=lambda phrase: (pair(*phrase[0][:2]), phrase))
    points = np.array([point for phrase, _ in folded for point in phrase], np.uint32)
    offsets = np.cumsum([0, *(len(phrase) for phrase, _ in folded)])
    return points, offsets.astype(np.int64), np.array([bit for _, bit in folded], np.int64)


def fold(text: str) -> list[int]:
    """The folded code points of a text; any space is U+0020."""
    entries = [int(table()[ord(character)]) for character in text]
    folds = [32 if entry & SPACE else entry >> CLASS_BITS for entry in entries]
    return [point for point in folds if point]


@lean_inline
def fold_point(point: np.uint32, table: Table) -> np.uint32:
    """One code point as `fold` gives it; 0 if it folds away."""
    entry = table[point]
    return np.uint32(32) if entry & SPACE else entry >> np.uint32(CLASS_BITS)


def pair(first: int, second: int) -> int:
    """A number below 4,096 for the two code points that a phrase begins with."""
    return (first & 63) << 6 | (second & 63)


@njit(cache=True)
def first_points(phrases: Phrases) -> npt.NDArray[np.int64]:
    """The first and one past the last phrase for each `pair` of beginnings: shape (4096, 2).

    Phrases that share the number but not the points lie between too.
    """
    points, offsets, bits = phrases
    spans = np.zeros((4096, 2), np.int64)
    for phrase in range(len(bits)):
        at = offsets[phrase]
        low = (points[at] & np.uint32(63)) << np.uint32(6) | (points[at + 1] & np.uint32(63))
        if spans[low, 1] == 0:
            spans[low, 0] = phrase
        spans[low, 1] = phrase + 1
    return spans


@lean
def find_phrases(line: Points, length: int, phrases: Phrases, spans: npt.NDArray[np.int64]) -> int:
    """The kinds of all phrases in the first `length` folded points of a line, as bits."""
    points, offsets, bits = phrases
    found = 0
    for at in range(length - 1):
        low = (line[at] & np.uint32(63)) << np.uint32(6) | (line[at + 1] & np.uint32(63))
        for phrase in range(spans[low, 0], spans[low, 1]):
            first, size = offsets[phrase], offsets[phrase + 1] - offsets[phrase]
            if at + size > length or found & bits[phrase]:
                continue
            same = 0
            while same < size and line[at + same] == points[first + same]:
                same += 1
            if same == size:
                found |= bits[phrase]
    return found
