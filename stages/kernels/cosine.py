"""Cosines between many vectors: a matrix product proposes, and each pair that counts is taken exactly.

What a product says of a pair depends in its last digits on the rows beside it; the sum over one pair, in
order and in 64 bits, does not. Similarities have six digits behind the point: float16 knows no more.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

Floats: TypeAlias = npt.NDArray[np.float32]
Halves: TypeAlias = npt.NDArray[np.floating]  # vectors as they are stored: rows, dimensions
Numbers: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]

ROWS, OTHERS = 1024, 4096  # vectors that are multiplied with each other at once: 16 MB of products
MARGIN = 1e-3  # what a product may be wrong by; for 1,000 dimensions 6e-5 at most
DIGITS = 1e6


def nearest(vectors: Halves, centres: Floats) -> tuple[Numbers, Values]:
    """For each vector the most similar centre, of equals the first, and its cosine.

    A vector without a direction (zero, NaN) is 0 alike to all, and goes to the first.
    """
    home = np.zeros(len(vectors), np.int64)
    value = np.zeros(len(vectors), np.float64)
    sizes = lengths(centres)
    for start in range(0, len(vectors), ROWS):
        some = slice(start, start + ROWS)
        rows = vectors[some].astype(np.float32)
        for first in range(0, len(centres), OTHERS):
            others, theirs = centres[first : first + OTHERS], sizes[first : first + OTHERS]
            dots = rows @ others.T
            _nearest(dots, rows, others, lengths(rows), theirs, first, home[some], value[some])
    return home, value


def leaving(vectors: Halves, least: float) -> tuple[Numbers, Values, int, int]:
    """Which of some vectors, best first, leave for a better one that stays, and how alike they are.

    For each vector the place of the most similar of those before it that stay, of equals the first,
    or -1 where none of them is `least` alike; its cosine; how many pairs of a vector and a better one
    that stays there are, and how many of them are alike. Memory is for the vectors that stay, and a
    block of products: no list of pairs is made, however many there are.
    """
    kept_by, value = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors))
    stays = np.empty(len(vectors), np.int64)
    many = compared = alike = 0
    for start in range(0, len(vectors), ROWS):
        some = slice(start, start + ROWS)
        rows = vectors[some].astype(np.float32)
        own = lengths(rows)
        for first in range(0, many, OTHERS):
            places = stays[first : min(many, first + OTHERS)]
            others = vectors[places].astype(np.float32)
            dots = rows @ others.T
            alike += _against(
                dots, rows, others, own, lengths(others), places, least, kept_by[some], value[some]
            )
            compared += dots.size
        dots = rows @ rows.T
        before = many
        many, pairs, found = _within(
            dots, rows, own, start, least, kept_by[some], value[some], stays, before
        )
        compared, alike = compared + pairs, alike + found
    return kept_by, value, compared, alike


@njit(cache=True)
def lengths(vectors: Floats) -> Floats:
    """The length of each vector; 0 for one that has none, so that nothing is like it."""
    out = np.zeros(len(vectors), np.float32)
    for row in range(len(vectors)):
        total = np.float32(0)
        for at in range(vectors.shape[1]):
            total += vectors[row, at] * vectors[row, at]
        if np.isfinite(total):
            out[row] = np.sqrt(total)
    return out


@njit(cache=True, inline="always")
def _proposed(dot: np.float32, own: np.float32, other: np.float32, least: float) -> bool:
    return bool(own > 0 and other > 0 and dot >= (least - MARGIN) * own * other)


@njit(cache=True)
def cosine(one: Floats, other: Floats) -> float:
    """The cosine of two vectors of some length, the same in either order."""
    both = left = right = 0.0
    for at in range(len(one)):
        a, b = np.float64(one[at]), np.float64(other[at])
        both += a * b
        left += a * a
        right += b * b
    return float(np.rint(both / np.sqrt(left * right) * DIGITS) / DIGITS)


@njit(cache=True)
def _nearest(
    dots: Floats,
    rows: Floats,
    others: Floats,
    own: Floats,
    theirs: Floats,
    first: int,
    home: Numbers,
    value: Values,
) -> None:
    for row in range(len(rows)):
        best = -1.0 if first == 0 else value[row]
        for at in range(len(others)):
            if _proposed(dots[row, at], own[row], theirs[at], best):
                found = cosine(rows[row], others[at])
                if found > best:
                    best, home[row] = found, first + at
        value[row] = best if own[row] > 0 else 0.0


@njit(cache=True)
def _against(
    dots: Floats,
    rows: Floats,
    others: Floats,
    own: Floats,
    theirs: Floats,
    places: Numbers,
    least: float,
    kept_by: Numbers,
    value: Values,
) -> int:
    """Compare rows with vectors that stay, all before them; how many pairs are alike."""
    alike = 0
    for row in range(len(rows)):
        for at in range(len(others)):
            if _proposed(dots[row, at], own[row], theirs[at], least):
                found = cosine(rows[row], others[at])
                alike += found >= least
                if found >= least and (kept_by[row] < 0 or found > value[row]):
                    kept_by[row], value[row] = places[at], found
    return alike


@njit(cache=True)
def _within(
    dots: Floats,
    rows: Floats,
    own: Floats,
    start: int,
    least: float,
    kept_by: Numbers,
    value: Values,
    stays: Numbers,
    many: int,
) -> tuple[int, int, int]:
    """Compare rows with each other; how many stay in all, how many pairs there were, how many alike."""
    before, pairs, alike = many, 0, 0
    for row in range(len(rows)):
        pairs += many - before
        for place in range(before, many):
            at = stays[place] - start
            if _proposed(dots[row, at], own[row], own[at], least):
                found = cosine(rows[row], rows[at])
                alike += found >= least
                if found >= least and (kept_by[row] < 0 or found > value[row]):
                    kept_by[row], value[row] = stays[place], found
        if kept_by[row] < 0:
            stays[many] = start + row
            many += 1
    return many, pairs, alike
