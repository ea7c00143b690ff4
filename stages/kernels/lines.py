"""What the lines and paragraphs of a text look like, and how many of them are repeated."""

import numpy as np

from stages.kernels import lean
from stages.kernels.characters import LINE_END, SPACE, TERMINAL, Bytes, Table, decode
from stages.kernels.eight import HIGH, eight, few, printed
from stages.kernels.eight import first as first_of
from stages.kernels.folded import hash_points
from stages.kernels.forms import BASIS, PRIME
from stages.kernels.hashing import hash_bytes, mix
from stages.kernels.manners import CLASS, DOT, HYPHEN
from stages.kernels.ngrams import find, table_size
from stages.kernels.words import ELLIPSIS, NEWLINE, Hashes, Numbers

RETURN = 13
# What an item of a list begins with, beside the hyphen: • ‣ ▶ ◀ ◦ ■ □ ▪ ▫ and
# the en dash.
BULLETS = (0x2022, 0x2023, 0x25B6, 0x25C0, 0x25E6, 0x25A0, 0x25A1, 0x25AA, 0x25AB, 0x2013)
SHORT = 30  # characters of a short line, as FineWeb has it

# What `measure_lines` counts: all lines, those that are not blank, and of either some; repeated
# lines and paragraphs and the characters in them; paragraphs; characters and line feeds of the text.
ALL, LINES, BULLETED, TRAILING, PUNCTUATED, SHORTS, REPEATS, REPEATED = range(8)
PARAGRAPHS, PARAGRAPH_REPEATS, PARAGRAPH_REPEATED, LINE_CHARACTERS, LINE_FEEDS = range(8, 13)
FIRST, SECOND, THIRD = range(13, 16)  # characters of the longest three lines
COUNTS = 16


@lean
def measure_lines(
    data: Bytes,
    start: int,
    end: int,
    table: Table,
    hashes: Hashes,
    lengths: Numbers,
    counts: Numbers,
) -> int:
    """Count what the constants above name, but for repeats, into `counts`; how many lines there are.

    A line ends as in `str.splitlines`. The hash (0: blank) and length of each are written, if `hashes`
    is not empty.
    """
    counts[:] = 0
    lines, at, repeats = 0, start, len(hashes) > 0
    while at < end:
        at, code, length, blank = _line(data, at, end, table, repeats, counts)
        counts[LINES] += not blank
        if not blank and length > counts[THIRD]:
            _rank(length, counts)
        if repeats:
            hashes[lines] = np.uint64(0) if blank else code
            lengths[lines] = length
        lines += 1
    counts[ALL] = lines
    return lines


@lean
def measure_repeats(
    hashes: Hashes, lengths: Numbers, lines: int, keys: Hashes, counts: Numbers
) -> None:
    """Count repeated lines and paragraphs; there is room for a paragraph behind each line.

    `keys` is scratch of `table_size(lines)`.
    """
    _paragraphs(hashes, lengths, lines, keys, counts)
    kept = 0
    for line in range(lines):
        if hashes[line]:
            hashes[kept], lengths[kept] = hashes[line], lengths[line]
            kept += 1
    counts[REPEATS], counts[REPEATED] = count_repeats(hashes, lengths, kept, keys)


@lean
def _rank(length: int, counts: Numbers) -> None:
    """Put a line that is longer than the third among the longest three."""
    counts[THIRD] = length
    for place in (THIRD, SECOND):
        if counts[place] > counts[place - 1]:
            counts[place - 1], counts[place] = counts[place], counts[place - 1]


@lean
def _line(
    data: Bytes, at: int, end: int, table: Table, repeats: bool, counts: Numbers
) -> tuple[int, np.uint64, int, bool]:
    """The line that begins here: where the next begins, its hash (not 0), length, if it is blank.

    The hash is 1 if repeats are not asked for.
    """
    start, length, stop, after = at, 0, end, end
    last_point, last, behind = np.uint32(0), np.uint32(0), at  # visible, of those beyond ASCII
    plain = True
    while at < end:
        if 32 <= data[at] < 0x80:
            some = eight(data, at) if at + 8 <= end else few(data, at, end)
            many = first_of(~printed(some) & HIGH)
            at += many
            length += many
            continue
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        if kind & LINE_END:
            stop, after = at, at + size
            two = point == RETURN and after < end and data[after] == NEWLINE
            counts[LINE_FEEDS] += two or point == NEWLINE
            counts[LINE_CHARACTERS] += 1 + two
            after += two
            break
        at += size
        length += 1
        if point >= 0x80:
            plain = False
            if not kind & SPACE:
                last_point, last, behind = point, kind, at
    counts[LINE_CHARACTERS] += length
    here = stop
    while here > behind and (data[here - 1] >= 0x80 or table[data[here - 1]] & SPACE):
        here -= 1
    blank = here == start
    dots = 3 if last_point == ELLIPSIS and here == behind else 0
    if here > behind:
        last = table[data[here - 1]] & CLASS
        while dots < 3 and here > start and data[here - 1] == DOT:
            dots += 1
            here -= 1
    counts[TRAILING] += dots >= 3
    counts[PUNCTUATED] += last & TERMINAL != 0
    counts[SHORTS] += not blank and length <= SHORT
    counts[BULLETED] += not blank and _is_bulleted(data, start, stop, table)
    code = np.uint64(1)
    if repeats and plain:
        code |= hash_bytes(data, start, stop, np.uint64(0))
    elif repeats:
        code |= hash_points(data, start, stop)
    return after, code, length, blank


@lean
def _is_bulleted(data: Bytes, at: int, end: int, table: Table) -> bool:
    """Whether the first visible character is that of an item of a list."""
    while at < end:
        point, size = decode(data, at, end)
        if not table[point] & SPACE:
            return bool(point == HYPHEN or (point > 0x80 and point in BULLETS))
        at += size
    return False


@lean
def _paragraphs(
    hashes: Hashes, lengths: Numbers, lines: int, keys: Hashes, counts: Numbers
) -> None:
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
    counts[PARAGRAPH_REPEATS], counts[PARAGRAPH_REPEATED] = count_repeats(
        hashes[lines:], lengths[lines:], found, keys
    )


@lean
def count_repeats(hashes: Hashes, lengths: Numbers, many: int, keys: Hashes) -> tuple[int, int]:
    """How many of the hashes were there before, and their lengths together.

    `keys` is scratch of `table_size(many)`.
    """
    repeats, characters = 0, 0
    size = table_size(many)
    mask = np.uint64(size - 1)
    keys[:size] = 0
    for at in range(many):
        slot = find(keys, mask, hashes[at])
        if keys[slot] == 0:
            keys[slot] = hashes[at]
        else:
            repeats += 1
            characters += lengths[at]
    return repeats, characters
