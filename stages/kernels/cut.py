"""Cutting lines that are no text out of texts: one pass over the buffer.

A line is judged by what is left of it when case, accents and everything but letters and digits are
gone: words with single blanks between them, each digit a 0. Lines longer than a notice are passed by.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import (
    PUNCTUATION,
    QUOTE,
    SPACE,
    Bytes,
    Table,
    decode,
    table,
)
from stages.kernels.forms import BASIS, PRIME
from stages.kernels.hashing import mix
from stages.kernels.manners import CLASS
from stages.kernels.phrases import (
    JAVASCRIPT,
    LOREM_IPSUM,
    POLICY,
    Phrases,
    Points,
    first_points,
    fold_point,
    pair,
)
from stages.kernels.words import NEWLINE, Hashes, Numbers

SOCIAL, COPYRIGHT, NAVIGATION, SYMBOLS = 8, 16, 32, 64  # more kinds of lines, as bits
KINDS = {
    "policy": POLICY,
    "javascript": JAVASCRIPT,
    "lorem_ipsum": LOREM_IPSUM,
    "social": SOCIAL,
    "copyright": COPYRIGHT,
    "navigation": NAVIGATION,
    "symbols": SYMBOLS,
}
LINE, FIELD, HOME = 256, 512, 1024  # where a name means something, as bits
MODES = {"line": LINE | FIELD, "field": FIELD, "home": FIELD | HOME}

LONGEST = 300  # characters of a line that may be a notice
ROOM = 4 * LONGEST  # bytes of one
SOME = 4  # symbols that a line of nothing else must have to be cut
BLANK, BAR = np.uint32(0x20), 0x7C


class Plan(NamedTuple):
    """What to look for."""

    kinds: int  # of lines that are cut, as bits
    parts: Phrases  # from the beginning of a word on
    spans: npt.NDArray[np.int64]  # of `parts`, by their first points
    names: Hashes  # of whole lines and fields, sorted
    longest: int  # points of a name
    means: Numbers  # kind and mode of each name, as bits


class Line(NamedTuple):
    """What a line is judged by."""

    points: int  # folded, written to the buffer
    visible: int
    letters: int  # and digits
    meaning: int  # symbols that make a line of symbols code, a formula, a table, a drawing
    code: (
        int  # symbols that make a line with words code: = \\ { }, and # % * / - < + $ @ before all
    )
    first: int  # what the first field means, as bits
    fields: int  # parted by marks; empty ones are none
    known: int  # fields with a name
    path: bool  # all marks between fields are those of a path
    row: bool  # begins with `|`, as the row of a table does


@cache
def plan(kinds: int) -> Plan:
    """The plan for some kinds of lines, with the phrases of the files beside this one."""
    parts: dict[tuple[int, ...], int] = {}
    names: dict[int, int] = {}
    longest = 0
    for mode, kind, phrase in _listed():
        points, code = fold_words(phrase)
        if mode == "part":
            parts[tuple(points)] = KINDS[kind]
        else:
            longest = max(longest, len(points))
            names[code] = names.get(code, 0) | KINDS[kind] | MODES[mode]
    order = sorted(parts, key=lambda points: (pair(*points[:2]), points))
    offsets = np.cumsum([0, *map(len, order)]).astype(np.int64)
    every = np.array([point for points in order for point in points], np.uint32)
    phrases = (every, offsets, np.array([parts[points] for points in order], np.int64))
    hashes = sorted(names)
    return Plan(
        kinds=kinds,
        parts=phrases,
        spans=first_points(phrases),
        names=np.array(hashes, np.uint64),
        longest=longest,
        means=np.array([names[code] for code in hashes], np.int64),
    )


def _listed() -> list[tuple[str, str, str]]:
    """Mode, kind and text of every phrase: those of policies (see `phrases`) are lines."""
    here = Path(__file__)
    rows = here.with_name("boilerplate_phrases.txt").read_text("utf-8").splitlines()
    found = [row.split(" ", 2) for row in rows if not row.startswith("#")]
    policies = here.with_name("policy_phrases.txt").read_text("utf-8").splitlines()
    found += [["line", "policy", row[3:]] for row in policies if not row.startswith("#")]
    return [
        (mode, kind, phrase.strip())
        for mode, kind, phrases in found
        for phrase in phrases.split(";")
    ]


def fold_words(phrase: str) -> tuple[Sequence[int], int]:
    """The folded points of a phrase, blanks at its ends left out, and their hash."""
    data = np.frombuffer(phrase.encode(), np.uint8)
    folded = np.empty(len(data) + 2, np.uint32)
    nothing = np.zeros(0, np.uint64), 0, np.zeros(0, np.int64)
    many = read_line(data, 0, len(data), table(), *nothing, folded).points
    return [int(point) for point in folded[1:many]], int(hash_points(folded, 1, many))


@njit(cache=True)
def hash_points(points: Points, start: int, stop: int) -> np.uint64:
    """A hash of folded points, not 0."""
    code = BASIS
    for at in range(start, stop):
        code = (code ^ np.uint64(points[at])) * PRIME
    return mix(code) | np.uint64(1)


@njit(cache=True, inline="always")
def mark_of(point: np.uint32) -> int:
    """2 for a mark between the steps of a path (guillemets, > and arrows), 1 for one between fields (| • ·), else 0."""
    if point in (0xBB, 0x203A, 0x3E, 0x2192):
        return 2
    return 1 if point in (0x7C, 0x2022, 0xB7) else 0


@njit(cache=True, inline="always")
def has_meaning(point: np.uint32, kind: np.uint32) -> bool:
    """Whether a symbol makes a line code, a formula, a table or a drawing, or speech."""
    if kind & QUOTE:
        return True
    if point < 0x80:  # all but ! * , - . ? _
        return bool(point not in (0x21, 0x2A, 0x2C, 0x2D, 0x2E, 0x3F, 0x5F))
    if point < 0x2000:  # currency, signs of arithmetic
        return point in (0xA2, 0xA3, 0xA4, 0xA5, 0xAC, 0xB1, 0xD7, 0xF7)
    return bool(0x2070 <= point < 0x20D0 or 0x2190 <= point < 0x25A0 or 0x27C0 <= point < 0x2B00)


@njit(cache=True, inline="always")
def opens_code(point: np.uint32) -> bool:
    """Whether a line that begins so is a comment, an option, markup."""
    return point in (0x23, 0x24, 0x25, 0x2A, 0x2B, 0x2D, 0x2F, 0x3B, 0x3C, 0x40)


@njit(cache=True, inline="always")
def is_rule(point: np.uint32) -> bool:
    """Whether a line of nothing but this symbol is a mere rule: # + = ─ ═ and their like."""
    return bool(point in (0x23, 0x2B, 0x3D) or 0x2500 <= point < 0x25A0)


