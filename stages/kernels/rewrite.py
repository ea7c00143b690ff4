"""Leaving lines out of texts, and whole texts, by the rules of C4: one pass over the buffer."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import (
    ALPHABETIC,
    CLASS_BITS,
    DIGIT,
    LINE_END,
    QUOTE,
    SINGLE,
    SPACE,
    TERMINAL,
    UPPER,
    Bytes,
    Table,
    decode,
)
from stages.kernels.lines import RETURN
from stages.kernels.phrases import (
    JAVASCRIPT,
    LOREM_IPSUM,
    POLICY,
    Phrases,
    Points,
    find_phrases,
    first_points,
    fold_point,
)
from stages.kernels.words import BREAKS, CLASS, DOT, NEWLINE, Numbers

KEPT, LOREM, CURLY, TOO_FEW = range(4)  # what becomes of a text
OPEN, CLOSE, BRACE = 0x5B, 0x5D, 0x7B  # [ ] {
EDIT = np.frombuffer(b"edit]", np.uint8)
NEEDED = np.frombuffer(b"citation needed]", np.uint8)
SIEVED = 4  # points of a phrase that are looked at first

Sought: TypeAlias = tuple[Bytes, npt.NDArray[np.int64]]


class Rules(NamedTuple):
    """What leaves; as fields of `stages.quality.C4Quality`, 0 for what is off."""

    citations: bool
    no_terminal_punctuation: bool
    words_per_line: int
    word_length: int
    phrases: int  # kinds of phrases that matter, as bits
    curly_bracket: bool
    sentences: int


class Line(NamedTuple):
    """A line as it was written out, and what it is judged by."""

    next: int  # where the line after it begins
    size: int  # bytes written
    points: int  # folded code points written
    words: int  # parted by spaces; in scripts without spaces each letter is one
    longest: int  # characters of the longest of them
    terminal: bool
    braces: int
    sentences: int


@njit(cache=True)
def rewrite(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    rules: Rules,
    phrases: Phrases,
    out: Bytes,
    ends: Numbers,
    verdicts: Numbers,
    sentences: Numbers,
) -> None:
    """Write what is left of each text to `out`, which holds as many bytes as all texts together.

    `ends` gets where texts begin and end in it, `verdicts` what becomes of each, `sentences` how many
    are left. A text that leaves is written as it was.
    """
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    folded = np.empty(longest, np.uint32)
    sought = sieve(phrases)
    ends[0] = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        verdict, size, many = _text(
            data, start, end, table, rules, phrases, sought, folded, out[ends[row] :]
        )
        if verdict == KEPT and many < rules.sentences:
            verdict = TOO_FEW
        if verdict != KEPT:
            size = end - start
            out[ends[row] : ends[row] + size] = data[start:end]
        ends[row + 1] = ends[row] + size
        verdicts[row], sentences[row] = verdict, many


@njit(cache=True)
def sieve(phrases: Phrases) -> Sought:
    """What `seek` looks at first: 1 for the beginning of each phrase that is four points or longer.

    All are; the other part is `phrases.first_points`.
    """
    points, offsets, _ = phrases
    marks = np.zeros(1 << 16, np.uint8)
    for phrase in range(len(offsets) - 1):
        key = 0
        for point in points[offsets[phrase] : offsets[phrase] + SIEVED]:
            key = (key << 4 | point & 15) & 0xFFFF
        marks[key] = 1
    return marks, first_points(phrases)


@njit(cache=True)
def seek(folded: Points, length: int, phrases: Phrases, sought: Sought) -> int:
    """`phrases.find_phrases`, which is asked only if a phrase may begin in the line."""
    marks, spans = sought
    key = 0
    for at in range(length):
        key = (key << 4 | folded[at] & 15) & 0xFFFF
        if marks[key] and at >= SIEVED - 1:
            return find_phrases(folded, length, phrases, spans)
    return 0


@njit(cache=True)
def _text(
    data: Bytes,
    start: int,
    end: int,
    table: Table,
    rules: Rules,
    phrases: Phrases,
    sought: Sought,
    folded: Points,
    out: Bytes,
) -> tuple[int, int, int]:
    """Write the lines that stay; the verdict, bytes written, sentences in them."""
    at, size, sentences = start, 0, 0
    blank = 0  # line feeds to write before the next line; none at the head and the end of a text
    while at < end:
        line = read_line(data, at, end, table, rules.citations, folded, out[size + blank :])
        at = line.next
        if rules.word_length and line.longest > rules.word_length:
            continue
        if (
            rules.no_terminal_punctuation and not line.terminal
        ) or line.words < rules.words_per_line:
            continue
        found = seek(folded, line.points, phrases, sought) & rules.phrases
        if found & LOREM_IPSUM:
            return LOREM, size, sentences
        if found & JAVASCRIPT:
            continue
        if rules.curly_bracket and line.braces:
            return CURLY, size, sentences
        if found & POLICY:
            continue
        if line.size:
            out[size : size + blank] = NEWLINE
            size += blank + line.size
            sentences += line.sentences
            blank = 1
        elif size:
            blank += 1
    return KEPT, size, sentences


@njit(cache=True)
def read_line(
    data: Bytes, at: int, end: int, table: Table, citations: bool, folded: Points, out: Bytes
) -> Line:
    """Write the line that begins here, stripped and without citations, and read off what it is."""
    written, size, points, last_points = 0, 0, 0, 0
    words, longest, letters, braces, dots, sentences = 0, 0, 0, 0, 0, 0
    inside, ending = False, False
    # Classes of the last visible character and of the last two characters.
    last, before, current = np.uint32(0), np.uint32(0), np.uint32(0)
    while at < end:
        entry = table[data[at]]
        if data[at] < 0x80 and not entry & BREAKS:  # a letter or digit, as most of most texts
            out[written], folded[points] = data[at], entry >> np.uint32(CLASS_BITS)
            at, written, points = at + 1, written + 1, points + 1
            size, last_points, letters, dots = written, points, letters + 1, 0
            words += letters == 1
            longest = max(longest, letters)
            sentences += not inside
            inside, ending = True, False
            before, current, last = current, entry & CLASS, entry & CLASS
            continue
        length = _citation(data, at, end) if citations and data[at] == OPEN else 0
        if length:
            at += length
            continue
        point, length = decode(data, at, end)
        kind = table[point] & CLASS
        at += length
        if kind & LINE_END:
            at += point == RETURN and at < end and data[at] == NEWLINE
            break
        if kind & SPACE and not size:
            continue
        out[written : written + length] = data[at - length : at]
        written += length
        letter = fold_point(point, table)
        folded[points] = letter
        points += letter != 0
        if kind & SPACE:
            letters = 0
        else:
            size, last_points, last = written, points, kind
            letters = 1 if kind & SINGLE else letters + 1
            words += letters == 1
            longest = max(longest, letters)
            braces += point == BRACE
            dots = dots + 1 if point == DOT else 0
        sentences += not inside and kind & (ALPHABETIC | DIGIT) != 0
        initial = current & UPPER != 0 and before & UPPER == 0
        inside, ending = sentence(point, kind, initial, dots, inside, ending)
        before, current = current, kind
    terminal = last & (TERMINAL | QUOTE) != 0 and dots < 3
    return Line(at, size, last_points, words, longest, terminal, braces, sentences)


@njit(cache=True, inline="always")
def sentence(
    point: np.uint32, kind: np.uint32, initial: bool, dots: int, inside: bool, ending: bool
) -> tuple[bool, bool]:
    """Whether a sentence is under way after a character, and whether it ends if no letter follows.

    It begins with a letter or digit. It is ended by `.`, `?` and `!` where no letter follows, but not
    by `...` and the dot after an initial; by the marks of other scripts always.
    """
    if kind & (ALPHABETIC | DIGIT):
        return True, False
    if kind & TERMINAL and point >= 0x80:
        return False, False
    if kind & TERMINAL:
        return inside, dots < 2 and not (point == DOT and initial)
    return inside and not ending, False


@njit(cache=True)
def _citation(data: Bytes, at: int, end: int) -> int:
    r"""Bytes of the citation that begins here: `\[\d*]|\[edit]|\[citation needed]`, or 0."""
    stop = at + 1
    while stop < end and 48 <= data[stop] <= 57:
        stop += 1
    if stop < end and data[stop] == CLOSE:
        return stop + 1 - at
    for word in (EDIT, NEEDED):
        same = 0
        while same < len(word) and at + 1 + same < end and data[at + 1 + same] == word[same]:
            same += 1
        if same == len(word):
            return same + 1
    return 0
