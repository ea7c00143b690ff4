"""What the lines and paragraphs of a text look like, and how many of them are repeated."""

import numpy as np
from numba import njit

from stages.kernels.characters import LINE_END, SPACE, TERMINAL, Bytes, Table, decode
from stages.kernels.hashing import mix
from stages.kernels.ngrams import find, table_size
from stages.kernels.words import (
    BASIS,
    CLASS,
    DOT,
    ELLIPSIS,
    NEWLINE,
    PRIME,
    Hashes,
    Numbers,
)

RETURN, BULLET, HYPHEN = 13, 0x2022, 45
SHORT = 30  # characters of a short line, as FineWeb has it

# What `measure_lines` counts: all lines, those that are not blank, and of either some; repeated
# lines and paragraphs and the characters in them; paragraphs; characters and line feeds of the text.
ALL, LINES, BULLETED, TRAILING, PUNCTUATED, SHORTS, REPEATS, REPEATED = range(8)
PARAGRAPHS, PARAGRAPH_REPEATS, PARAGRAPH_REPEATED, LINE_CHARACTERS, LINE_FEEDS = range(8, 13)
COUNTS = 13


@njit(cache=True)
def measure_lines(
    data: Bytes,
    start: int,
    end: int,
    table: Table,
    repeats: bool,
    counts: Numbers,
) -> None:
    """Count what the constants above name, into `counts`. A line ends as in `str.splitlines`.

    Repeats are counted only if asked for.
    """
    counts[:] = 0
    lines, at = 0, start
    room = 2 * (end - start) if repeats else 0  # every line has a byte, every paragraph a line
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    while at < end:
        at, code, length, blank = _line(data, at, end, table, counts)
        counts[ALL] += 1
        counts[LINES] += not blank
        if repeats:
            hashes[lines] = np.uint64(0) if blank else code
            lengths[lines] = length
            lines += 1
    if lines:
        _paragraphs(hashes, lengths, lines, counts)
        kept = 0
        for line in range(lines):
            if hashes[line]:
                hashes[kept], lengths[kept] = hashes[line], lengths[line]
                kept += 1
        counts[REPEATS], counts[REPEATED] = _repeats(hashes, lengths, kept)


@njit(cache=True)
def _line(
    data: Bytes, at: int, end: int, table: Table, counts: Numbers
) -> tuple[int, np.uint64, int, bool]:
    """The line that begins here: where the next begins, its hash (not 0), length, if it is blank."""
    code, length, dots, blank = BASIS, 0, 0, True
    first, before, last = np.uint32(0), np.uint32(0), np.uint32(0)
    while at < end:
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        at += size
        counts[LINE_CHARACTERS] += 1
        if kind & LINE_END:
            counts[LINE_FEEDS] += point == NEWLINE
            if point == RETURN and at < end and data[at] == NEWLINE:
                counts[LINE_CHARACTERS] += 1
                counts[LINE_FEEDS] += 1
                at += 1
            break
        length += 1
        code = (code ^ np.uint64(point)) * PRIME
        if not kind & SPACE:
            if point == DOT:
                dots = dots + 1 if before == DOT else 1
            else:
                dots = 3 if point == ELLIPSIS else 0
            first = first or point
            last, blank = kind, False
        before = point
    counts[BULLETED] += first in (BULLET, HYPHEN)
    counts[TRAILING] += dots >= 3
    counts[PUNCTUATED] += last & TERMINAL != 0
    counts[SHORTS] += not blank and length <= SHORT
    return at, mix(code) | np.uint64(1), length, blank


@njit(cache=True)
def _paragraphs(hashes: Hashes, lengths: Numbers, lines: int, counts: Numbers) -> None:
    """Count paragraphs, which are what blank lines (hash 0) part, and their repeats.

    They are written behind the lines.
    """
    found, line = 0, 0
    while line < lines:
        if hashes[line] == 0:
            line += 1
            continue
        code, length = BASIS, -1
        while line < lines and hashes[line] != 0:
            code = (code ^ hashes[line]) * PRIME
            length += lengths[line] + 1
            line += 1
        hashes[lines + found] = mix(code) | np.uint64(1)
        lengths[lines + found] = length
        found += 1
    counts[PARAGRAPHS] = found
    counts[PARAGRAPH_REPEATS], counts[PARAGRAPH_REPEATED] = _repeats(
        hashes[lines:], lengths[lines:], found
    )


@njit(cache=True)
def _repeats(hashes: Hashes, lengths: Numbers, many: int) -> tuple[int, int]:
    """How many of the hashes were there before, and their lengths together."""
    repeats, characters = 0, 0
    size = table_size(many)
    mask = np.uint64(size - 1)
    keys = np.zeros(size, np.uint64)
    for at in range(many):
        slot = find(keys, mask, hashes[at])
        if keys[slot] == 0:
            keys[slot] = hashes[at]
        else:
            repeats += 1
            characters += lengths[at]
    return repeats, characters