@njit(cache=True)
def find_name(
    points: Points, start: int, stop: int, names: Hashes, longest: int, means: Numbers
) -> int:
    """What a name means, as bits; 0 if it is none."""
    if stop - start > longest:
        return 0
    code = hash_points(points, start, stop)
    at = np.searchsorted(names, code)
    return int(means[at]) if at < len(names) and names[at] == code else 0


@njit(cache=True)
def find_parts(line: Points, length: int, plan: Plan) -> int:
    """The kinds of all phrases that begin with a word of the folded line, as bits."""
    points, offsets, bits = plan.parts
    found = 0
    for at in range(1, length - 1):
        if line[at - 1] != BLANK:
            continue
        low = (line[at] & np.uint32(63)) << np.uint32(6) | (line[at + 1] & np.uint32(63))
        for phrase in range(plan.spans[low, 0], plan.spans[low, 1]):
            first, size = offsets[phrase], offsets[phrase + 1] - offsets[phrase]
            same = 0
            while same < size and at + same < length and line[at + same] == points[first + same]:
                same += 1
            if same == size:
                found |= bits[phrase]
    return found


@njit(cache=True)
def read_line(
    data: Bytes,
    at: int,
    end: int,
    table: Table,
    names: Hashes,
    longest: int,
    means: Numbers,
    folded: Points,
) -> Line:
    """Fold the line from `at` to `end` into `folded`, a blank before each word, and read off what it is."""
    points, field, gap = 0, 0, True
    characters, visible, letters, meaning, code = 0, 0, 0, 0, 0
    ruled, symbol, place = True, np.uint32(0), 0
    first, fields, known, path, row = 0, 0, 0, True, False
    while at < end:
        point, length = decode(data, at, end)
        at += length
        characters += 1
        kind = table[point] & CLASS
        if kind & SPACE:
            gap = True
            continue
        visible += 1
        if not kind & PUNCTUATION:
            letters += 1
            letter = fold_point(point, table)
            if letter:
                if gap:
                    folded[points] = BLANK
                    points += 1
                folded[points] = letter
                points += 1
                gap = False
            continue
        gap = True
        mark = mark_of(point)
        if mark:
            if points > field:
                found = find_name(folded, field + 1, points, names, longest, means)
                first = first if fields else found
                fields += 1
                known += found != 0
            field = points
            path = path and mark == 2
            row = row or (visible == 1 and point == BAR)
        meaning += has_meaning(point, kind)
        code += point in (0x3D, 0x5C, 0x7B, 0x7D) or (visible == 1 and opens_code(point))
        ruled = ruled and (visible == 1 or (point == symbol and characters == place + 1))
        symbol, place = point, characters
    if points > field:
        found = find_name(folded, field + 1, points, names, longest, means)
        first = first if fields else found
        fields += 1
        known += found != 0
    if ruled and not letters and is_rule(symbol):
        meaning = 0
    return Line(points, visible, letters, meaning, code, first, fields, known, path, row)


