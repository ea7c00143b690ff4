"""Words of Chinese: the likeliest path through a dictionary, and a model of letters for what it lacks.

Method, dictionary and model are those of jieba (github.com/fxsjy/jieba, MIT), with costs that are
integers: the words are its words, but for ties.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.forms import STEP

Hashes: TypeAlias = npt.NDArray[np.uint64]
Points: TypeAlias = npt.NDArray[np.uint32]
Costs: TypeAlias = npt.NDArray[np.int64]

FIRST, LAST = 0x4E00, 0x9FD5  # letters that jieba takes for Han; any other is a word of its own
UNIT = 1 << 16  # of costs, which are natural logarithms of one over a probability
NEVER = 1 << 30
LONGEST = 16  # letters of a word of the dictionary
CHECK = np.uint64((1 << 39) - 1)
MORE, NO_WORD = np.uint64(1), np.uint64((1 << 24) - 1)
ENTRY = 25  # bits of an entry before the check: the cost, and MORE
B, M, E, S = range(4)  # a letter that begins, continues, ends, is a word


class Han(NamedTuple):
    """The dictionary as an open hash table of words and their beginnings, and the model.

    An entry is the hash, the cost (NO_WORD: only a beginning), and MORE where longer words begin so.
    """

    entries: Hashes  # of two letters and more
    letters: Points  # of each from FIRST on: cost << 1 | MORE
    begins: Costs  # of B and S
    turns: Costs  # from state to state
    emits: Costs  # letters x states


@lean_inline
def _slot(entries: Hashes, code: np.uint64) -> np.uint64:
    """The slot of the letters of this code, or the empty one where they belong."""
    key, mask = code * STEP, np.uint64(len(entries) - 1)
    slot = (key >> np.uint64(40)) & mask
    check = key & CHECK
    while entries[slot] and entries[slot] >> np.uint64(ENTRY) != check:
        slot = (slot + np.uint64(1)) & mask
    return slot


@lean_inline
def _longer(code: np.uint64, point: np.uint32) -> np.uint64:
    return (code ^ code >> np.uint64(29)) * STEP + np.uint64(point)


@njit(cache=True)
def enter(
    shared: npt.NDArray[np.uint8],
    added: npt.NDArray[np.uint8],
    points: Points,
    costs: Points,
    entries: Hashes,
    letters: Points,
) -> None:
    """Fill the tables from words in order: letters shared with the word before, added, and which."""
    word, at = np.zeros(LONGEST + 1, np.uint32), 0
    for number in range(len(costs)):
        size = shared[number] + added[number]
        for place in range(shared[number], size):
            word[place] = points[at]
            at += 1
        if size == 1:
            letters[word[0] - FIRST] = costs[number] << np.uint32(1) | letters[word[0] - FIRST] & 1
            continue
        letters[word[0] - FIRST] |= np.uint32(1)
        code = np.uint64(word[0])
        for place in range(1, size):
            code = _longer(code, word[place])
            slot = _slot(entries, code)
            if not entries[slot]:
                entries[slot] = (code * STEP & CHECK) << np.uint64(ENTRY) | NO_WORD << np.uint64(1)
            if place + 1 < size:
                entries[slot] |= MORE
            else:
                entries[slot] &= ~(NO_WORD << np.uint64(1))
                entries[slot] |= np.uint64(costs[number]) << np.uint64(1)


@lean
def cut_han(
    points: Points,
    first: int,
    last: int,
    han: Han,
    costs: Costs,
    nexts: npt.NDArray[np.int32],
    ends: npt.NDArray[np.uint8],
) -> None:
    """Mark in `ends` the letters from `first` to `last` that end a word. `costs`, `nexts`: scratch."""
    entries, letters, _, _, _ = han
    costs[last] = 0
    for at in range(last - 1, first - 1, -1):
        letter = letters[points[at] - np.uint32(FIRST)]
        best, to, upto = costs[at + 1] + np.int64(letter >> np.uint32(1)), at + 1, at + 1
        code, more = np.uint64(points[at]), np.uint64(letter) & MORE
        while more and upto < last:
            code = _longer(code, points[upto])
            entry = entries[_slot(entries, code)]
            if not entry:
                break
            upto += 1
            more, cost = entry & MORE, entry >> np.uint64(1) & NO_WORD
            if cost != NO_WORD and costs[upto] + np.int64(cost) <= best:
                best, to = costs[upto] + np.int64(cost), upto
        costs[at], nexts[at] = best, to
    at = first
    while at < last:
        begin = at
        while at < last and nexts[at] == at + 1:
            ends[at] = 1
            at += 1
        if at - begin > 1 and not _is_word(points, begin, at, entries):
            _unknown(points, begin, at, han, nexts, ends)
        if at < last:
            for inner in range(at, nexts[at] - 1):
                ends[inner] = 0
            at = nexts[at]
            ends[at - 1] = 1


@lean
def _is_word(points: Points, begin: int, stop: int, entries: Hashes) -> bool:
    """Whether letters are a word of the dictionary."""
    if stop - begin > LONGEST:
        return False
    code = np.uint64(points[begin])
    for at in range(begin + 1, stop):
        code = _longer(code, points[at])
    entry = entries[_slot(entries, code)]
    return bool(entry and entry >> np.uint64(1) & NO_WORD != NO_WORD)


@lean
def _unknown(
    points: Points,
    start: int,
    stop: int,
    han: Han,
    backs: npt.NDArray[np.int32],
    ends: npt.NDArray[np.uint8],
) -> None:
    """Mark the words of letters that the dictionary has no longer word for, by the model.

    `backs` gets, as bits, which of two states each state of a letter came from; of equal ones the
    later letter of the alphabet, as in jieba.
    """
    turns, emits = han.turns, han.emits
    letter = points[start] - np.uint32(FIRST)
    begin, end = han.begins[B] + emits[letter, B], np.int64(NEVER) + emits[letter, E]
    middle, single = np.int64(NEVER) + emits[letter, M], han.begins[S] + emits[letter, S]
    for at in range(start + 1, stop):
        letter = points[at] - np.uint32(FIRST)
        a, b = end + turns[E, B], single + turns[S, B]
        c, d = begin + turns[B, M], middle + turns[M, M]
        e, f = begin + turns[B, E], middle + turns[M, E]
        g, h = end + turns[E, S], single + turns[S, S]
        backs[at] = (b <= a) << B | (d <= c) << M | (f <= e) << E | (h <= g) << S
        begin, middle = min(a, b) + emits[letter, B], min(c, d) + emits[letter, M]
        end, single = min(e, f) + emits[letter, E], min(g, h) + emits[letter, S]
    state = S if single <= end else E
    for at in range(stop - 1, start - 1, -1):
        ends[at] = state in (E, S)
        later = backs[at] >> state & 1  # the later of E and S, or of B and M
        state = (E if state in (B, S) else B) + later
