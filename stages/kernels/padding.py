"""The rules by which NLTK 3.8.1's `NLTKWordTokenizer` puts blanks around characters, for one chunk.

Each of its regular expressions is a walk over the characters of a chunk between two blanks that notes
where it puts another.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import lean, lean_inline
from stages.kernels.characters import Bytes

Classes: TypeAlias = npt.NDArray[np.uint32]
Points: TypeAlias = npt.NDArray[np.uint32]

# What a character is to the rules: bits of the table of classes, above those of `stages.kernels.streams`.
WORD = 1 << 8  # \w
DIGIT = 1 << 9  # \d
SPACE = 1 << 10  # \s
FIRST = 1 << 11  # a word that is cut in two may begin so
OPENING = 1 << 12  # quotation marks of print that open
QUOTES = 1 << 13  # those of typewriters
COLONS = 1 << 14  # and commas
FULL_STOP = 1 << 15
EARLY = 1 << 16  # a blank is put on both sides, before single quotation marks are looked at
LATE = 1 << 17  # the same, afterwards
DASH = 1 << 18

# What stands on a side of a chunk.
EDGE, GAP, OTHER = 0, 1, 2  # an end of the sentence, a space, another blank

QUOTE, APOSTROPHE, GRAVE, DOT, HYPHEN = 0x22, 0x27, 0x60, 0x2E, 0x2D
COLON, COMMA, BLANK_SPACE = 0x3A, 0x2C, 0x20
OPENED = 0x110000  # in place of a quotation mark that opens
LONG_S, DOTLESS_I, DOTTED_I = 0x17F, 0x131, 0x130  # s and i without regard to case
LEAST = 4  # characters before which no word is cut in two
CUT_IN_TWO = ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna", "d'ye", "more'n")
LETTERS = np.array([list(word.ljust(6, "\0").encode()) for word in CUT_IN_TWO], np.uint8)
LENGTHS = np.array([len(word) for word in CUT_IN_TWO])
PLACES = np.array((3, 3, 3, 3, 3, 3, 1, 4))
TIS = np.array([list(word.ljust(5, "\0").encode()) for word in ("'tis", "'twas")], np.uint8)


class Chunk(NamedTuple):
    """The characters of a chunk, and before which of them (one more: the end) a blank is put."""

    points: Points
    cuts: Bytes


@lean
def pad(
    chunk: Chunk, length: int, classes: Classes, seen: np.uint32, left: int, right: int, final: bool
) -> None:
    """Note where blanks are put into a chunk; the rules in their order.

    `final`: its last full stop is that of the sentence.
    """
    for at in range(length + 1):
        chunk.cuts[at] = 0
    quotes = seen & np.uint32(OPENING | QUOTES) != 0
    if quotes:
        _open(chunk, length, classes, left)
        _part_letters(chunk, length, classes)
    if final:
        at = length - 1
        while chunk.points[at] != DOT:
            at -= 1
        _around(chunk, at, 1)
    if seen & np.uint32(COLONS):
        _pad_colons(chunk, length, classes)
    if seen & np.uint32(EARLY | FULL_STOP):
        _pad_early(chunk, length, classes)
    if quotes:
        for at in range(1, length):
            if chunk.points[at] == APOSTROPHE and _gap(chunk, at + 1, length, right == GAP):
                chunk.cuts[at] |= chunk.points[at - 1] != APOSTROPHE
    if seen & np.uint32(LATE | DASH):
        _pad_late(chunk, length, classes)
    if quotes:
        _close(chunk, length)
        _clitics(chunk, length, right != OTHER)
    if length >= LEAST:
        if seen & np.uint32(FIRST):
            _words(chunk, length, classes)
        if quotes:
            _tis(chunk, length, classes, left != OTHER)


@lean_inline
def _around(chunk: Chunk, at: int, many: int) -> None:
    chunk.cuts[at] = 1
    chunk.cuts[at + many] = 1


@lean_inline
def _twice(chunk: Chunk, at: int, length: int, mark: int) -> bool:
    """Whether a mark stands here twice, without a blank between."""
    if at + 1 >= length or chunk.points[at] != mark or chunk.points[at + 1] != mark:
        return False
    return bool(chunk.cuts[at + 1] == 0)


@lean_inline
def _gap(chunk: Chunk, at: int, length: int, space: bool) -> bool:
    """Whether a space stands before a character, or at the end if one is there."""
    return space if at == length else chunk.cuts[at] != 0


@lean
def _open(chunk: Chunk, length: int, classes: Classes, left: int) -> None:
    """Quotation marks that open, and what is written for others that do."""
    points, cuts = chunk.points, chunk.cuts
    at = 0
    while at < length:
        many = 1
        if points[at] == GRAVE:
            while at + many < length and points[at + many] == GRAVE:
                many += 1
            for pair in range(at, at + many, 2):
                cuts[pair] = 1
            cuts[at + many] = 1
        elif classes[points[at]] & OPENING:
            _around(chunk, at, 1)
        at += many
    if left == EDGE and points[0] == QUOTE:
        points[0] = OPENED
        cuts[1] = 1
    at, behind = 0, -1
    while at < length:
        many = 0
        if at == behind:
            pass  # it stands behind a mark that has been looked at, not behind a space
        elif points[at] == QUOTE:
            many = 1
        elif _twice(chunk, at, length, APOSTROPHE):
            many = 2
        if many:
            opens = left == GAP if at == 0 else cuts[at] != 0 or _bracket(points[at - 1])
            if opens:
                points[at] = OPENED if many == 1 else GRAVE
                points[at + many - 1] = OPENED if many == 1 else GRAVE
                _around(chunk, at, many)
                at += many
                behind = at
                continue
        at += 1


@lean_inline
def _bracket(point: int) -> bool:
    return point == 0x28 or point == 0x5B or point == 0x7B or point == 0x3C


@lean
def _part_letters(chunk: Chunk, length: int, classes: Classes) -> None:
    """A blank between an apostrophe and a letter that is all there is of its word."""
    points, cuts = chunk.points, chunk.cuts
    for at in range(length - 1):
        if points[at] != APOSTROPHE or cuts[at + 1] or not classes[points[at + 1]] & WORD:
            continue
        letter = _lower(points[at + 1])
        if letter == 0x6D or letter == 0x74 or letter == 0x73 or letter == 0x64 or letter == 0x6E:
            continue
        cuts[at + 1] = at + 2 == length or cuts[at + 2] or not classes[points[at + 2]] & WORD


@lean_inline
def _lower(point: int) -> int:
    """A letter of the rules in lower case; as in re, a long s is an s."""
    if 0x41 <= point <= 0x5A:
        return point + 0x20
    if point == LONG_S:
        return 0x73
    return 0x69 if point in (DOTLESS_I, DOTTED_I) else point


@lean
def _pad_colons(chunk: Chunk, length: int, classes: Classes) -> None:
    """Colons and commas but before digits."""
    points, cuts = chunk.points, chunk.cuts
    at = 0
    while at < length:
        point = points[at]
        if point in (COLON, COMMA):
            if at + 1 == length or cuts[at + 1]:
                _around(chunk, at, 1)
            elif not classes[points[at + 1]] & DIGIT:
                _around(chunk, at, 1)
                at += 1  # the rule reads the character behind and does not look at it again
        at += 1


@lean
def _pad_early(chunk: Chunk, length: int, classes: Classes) -> None:
    """Marks that always stand alone, and runs of full stops."""
    points, cuts = chunk.points, chunk.cuts
    at = 0
    while at < length:
        many = 1
        if classes[points[at]] & EARLY:
            _around(chunk, at, 1)
        elif points[at] == DOT:
            while at + many < length and points[at + many] == DOT and not cuts[at + many]:
                many += 1
            if many > 1:
                _around(chunk, at, many)
        at += many


@lean
def _pad_late(chunk: Chunk, length: int, classes: Classes) -> None:
    """Brackets, asterisks, quotation marks of print that close, and pairs of hyphens."""
    points = chunk.points
    at = 0
    while at < length:
        many = 1
        if classes[points[at]] & LATE:
            _around(chunk, at, 1)
        elif _twice(chunk, at, length, HYPHEN):
            many = 2
            _around(chunk, at, 2)
        at += many


@lean
def _close(chunk: Chunk, length: int) -> None:
    """Pairs of apostrophes, and quotation marks that have not opened."""
    at = 0
    while at < length:
        many = 1
        if chunk.points[at] == QUOTE:
            _around(chunk, at, 1)
        elif _twice(chunk, at, length, APOSTROPHE):
            many = 2
            _around(chunk, at, 2)
        at += many


@lean
def _clitics(chunk: Chunk, length: int, space: bool) -> None:
    """What is said for a word and hangs on to the one before: 's, 'm, 'd, ' and 'll, 're, 've, n't."""
    points, cuts = chunk.points, chunk.cuts
    for at in range(1, length):
        if points[at] != APOSTROPHE or cuts[at] or points[at - 1] == APOSTROPHE:
            continue
        if _gap(chunk, at + 1, length, space):
            cuts[at] = 1
        elif at + 1 < length and _gap(chunk, at + 2, length, space):
            letter = points[at + 1] | 0x20
            cuts[at] = letter == 0x73 or letter == 0x6D or letter == 0x64
    for at in range(1, length - 2):
        if cuts[at] or cuts[at + 1] or cuts[at + 2] or points[at - 1] == APOSTROPHE:
            continue
        if _gap(chunk, at + 3, length, space):
            cuts[at] = _hangs(points[at], points[at + 1], points[at + 2])


@lean
def _hangs(one: int, two: int, three: int) -> bool:
    if (one | 0x20) == 0x6E:
        return two == APOSTROPHE and three == one + 6
    if one != APOSTROPHE or (two & 0x20) != (three & 0x20):
        return False
    low, last = two | 0x20, three | 0x20
    return (low == 0x6C and last == 0x6C) or (last == 0x65 and (low == 0x72 or low == 0x76))


@lean
def _words(chunk: Chunk, length: int, classes: Classes) -> None:
    """Words that are cut in two: cannot, gonna, d'ye and the like."""
    points = chunk.points
    for at in range(length - LEAST + 1):
        if not classes[points[at]] & FIRST or (at and not _apart(chunk, at - 1, at, classes)):
            continue
        twin = _lower(points[at + 2]) == _lower(points[at + 3])
        hung = points[at + 1] == APOSTROPHE
        if at + LEAST < length:
            hung |= points[at + LEAST] == APOSTROPHE
        if not twin and not hung:
            continue
        for word in range(len(LENGTHS)):
            many = LENGTHS[word]
            if _is(chunk, at, length, classes, LETTERS[word], many):
                _around(chunk, at, PLACES[word])
                chunk.cuts[at + many] = 1


