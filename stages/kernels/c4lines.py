"""Leaving lines out of texts as datatrove's C4 filter does: byte for byte, in its order."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels import lean
from stages.kernels.characters import Bytes, decode, decode_long, stripped
from stages.kernels.lines import RETURN
from stages.kernels.rewrite import CLOSE, CURLY, EDIT, KEPT, LOREM, NEEDED, OPEN
from stages.kernels.streams import BLANK, DIGIT, DOT, LINE_END, NEWLINE, Marks
from stages.kernels.words import Numbers

BRACE, KELVIN = 0x7B, 0x212A  # { and the sign whose lower case is k
PHRASES = (
    b"lorem ipsum",
    b"javascript",
    b"terms of use",
    b"privacy policy",
    b"cookie policy",
    b"uses cookies",
    b"use of cookies",
    b"use cookies",
)
LOREM_IPSUM, JAVASCRIPT, POLICY = 1, 2, 4
KINDS = np.array([LOREM_IPSUM, JAVASCRIPT] + [POLICY] * (len(PHRASES) - 2))
LETTERS = np.frombuffer(b"".join(PHRASES), np.uint8)
PLACES = np.cumsum([0, *map(len, PHRASES)])
# Whether a phrase begins with two letters, by the five bits of each that its case does not change.
SIEVE = np.zeros(1 << 10, np.bool_)
SIEVE[[(phrase[0] & 31) << 5 | phrase[1] & 31 for phrase in PHRASES]] = True


class LineRules(NamedTuple):
    """What leaves; as fields of `stages.quality.C4Quality`, 0 for what is off."""

    citations: bool
    no_terminal_punctuation: bool
    words_per_line: int
    word_length: int
    lorem_ipsum: bool
    javascript: bool
    curly_bracket: bool
    policy: bool


@njit(cache=True)
def keep_lines(
    data: Bytes,
    offsets: Numbers,
    marks: Marks,
    rules: LineRules,
    out: Bytes,
    edges: Numbers,
    starts: Numbers,
    verdicts: Numbers,
) -> int:
    """Write the lines that stay to `out`, each stripped and without citations; how many.

    `edges` gets where lines begin in it (room for one line per byte and text, and one more), `starts`
    which is the first of each text, `verdicts` KEPT, or LOREM or CURLY for a text that has to leave.
    """
    many, to = 0, 0
    edges[0] = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        starts[row] = many
        while at < end and verdicts[row] == KEPT:
            begin, stop, at, words, longest = _strip(data, at, end, marks)
            if rules.word_length and longest > rules.word_length:
                continue
            upto = _without_citations(data, begin, stop, marks, rules.citations, out, to)
            if rules.no_terminal_punctuation and not _ends(out, to, upto):
                continue
            if words < rules.words_per_line:
                continue
            said, braces = _phrases(out, to, upto)
            if rules.lorem_ipsum and said & LOREM_IPSUM:
                verdicts[row] = LOREM
            elif rules.javascript and said & JAVASCRIPT:
                continue
            elif rules.curly_bracket and braces:
                verdicts[row] = CURLY
            elif not (rules.policy and said & POLICY):
                to = upto
                many += 1
                edges[many] = to
    starts[len(offsets) - 1] = many
    return many


@lean
def _strip(data: Bytes, at: int, end: int, marks: Marks) -> tuple[int, int, int, int, int]:
    """The line here without blanks around: begin, end, where the next begins, words, the longest."""
    begin, stop, words, longest, word = at, at, 0, 0, 0
    while at < end:
        point, size = np.uint32(data[np.uint64(at)]), 1
        if point >= 0x80:
            point, size = decode_long(data, at, end)
        mark = marks[point]
        if not mark & (BLANK | LINE_END):
            word += 1
            at += size
            stop = at
            continue
        if word:
            words, longest, word = words + 1, max(longest, word), 0
        at += size
        if mark & LINE_END:
            if point == RETURN and at < end and data[at] == NEWLINE:
                at += 1
            break
        if not words:
            begin = at
    if word:
        words, longest = words + 1, max(longest, word)
    return begin, max(begin, stop), at, words, longest


@njit(cache=True)
def _without_citations(
    data: Bytes, at: int, end: int, marks: Marks, leave: bool, out: Bytes, to: int
) -> int:
    """Copy the line without `[12]`, `[]`, `[edit]`, `[citation needed]`; the end of the copy."""
    while at < end:
        if leave and data[at] == OPEN:
            stop = at + 1
            while stop < end:
                point, size = decode(data, stop, end)
                if not marks[point] & DIGIT:
                    break
                stop += size
            if stop < end and data[stop] == CLOSE:
                at = stop + 1
                continue
            if _is(data, at + 1, end, EDIT):
                at += 1 + len(EDIT)
                continue
            if _is(data, at + 1, end, NEEDED):
                at += 1 + len(NEEDED)
                continue
        out[to] = data[at]
        at += 1
        to += 1
    return to


@njit(cache=True)
def _is(data: Bytes, at: int, end: int, phrase: Bytes) -> bool:
    if at + len(phrase) > end:
        return False
    same: bool = (data[at : at + len(phrase)] == phrase).all()
    return same


@njit(cache=True)
def _ends(data: Bytes, begin: int, end: int) -> bool:
    """Whether a line ends in one of `. ? ! " '` and not in an ellipsis of three dots."""
    if end == begin or data[end - 1] not in (DOT, 0x3F, 0x21, 0x22, 0x27):
        return False
    if end - begin < 3:
        return True
    return not (data[end - 1] == DOT and data[end - 2] == DOT and data[end - 3] == DOT)


@lean
def _phrases(data: Bytes, begin: int, end: int) -> tuple[int, bool]:
    """Which kinds of phrases occur in a line, whatever their case, and whether a curly bracket does."""
    said, braces = 0, False
    for at in range(np.uint64(begin), np.uint64(end)):
        braces |= data[at] == BRACE
    if end - begin < 2:
        return said, braces
    for at in range(begin, end - 1):
        here = np.uint64(at)
        two = np.uint64(data[here] & 31) << np.uint64(5) | np.uint64(data[here + np.uint64(1)] & 31)
        if SIEVE[two]:
            for phrase in range(len(KINDS)):
                if _stands(data, at, end, PLACES[phrase], PLACES[phrase + 1]):
                    said |= KINDS[phrase]
    return said, braces


@lean
def _stands(data: Bytes, at: int, end: int, one: int, last: int) -> bool:
    """Whether a phrase, given by its place among the letters of all, stands here."""
    while one < last and at < end:
        point, size = decode(data, at, end)
        if 65 <= point <= 90:
            point += np.uint32(32)
        elif point == KELVIN:
            point = np.uint32(ord("k"))
        if point != LETTERS[one]:
            return False
        one += 1
        at += size
    return one == last


@njit(cache=True)
def join_lines(
    lines: Bytes,
    edges: Numbers,
    starts: Numbers,
    data: Bytes,
    offsets: Numbers,
    marks: Marks,
    verdicts: Numbers,
    out: Bytes,
    ends: Numbers,
) -> None:
    """Write the texts that stay to `out`, their lines joined and stripped, the others as they came."""
    to = 0
    for row in range(len(offsets) - 1):
        if verdicts[row] != KEPT:
            size = offsets[row + 1] - offsets[row]
            out[to : to + size] = data[offsets[row] : offsets[row + 1]]
            to += size
            ends[row + 1] = to
            continue
        begin = to
        for line in range(starts[row], starts[row + 1]):
            if line > starts[row]:
                out[to] = NEWLINE
                to += 1
            size = edges[line + 1] - edges[line]
            out[to : to + size] = lines[edges[line] : edges[line + 1]]
            to += size
        first, last = begin, stripped(out, begin, to, marks, BLANK)
        while first < last:
            point, size = decode(out, first, last)
            if not marks[point] & BLANK:
                break
            first += size
        size = last - first
        for one in range(size if first > begin else 0):
            out[begin + one] = out[first + one]
        to = begin + size
        ends[row + 1] = to
