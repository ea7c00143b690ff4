"""jieba's cutting of Chinese into words, over UTF-8.

The most probable path through the dictionary, and a hidden Markov model of characters that begin,
continue, end or are a word for what the dictionary does not know. Probabilities and how ties are
broken are jieba's, so that the words are the same.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import Bytes, decode
from stages.kernels.hashing import mix
from stages.kernels.ngrams import find, table_size
from stages.kernels.streams import BASE, BLANK, Marks
from stages.kernels.words import Hashes, Numbers

Chances: TypeAlias = npt.NDArray[np.float64]
Points: TypeAlias = npt.NDArray[np.uint32]

FIRST_HAN, LAST_HAN = 0x4E00, 0x9FD5
LONGEST = 32  # characters of a dictionary's word; jieba's longest has 16
NEVER = -3.14e100
SPACE, DOT, PERCENT = 0x20, 0x2E, 0x25
B, M, E, S = range(4)


class Dictionary(NamedTuple):
    """An open hash table of words and their beginnings, and the model of characters."""

    keys: Hashes
    chances: Chances  # log frequency less log total; NaN for what only begins a word
    unknown: float  # that of a word of frequency 1
    start: Chances  # of the four states
    turn: Chances  # from state to state
    emit: Chances  # characters FIRST_HAN to LAST_HAN x states


@njit(cache=True, inline="always")
def _han(point: np.uint32) -> bool:
    return bool(FIRST_HAN <= point <= LAST_HAN)


@njit(cache=True)
def _digit_or_letter(point: np.uint32) -> bool:
    return bool(48 <= point <= 57 or 65 <= point <= 90 or 97 <= point <= 122)


@njit(cache=True)
def _together(point: np.uint32) -> bool:
    """Whether the dictionary is asked about the character: Han, letters, digits and `+#&._%-`."""
    return _han(point) or _digit_or_letter(point) or point in (43, 35, 38, 46, 95, 37, 45)


@njit(cache=True)
def cut_chinese(
    data: Bytes, offsets: Numbers, marks: Marks, words: Dictionary
) -> tuple[Numbers, Numbers, Numbers]:
    """The places of the tokens: begins, ends (equal for a token of blanks), and where texts start."""
    room = offsets[-1] - offsets[0]
    begins, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    starts = np.zeros(len(offsets), np.int64)
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    points, places = np.empty(longest, np.uint32), np.empty(longest + 1, np.int64)
    cuts = np.empty(longest + 1, np.int64)
    chances, nexts = np.empty(longest + 1, np.float64), np.empty(longest + 1, np.int64)
    states = np.empty((longest + 1, 4), np.int8)
    many = 0
    for row in range(len(offsets) - 1):
        at, end, first = offsets[row], offsets[row + 1], many
        while at < end:
            point, size = decode(data, at, end)
            if marks[point] & BLANK:
                begin = at
                while at < end and marks[point] & BLANK:
                    at += size
                    if at < end:
                        point, size = decode(data, at, end)
                if data[begin] == SPACE and many > first:
                    begin += 1
                if begin < at:
                    begins[many], ends[many] = at, at
                    many += 1
                continue
            if not _together(point):
                begins[many], ends[many] = at, at + size
                many += 1
                at += size
                continue
            length = 0
            while at < end and _together(point):
                points[length], places[length] = point, at
                length += 1
                at += size
                if at < end:
                    point, size = decode(data, at, end)
            places[length] = at
            for word in range(_block(points, length, words, chances, nexts, states, cuts)):
                begins[many], ends[many] = places[cuts[word]], places[cuts[word + 1]]
                many += 1
        starts[row + 1] = many
    return begins[:many], ends[:many], starts


@njit(cache=True)
def look(points: Points, start: int, end: int, words: Dictionary) -> np.int64:
    """The slot of a word in the dictionary, -1 if it is not in it."""
    code = np.uint64(0)
    for at in range(start, end):
        code = code * BASE + np.uint64(points[at]) + np.uint64(1)
    return _slot(code, words)


@njit(cache=True)
def _slot(code: np.uint64, words: Dictionary) -> np.int64:
    key = mix(code) | np.uint64(1)
    slot = find(words.keys, np.uint64(len(words.keys) - 1), key)
    return np.int64(slot) if words.keys[slot] else np.int64(-1)


@njit(cache=True)
def _block(
    points: Points,
    length: int,
    words: Dictionary,
    chances: Chances,
    nexts: Numbers,
    states: npt.NDArray[np.int8],
    cuts: Numbers,
) -> int:
    """Where the words of a block begin, into `cuts`, its end behind them; how many there are."""
    chances[length] = 0.0
    for at in range(length - 1, -1, -1):
        best, to, code = -np.inf, -1, np.uint64(0)
        for upto in range(at, min(length, at + LONGEST)):
            code = code * BASE + np.uint64(points[upto]) + np.uint64(1)
            slot = _slot(code, words)
            if slot < 0:
                break
            chance = words.chances[slot]
            if not np.isnan(chance):
                chance += chances[upto + 1]
                if chance >= best:
                    best, to = chance, upto
        if to < 0:
            best, to = words.unknown + chances[at + 1], at
        chances[at], nexts[at] = best, to + 1
    many, at = 0, 0
    while at < length:
        begin = at
        while at < length and nexts[at] == at + 1:
            at += 1
        if at - begin == 1:
            cuts[many] = begin
            many += 1
        elif at > begin:
            slot = look(points, begin, at, words)
            if slot >= 0 and not np.isnan(words.chances[slot]):
                for one in range(begin, at):
                    cuts[many] = one
                    many += 1
            else:
                many = _unknown(points, begin, at, words, states, cuts, many)
        if at < length:
            cuts[many] = at
            many += 1
            at = nexts[at]
    cuts[many] = length
    return many


@njit(cache=True)
def _unknown(
    points: Points,
    at: int,
    end: int,
    words: Dictionary,
    states: npt.NDArray[np.int8],
    cuts: Numbers,
    many: int,
) -> int:
    """Cut a run of single characters: Han by the model, numbers and Latin words as they stand."""
    while at < end:
        stop = at
        while stop < end and _han(points[stop]):
            stop += 1
        if stop > at:
            many = _model(points, at, stop, words, states, cuts, many)
            at = stop
            continue
        cuts[many] = at
        many += 1
        if _digit_or_letter(points[at]):
            at = _number(points, at, end)
        else:
            while at < end and not _han(points[at]) and not _digit_or_letter(points[at]):
                at += 1
    return many


@njit(cache=True)
def _number(points: Points, at: int, end: int) -> int:
    """The end of letters and digits, a fraction and a per cent sign."""
    while at < end and _digit_or_letter(points[at]):
        at += 1
    if at + 1 < end and points[at] == DOT and 48 <= points[at + 1] <= 57:
        at += 1
        while at < end and 48 <= points[at] <= 57:
            at += 1
    if at < end and points[at] == PERCENT:
        at += 1
    return at


@njit(cache=True)
def _model(
    points: Points,
    start: int,
    end: int,
    words: Dictionary,
    states: npt.NDArray[np.int8],
    cuts: Numbers,
    many: int,
) -> int:
    """Viterbi over the four states; of equal chances the state of the later letter wins."""
    before, now = np.empty(4), np.empty(4)
    for state in range(4):
        before[state] = words.start[state] + words.emit[points[start] - FIRST_HAN, state]
    for at in range(start + 1, end):
        for state in range(4):
            emit = words.emit[points[at] - FIRST_HAN, state]
            # In the order of the letters: E < S, B < M.
            one, two = (E, S) if state in (B, S) else (B, M)
            a = before[one] + words.turn[one, state] + emit
            b = before[two] + words.turn[two, state] + emit
            now[state], states[at, state] = (b, two) if b >= a else (a, one)
        before[:] = now
    state = S if before[S] >= before[E] else E
    for at in range(end - 1, start, -1):
        came = states[at, state]
        states[at, 0] = state
        state = came
    states[start, 0] = state
    begin, free = start, start
    for at in range(start, end):
        state = states[at, 0]
        if state == B:
            begin = at
        elif state in (E, S):
            cuts[many] = begin if state == E else at
            many += 1
            free = at + 1
    if free < end:
        cuts[many] = free
        many += 1
    return many


@njit(cache=True)
def table_of(points: Points, places: Numbers, logs: Chances) -> tuple[Hashes, Chances]:
    """The open hash table of words, which lie between the places."""
    keys = np.zeros(table_size(len(logs)), np.uint64)
    chances = np.zeros(len(keys))
    for word in range(len(logs)):
        code = np.uint64(0)
        for at in range(places[word], places[word + 1]):
            code = code * BASE + np.uint64(points[at]) + np.uint64(1)
        slot = find(keys, np.uint64(len(keys) - 1), mix(code) | np.uint64(1))
        keys[slot], chances[slot] = mix(code) | np.uint64(1), logs[word]
    return keys, chances
