"""Leaving lines out of texts as datatrove's C4 filter does: byte for byte, in its order."""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes, decode
from stages.kernels.lines import RETURN
from stages.kernels.rewrite import CLOSE, CURLY, EDIT, KEPT, LOREM, NEEDED, OPEN
from stages.kernels.streams import BLANK, DIGIT, DOT, LINE_END, NEWLINE, Marks
from stages.kernels.words import Numbers

BRACE, KELVIN = 0x7B, 0x212A  # { and the sign whose lower case is k
LOREM_IPSUM = np.frombuffer(b"lorem ipsum", np.uint8)
JAVASCRIPT = np.frombuffer(b"javascript", np.uint8)
PHRASES = (
    b"terms of use",
    b"privacy policy",
    b"cookie policy",
    b"uses cookies",
    b"use of cookies",
    b"use cookies",
)
POLICY, LENGTHS = np.frombuffer(b"".join(PHRASES), np.uint8), tuple(map(len, PHRASES))


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
            if rules.lorem_ipsum and _has(out, to, upto, LOREM_IPSUM):
                verdicts[row] = LOREM
            elif rules.javascript and _has(out, to, upto, JAVASCRIPT):
                continue
            elif rules.curly_bracket and (out[to:upto] == BRACE).any():
                verdicts[row] = CURLY
            elif not (rules.policy and _speaks_of_policy(out, to, upto)):
                to = upto
                many += 1
                edges[many] = to
    starts[len(offsets) - 1] = many
    return many


@njit(cache=True)
def _strip(data: Bytes, at: int, end: int, marks: Marks) -> tuple[int, int, int, int, int]:
    """The line here without blanks around: begin, end, where the next begins, words, the longest."""
    begin, stop, words, longest, word = at, at, 0, 0, 0
    while at < end:
        point, size = decode(data, at, end)
        mark = marks[point]
        if mark & LINE_END:
            at += size
            if point == RETURN and at < end and data[at] == NEWLINE:
                at += 1
            break
        if mark & BLANK:
            word = 0
        else:
            if not words:
                begin = at
            words += word == 0
            word += 1
            longest = max(longest, word)
            stop = at + size
        at += size
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


@njit(cache=True)
def _has(data: Bytes, begin: int, end: int, phrase: Bytes) -> bool:
    """Whether the phrase occurs in the line, whatever its case."""
    for at in range(begin, end - len(phrase) + 1):
        if data[at] | 0x20 == phrase[0]:
            one, here = 1, at + 1
            while one < len(phrase) and here < end:
                point, size = decode(data, here, end)
                if 65 <= point <= 90:
                    point += np.uint32(32)
                elif point == KELVIN:
                    point = np.uint32(ord("k"))
                if point != phrase[one]:
                    break
                one += 1
                here += size
            if one == len(phrase):
                return True
    return False


@njit(cache=True)
def _speaks_of_policy(data: Bytes, begin: int, end: int) -> bool:
    at = 0
    for length in LENGTHS:
        if _has(data, begin, end, POLICY[at : at + length]):
            return True
        at += length
    return False


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
        first, last, at = to, begin, begin
        while at < to:
            point, size = decode(out, at, to)
            if not marks[point] & BLANK:
                first, last = min(first, at), at + size
            at += size
        size = max(0, last - first)
        for one in range(size):
            out[begin + one] = out[first + one]
        to = begin + size
        ends[row + 1] = to
