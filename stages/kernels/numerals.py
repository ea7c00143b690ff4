"""Sudachi's joining of the words of a number, as `1`, `,`, `000` and `万`."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.lattice import NUMBER, STRANGE, UNKNOWN, UNKNOWN_NUMBER, Ids, Kinds, Text
from stages.kernels.words import Numbers

NUMERIC = np.uint32(1 << 4 | 1 << 8)
COMMA, POINT = 0x2C, 0x2E
NO_ERROR, AT_POINT, AT_COMMA = range(3)

# Columns of the state of a number that is read, and of its three parts.
DIGITS, FRESH, COMMAS, HANGING, ERROR = range(5)
TOTAL, SUBTOTAL, PART = 5, 9, 13
LENGTH, SCALE, DOT, ZERO = range(4)
STATE = 17


class Forms(NamedTuple):
    """What numeric words of the dictionary are read as that are not read as they are spelled."""

    words: Numbers
    firsts: Ids  # where the form of each begins in `points`; one more than words
    points: Kinds


@njit(cache=True)
def _clear(state: Numbers) -> None:
    state[:] = 0
    state[FRESH] = 1
    for part in (TOTAL, SUBTOTAL, PART):
        _empty(state, part)


@njit(cache=True)
def _empty(state: Numbers, part: int) -> None:
    state[part + LENGTH] = state[part + SCALE] = 0
    state[part + DOT], state[part + ZERO] = -1, 1


@njit(cache=True)
def _rescale(state: Numbers, part: int) -> None:
    if state[part + DOT] >= 0:
        behind = state[part + LENGTH] - state[part + DOT]
        if behind > state[part + SCALE]:
            state[part + DOT] += state[part + SCALE]
            state[part + SCALE] = 0
        else:
            state[part + SCALE] -= behind
            state[part + DOT] = -1


@njit(cache=True)
def _add(state: Numbers, part: int, other: int) -> bool:
    """Whether the other part of the number fits behind the first; it is put there."""
    if not state[other + LENGTH]:
        return True
    if not state[part + LENGTH]:
        for each in (LENGTH, SCALE, DOT):
            state[part + each] = state[other + each]
        return True
    _rescale(state, part)
    _rescale(state, other)
    whole = state[other + LENGTH] + state[other + SCALE]
    if state[other + DOT] >= 0:
        whole = state[other + DOT]
    if state[part + SCALE] < whole:
        return False
    state[part + LENGTH] += state[part + SCALE] - whole
    if state[other + DOT] >= 0:
        state[part + DOT] = state[part + LENGTH] + state[other + DOT]
    state[part + LENGTH] += state[other + LENGTH]
    state[part + SCALE] = state[other + SCALE]
    return True


@njit(cache=True)
def _value(point: int) -> int:
    """A digit, or the negative exponent of a unit; 10 for what is neither."""
    if 0x30 <= point <= 0x39:
        return point - 0x30
    for value, numeral in enumerate(
        (0x3007, 0x4E00, 0x4E8C, 0x4E09, 0x56DB, 0x4E94, 0x516D, 0x4E03, 0x516B, 0x4E5D)
    ):
        if point == numeral:
            return value
    for exponent, unit in (
        (1, 0x5341),
        (2, 0x767E),
        (3, 0x5343),
        (4, 0x4E07),
        (8, 0x5104),
        (12, 0x5146),
    ):
        if point == unit:
            return -exponent
    return 10


@njit(cache=True)
def _grouped(state: Numbers) -> bool:
    """Whether a comma may follow, or what followed the last one was of three digits."""
    if state[FRESH]:
        return False
    if not state[COMMAS]:
        return bool(state[DIGITS] <= 3 and state[PART + LENGTH] and not state[PART + ZERO])
    return bool(state[DIGITS] == 3)


@njit(cache=True)
def _append(state: Numbers, point: int) -> bool:
    """Whether the number can go on with this character."""
    if point == POINT:
        state[HANGING] = 1
        if state[FRESH]:
            state[ERROR] = AT_POINT
            return False
        if state[COMMAS] and not _grouped(state):
            state[ERROR] = AT_COMMA
            return False
        if state[PART + SCALE] or state[PART + DOT] >= 0:
            state[ERROR] = AT_POINT
            return False
        state[PART + DOT] = state[PART + LENGTH]
        state[COMMAS] = 0
        return True
    if point == COMMA:
        if not _grouped(state):
            state[ERROR] = AT_COMMA
            return False
        state[COMMAS], state[DIGITS] = 1, 0
        return True
    value = _value(point)
    if value == 10:
        return False
    if value >= 0:
        state[PART + ZERO] &= value == 0
        state[PART + LENGTH] += 1
        state[FRESH] = state[HANGING] = 0
        state[DIGITS] += 1
        return True
    return _unit(state, -value)


@njit(cache=True)
def _unit(state: Numbers, exponent: int) -> bool:
    """Whether the number can go on with a unit, as ten or ten thousand."""
    if exponent <= 3:
        if not state[PART + LENGTH]:
            state[PART + LENGTH] = 1
        state[PART + SCALE] += exponent
        if not _add(state, SUBTOTAL, PART):
            return False
    else:
        if not _add(state, SUBTOTAL, PART) or not state[SUBTOTAL + LENGTH]:
            return False
        state[SUBTOTAL + SCALE] += exponent
        if not _add(state, TOTAL, SUBTOTAL):
            return False
        _empty(state, SUBTOTAL)
    _empty(state, PART)
    state[FRESH], state[DIGITS], state[COMMAS] = 1, 0, 0
    return True


@njit(cache=True)
def _done(state: Numbers) -> bool:
    """Whether the number is whole."""
    fits = _add(state, SUBTOTAL, PART) and _add(state, TOTAL, SUBTOTAL)
    if state[HANGING]:
        state[ERROR] = AT_POINT
        return False
    if state[COMMAS] and state[DIGITS] != 3:
        state[ERROR] = AT_COMMA
        return False
    return fits


@njit(cache=True)
def _read(
    state: Numbers, start: int, stop: int, word: int, text: Text, words: Numbers, forms: Forms
) -> bool:
    """Whether the number can go on with this word."""
    points = text.points[start:stop]
    if word >= 0 and words[word] & STRANGE:
        form = np.searchsorted(forms.words, word)
        points = forms.points[forms.firsts[form] : forms.firsts[form + 1]]
    for point in points:  # noqa: SIM110 -- numba knows no generators
        if not _append(state, point):
            return False
    return True


@njit(cache=True)
def _is(text: Text, start: int, stop: int, point: int) -> bool:
    return bool(stop - start == 1 and text.points[start] == point)


@njit(cache=True)
def _join(path: Ids, first: int, end: int, words: Numbers) -> bool:
    """Make one of the words if the first is a numeral; the others are marked by their end, -1."""
    word = path[first, 2]
    if word == UNKNOWN or (word >= 0 and not words[word] & NUMBER):
        return end - first == 1
    path[first, 1], path[first, 2] = path[end - 1, 1], UNKNOWN_NUMBER
    path[first + 1 : end, 1] = -1
    return True


@njit(cache=True)
def join_numerals(
    path: Ids, many: int, text: Text, words: Numbers, forms: Forms, state: Numbers
) -> int:
    """Make one of the words of each number; how many words are left of the path."""
    first, commas, points, at = -1, True, True, -1
    spelled, kinds = text.points, text.kinds
    while at < many - 1:
        at += 1
        start, stop, word = path[at, 0], path[at, 1], path[at, 2]
        letter = spelled[start] if stop - start == 1 else np.uint32(0)
        comma, point = letter == COMMA, letter == POINT
        common = NUMERIC
        for each in range(start, stop):
            common &= kinds[each]
        if common or (commas and comma) or (points and point):
            if first < 0:
                _clear(state)
                first = at
            if not _read(state, start, stop, word, text, words, forms):
                if state[ERROR] == AT_COMMA:
                    commas, at = False, first - 1
                elif state[ERROR] == AT_POINT:
                    points, at = False, first - 1
                first = -1
            continue
        if first >= 0:
            if _done(state):
                if not _join(path, first, at, words):
                    at = first + 1
            elif _trails(path, at - 1, text, state) and not _join(path, first, at - 1, words):
                at = first + 2
        first = -1
        commas |= not comma
        points |= not point
    if first >= 0:
        if _done(state):
            _join(path, first, many, words)
        elif _trails(path, many - 1, text, state):
            _join(path, first, many - 1, words)
    left = 0
    for at in range(many):
        if path[at, 1] >= 0:
            path[left, 0], path[left, 1], path[left, 2] = path[at, 0], path[at, 1], path[at, 2]
            left += 1
    return left


@njit(cache=True)
def _trails(path: Ids, at: int, text: Text, state: Numbers) -> bool:
    """Whether the number would be whole but for the comma or point that is its last word."""
    start, stop = path[at, 0], path[at, 1]
    return bool(
        (state[ERROR] == AT_COMMA and _is(text, start, stop, COMMA))
        or (state[ERROR] == AT_POINT and _is(text, start, stop, POINT))
    )
