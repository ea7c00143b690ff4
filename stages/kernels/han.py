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
SPAN = LAST - FIRST + 1
UNIT = 1 << 16  # of costs, which are natural logarithms of one over a probability
NEVER = 1 << 30
LONGEST = 16  # letters of a word of the dictionary
COST = 24  # bits of a cost; all of them set: no word
NO_WORD = np.uint64((1 << COST) - 1)
MORE = np.uint64(1)  # the last bit of an entry, before it its cost, before that its key
CHECK = np.uint64((1 << 39) - 1)
B, M, E, S = range(4)  # a letter that begins, continues, ends, is a word


class Han(NamedTuple):
    """The dictionary as hash tables of words and their beginnings, and the model of letters.

    `pairs` has those of two letters, at one of two neighbouring slots or further on; `entries` longer
    ones. An entry is a key, a cost, and MORE if longer words begin so.
    """

    letters: Points  # the cost of each from FIRST on
    pairs: Hashes
    entries: Hashes
    triples: npt.NDArray[np.uint8]  # a bit for each hash of three letters that begin a word
    begins: Costs  # of B and S
    turns: Costs  # from state to state
    emits: Costs  # letters x states


@lean_inline
def _pair(first: np.uint32, second: np.uint32) -> np.uint64:
    """The key of two letters, never 0."""
    return np.uint64(first) << np.uint64(15) | np.uint64(second - np.uint32(FIRST))


@lean_inline
def _pair_slot(key: np.uint64, mask: np.uint64) -> np.uint64:
    return (key * STEP >> np.uint64(40)) & mask & ~np.uint64(1)


@lean_inline
def _slot(entries: Hashes, code: np.uint64) -> np.uint64:
    """The slot of the letters of this code, or the empty one where they belong."""
    key, mask = code * STEP, np.uint64(len(entries) - 1)
    slot = (key >> np.uint64(40)) & mask
    check = key & CHECK
    while entries[slot] and entries[slot] >> np.uint64(COST + 1) != check:
        slot = (slot + np.uint64(1)) & mask
    return slot


@lean_inline
def _longer(code: np.uint64, point: np.uint32) -> np.uint64:
    """The code of letters with one more; that of two is their key."""
    return (code ^ code >> np.uint64(29)) * STEP + np.uint64(point)


@lean_inline
def _bit(code: np.uint64) -> np.uint64:
    """Which bit of `triples` three letters have."""
    return code * STEP >> np.uint64(43)


@njit(cache=True)
def enter(
    shared: npt.NDArray[np.uint8],
    added: npt.NDArray[np.uint8],
    points: Points,
    costs: Points,
    han: Han,
) -> None:
    """Fill the tables from words in order: letters shared with the word before, added, and which."""
    word, at = np.zeros(LONGEST + 1, np.uint32), 0
    for number in range(len(costs)):
        size = shared[number] + added[number]
        for place in range(shared[number], size):
            word[place] = points[at]
            at += 1
        if size == 1:
            han.letters[word[0] - FIRST] = costs[number]
            continue
        code = _pair(word[0], word[1])
        slot = _pair_place(code, han.pairs)
        _tell(han.pairs, slot, code, costs[number], size == 2)
        for place in range(2, size):
            code = _longer(code, word[place])
            if place == 2:
                han.triples[_bit(code) >> np.uint64(3)] |= np.uint8(
                    1 << np.int64(_bit(code) & np.uint64(7))
                )
            slot = _slot(han.entries, code)
            _tell(han.entries, slot, code * STEP & CHECK, costs[number], size == place + 1)


@lean
def _pair_place(key: np.uint64, pairs: Hashes) -> np.uint64:
    """The slot of a pair, or the empty one where it belongs."""
    mask = np.uint64(len(pairs) - 1)
    slot = _pair_slot(key, mask)
    while pairs[slot] and pairs[slot] >> np.uint64(COST + 1) != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@lean
