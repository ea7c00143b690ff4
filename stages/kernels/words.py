"""Cutting a text into words and marks, once, for everything that counts or hashes words."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

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
from stages.kernels.hashing import mix

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]

CLASS = np.uint32((1 << CLASS_BITS) - 1)
BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
ZERO, NEWLINE, NUMBER_SIGN, DOT, ELLIPSIS = 48, 10, 35, 46, 0x2026
APOSTROPHES, RUNS = (0x27, 0x2019, 0xB7), (DOT, 45, 126, 124, 47, ELLIPSIS)  # . - ~ | / …
COMMA, AT_SIGN, UNDERSCORE = 44, 64, 95

# What `cut` counts: words and the characters in them, tokens with a letter, "#", "..." and "…",
# line feeds, characters of the whole text.
WORDS, LETTERS, ALPHABETICS, NUMBER_SIGNS, ELLIPSES, NEWLINES, CHARACTERS = range(7)


@njit(cache=True)
def cut(
    data: Bytes,
    start: int,
    end: int,
    table: Table,
    hashes: Hashes,
    ends: Numbers,
    folded: Hashes,
    counts: Numbers,
) -> int:
    """Cut bytes `start` to `end` into tokens, the words and the marks between them; how many.

    A word is a run of letters, digits and the combining marks on them. In it may stand an
    apostrophe or middle dot between letters, a full stop or comma as in `3.5`, `1,000` and
    `example.com` (not as in `end.Start`), and `@` and `_`. In scripts that write no spaces each
    letter is a word. Any other visible character is a mark, a token of its own; a run of the same
    one of `. - ~ | / …` is one. These are the cuts of spaCy's blank tokenizers in the main, less
    what they know of single languages (`don't` is one word).

    `hashes[i]` is the exact hash of token i, `ends[i + 1]` the characters in tokens 0 to i. Of
    words only, in order, `folded` gets the hash of the folded form (see `characters.table`; what
    joins a word is left out, a run of digits is one 0), unless it is empty. `counts` is overwritten.
    """
    counts[:] = 0
    tokens, at = 0, start
    ends[0] = 0
    while at < end:
        point, size = decode(data, at, end)
        kind = table[point] & CLASS
        if kind & (SPACE | MARK):
            counts[NEWLINES] += point == NEWLINE
            counts[CHARACTERS] += 1
            at += size
            continue
        if kind & PUNCTUATION:
            at, code, length = _mark(data, at, end, table, counts)
        else:
            at, code, fold, length, alphabetic = _word(data, at, end, table)
            if len(folded):
                folded[counts[WORDS]] = fold
            counts[WORDS] += 1
            counts[LETTERS] += length
            counts[ALPHABETICS] += alphabetic
        counts[CHARACTERS] += length
        hashes[tokens] = code
        ends[tokens + 1] = ends[tokens] + length
        tokens += 1
    return tokens


@njit(cache=True)
def _word(
    data: Bytes, at: int, end: int, table: Table
) -> tuple[int, np.uint64, np.uint64, int, bool]:
    """The word that begins here: where it ends, its two hashes, length, whether it has a letter."""
    code, fold = BASIS, BASIS
    length, seen = 0, np.uint32(0)
    last, last_fold = np.uint32(0), np.uint32(0)
    point, size = decode(data, at, end)
    entry = table[point]
    while True:
        kind = entry & CLASS
        code = (code ^ np.uint64(point)) * PRIME
        letter = entry >> np.uint32(CLASS_BITS)
        if letter and not kind & PUNCTUATION and not (letter == ZERO and last_fold == ZERO):
            fold = (fold ^ np.uint64(letter)) * PRIME
            last_fold = letter
        if not kind & (MARK | PUNCTUATION):
            last = kind
            seen |= kind
        length += 1
        at += size
        if at >= end:
            break
        point, size = decode(data, at, end)
        entry = table[point]
        if entry & MARK:
            continue
        if entry & (SPACE | SINGLE) or last & SINGLE:
            break
        if entry & PUNCTUATION and not _joins(data, at, size, end, table, point, last):
            break
    return at, mix(code), mix(fold), length, seen & ALPHABETIC != 0


@njit(cache=True)
def _joins(
    data: Bytes, at: int, size: int, end: int, table: Table, point: np.uint32, before: np.uint32
) -> bool:
    """Whether a punctuation mark after a character of class `before` is inside a word."""
    joins = point in (DOT, COMMA, AT_SIGN, UNDERSCORE) or point in APOSTROPHES
    if not joins or at + size >= end:
        return False
    after = table[decode(data, at + size, end)[0]] & CLASS
    if after & (SPACE | MARK | PUNCTUATION | SINGLE):
        return False
    if point == COMMA:
        return bool(before & DIGIT != 0 and after & DIGIT != 0)
    if point == DOT:
        return bool(before & UPPER != 0 or after & UPPER == 0 or before & ALPHABETIC == 0)
    if point in APOSTROPHES:
        return bool(before & ALPHABETIC != 0 and after & ALPHABETIC != 0)
    return True


@njit(cache=True)
def _mark(
    data: Bytes, at: int, end: int, table: Table, counts: Numbers
) -> tuple[int, np.uint64, int]:
    """The punctuation token that begins here: where it ends, its hash, its length."""
    first, size = decode(data, at, end)
    code = (BASIS ^ np.uint64(first)) * PRIME
    at += size
    run, length = 1, 1
    while at < end:
        point, size = decode(data, at, end)
        same = point == first and length == run and first in RUNS
        if not same and not table[point] & MARK:
            break
        code = (code ^ np.uint64(point)) * PRIME
        run += same
        length += 1
        at += size
    counts[NUMBER_SIGNS] += first == NUMBER_SIGN
    if first == ELLIPSIS:
        counts[ELLIPSES] += run
    elif first == DOT:
        counts[ELLIPSES] += run // 3
    return at, mix(code), length
