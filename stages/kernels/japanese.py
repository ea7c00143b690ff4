"""Japanese texts cut as datatrove's tokenizer does: by Sudachi in mode A, with spaCy around it."""

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes, decode
from stages.kernels.entries import Parts
from stages.kernels.lattice import (
    BEGIN,
    COLUMNS,
    COST,
    END,
    NEVER,
    NOT_FIRST,
    SPLIT,
    UNKNOWN,
    WORD,
    Ids,
    Kinds,
    Lexicon,
    Text,
    cheapest,
    find_words,
)
from stages.kernels.numerals import STATE, Forms, join_numerals
from stages.kernels.respell import Spelling, parts_of, read
from stages.kernels.streams import BLANK, Marks
from stages.kernels.words import Numbers

KATAKANA = np.uint32(1 << 7)
SHORT = 3  # characters; a shorter word in katakana is joined to its neighbours
SPACE = 0x20


@njit(cache=True)
def _in_katakana(path: Ids, many: int, kinds: Kinds) -> Bytes:
    """1 for each word all of whose characters are katakana."""
    found = np.ones(many, np.uint8)
    for word in range(many):
        for at in range(path[word, 0], path[word, 1]):
            if not kinds[at] & KATAKANA:
                found[word] = 0
                break
    return found


@njit(cache=True)
def _join_katakana(path: Ids, many: int, text: Text, nodes: Ids) -> int:
    """Make one word of neighbours in katakana if one of them is short or unknown; how many are left.

    A word of the lattice that is as long is taken for them; else it is an unknown one.
    """
    kinds = text.kinds
    kana = _in_katakana(path, many, kinds)
    done, at = 0, 0  # the path is what was done, then what is from `at` on
    while at < many:
        small = path[at, 2] < 0 or path[at, 1] - path[at, 0] < SHORT
        begin, end = done, at + 1
        if kana[at] and small:
            while begin and kana[begin - 1]:
                begin -= 1
            while end < many and kana[end]:
                end += 1
            # Close the gap between what was done and the rest of these words.
            for word in range(at, end):
                to = done + word - at
                path[to, 0], path[to, 1], path[to, 2] = path[word, 0], path[word, 1], path[word, 2]
                kana[to] = 1
            last = done + end - at
            while begin < last and kinds[path[begin, 0]] & np.uint32(NOT_FIRST):
                begin += 1
            if last - begin > 1:
                path[begin, 1] = path[last - 1, 1]
                path[begin, 2] = _dearest(path[begin, 0], path[begin, 1], nodes)
                done, at = begin + 1, end
                if at == many:
                    break
            elif last - done > 1:
                # Nothing was joined, so the rest of them stays to be looked at.
                for word in range(end - 1, at - 1, -1):
                    to = done + word - at
                    path[word, 0], path[word, 1] = path[to, 0], path[to, 1]
                    path[word, 2], kana[word] = path[to, 2], 1
        path[done, 0], path[done, 1], path[done, 2] = path[at, 0], path[at, 1], path[at, 2]
        kana[done] = kana[at]
        done, at = done + 1, at + 1
    return done


@njit(cache=True)
def _dearest(start: int, stop: int, nodes: Ids) -> int:
    """The word of the least cost of its own that is from here to there, UNKNOWN if there is none."""
    best, word = NEVER, UNKNOWN
    node = np.searchsorted(nodes[1:, BEGIN], start) + 1
    while node < len(nodes) and nodes[node, BEGIN] == start:
        if nodes[node, END] == stop and nodes[node, COST] < best:
            best, word = nodes[node, COST], nodes[node, WORD]
        node += 1
    return word


@njit(cache=True)
def _path(nodes: Ids, befores: Ids) -> Ids:
    """Where the words of the path begin and end, and which they are."""
    many, node = 0, befores[-1]
    while node:
        many += 1
        node = befores[node]
    path, node = np.empty((many, 3), np.int32), befores[-1]
    while node:
        many -= 1
        path[many, 0], path[many, 1] = nodes[node, BEGIN], nodes[node, END]
        path[many, 2] = nodes[node, WORD]
        node = befores[node]
    return path


@njit(cache=True)
def _cut_part(
    text: Text, path: Ids, many: int, lexicon: Lexicon, parts: Parts, cuts: Numbers
) -> int:
    """Where the words of the path and their parts begin in the text as it was; how many."""
    found = 0
    for at in range(many):
        start, word = path[at, 0], path[at, 2]
        cuts[found] = text.origins[start]
        found += 1
        if word >= 0 and lexicon.words[word] & SPLIT:
            place, byte = parts.places[word], text.places[start]
            for part in range(parts.sizes[place] - 1):
                byte += parts.sizes[place + 1 + part]
                cuts[found] = text.origins[text.numbers[byte]]
                found += 1
    cuts[found] = text.origins[len(text.kinds)]
    return found


@njit(cache=True)
def _spaced(
    data: Bytes, cuts: Numbers, found: int, marks: Marks, begins: Numbers, ends: Numbers, many: int
) -> int:
    """Append words without the blanks around them; the space behind a word belongs to it."""
    spoken, blank = False, cuts[0]
    for at in range(found):
        start, stop = cuts[at], cuts[at + 1]
        begin, end, place = stop, start, start
        while place < stop:
            point, size = decode(data, place, stop)
            if not marks[point] & BLANK:
                begin, end = min(begin, place), place + size
            place += size
        if end == start:
            continue
        many = _blanks(data, blank, start, spoken, begins, ends, many)
        begins[many], ends[many] = begin, end
        many += 1
        spoken, blank = True, stop
    return _blanks(data, blank, cuts[found], spoken, begins, ends, many)


@njit(cache=True)
def _blanks(
    data: Bytes, start: int, stop: int, spoken: bool, begins: Numbers, ends: Numbers, many: int
) -> int:
    if spoken and start < stop and data[start] == SPACE:
        start += 1
    if start < stop:
        begins[many], ends[many] = start, start
        many += 1
    return many


@njit(cache=True)
def cut_japanese(
    data: Bytes,
    offsets: Numbers,
    marks: Marks,
    spelling: Spelling,
    lexicon: Lexicon,
    parts: Parts,
    forms: Forms,
) -> tuple[Numbers, Numbers, Numbers]:
    """The places of the tokens: begins, ends (equal for a token of blanks), and where texts start."""
    size = offsets[-1] - offsets[0]
    begins, ends = np.empty(size, np.int64), np.empty(size, np.int64)
    starts = np.zeros(len(offsets), np.int64)
    nodes, state = np.empty((1 << 16, COLUMNS), np.int32), np.empty(STATE, np.int64)
    many = 0
    for row in range(len(offsets) - 1):
        pieces = parts_of(data, offsets[row], offsets[row + 1])
        for piece in range(len(pieces) - 1):
            text = read(data, pieces[piece], pieces[piece + 1], spelling)
            length = len(text.kinds)
            if not length:
                continue
            used = find_words(text, lexicon, nodes)
            while used < 0:
                nodes = np.empty((2 * len(nodes), COLUMNS), np.int32)
                used = find_words(text, lexicon, nodes)
            path = _path(nodes, cheapest(length, nodes, used, lexicon))
            left = join_numerals(path, len(path), text, lexicon.words, forms, state)
            left = _join_katakana(path, left, text, nodes[:used])
            cuts = np.empty(length + 1, np.int64)
            found = _cut_part(text, path, left, lexicon, parts, cuts)
            many = _spaced(data, cuts, found, marks, begins, ends, many)
        starts[row + 1] = many
    return begins[:many], ends[:many], starts