def _tell(entries: Hashes, slot: np.uint64, key: np.uint64, cost: np.uint32, whole: bool) -> None:
    """Enter a word, or what only begins one."""
    if not entries[slot]:
        entries[slot] = key << np.uint64(COST + 1) | NO_WORD << np.uint64(1)
    if whole:
        entries[slot] = entries[slot] & ~(NO_WORD << np.uint64(1)) | np.uint64(cost) << np.uint64(1)
    else:
        entries[slot] |= MORE


@lean
def cut_han(
    points: Points,
    first: int,
    last: int,
    han: Han,
    costs: Costs,
    nexts: npt.NDArray[np.int32],
    ranks: Points,
    ends: npt.NDArray[np.uint8],
) -> None:
    """Mark in `ends` the letters from `first` to `last` that end a word; the other arrays are scratch."""
    _look_up(points, first, last, han, ranks)
    letters, entries = han.letters, han.entries
    costs[last] = 0
    one, two = 0, 0  # what it costs from the next letter on, and from the one behind
    for place in range(last - 1, first - 1, -1):
        at = np.uint64(place)  # an index that cannot be negative is quicker
        best = one + int(letters[points[at] - np.uint32(FIRST)])
        cost = two + int(ranks[at] >> np.uint32(1))
        to = place + 2 if cost <= best else place + 1
        best = min(best, cost)
        if ranks[at] & np.uint32(1):
            code, more, upto = _pair(points[place], points[place + 1]), MORE, place + 2
            while more and upto < last:
                code = _longer(code, points[upto])
                entry = entries[_slot(entries, code)]
                if not entry:
                    break
                upto += 1
                more = entry & MORE
                cost = costs[upto] + int(entry >> np.uint64(1) & NO_WORD)
                if cost <= best:
                    best, to = cost, upto
        costs[at], nexts[at] = best, to
        one, two = best, one
    here = first
    while here < last:
        begin = here
        while here < last and nexts[here] == here + 1:
            here += 1
        if here - begin > 1 and not _is_word(points, begin, here, ranks, entries):
            _unknown(points, begin, here, han, nexts, ends)
        if here < last:
            for inner in range(here, nexts[here] - 1):
                ends[inner] = 0
            here = nexts[here]


@lean
def _look_up(points: Points, first: int, last: int, han: Han, ranks: Points) -> None:
    """The cost of each letter and the next as a word, << 1 | whether longer words may begin so.

    One after the other, so that the machine waits for many of them at once.
    """
    pairs, triples = han.pairs, han.triples
    mask = np.uint64(len(pairs) - 1)
    none = NO_WORD << np.uint64(1)
    ranks[last - 1] = none
    for place in range(first, last - 1):
        at = np.uint64(place)
        second, third = points[at + np.uint64(1)], points[at + np.uint64(2)]
        key = _pair(points[at], second)
        slot = _pair_slot(key, mask)
        one, two = pairs[slot], pairs[slot + np.uint64(1)]
        found = two if two >> np.uint64(COST + 1) == key else none
        found = one if one >> np.uint64(COST + 1) == key else found
        if found == none and two:
            entry = pairs[_pair_place(key, pairs)]
            found = entry if entry else none
        bit = _bit(_longer(key, third))
        more = np.uint64(triples[bit >> np.uint64(3)]) >> (bit & np.uint64(7)) & MORE
        ranks[at] = found & (none | more) if place + 2 < last else found & none


@lean
def _is_word(points: Points, begin: int, stop: int, ranks: Points, entries: Hashes) -> bool:
    """Whether two letters or more are a word of the dictionary."""
    if stop - begin == 2:
        return bool(ranks[begin] >> np.uint32(1) != NO_WORD)
    if stop - begin > LONGEST:
        return False
    code = _pair(points[begin], points[begin + 1])
    for at in range(begin + 2, stop):
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
