"""Leaving lines out of texts, and whole texts, by the rules of C4: one pass over the buffer."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
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
from stages.kernels.forms import STEP
from stages.kernels.lines import RETURN
from stages.kernels.manners import CLASS, DOT
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
from stages.kernels.words import BLANK, NEWLINE, Hashes, Numbers, plain

KEPT, LOREM, CURLY, TOO_FEW = range(4)  # what becomes of a text
OPEN, CLOSE, BRACE = 0x5B, 0x5D, 0x7B  # [ ] {
EDIT = np.frombuffer(b"edit]", np.uint8)
NEEDED = np.frombuffer(b"citation needed]", np.uint8)
LONG, SHORT = 8, 4  # points of a phrase that are looked at first; of one that is shorter
LAST_FOUR = np.uint64(0xFFFFFFFF)

Sought: TypeAlias = tuple[npt.NDArray[np.int16], Hashes, npt.NDArray[np.int64]]


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
    """What a line is judged by."""

    begin: int  # its first visible byte
    stop: int  # behind its last visible byte; where it begins if there is none
    words: int  # parted by spaces; in scripts without spaces each letter is one
    longest: int  # characters of the longest of them
    terminal: bool
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
        verdict, stop, many = _text(
            data, start, end, table, rules, phrases, sought, folded, out, ends[row]
        )
        if verdict == KEPT and many < rules.sentences:
            verdict = TOO_FEW
        if verdict != KEPT:
            stop = move(data, start, end, out, ends[row])
        ends[row + 1] = stop
        verdicts[row], sentences[row] = verdict, many


@lean
def move(data: Bytes, at: int, stop: int, out: Bytes, to: int) -> int:
    """Copy bytes `at` to `stop` to `to`, forwards; where they end there."""
    for place in range(stop - at):
        out[to + place] = data[at + place]
    return to + stop - at


@njit(cache=True)
def sieve(phrases: Phrases) -> Sought:
    """What `may_begin` looks at, and `phrases.first_points`.

    Of each phrase the first eight points; of a shorter one the first four or more up to one that is
    not ASCII, which it must have.
    """
    points, offsets, bits = phrases
    numbers, keys = np.zeros(1 << 16, np.int16), np.zeros(len(bits) + 1, np.uint64)
    for phrase in range(len(bits)):
        stop = min(offsets[phrase] + LONG, offsets[phrase + 1])
        if stop < offsets[phrase] + LONG:
            stop = offsets[phrase] + SHORT
            while stop < offsets[phrase + 1] and points[stop - 1] < 0x80:
                stop += 1
        key = np.uint64(0)
        for point in points[offsets[phrase] : stop]:
            key = grown(key, point)
        if stop < offsets[phrase] + LONG:
            key &= LAST_FOUR
        slot = _slot(key)
        taken = numbers[slot] and keys[numbers[slot]] != key
        numbers[slot] = -1 if taken else phrase + 1
        keys[phrase + 1] = key
    return numbers, keys, first_points(phrases)


@lean_inline
def grown(key: np.uint64, point: np.uint32) -> np.uint64:
    """The key of the last eight points, the last four in its lower half, with one more."""
    return key << np.uint64(8) ^ np.uint64(point)


@lean_inline
def _slot(key: np.uint64) -> np.uint64:
    return key * STEP >> np.uint64(48)


@lean_inline
def may_begin(key: np.uint64, sought: Sought) -> bool:
    """Whether a phrase may begin with the points of a key."""
    number = sought[0][_slot(key)]
    return bool(number != 0 and (number < 0 or sought[1][number] == key))


@lean
def seek(
    data: Bytes, line: Line, table: Table, folded: Points, phrases: Phrases, sought: Sought
) -> int:
    """The kinds of all phrases in a line, as bits."""
    at, points = line.begin, 0
    while at < line.stop:
        point, size = decode(data, at, line.stop)
        at += size
        folded[points] = fold_point(point, table)
        points += folded[points] != 0
    return find_phrases(folded, points, phrases, sought[2])


@lean
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
    to: int,
) -> tuple[int, int, int]:
    """Write the lines that stay; the verdict, where they end, sentences in them."""
    at, size, sentences = start, to, 0
    blank = 0  # line feeds to write before the next line; none at the head and the end of a text
    while at < end:
        first = at
        at, stop, suspect, cited, braces = read_line(data, at, end, table, sought)
        place = size + blank
        if cited and rules.citations:
            stop = _without_citations(data, first, stop, out, place)
            suspect, line = True, judge_line(out, place, stop, table)
        else:
            cited, line = False, judge_line(data, first, stop, table)
        if rules.word_length and line.longest > rules.word_length:
            continue
        if (
            rules.no_terminal_punctuation and not line.terminal
        ) or line.words < rules.words_per_line:
            continue
        found = 0
        if suspect:
            text = out if cited else data
            found = seek(text, line, table, folded, phrases, sought) & rules.phrases
        if found & LOREM_IPSUM:
            return LOREM, size, sentences
        if found & JAVASCRIPT:
            continue
        if rules.curly_bracket and braces:
            return CURLY, size, sentences
        if found & POLICY:
            continue
        if line.stop > line.begin:
            for feed in range(size, place):
                out[feed] = NEWLINE
            size = move(out if cited else data, line.begin, line.stop, out, place)
            sentences += line.sentences
            blank = 1
        elif size > to:
            blank += 1
    return KEPT, size, sentences


@lean
def read_line(
    data: Bytes, at: int, end: int, table: Table, sought: Sought
) -> tuple[int, int, bool, bool, bool]:
    """The line that begins here: where the next one begins, where it ends itself.

    Also whether a phrase may be in it, a `[`, a `{`.
    """
    key, suspect, opens, braces = np.uint64(0), False, False, False
    while at < end:
        point, length = np.uint32(data[at]), 1
        if 32 <= point < 0x80:
            letter = table[point] >> np.uint32(CLASS_BITS)
            opens |= point == OPEN
            braces |= point == BRACE
        else:
            point, length = decode(data, at, end)
            if table[point] & LINE_END:
                after = at + length
                after += point == RETURN and after < end and data[after] == NEWLINE
                return after, at, suspect, opens, braces
            letter = fold_point(point, table)
            if letter == 0:
                at += length
                continue
            suspect |= may_begin(grown(key, letter) & LAST_FOUR, sought)
        at += length
        key = grown(key, letter)
        suspect |= may_begin(key, sought)
    return at, at, suspect, opens, braces


@lean
def judge_line(data: Bytes, at: int, end: int, table: Table) -> Line:
    """Read off what a line is; there is no line end in it."""
    words, longest, visible, dots, sentences = 0, 0, 0, 0, 0
    inside, ending = False, False
    while at < end and data[at] == BLANK:
        at += 1
    begin, stop = at, at
    # Classes of the last visible character and of the last two characters.
    last, before, current = np.uint32(0), np.uint32(0), np.uint32(0)
    while at < end:
        first = at
        at = plain(data, at, end)[0]  # letters and digits, as most of most texts
        if at > first:
            before = table[data[at - 2]] & CLASS if at - first > 1 else current
            current = table[data[at - 1]] & CLASS
            stop, last, dots = at, current, 0
            words += visible == 0
            visible += at - first
            longest = max(longest, visible)
            sentences += not inside
            inside, ending = True, False
            if at < end and data[at] == BLANK:
                before, current = current, np.uint32(SPACE)
                visible, at = 0, at + 1
            continue
        point, length = decode(data, at, end)
        kind = table[point] & CLASS
        at += length
        if kind & SPACE:
            if stop == begin:
                begin, stop = at, at
                continue
            visible = 0
        else:
            stop, last = at, kind
            visible = 1 if kind & SINGLE else visible + 1
            words += visible == 1
            longest = max(longest, visible)
            dots = dots + 1 if point == DOT else 0
        sentences += not inside and kind & (ALPHABETIC | DIGIT) != 0
        initial = current & UPPER != 0 and before & UPPER == 0
        inside, ending = sentence(point, kind, initial, dots, inside, ending)
        before, current = current, kind
    terminal = last & (TERMINAL | QUOTE) != 0 and dots < 3
    return Line(begin, stop, words, longest, terminal, sentences)


@lean_inline
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


@lean
def _without_citations(data: Bytes, at: int, end: int, out: Bytes, to: int) -> int:
    """Copy a line without its citations; where the copy ends."""
    while at < end:
        length = _citation(data, at, end) if data[at] == OPEN else 0
        if length:
            at += length
            continue
        out[to] = data[at]
        at, to = at + 1, to + 1
    return to


@lean
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
