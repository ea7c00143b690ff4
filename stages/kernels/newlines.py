"""Lines and paragraphs as datatrove's filters part them: at line feeds only."""

import numpy as np
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import LINE_END, SPACE, Bytes, Table, decode, stripped
from stages.kernels.eight import HIGH, eight, printed
from stages.kernels.hashing import hash_bytes
from stages.kernels.lines import RETURN, SHORT, count_repeats
from stages.kernels.manners import HYPHEN
from stages.kernels.ngrams import table_size
from stages.kernels.streams import BLANK, NEWLINE, TERMINAL, Marks, Rows
from stages.kernels.streams import LINE_END as END_OF_LINE
from stages.kernels.words import Hashes, Numbers

BULLET = 0x2022
NEWLINE_COLUMNS = (
    "punctuated_lines",
    "short_lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "repeated_line_characters",
)
REPEAT_COLUMNS = ("duplicate_lines", "duplicate_line_characters")
PARAGRAPH_COLUMNS = ("duplicate_paragraphs", "duplicate_paragraph_characters")


@lean_inline
def _plain(data: Bytes, at: int, end: int) -> bool:
    """Whether eight characters of ASCII stand here, none of which ends a line."""
    return at + 8 <= end and printed(eight(data, at)) == HIGH


@njit(cache=True)
def newlines_of(data: Bytes, offsets: Numbers, marks: Marks, blanks: bool, out: Rows) -> None:
    """Fill `out` (texts x NEWLINE_COLUMNS); `blanks`: the first two are shares of blank lines too.

    Where repeats are meant a run of line feeds parts lines once, and what is before a first and
    behind a last line feed is an empty line; this is how re.split does it.
    """
    room = 0
    for row in range(len(offsets) - 1):
        room = max(room, offsets[row + 1] - offsets[row])
    hashes, lengths = np.empty(room + 2, np.uint64), np.empty(room + 2, np.int64)
    own, sizes = np.empty(room + 2, np.uint64), np.empty(room + 2, np.int64)
    keys = np.empty(table_size(room + 2), np.uint64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        at, lines, kept, feeds, characters = start, 0, 0, 0, 0
        ended, short, judged = 0, 0, 0
        while at <= end:
            begin, length, blank, last = at, 0, True, 0
            while at < end and data[at] != NEWLINE:
                if not blank and _plain(data, at, end):
                    at, length = at + 8, length + 8
                    last = marks[data[at - 1]]
                    continue
                point, size = decode(data, at, end)
                last = marks[point]
                blank &= last & BLANK != 0
                length += 1
                at += size
            feeds += at < end
            characters += length
            code = hash_bytes(data, begin, at, np.uint64(0)) | np.uint64(1)
            if length or begin == start or at == end:
                hashes[kept], lengths[kept] = code, length
                kept += 1
            if not blank:
                own[lines], sizes[lines] = code, length
                lines += 1
            if blanks or not blank:
                judged += 1
                ended += last & TERMINAL != 0
                short += length <= SHORT
            at += 1
        everything = max(1, characters + feeds)
        repeats, repeated = count_repeats(hashes, lengths, kept, keys)
        out[row, 0] = ended / max(1, judged)
        out[row, 1] = short / max(1, judged)
        out[row, 2] = repeats / kept
        out[row, 3] = repeated / everything
        out[row, 4] = count_repeats(own, sizes, lines, keys)[1] / max(1, characters)


@njit(cache=True)
def repeats_of(data: Bytes, offsets: Numbers, marks: Marks, out: Rows) -> None:
    """Fill `out` (texts x REPEAT_COLUMNS) by all lines of `str.splitlines`, blank ones too."""
    room = 0
    for row in range(len(out)):
        room = max(room, offsets[row + 1] - offsets[row])
    hashes, lengths = np.empty(room, np.uint64), np.empty(room, np.int64)
    keys = np.empty(table_size(room), np.uint64)
    for row in range(len(out)):
        at, end = offsets[row], offsets[row + 1]
        lines, characters = 0, 0
        while at < end:
            begin, stop, length, ended = at, at, 0, False
            while at < end and not ended:
                if _plain(data, at, end):
                    at += 8
                    characters, length, stop = characters + 8, length + 8, at
                    continue
                point, size = decode(data, at, end)
                at += size
                characters += 1
                if marks[point] & END_OF_LINE:
                    ended = True
                    if point == RETURN and at < end and data[at] == NEWLINE:
                        at += 1
                        characters += 1
                else:
                    length += 1
                    stop = at
            hashes[lines] = hash_bytes(data, begin, stop, np.uint64(0)) | np.uint64(1)
            lengths[lines] = length
            lines += 1
        repeats, repeated = count_repeats(hashes, lengths, lines, keys)
        out[row, 0] = repeats / max(1, lines)
        out[row, 1] = repeated / max(1, characters)


@njit(cache=True)
def paragraphs_of(data: Bytes, offsets: Numbers, marks: Marks, out: Rows) -> None:
    """Fill `out` (texts x PARAGRAPH_COLUMNS) by what two line feeds and more part, blanks around gone."""
    room = 0
    for row in range(len(out)):
        room = max(room, offsets[row + 1] - offsets[row])
    hashes, lengths = np.empty(room + 2, np.uint64), np.empty(room + 2, np.int64)
    keys = np.empty(table_size(room + 2), np.uint64)
    for row in range(len(out)):
        start, end = offsets[row], offsets[row + 1]
        many, everything = _paragraphs(data, start, end, marks, hashes, lengths)
        repeats, repeated = count_repeats(hashes, lengths, many, keys)
        # datatrove drops an empty text as one that repeats itself
        out[row, 0] = repeats / many if start < end else 1.0
        out[row, 1] = repeated / max(1, everything)


@lean
def _paragraphs(
    data: Bytes, start: int, end: int, marks: Marks, hashes: Hashes, lengths: Numbers
) -> tuple[int, int]:
    """How many paragraphs there are, and all characters of the text."""
    at, characters = start, 0
    while at < end:
        point, size = decode(data, at, end)
        if not marks[point] & BLANK:
            break
        at += size
        characters += 1
    last = stripped(data, at, end, marks, BLANK)
    if at == end:
        at, last = start, start
    many = 0
    while at <= last:
        begin, length = at, 0
        while at < last and not (data[at] == NEWLINE and data[at + 1] == NEWLINE):
            if _plain(data, at, last):
                at, length = at + 8, length + 8
                continue
            length += 1
            at += decode(data, at, last)[1]
        hashes[many] = hash_bytes(data, begin, at, np.uint64(0)) | np.uint64(1)
        lengths[many] = length
        characters += length
        many += 1
        begin = at
        at += 1
        while at <= last and at < end and data[at] == NEWLINE:
            at += 1
        characters += min(at, last) - begin
    at = last
    while at < end and last > start:
        at += decode(data, at, end)[1]
        characters += 1
    return many, characters


@njit(cache=True)
def bulleted_of(data: Bytes, offsets: Numbers, table: Table, out: Rows) -> None:
    """Fill the last column of `out` with the share of lines (of `str.splitlines`) with `•` or `-` first."""
    for row in range(len(out)):
        at, end = offsets[row], offsets[row + 1]
        lines, bulleted, inside, seen = 0, 0, False, False
        while at < end:
            point, size = decode(data, at, end)
            at += size
            lines += not inside
            inside = True
            if table[point] & LINE_END:
                at += point == RETURN and at < end and data[at] == NEWLINE
                inside, seen = False, False
            elif not seen and not table[point] & SPACE:
                bulleted += point in (BULLET, HYPHEN)
                seen = True
        out[row, -1] = bulleted / max(1, lines)
