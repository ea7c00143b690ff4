"""What marks do where they touch a word: which of them belong to it. See `stages.kernels.words`."""

import numpy as np

from stages.kernels import lean
from stages.kernels.characters import (
    ALPHABETIC,
    CLASS_BITS,
    DIGIT,
    MARK,
    PUNCTUATION,
    SINGLE,
    SPACE,
    UPPER,
    Bytes,
    Table,
    decode,
)

CLASS = np.uint32((1 << CLASS_BITS) - 1)
DOT, HYPHEN, SLASH, COLON, COMMA = 46, 45, 47, 58, 44
CURLY_APOSTROPHE, MIDDLE_DOT = 0x2019, 0xB7
BREAKS = np.uint32(SPACE | MARK | PUNCTUATION | SINGLE)  # what no plain letter or digit is

# What a mark does where it touches a letter or digit, by its code point below 128.
# CLINGS: belongs to the word behind it, and to the one before it where a space follows.
# JOINS: belongs to both words that it stands between.
CLINGS, JOINS = 1, 2
MANNERS = np.zeros(128, np.uint8)
MANNERS[[ord(mark) for mark in "-/.@\\^|~+"]] = CLINGS
MANNERS[[ord(mark) for mark in "_&'@\\^|+(["]] |= JOINS

# Customs of languages: a number with a full stop is an ordinal (`3.`); a hyphen between two letters
# that are no capitals parts two words (`well-known`), as in spaCy's English; no mark belongs to a word,
# as in the tokenizers of Chinese and Japanese.
ORDINALS, HYPHENS, APART = 1, 2, 32


@lean
def clinging(data: Bytes, at: int, end: int, table: Table) -> int:
    """Where the word begins whose first marks begin here; `at` if there is none."""
    here, dots = at, 0
    while here < end and data[here] < 0x80 and MANNERS[data[here]] & CLINGS:
        dots = dots + 1 if data[here] == DOT else 0
        if dots > 1:
            return at
        here += 1
    return here if here < end and not table[decode(data, here, end)[0]] & BREAKS else at


@lean
def belonging(
    data: Bytes,
    first: int,
    at: int,
    end: int,
    table: Table,
    before: np.uint32,
    last: np.uint32,
    customs: int,
) -> int:
    """Where the marks end that begin here and belong to the word before them; `at` if none do.

    The word begins at `first`; `last` and `before` are the classes of its last two letters or digits.
    """
    point, size = decode(data, at, end)
    if customs & APART:
        return at
    here, clings, joins = at, True, True
    while here < end and data[here] < 0x80 and MANNERS[data[here]]:
        clings = clings and MANNERS[data[here]] & CLINGS != 0 and data[here] != DOT
        joins = joins and MANNERS[data[here]] & JOINS != 0
        here += 1
    if here == at:
        here, clings = at + size, False
        joins = point in (CURLY_APOSTROPHE, MIDDLE_DOT)
    after = table[decode(data, here, end)[0]] & CLASS if here < end else np.uint32(SPACE)
    if clings and after & SPACE:
        return here
    if point == DOT and here == at + 1 and after & (SPACE | PUNCTUATION):
        initial = (last & UPPER != 0 and before & UPPER == 0) or _initials(data, first, at)
        return here if initial or (customs & ORDINALS and last & DIGIT != 0) else at
    if after & BREAKS:
        return at
    if joins:
        return here
    if here == at + size and _joins(point, last, after, customs):
        return here
    return at


@lean
def _initials(data: Bytes, first: int, at: int) -> bool:
    """Whether a word is one letter of ASCII, or several with a full stop between each two: `i.e`."""
    while at > first:
        if not 97 <= data[at - 1] | 0x20 <= 122:
            return False
        if at - 1 == first:
            return True
        if data[at - 2] != DOT:
            return False
        at -= 2
    return False


@lean
def _joins(point: np.uint32, last: np.uint32, after: np.uint32, customs: int) -> bool:
    """Whether a mark between characters of two classes is inside a word."""
    if point == DOT:
        return bool(last & UPPER != 0 or after & UPPER == 0 or last & ALPHABETIC == 0)
    if point == HYPHEN:
        plain = last & UPPER == 0 and after & (UPPER | DIGIT) == 0
        return bool(last & ALPHABETIC != 0 and not (plain and customs & HYPHENS))
    if point == COMMA:
        return bool(last & DIGIT != 0 and after & DIGIT != 0)
    return bool(point in (SLASH, COLON) and after & DIGIT != 0)


@lean
def is_url(data: Bytes, first: int, at: int, end: int) -> bool:
    """Whether the colon at `at` is that of `https://`."""
    if at + 3 > end or data[at + 1] != SLASH or data[at + 2] != SLASH:
        return False
    for here in range(first, at):  # noqa: SIM110 -- numba knows no generators here
        if not (97 <= data[here] | 0x20 <= 122 or 48 <= data[here] <= 57):
            return False
    return True


@lean
def url_end(data: Bytes, at: int, end: int, table: Table) -> int:
    """Where the URL ends whose `://` begins here: behind its last letter, digit or slash."""
    here, stop = at + 3, at + 3
    while here < end:
        point, size = decode(data, here, end)
        kind = table[point]
        if kind & SPACE or point in (0x22, 0x27, 0x28, 0x29, 0x3C, 0x3E, 0x60, 0x7B, 0x7D):
            break
        here += size
        if point == SLASH or not kind & (PUNCTUATION | MARK):
            stop = here
    return stop