@lean
def _tis(chunk: Chunk, length: int, classes: Classes, space: bool) -> None:
    """Behind a space, 'tis and 'twas."""
    for word in range(len(TIS)):
        many, behind = 4 + word, 0  # a blank put behind one is not yet there for the next
        for at in range(length):
            if chunk.points[at] != APOSTROPHE or not (
                chunk.cuts[at] and at != behind if at else space
            ):
                continue
            if _is(chunk, at, length, classes, TIS[word], many):
                behind = 0 if chunk.cuts[at + many] else at + many
                _around(chunk, at, 2)
                chunk.cuts[at + many] = 1


@lean_inline
def _apart(chunk: Chunk, word: int, edge: int, classes: Classes) -> bool:
    """Whether a character is of no word or a blank is between."""
    return chunk.cuts[edge] != 0 or not classes[chunk.points[word]] & WORD


@lean
def _is(chunk: Chunk, at: int, length: int, classes: Classes, letters: Bytes, many: int) -> bool:
    """Whether these letters stand here and no word goes on behind them."""
    if at + many > length:
        return False
    for one in range(many):
        if _lower(chunk.points[at + one]) != letters[one] or (one and chunk.cuts[at + one]):
            return False
    if at + many == length or chunk.cuts[at + many]:
        return True
    # wanna asks for a blank, the others for the end of a word
    return letters[0] != 0x77 and _apart(chunk, at + many, at + many, classes)
