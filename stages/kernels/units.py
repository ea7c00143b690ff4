"""Texts cut into the spans that are compared between documents, and written again without some."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import (
    ALPHABETIC,
    CLASS_BITS,
    DIGIT,
    LINE_END,
    MARK,
    PUNCTUATION,
    SINGLE,
    SPACE,
    UPPER,
    Bytes,
    Table,
    decode,
)
from stages.kernels.forms import BASIS, PRIME, ZERO
from stages.kernels.hashing import P2, P3, mix
from stages.kernels.lines import RETURN
from stages.kernels.manners import CLASS, DOT
from stages.kernels.rewrite import sentence
from stages.kernels.words import NEWLINE, Hashes, Numbers

LINE, PARAGRAPH, SENTENCE, WORD = range(4)
# What of a unit is compared: every character, white space as one blank; its folded form (lower case,
# no accents, no punctuation), a run of digits taken for one 0; the same with digits as they are.
EXACT, FOLDED, NUMBERED = range(3)
# What opens the next sentence where no blank stands between: brackets and quotation marks.
OPENING = (0x28, 0x5B, 0xAB, 0x2018, 0x201C, 0x3008, 0x300A, 0x300C, 0x300E, 0x3010, 0xFF08)

Flags = npt.NDArray[np.bool_]


class Units(NamedTuple):
    """The units of one text, in order; white space between two of them belongs to none."""

    starts: Numbers  # byte, the line's indentation included
    stops: Numbers  # byte behind the last visible character
    codes: Hashes
    checks: Hashes  # a second, independent hash
    words: Numbers  # runs of visible characters with a letter or digit; of scripts without spaces, letters


class Form(NamedTuple):
    """The hashes of a unit under way."""

    code: np.uint64
    check: np.uint64
    last: np.uint32  # the letter hashed last
    space: bool  # white space since


@njit(cache=True)
def units_room(offsets: Numbers) -> Units:
    """Room for the units of any one of the texts: two of them have a byte between."""
    most = 0
    for row in range(len(offsets) - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    size = (most + 1) // 2 + 1
    return Units(
        np.empty(size, np.int64),
        np.empty(size, np.int64),
        np.empty(size, np.uint64),
        np.empty(size, np.uint64),
        np.empty(size, np.int64),
    )


@njit(cache=True)
def cut_units(
    data: Bytes, start: int, end: int, table: Table, kind: int, form: int, out: Units
) -> int:
    """Cut bytes `start` to `end` into units of a kind; how many there are.

    Words are runs of visible characters, single letters in scripts without spaces; unless compared
    exactly, those without a letter or digit are left out. Lines end as in `str.splitlines`, blank
    ones are none; blank lines part paragraphs. Sentences end as `stages.kernels.rewrite.sentence`
    says, and where their line ends; marks behind the end belong to them.
    """
    if kind == WORD:
        return _cut_words(data, start, end, table, form, out)
    return _cut_spans(data, start, end, table, kind, form, out)


@njit(cache=True, inline="always")
def _new() -> Form:
    return Form(BASIS, P3, np.uint32(0), False)


@njit(cache=True, inline="always")
def _grown(state: Form, point: np.uint32, entry: np.uint32, form: int) -> Form:
    """The hashes with one more visible character."""
    letter = np.uint32(point + 1)
    if form != EXACT:
        letter = np.uint32(entry >> np.uint32(CLASS_BITS))
        if entry & PUNCTUATION or not letter:
            return state
        if entry & DIGIT and form == NUMBERED:
            letter = np.uint32(point)
        elif letter == ZERO and state.last == ZERO and not state.space:
            return state
    code, check = state.code, state.check
    if state.space and code != BASIS:
        code, check = (code ^ np.uint64(32)) * PRIME, mix(check + np.uint64(32))
    return Form((code ^ np.uint64(letter)) * PRIME, mix(check + np.uint64(letter)), letter, False)


@njit(cache=True)
def _cut_words(data: Bytes, start: int, end: int, table: Table, form: int, out: Units) -> int:
    found, at, begin, stop = 0, start, -1, start
    state, counts, alone = _new(), False, False
    while True:
        point, size, entry = np.uint32(0), 1, np.uint32(SPACE)
        if at < end:
            point, size = decode(data, at, end)
            entry = table[point]
        single = entry & SINGLE != 0
        mark = entry & MARK != 0
        if begin >= 0 and (entry & SPACE or ((single or alone) and not mark)):
            if counts or form == EXACT:
                out.starts[found], out.stops[found] = begin, stop
                out.codes[found], out.checks[found] = mix(state.code), state.check
                out.words[found] = counts
                found += 1
            begin = -1
        if at >= end:
            return found
        if not entry & SPACE and (begin >= 0 or not mark):
            if begin < 0:
                begin, state, counts, alone = at, _new(), False, single
            state = _grown(state, point, entry, form)
            counts = counts or entry & (ALPHABETIC | DIGIT | SINGLE) != 0
            stop = at + size
        at += size


@njit(cache=True)
def _cut_spans(
    data: Bytes, start: int, end: int, table: Table, kind: int, form: int, out: Units
) -> int:
    found, at, begin, stop, line = 0, start, -1, start, start
    state, words, inside_word = _new(), 0, False
    inside, ending, ended, dots = False, False, False, 0
    current, before = np.uint32(0), np.uint32(0)
    while at < end:
        point, size = decode(data, at, end)
        entry = table[point]
        klass = entry & CLASS
        breaks = klass & LINE_END != 0
        size += point == RETURN and at + 1 < end and data[at + 1] == NEWLINE
        letter = klass & (ALPHABETIC | DIGIT | SINGLE) != 0
        if kind == SENTENCE and begin >= 0:
            dots = dots + 1 if point == DOT else 0
            initial = current & UPPER != 0 and before & UPPER == 0
            was = inside
            inside, ending = sentence(point, klass, initial, dots, inside, ending)
            ended = ended or (was and not inside)
            before, current = current, klass
        blank = breaks and line >= 0  # nothing visible in this line
        over = blank if kind == PARAGRAPH else breaks
        if begin >= 0 and (over or (ended and (klass & SPACE or letter or point in OPENING))):
            found = _close(out, found, begin, stop, state, words)
            begin = -1
        if klass & SPACE:
            inside_word = False
            state = Form(state.code, state.check, state.last, True)
            line = at + size if breaks else line
        elif begin >= 0 or not klass & MARK:
            if begin < 0:
                begin, state, words, inside_word = line if line >= 0 else at, _new(), 0, False
                inside, ending, ended, dots = False, False, False, 0
                current, before = klass, np.uint32(0)
                inside = kind == SENTENCE and letter
            line = -1
            state = _grown(state, point, entry, form)
            words += letter and (not inside_word or klass & SINGLE != 0)
            inside_word = (inside_word or letter) and not klass & SINGLE
            stop = at + size
        at += size
    return _close(out, found, begin, stop, state, words) if begin >= 0 else found


@njit(cache=True)
def _close(out: Units, found: int, begin: int, stop: int, state: Form, words: int) -> int:
    out.starts[found], out.stops[found] = begin, stop
    out.codes[found], out.checks[found] = mix(state.code), state.check
    out.words[found] = words
    return found + 1


@njit(cache=True)
def window_of(units: Units, at: int, window: int) -> tuple[np.uint64, np.uint64, int]:
    """Two hashes of the units from `at` on, and the words in them."""
    if window == 1:
        return units.codes[at], units.checks[at], units.words[at]
    code, check, words = BASIS, P2, 0
    for unit in range(at, at + window):
        code = mix(code * P3 + units.codes[unit])
        check = mix(check * P2 + units.checks[unit])
        words += units.words[unit]
    return code, check, words


@njit(cache=True)
def without(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    kind: int,
    form: int,
    places: Numbers,
    froms: Numbers,
    tos: Numbers,
    out: Bytes,
    ends: Numbers,
    judged: npt.NDArray[np.int64],
) -> None:
    """Write the texts without some of their units to `out`, which holds as many bytes as they do.

    Of text `row` leave units `froms[i]` to `tos[i]` for i from `places[row]` to `places[row + 1]`.
    `ends` gets where texts begin and end; `judged` (texts x 3) the characters cut, and of texts that
    were cut the words and sentences left.
    """
    units = units_room(offsets)
    ends[0] = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        first, last = places[row], places[row + 1]
        size = end - start
        here = out[ends[row] : ends[row] + size]
        if first == last:
            here[:] = data[start:end]
        else:
            count = cut_units(data, start, end, table, kind, form, units)
            cut = np.zeros(count, np.bool_)
            for at in range(first, last):
                cut[froms[at] : tos[at]] = True
            size = _write(data, start, end, units, cut, table, here)
            judged[row, 0] = _characters(data, start, end) - _characters(here, 0, size)
            many = cut_units(here, 0, size, table, SENTENCE, FOLDED, units)
            for at in range(many):
                judged[row, 1] += units.words[at]
                judged[row, 2] += units.words[at] > 0
        ends[row + 1] = ends[row] + size


@njit(cache=True)
def _write(
    data: Bytes, start: int, end: int, units: Units, cut: Flags, table: Table, out: Bytes
) -> int:
    """Write the units that stay; of the white space about a cut, that with most line ends; bytes written."""
    size, count = 0, len(cut)
    gap, gap_end, breaks = start, units.starts[0] if count else end, -1
    for at in range(count):
        stop = units.starts[at + 1] if at + 1 < count else end
        if not cut[at]:
            if breaks >= 0 or at == 0:  # what stood before all that is cut goes with it
                out[size : size + gap_end - gap] = data[gap:gap_end]
                size += gap_end - gap
            length = units.stops[at] - units.starts[at]
            out[size : size + length] = data[units.starts[at] : units.stops[at]]
            size += length
            breaks = -2
        many = _breaks(data, units.stops[at], stop, table)
        if breaks == -2 or (breaks >= 0 and many > breaks):
            gap, gap_end, breaks = units.stops[at], stop, many
    if count and not cut[count - 1]:
        out[size : size + gap_end - gap] = data[gap:gap_end]
        size += gap_end - gap
    return size


@njit(cache=True)
def _breaks(data: Bytes, at: int, end: int, table: Table) -> int:
    many = 0
    while at < end:
        point, size = decode(data, at, end)
        many += table[point] & LINE_END != 0 and point != RETURN
        at += size
    return many


@njit(cache=True)
def _characters(data: Bytes, start: int, end: int) -> int:
    many = 0
    for at in range(start, end):
        many += data[at] & 0xC0 != 0x80
    return many