@njit(cache=True)
def kind_of(line: Line, plan: Plan, folded: Points, below: bool) -> int:
    """The kind of a line that is cut, or 0. `below`: a line of text is right above it."""
    if line.visible >= SOME and line.letters * 10 <= line.visible:
        return 0 if line.meaning or below else SYMBOLS & plan.kinds
    if line.code:
        return 0
    if line.fields == 1 and line.first & LINE:
        return line.first & plan.kinds
    if line.fields > 1 and plan.kinds & NAVIGATION and not line.row:
        if line.path and line.first & HOME:
            return NAVIGATION
        if line.known > 1 and line.known * 2 >= line.fields:
            return NAVIGATION
    if plan.kinds == SYMBOLS:
        return 0
    return find_parts(folded, line.points, plan) & plan.kinds


@njit(cache=True)
def cut(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    plan: Plan,
    out: Bytes,
    ends: Numbers,
    gone: Numbers,
    total: Numbers,
) -> None:
    """Write what is left of each text to `out`, which holds as many bytes as all texts together.

    `ends` gets where texts begin and end in it; `gone` the characters of the lines that were cut and,
    where there are any, `total` those of all lines.
    """
    folded = np.empty(ROOM + 2, np.uint32)
    ends[0] = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        size, gone[row] = _text(data, start, end, table, plan, folded, out[ends[row] :])
        ends[row + 1] = ends[row] + size
        if gone[row]:
            for at in range(start, end):
                total[row] += data[at] & 0xC0 != 0x80 and data[at] != NEWLINE


@njit(cache=True)
def _text(
    data: Bytes, at: int, end: int, table: Table, plan: Plan, folded: Points, out: Bytes
) -> tuple[int, int]:
    """Write the lines that stay; the bytes written and the characters cut."""
    size, gone, torn = 0, 0, False  # torn: nothing but blank lines since a line was cut
    while at < end:
        stop, characters = at, 0
        while stop < end and data[stop] != NEWLINE:
            characters += data[stop] & 0xC0 != 0x80
            stop += 1
        following = min(stop + 1, end)
        blank = stop == at
        below = size > 1 and out[size - 2] != NEWLINE
        if 0 < characters <= LONGEST and stop - at <= ROOM:
            line = read_line(data, at, stop, table, plan.names, plan.longest, plan.means, folded)
            blank = line.visible == 0
            if not blank and kind_of(line, plan, folded, below):
                gone += characters
                torn = True
                at = following
                continue
        if not (torn and blank and (size < 2 or out[size - 2] == NEWLINE)):
            for byte in range(at, following):  # most lines are too short for a slice to pay
                out[size] = data[byte]
                size += 1
        torn = torn and blank
        at = following
    while gone and size and out[size - 1] == NEWLINE:
        size -= 1
    return size, gone
