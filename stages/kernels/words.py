"""Cutting a text into words and marks, once, for everything that counts or hashes words.

A word is a run of letters, digits and the combining marks on them, with the marks that belong to it. In
scripts that write no spaces each letter is a word. Which marks belong to a word:

- `- / . @ \\ ^ | ~ +` before it, if no other word touches them: `--all`, `/usr`, `.profile`; and behind
  it before a space, but for the full stop: `usr/`, `C++`;
- `_ & ' @ \\ ^ | + ( [`, a curly apostrophe and `·` between two words; a full stop, but not in
  `end.Start`; a hyphen behind a letter, but not (`HYPHENS`) in `well-known`; a comma between digits; a
  slash or colon before a digit;
- a full stop behind a single capital, and (`ORDINALS`) behind a number: `J.`, `3.`;
- all of a URL with its scheme.

Any other visible character is a token of its own; a run of the same one of those that cling, or of `…`,
is one. In the main these are the cuts of spaCy's blank tokenizers.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import lean, lean_inline
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
from stages.kernels.eight import HIGH, below, eight, few
from stages.kernels.eight import digits as ascii_digits
from stages.kernels.eight import first as first_of
from stages.kernels.eight import letters as ascii_letters
from stages.kernels.hashing import mix

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]

CLASS = np.uint32((1 << CLASS_BITS) - 1)
BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio
ZERO, NEWLINE, NUMBER_SIGN, DOT, ELLIPSIS = 48, 10, 35, 46, 0x2026
BLANK, HYPHEN, SLASH, COLON, COMMA = 32, 45, 47, 58, 44
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
# that are no capitals parts two words (`well-known`), as in spaCy's English.
ORDINALS, HYPHENS = 1, 2

# What `cut` counts: words and the characters in them, tokens with a letter, "#", "..." and "…",
# line feeds, characters of the whole text, words in capitals, characters of the longest word and of
# all URLs.
WORDS, LETTERS, ALPHABETICS, NUMBER_SIGNS, ELLIPSES, NEWLINES, CHARACTERS = range(7)
CAPITALS, LONGEST, URLS = range(7, 10)
COUNTS = 10


class Asked(NamedTuple):
    """Where `cut` writes, besides counts; an empty array is not asked for."""

    hashes: Hashes  # the exact hash of each token
    ends: Numbers  # with `hashes`: 0, then the characters in all tokens up to each
    folded: Hashes  # of each word, the hash of the folded form (see `characters.table`)
    word_ends: Numbers  # 0, then the characters in all words up to each


@lean
def cut(
    data: Bytes, start: int, end: int, table: Table, customs: int, asked: Asked, counts: Numbers
) -> int:
    """Cut bytes `start` to `end` into tokens, the words and the marks between them; how many.

    `customs`: HYPHENS and ORDINALS as bits. What is folded leaves marks out, and a run of digits is
    one 0. `counts` is overwritten.
    """
    counts[:] = 0
    hashes, ends, folded, word_ends = asked
    ends[:1], word_ends[:1] = 0, 0
    tokens, at, free = 0, start, start
    characters, words, letters, alphabetics = 0, 0, 0, 0
    while at < end:
        first, begin = at, at
        at, seen, lower = plain(data, at, end)  # most of most texts
        word, length, ascii_ = at > first, at - first, True
        if not word:
            point, size = decode(data, at, end)
            kind = table[point]
            if kind & (SPACE | MARK):
                counts[NEWLINES] += point == NEWLINE
                characters += 1
                at += size
                continue
            if point < 0x80 and MANNERS[point] & CLINGS and not (at > start and free == at):
                begin = _clinging(data, at, end, table)
            word = begin > at or not kind & PUNCTUATION
            if not word:
                at, length, ascii_ = _mark(data, at, end, table, counts)
        if word:
            if at == first or not _ends_here(data, at, end, table):
                at, length, seen, lower, ascii_ = _word(
                    data, first, begin, end, table, customs, counts
                )
            if len(folded):
                folded[words] = _fold(data, first, at, table)
            if len(word_ends):
                word_ends[words + 1] = word_ends[words] + length
            words += 1
            letters += length
            alphabetics += seen & ALPHABETIC != 0
            counts[CAPITALS] += seen & UPPER != 0 and not lower
            counts[LONGEST] = max(counts[LONGEST], length)
            free = at
        if len(hashes):
            hashes[tokens] = _hash(data, first, at, end, ascii_)
            ends[tokens + 1] = ends[tokens] + length
        tokens += 1
        characters += length
        if at < end and data[at] == BLANK:  # as behind most words
            at, characters = at + 1, characters + 1
    counts[WORDS], counts[LETTERS], counts[ALPHABETICS] = words, letters, alphabetics
    counts[CHARACTERS] = characters
    return tokens


@lean_inline
def plain(data: Bytes, at: int, end: int) -> tuple[int, np.uint32, np.uint32]:
    """Where the letters and digits of ASCII end that begin here.

    Also the classes in them together (of letters), not 0 if a letter is no capital.
    """
    small, capital = np.uint64(0), np.uint64(0)
    more = True
    while more:
        some = eight(data, at) if at + 8 <= end else few(data, at, end)
        alphabetic = ascii_letters(some)
        size = first_of(~(alphabetic | ascii_digits(some)) & HIGH)
        alphabetic &= below(size)
        small |= alphabetic & some << np.uint64(2)  # the bit of case, where that of a mask is
        capital |= alphabetic & ~(some << np.uint64(2))
        at += size
        more = size == 8
    seen = np.uint32(ALPHABETIC if small | capital else 0) | np.uint32(UPPER if capital else 0)
    return at, seen, np.uint32(small != 0)


@lean_inline
def _ends_here(data: Bytes, at: int, end: int, table: Table) -> bool:
    """Whether the word of letters and digits before `at` surely ends, by a quick look behind it."""
    if at == end or data[at] == BLANK:
        return True
    mark, last = data[at], table[data[at - 1]]
    if mark == DOT:
        stop = at + 1 == end or (data[at + 1] < 0x80 and table[data[at + 1]] & SPACE != 0)
        return stop and not last & (UPPER | DIGIT)
    if mark >= 0x80 or mark == COLON or (mark == COMMA and last & DIGIT):
        return False
    return table[mark] & SPACE != 0 or not MANNERS[mark]


@lean
def _clinging(data: Bytes, at: int, end: int, table: Table) -> int:
    """Where the word begins whose first marks begin here; `at` if there is none."""
    here, dots = at, 0
    while here < end and data[here] < 0x80 and MANNERS[data[here]] & CLINGS:
        dots = dots + 1 if data[here] == DOT else 0
        if dots > 1:
            return at
        here += 1
    return here if here < end and not table[decode(data, here, end)[0]] & BREAKS else at


@lean_inline
def _hash(data: Bytes, at: int, stop: int, end: int, ascii_: bool) -> np.uint64:
    """The hash of the characters up to `stop`; `ascii_`: all of them are ASCII."""
    code = BASIS
    if ascii_:
        while at < stop:
            some = eight(data, at) if at + 8 <= end else few(data, at, stop)
            code = (code ^ some & below(stop - at)) * STEP
            code ^= code >> np.uint64(32)
            at += 8
        return mix(code)
    while at < stop:
        point, size = decode(data, at, stop)
        code = (code ^ np.uint64(point)) * PRIME
        at += size
    return mix(code)


@lean
def _word(
    data: Bytes, first: int, at: int, end: int, table: Table, customs: int, counts: Numbers
) -> tuple[int, int, np.uint32, np.uint32, bool]:
    """The word of bytes `first` on, whose first letter is at `at`.

    Where it ends, its length, the classes in it together, 1 if a letter is no capital, whether all of
    it is ASCII.
    """
    length, beyond = at - first, np.uint32(0)
    seen, lower = np.uint32(0), np.uint32(0)
    last, before = np.uint32(0), np.uint32(0)
    point, size = decode(data, at, end)
    kind = table[point] & CLASS
    while True:
        length += 1
        at += size
        beyond |= point
        if not kind & MARK:
            before, last = last, kind
            seen |= kind
            lower |= kind & ~(kind >> np.uint32(7)) & np.uint32(ALPHABETIC)
        while not last & SINGLE and at < end and data[at] < 0x80 and not table[data[at]] & BREAKS:
            before, last = last, table[data[at]] & CLASS
            seen |= last
            lower |= last & ~(last >> np.uint32(7)) & np.uint32(ALPHABETIC)
            at, length = at + 1, length + 1
        if at >= end:
            break
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        if kind & MARK:
            continue
        if last & SINGLE or kind & (SPACE | SINGLE):
            break
        if not kind & BREAKS:
            continue
        url = point == COLON and _is_url(data, first, at, end)
        stop = (
            _url_end(data, at, end, table)
            if url
            else _belonging(data, at, end, table, before, last, customs)
        )
        if stop == at:
            break
        at, length, points = _take(data, at, stop, end, length)
        beyond |= points
        counts[URLS] += length * url
        last = np.uint32(0)
        if at >= end:
            break
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        if kind & BREAKS:
            break
    return at, length, seen, lower, bool(beyond < 0x80)


@lean_inline
def _take(data: Bytes, at: int, stop: int, end: int, length: int) -> tuple[int, int, np.uint32]:
    """Take all characters up to `stop` into a length; their bits together."""
    points = np.uint32(0)
    while at < stop:
        point, size = decode(data, at, end)
        length += 1
        at += size
        points |= point
    return at, length, points


@lean
def _belonging(
    data: Bytes,
    at: int,
    end: int,
    table: Table,
    before: np.uint32,
    last: np.uint32,
    customs: int,
) -> int:
    """Where the marks end that begin here and belong to the word before them; `at` if none do.

    `last` and `before` are the classes of the last two letters or digits of the word.
    """
    point, size = decode(data, at, end)
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
        initial = last & UPPER != 0 and before & UPPER == 0
        return here if initial or (customs & ORDINALS and last & DIGIT != 0) else at
    if after & BREAKS:
        return at
    if joins:
        return here
    if here == at + size and _joins(point, last, after, customs):
        return here
    return at


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
def _is_url(data: Bytes, first: int, at: int, end: int) -> bool:
    """Whether the colon at `at` is that of `https://`."""
    if at + 3 > end or data[at + 1] != SLASH or data[at + 2] != SLASH:
        return False
    for here in range(first, at):  # noqa: SIM110 -- numba knows no generators here
        if not (97 <= data[here] | 0x20 <= 122 or 48 <= data[here] <= 57):
            return False
    return True


@lean
def _url_end(data: Bytes, at: int, end: int, table: Table) -> int:
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


@lean
def _fold(data: Bytes, at: int, end: int, table: Table) -> np.uint64:
    """The hash of a word as it is folded."""
    fold, last = BASIS, np.uint32(0)
    while at < end:
        point, size = decode(data, at, end)
        at += size
        entry = table[point]
        letter = entry >> np.uint32(CLASS_BITS)
        if entry & PUNCTUATION or letter == 0 or (letter == ZERO and last == ZERO):
            continue
        fold = (fold ^ np.uint64(letter)) * PRIME
        last = letter
    return mix(fold)


@lean
def _mark(data: Bytes, at: int, end: int, table: Table, counts: Numbers) -> tuple[int, int, bool]:
    """The mark that begins here: where it ends, its length, whether it is ASCII."""
    first, size = decode(data, at, end)
    if (
        at + 1 == end
        or data[at + 1] <= BLANK
        or (first < 0x80 and data[at + 1] < 0x80 and not MANNERS[first])
    ):
        counts[NUMBER_SIGNS] += first == NUMBER_SIGN
        counts[ELLIPSES] += first == ELLIPSIS
        return at + size, 1, bool(first < 0x80)
    runs = first == ELLIPSIS or (first < 0x80 and MANNERS[first] & CLINGS != 0)
    at += size
    run, length, beyond = 1, 1, first
    while at < end:
        point, size = decode(data, at, end)
        same = bool(point == first and length == run and runs)
        if not same and not table[point] & MARK:
            break
        run += same
        length += 1
        at += size
        beyond |= point
    counts[NUMBER_SIGNS] += first == NUMBER_SIGN
    if first == ELLIPSIS:
        counts[ELLIPSES] += run
    elif first == DOT:
        counts[ELLIPSES] += run // 3
    return at, length, bool(beyond < 0x80)
