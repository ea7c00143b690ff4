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
MOST = 256  # more than there are words of one spelling, or of one category of unknown ones
NEVER = 1 << 30  # more than any path costs

NEXT, RIGHT, TOTAL, BEFORE, BEGIN, WORD, COST, COLUMNS = range(8)  # of nodes


class Unknown(NamedTuple):
    """What is made of characters of each category that the dictionary does not know."""

    always: Ids  # 1: also where the dictionary has words
    group: Ids  # 1: the whole run is a word
    length: Ids  # characters up to which its beginnings are words
    firsts: Ids  # the first row of the category; one more than categories
    rows: Ids  # left id, right id, cost, UNKNOWN or UNKNOWN_NUMBER; the last is for the rest


class Lexicon(NamedTuple):
    """The dictionary of Sudachi as arrays."""

    trie: Kinds  # a double array over UTF-8; a value is the place of the first word in `words`
    heads: Ids  # of characters below 0x10000: place in the trie << 1 | whether it is a word; -1
    words: Numbers
    matrix: Costs  # left id of a word x right id of the one before it
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


class Room(NamedTuple):
    """What the lattice is built in."""

    firsts: Ids  # of each place, the first and the last node that ends there, -1 if none does
    lasts: Ids
    ends: Ids  # the nodes that end at the place in question: node, right id, cost
    seen_right: Ids  # the place where a right id was last seen, and which of `ends` it is
    seen_left: Ids  # the place where a left id was last seen, and cost and node of what is before it


@njit(cache=True)
def room_for(characters: int, ids: int) -> Room:
    """Memory for the lattice of a text."""
    return Room(
        np.empty(characters + 1, np.int32),
        np.empty(characters + 1, np.int32),
        np.empty((64, 3), np.int32),
        np.empty((ids, 2), np.int32),
        np.empty((ids, 3), np.int32),
    )


@njit(cache=True)
def grown(rows: Ids, used: int) -> Ids:
    """The rows in use, with room for as many again."""
    more = np.empty((2 * len(rows), rows.shape[1]), np.int32)
    more[:used] = rows[:used]
    return more


@njit(cache=True)
def _gather(place: int, nodes: Ids, room: Room, ends: Ids) -> tuple[int, Ids]:
    """The nodes that end here into `ends`, without those that another of their right id beats."""
    many, node = 0, room.firsts[place]
    while node >= 0:
        right, total = nodes[node, RIGHT], nodes[node, TOTAL]
        node_of = node
        node = nodes[node, NEXT]
        if room.seen_right[right, 0] == place:
            other = room.seen_right[right, 1]
            if total >= ends[other, 2]:
                continue
            ends[other, 2] = NEVER
        if many == len(ends):
            ends = grown(ends, many)
        ends[many, 0], ends[many, 1], ends[many, 2] = node_of, right, total
        room.seen_right[right, 0], room.seen_right[right, 1] = place, many
        many += 1
    return many, ends


@njit(cache=True)
def _insert(
    begin: int,
    end: int,
    left: int,
    right: int,
    cost: int,
    word: int,
    many: int,
    ends: Ids,
    ending: int,
    matrix: Costs,
    room: Room,
    nodes: Ids,
) -> None:
    """Connect a word to the cheapest one before it."""
    seen = room.seen_left[left]
    if seen[0] != begin:
        row = matrix[left]
        best, before = NEVER, -1
        for at in range(ending):
            total = ends[at, 2] + row[ends[at, 1]]
            if total < best:
                best, before = total, ends[at, 0]
        seen[0], seen[1], seen[2] = begin, best, before
    node = nodes[many]
    node[NEXT], node[RIGHT], node[TOTAL] = -1, right, seen[1] + cost
    node[BEFORE], node[BEGIN], node[WORD], node[COST] = seen[2], begin, word, cost
    if room.firsts[end] < 0:
        room.firsts[end] = many
    else:
        nodes[room.lasts[end], NEXT] = many
    room.lasts[end] = many


@njit(cache=True, inline="always")
def _offset(unit: np.uint32) -> np.uint32:
    return (unit >> np.uint32(10)) << ((unit & np.uint32(1 << 9)) >> np.uint32(6))


