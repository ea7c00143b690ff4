"""Sudachi's words of a Japanese text: the cheapest path through a lattice of dictionary words.

Every word of the dictionary that begins where another ends is a node; its cost is its own, and that
of standing behind the other word by the matrix of connections. Where the dictionary has nothing,
runs of one category of characters are words. Of equal costs the node that was found first wins, as in
sudachi.rs (github.com/WorksApplications/sudachi.rs), so that the words are the same.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import Bytes
from stages.kernels.words import Numbers

Ids: TypeAlias = npt.NDArray[np.int32]
Costs: TypeAlias = npt.NDArray[np.int16]
Kinds: TypeAlias = npt.NDArray[np.uint32]

CATEGORIES = 11
WRITTEN_TOGETHER = 1 << 5 | 1 << 9 | 1 << 10  # Latin, Greek, Cyrillic: words do not end within
NOT_FIRST, NOT_LAST = 1 << 30, 1 << 31  # of a word that the dictionary does not know

# A word of the dictionary is one number: left id, right id and cost in 16 bits each, then flags.
LAST, SPLIT = 1 << 48, 1 << 49  # it is the last of its spelling; it has parts
NUMBER, STRANGE = 1 << 50, 1 << 51  # it is a numeral; it is not read as it is spelled
UNKNOWN, UNKNOWN_NUMBER = -1, -2  # words that are not in the dictionary
TILE = 1024  # ids of which the costs stand together: those of the most frequent fit the cache
NUMBERED = 24  # bits of a number among the words that end at one place
MOST = 256  # more than there are words of one spelling, or of one category of unknown ones
NEVER = 1 << 30  # more than any path costs

BEGIN, END, LEFT, RIGHT, COST, WORD, COLUMNS = range(7)  # of nodes


class Unknown(NamedTuple):
    """What is made of characters of each category that the dictionary does not know."""

    always: int  # bits of categories: also where the dictionary has words
    ways: (
        Ids  # per category: 1 if a run is a word; characters of its beginnings; rows, first and end
    )
    rows: Ids  # left id, right id, cost, UNKNOWN or UNKNOWN_NUMBER; the last is for the rest


class Lexicon(NamedTuple):
    """The dictionary of Sudachi as arrays."""

    trie: Kinds  # a double array over UTF-8; a value is the place of the first word in `words`
    heads: Ids  # of characters below 0x10000: place in the trie << 1 | whether it is a word; -1
    words: Numbers
    matrix: Costs  # of left ids of words and right ids of the words before them, see `tiled`
    reach: Ids  # the least and the most that a word costs behind each right id
    ids: int  # how many there are of each
    unknown: Unknown


class Text(NamedTuple):
    """A text as Sudachi reads it: normalised, in UTF-8, and what each character of it is."""

    data: Bytes
    places: Ids  # where each character begins in `data`; one more than characters
    numbers: Ids  # the character that begins at each byte, and their number at the end
    points: Kinds
    kinds: Kinds  # bits of categories
    runs: Ids  # characters from here on that have a category in common
    free: Bytes  # 1: a word may begin here; one more than characters
    origins: Numbers  # where each character begins in the text as it was; one more than characters


@njit(cache=True)
def tiled(costs: Costs, lefts: Ids, rights: Ids) -> tuple[Costs, Ids]:
    """The matrix of connections by new ids, see `_place`, and the least and the most of each right id."""
    reach = np.empty((len(rights), 2), np.int32)
    reach[:, 0], reach[:, 1] = 1 << 15, -(1 << 15)
    flat = np.zeros(-(-len(rights) // TILE) * len(lefts) * TILE, np.int16)
    for left in range(len(lefts)):
        for right in range(len(rights)):
            at = _place(rights[right], len(lefts)) + lefts[left] * TILE
            cost = costs[left, right]
            flat[at] = cost
            number = rights[right]
            reach[number, 0] = min(reach[number, 0], cost)
            reach[number, 1] = max(reach[number, 1], cost)
    return flat, reach


@njit(cache=True, inline="always")
def _place(right: int, lefts: int) -> int:
    """Where the column of a right id begins: a tile holds TILE of them for every left id."""
    return (right // TILE) * lefts * TILE + right % TILE


# Numba counts references of an array wherever a function is called with it. So none is called for
# every character or node.
@njit(cache=True)
def find_words(text: Text, lexicon: Lexicon, nodes: Ids) -> int:
    """All words that the text may have into `nodes`, between its ends; how many, -1 for no room."""
    data, places, numbers, points, kinds, runs, free, _ = text
    trie, heads, words, unknown = lexicon.trie, lexicon.heads, lexicon.words, lexicon.unknown
    size, bytes_of, always = len(kinds), places[len(kinds)], np.uint32(unknown.always)
    reached = np.zeros(size + 1, np.uint8)
    reached[0] = 1
    nodes[0, :] = 0
    many = 1
    for begin in range(size):
        if not reached[begin]:
            continue
        known, at, node, leaf = False, places[begin], _offset(trie[0]), False
        if points[begin] < len(heads):
            head = heads[points[begin]]
            node, leaf = np.uint32(head >> 1), bool(head & 1)
            at = places[begin + 1] if head >= 0 else bytes_of + 1
        while at <= bytes_of:
            if leaf and free[numbers[at]]:
                word, packed = np.int64(trie[node] & np.uint32(0x7FFFFFFF)), np.int64(0)
                known, end = True, numbers[at]
                reached[end] = 1
                if many + MOST > len(nodes):
                    return -1
                while not packed & LAST:
                    packed = words[word]
                    nodes[many, BEGIN], nodes[many, END], nodes[many, WORD] = begin, end, word
                    nodes[many, LEFT], nodes[many, RIGHT] = packed & 0xFFFF, packed >> 16 & 0xFFFF
                    nodes[many, COST] = np.int16(packed >> 32 & 0xFFFF)
                    many += 1
                    word += 1
            if at == bytes_of:
                break
            byte = np.uint32(data[at])
            node ^= byte
            unit = trie[node]
            if unit & np.uint32(0x800000FF) != byte:
                break
            node ^= _offset(unit)
            leaf = bool(unit >> np.uint32(8) & np.uint32(1))
            at += 1
        if not known or kinds[begin] & always:
            if many + MOST > len(nodes):
                return -1
            bare = bool(begin and kinds[begin - 1] & np.uint32(NOT_LAST))
            asked = np.uint32(0) if bare else kinds[begin]
            many = _make(begin, runs[begin], asked, known, unknown, free, reached, nodes, many)
    nodes[many, :] = 0
    nodes[many, BEGIN], nodes[many, END] = size, size + 1
    return many + 1


@njit(cache=True)
def _make(
    begin: int,
    run: int,
    kinds: np.uint32,
    known: bool,
    unknown: Unknown,
    free: Bytes,
    reached: Bytes,
    nodes: Ids,
    many: int,
) -> int:
    """Append the words that begin here by the category of their characters."""
    if kinds & np.uint32(NOT_FIRST):
        kinds = np.uint32(0)
    if known:
        kinds &= np.uint32(unknown.always)
    for category in range(CATEGORIES):
        if not kinds >> np.uint32(category) & np.uint32(1):
            continue
        group, longest = unknown.ways[category, 0], unknown.ways[category, 1]
        first, stop = unknown.ways[category, 2], unknown.ways[category, 3]
        for length in range(1 - group, min(longest, run - group) + 1):
            end = begin + (length if length else run)
            reached[end] = 1
            many = _append(begin, end, first, stop, unknown.rows, nodes, many)
            known = known or stop > first
    if not known:  # nothing else was made
        end = begin + 1
        while not free[end]:
            end += 1
        reached[end] = 1
        rest = len(unknown.rows)
        many = _append(begin, end, rest - 1, rest, unknown.rows, nodes, many)
    return many


@njit(cache=True)
def _append(begin: int, end: int, first: int, stop: int, rows: Ids, nodes: Ids, many: int) -> int:
    for row in range(first, stop):
        nodes[many, BEGIN], nodes[many, END] = begin, end
        for column in range(4):
            nodes[many, LEFT + column] = rows[row, column]
        many += 1
    return many


@njit(cache=True, inline="always")
def _offset(unit: np.uint32) -> np.uint32:
    return (unit >> np.uint32(10)) << ((unit & np.uint32(1 << 9)) >> np.uint32(6))


@njit(cache=True)
def cheapest(size: int, nodes: Ids, many: int, lexicon: Lexicon) -> Ids:
    """Of each node the one before it on its cheapest path; the first and the last end the text."""
    matrix, reach, lefts = lexicon.matrix, lexicon.reach, lexicon.ids
    firsts, lasts = np.full(size + 2, -1, np.int32), np.zeros(size + 2, np.int32)
    nexts, befores = np.full(many, -1, np.int32), np.zeros(many, np.int32)
    totals, best = np.zeros(many, np.int64), np.empty(lefts, np.int64)
    seen_left, seen_right = np.full(lefts, -1, np.int32), np.full(lefts, -1, np.int32)
    rivals, columns = np.empty(lefts, np.int32), np.empty(many, np.int32)
    ends, costs = np.empty(many, np.int32), np.empty(many, np.int64)
    firsts[0], node = 0, 1
    for begin in range(size + 1):
        # The nodes that end here, without those that another beats whatever follows.
        ending, kept, bound, end = 0, 0, np.int64(NEVER), firsts[begin]
        while end >= 0:
            right, total = nodes[end, RIGHT], totals[end]
            known = seen_right[right] == begin
            if not known or total < costs[rivals[right]]:
                if known:
                    costs[rivals[right]] = NEVER
                ends[ending], columns[ending], costs[ending] = end, right, total
                seen_right[right], rivals[right] = begin, ending
                bound = min(bound, total + reach[right, 1])
                ending += 1
            end = nexts[end]
        for at in range(ending):
            right = columns[at]
            if costs[at] + reach[right, 0] <= bound:
                ends[kept], costs[kept] = ends[at], costs[at]
                columns[kept] = _place(right, lefts)
                kept += 1
        while node < many and nodes[node, BEGIN] == begin:
            left, end = nodes[node, LEFT], nodes[node, END]
            if seen_left[left] != begin:
                # Cost and number in one: the least is the first of the cheapest.
                least, row = np.int64(NEVER) << NUMBERED, left * TILE
                for at in range(kept):
                    least = min(least, costs[at] + matrix[row + columns[at]] << NUMBERED | at)
                seen_left[left], best[left] = begin, least
            least = best[left]
            totals[node] = (least >> NUMBERED) + nodes[node, COST]
            befores[node] = ends[least & (1 << NUMBERED) - 1]
            if firsts[end] < 0:
                firsts[end] = node
            else:
                nexts[lasts[end]] = node
            lasts[end] = node
            node += 1
    return befores
