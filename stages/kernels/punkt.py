"""Sentences as Punkt finds them (Kiss and Strunk 2006), those of NLTK 3.8.1.

Only where `.`, `?` or `!` stands before a blank or punctuation is there anything to decide.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import Bytes, decode, stripped
from stages.kernels.eight import EVERY, HIGH, eight
from stages.kernels.stops import (
    BLANK,
    CLOSER,
    DOT,
    EXCLAMATION,
    HYPHEN,
    OUTSIDE,
    QUESTION,
    Model,
    has_break,
)
from stages.kernels.words import Numbers

DOTS = EVERY * np.uint64(DOT)
QUESTIONS, EXCLAMATIONS = EVERY * np.uint64(QUESTION), EVERY * np.uint64(EXCLAMATION)


class Sentences(NamedTuple):
    """Where the sentences of texts lie in their bytes."""

    begins: Numbers
    ends: Numbers
    starts: Numbers  # where each text's sentences begin, one more than texts


@njit(cache=True)
def cut_sentences(data: Bytes, offsets: Numbers, model: Model) -> Sentences:
    """The sentences of each text, none of one that is blank."""
    room = len(offsets) - 1 + _stops(data, offsets[0], offsets[-1])
    found = Sentences(np.empty(room, np.int64), np.empty(room, np.int64), np.zeros_like(offsets))
    many = 0
    for row in range(len(offsets) - 1):
        first = many
        many = _part(data, offsets[row], offsets[row + 1], model, found, many)
        many = _realign(data, model, found, first, many)
        found.starts[row + 1] = many
    return Sentences(found.begins[:many], found.ends[:many], found.starts)


@lean
def _stops(data: Bytes, start: int, end: int) -> int:
    many = 0
    for at in range(np.uint64(start), np.uint64(end)):
        many += (data[at] == DOT) | (data[at] == QUESTION) | (data[at] == EXCLAMATION)
    return many


@lean_inline
def _zero(word: np.uint64) -> np.uint64:
    """Not 0 if a byte is."""
    return (word - EVERY) & ~word & HIGH


@lean
def _next_stop(data: Bytes, at: int, end: int) -> int:
    while at + 8 <= end:
        word = eight(data, at)
        if _zero(word ^ DOTS) | _zero(word ^ QUESTIONS) | _zero(word ^ EXCLAMATIONS):
            break
        at += 8
    while at < end and data[at] != DOT and data[at] != QUESTION and data[at] != EXCLAMATION:
        at += 1
    return at


@lean
def _part(data: Bytes, start: int, end: int, model: Model, found: Sentences, many: int) -> int:
    """Write the parts of a text between the stops that end sentences, from `many` on; the next place.

    A stop without a blank between it and the one before is decided about instead of that, but for a
    stop that ends an empty word: so NLTK looks for the word before a stop.
    """
    begin, word, stop, follower, at = start, start, start, -1, start
    first = True
    while True:
        at = _next_stop(data, at, end)
        behind = _behind(data, at + 1, end, model.kinds) if at < end else end
        if behind == end and at < end:
            at += 1
            continue
        here = at
        if at < end:
            here -= 1
            while here >= stop and data[here] != 0x20 and not 9 <= data[here] <= 13:
                here -= 1
            here = here + 1 if here > stop else word
        if not first and stop <= here:
            last = _last(data, follower, end, model.kinds, follower > stop + 1)
            if has_break(data, word, last, model):
                found.begins[many], found.ends[many], many = begin, stop + 1, many + 1
                begin = follower
        if at == end:
            break
        first, word, stop, follower = False, here, at, behind
        at += 1
    found.begins[many], found.ends[many] = begin, stripped(data, start, end, model.kinds, BLANK)
    return many + 1


@lean
def _behind(data: Bytes, at: int, end: int, kinds: Bytes) -> int:
    """Where what is behind a stop begins, the end if there is nothing to decide."""
    if at == end:
        return end
    point, size = decode(data, at, end)
    if kinds[point] & OUTSIDE:
        return at
    if not kinds[point] & BLANK:
        return end
    while kinds[point] & BLANK:
        at += size
        if at == end:
            break
        point, size = decode(data, at, end)
    return at


@lean
def _last(data: Bytes, at: int, end: int, kinds: Bytes, whole: bool) -> int:
    """Where what is looked at behind a stop ends: all up to a blank, or one character."""
    point, size = decode(data, at, end)
    at += size
    while whole and at < end:
        point, size = decode(data, at, end)
        if kinds[point] & BLANK:
            break
        at += size
    return at


@lean
def _realign(data: Bytes, model: Model, found: Sentences, first: int, many: int) -> int:
    """Give closing marks at the beginning of a sentence to the one before; sentences left."""
    moved, to = 0, first
    for at in range(first, many):
        begin, end = found.begins[at] + moved, found.ends[at]
        moved = 0
        if at + 1 < many:
            start, stop = found.begins[at + 1], found.ends[at + 1]
            here = start
            while here < stop and model.kinds[data[here]] & CLOSER:
                here += 1
            if here > start and _ends(data, here, stop, model.kinds):
                end = here
                while here < stop:
                    point, size = decode(data, here, stop)
                    if not model.kinds[point] & BLANK:
                        break
                    here += size
                moved = here - start
        if begin < end:
            found.begins[to], found.ends[to], to = begin, end, to + 1
    return to


@lean
def _ends(data: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    """Whether closing marks may end here: at a blank, at two hyphens or at the end."""
    if at == end:
        return True
    if kinds[decode(data, at, end)[0]] & BLANK:
        return True
    return bool(at + 1 < end and data[at] == HYPHEN and data[at + 1] == HYPHEN)