@njit(cache=True)
def _known(
    begin: int, text: Text, lexicon: Lexicon, many: int, ends: Ids, ending: int, room: Room, nodes: Ids
) -> tuple[int, Ids]:
    """The words of the dictionary that begin here."""
    trie, data, size = lexicon.trie, text.data, text.places[len(text.kinds)]
    at, unit, leaf = text.places[begin], np.uint32(0), False
    point = text.points[begin]
    if point < len(lexicon.heads):
        head = lexicon.heads[point]
        if head < 0:
            return many, nodes
        node, leaf = np.uint32(head >> 1), bool(head & 1)
        at = text.places[begin + 1]
    else:
        node = _offset(trie[0])
    while True:
        if leaf:
            end = text.numbers[at]
            if text.free[end]:
                word = np.int64(trie[node] & np.uint32(0x7FFFFFFF))
                if many + MOST > len(nodes):
                    nodes = grown(nodes, many)
                while True:
                    packed = lexicon.words[word]
                    _insert(
                        begin,
                        end,
                        packed & 0xFFFF,
                        packed >> 16 & 0xFFFF,
                        np.int64(np.int16(packed >> 32 & 0xFFFF)),
                        word,
                        many,
                        ends,
                        ending,
                        lexicon.matrix,
                        room,
                        nodes,
                    )
                    many += 1
                    word += 1
                    if packed & LAST:
                        break
        if at == size:
            return many, nodes
        byte = np.uint32(data[at])
        node ^= byte
        unit = trie[node]
        if unit & np.uint32(0x800000FF) != byte:
            return many, nodes
        node ^= _offset(unit)
        leaf = bool(unit >> np.uint32(8) & np.uint32(1))
        at += 1


@njit(cache=True)
def _unknown(
    begin: int,
    text: Text,
    lexicon: Lexicon,
    known: bool,
    many: int,
    ends: Ids,
    ending: int,
    room: Room,
    nodes: Ids,
) -> tuple[int, Ids]:
    """The words that begin here by the category of their characters."""
    made, run, kinds = lexicon.unknown, text.runs[begin], text.kinds[begin]
    for category in range(CATEGORIES):
        if not kinds >> np.uint32(category) & np.uint32(1) or known and not made.always[category]:
            continue
        if many + MOST > len(nodes):
            nodes = grown(nodes, many)
        longest = run
        for length in range(made.length[category] + 1):
            if length == 0:
                if not made.group[category]:
                    continue
                stop = begin + run
                longest -= 1
            else:
                stop = min(begin + length, len(text.kinds))
                if stop - begin > longest:
                    break
            for row in range(made.firsts[category], made.firsts[category + 1]):
                left, right, cost, word = made.rows[row]
                _insert(
                    begin,
                    stop,
                    left,
                    right,
                    cost,
                    word,
                    many,
                    ends,
                    ending,
                    lexicon.matrix,
                    room,
                    nodes,
                )
                many += 1
    return many, nodes


@njit(cache=True)
def cheapest(text: Text, lexicon: Lexicon, room: Room, nodes: Ids) -> tuple[int, Ids]:
    """The last node of the cheapest path, and the nodes; BEFORE leads to the first, behind node 0."""
    size = len(text.kinds)
    room.firsts[: size + 1] = -1
    room.seen_left[:, 0] = -1
    room.seen_right[:, 0] = -1
    nodes[0, :] = 0
    nodes[0, NEXT], nodes[0, BEFORE] = -1, -1
    room.firsts[0] = room.lasts[0] = 0
    many, ends = 1, room.ends
    for begin in range(size):
        if room.firsts[begin] < 0:
            continue
        ending, ends = _gather(begin, nodes, room, ends)
        before = many
        many, nodes = _known(begin, text, lexicon, many, ends, ending, room, nodes)
        if not text.kinds[begin] & np.uint32(NOT_FIRST):
            known = many > before
            many, nodes = _unknown(
                begin, text, lexicon, known, many, ends, ending, room, nodes
            )
        if many == before:
            stop = begin + 1
            while stop < size and not text.free[stop]:
                stop += 1
            left, right, cost, word = lexicon.unknown.rows[-1]
            if many + MOST > len(nodes):
                nodes = grown(nodes, many)
            _insert(
                begin, stop, left, right, cost, word, many, ends, ending, lexicon.matrix, room, nodes
            )
            many += 1
    ending, ends = _gather(size, nodes, room, ends)
    row = lexicon.matrix[0]
    best, last = NEVER, -1
    for at in range(ending):
        total = ends[at, 2] + row[ends[at, 1]]
        if total < best:
            best, last = total, ends[at, 0]
    return last, nodes
