"""Cutting a text into words and marks, once, for everything that counts or hashes words.

A word is a run of letters, digits and the combining marks on them, with the marks that belong to it. In
scripts that write no spaces words are those of `stages.kernels.unspaced`. Which marks belong to a word:

- `- / . @ \\ ^ | ~ +` before it, if no other word touches them: `--all`, `/usr`, `.profile`; and behind
  it before a space, but for the full stop: `usr/`, `C++`;
- `_ & ' @ \\ ^ | + ( [`, a curly apostrophe and `·` between two words; a full stop, but not in
  `end.Start`; a hyphen behind a letter, but not (`HYPHENS`) in `well-known`; a comma between digits; a
  slash or colon before a digit;
- a full stop behind a single letter, and (`ORDINALS`) behind a number: `J.`, `i.e.`, `3.`;
- all of a URL with its scheme.

Any other visible character is a token of its own; a run of the same one of those that cling, or of `…`,
is one. In the main these are the cuts of spaCy's blank tokenizers.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import lean, lean_inline
from stages.kernels.borders import PAD
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
from stages.kernels.forms import BASIS, PRIME, fold_of, hash_of
from stages.kernels.hashing import mix
from stages.kernels.manners import (
    APART,
    BREAKS,
    CLASS,
    CLINGS,
    COLON,
    COMMA,
    DOT,
    MANNERS,
    belonging,
    clinging,
    is_url,
    url_end,
)
from stages.kernels.unspaced import Cutter, mark_words, read, settled

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]

NEWLINE, BLANK, NUMBER_SIGN, ELLIPSIS = 10, 32, 35, 0x2026
FAR = 0xE3  # first bytes from here on are of characters behind all marks that belong to a word

# What `cut` counts: words and the characters in them, tokens with a letter, "#", "..." and "…",
# line feeds, characters of the whole text, words in capitals, characters of the longest word and of
# all URLs.
WORDS, LETTERS, ALPHABETICS, NUMBER_SIGNS, ELLIPSES, NEWLINES, CHARACTERS = range(7)
CAPITALS, LONGEST, URLS = range(7, 10)
WORDED, WAY = 10, 11  # letters without spaces that were cut into words, and how: bits of `unspaced`
COUNTS = 12


class Asked(NamedTuple):
    """Where `cut` writes, besides counts; an empty array is not asked for."""

    hashes: Hashes  # the exact hash of each token
    ends: Numbers  # with `hashes`: 0, then the characters in all tokens up to each
    folded: Hashes  # of each word, the hash of the folded form (see `characters.table`)
    word_ends: Numbers  # 0, then the characters in all words up to each


@lean
def cut(
    data: Bytes,
    start: int,
    end: int,
    table: Table,
    customs: int,
    cutter: Cutter,
    asked: Asked,
    counts: Numbers,
) -> int:
    """Cut bytes `start` to `end` into tokens, the words and the marks between them; how many.

    `customs`: HYPHENS, ORDINALS and those of `unspaced` as bits. What is folded leaves marks out, and a
    run of digits is one 0. `counts` is overwritten.
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
            if kind & SINGLE:
                done = tokens, words
                at, more = _run(data, start, at, end, table, customs, cutter, asked, done, counts)
                tokens, words, free = tokens + more, words + more, at
                continue
            clings = point < 0x80 and MANNERS[point] & CLINGS and not customs & APART
            if clings and not (at > start and free == at):
                begin = clinging(data, at, end, table)
            word = begin > at or not kind & PUNCTUATION
            if not word:
                at, length, ascii_ = _mark(data, at, end, table, counts)
        if word:
            if at == first or not _ends_here(data, first, at, end, table, customs):
                at, length, seen, lower, ascii_ = _word(
                    data, first, begin, end, table, customs, counts
                )
            _put_word(data, first, at, table, length, words, folded, word_ends)
            words, letters, free = words + 1, letters + length, at
            alphabetics += seen & ALPHABETIC != 0
            counts[CAPITALS] += seen & UPPER != 0 and not lower
            counts[LONGEST] = max(counts[LONGEST], length)
        if len(hashes):
            hashes[tokens] = hash_of(data, first, at, end, ascii_)
            ends[tokens + 1] = ends[tokens] + length
        tokens += 1
        characters += length
        if at < end and data[at] == BLANK:  # as behind most words
            at, characters = at + 1, characters + 1
    counts[WORDS], counts[CHARACTERS] = words, counts[CHARACTERS] + characters
    counts[LETTERS] += letters
    counts[ALPHABETICS] += alphabetics
    return tokens


@lean_inline
def _put_word(
    data: Bytes,
    first: int,
    at: int,
    table: Table,
    length: int,
    words: int,
    folded: Hashes,
    word_ends: Numbers,
) -> None:
    """Write what is asked for of one word more."""
    if len(folded):
        folded[words] = fold_of(data, first, at, table)
    if len(word_ends):
        word_ends[words + 1] = word_ends[words] + length


@lean
def _run(
    data: Bytes,
    start: int,
    at: int,
    end: int,
    table: Table,
    customs: int,
    cutter: Cutter,
    asked: Asked,
    done: tuple[int, int],
    counts: Numbers,
) -> tuple[int, int]:
    """Take the words of a run of letters without spaces: where it ends, and how many there are.

    `done`: tokens and words before it.
    """
    tokens, words = done
    counts[WAY] = settled(customs | counts[WAY], data, at, end, table)
    hashes, ends, folded, word_ends = asked
    many, stop = read(data, start, at, end, table, counts[WAY], cutter.room)
    counts[WORDED] += mark_words(many, counts[WAY], cutter)
    places, lasts, letters = cutter.room.places, cutter.room.ends, cutter.room.points[PAD:]
    first, found, folds = 0, 0, len(folded) > 0
    code, fold, kinds = BASIS, BASIS, np.uint32(0)
    for last in range(many):
        point = letters[np.uint64(last)]
        code = (code ^ np.uint64(point)) * PRIME
        entry = table[point]
        kinds |= entry
        if folds:
            fold = (fold ^ np.uint64(entry >> np.uint32(CLASS_BITS))) * PRIME
        if not lasts[np.uint64(last)]:
            continue
        length, rare = last + 1 - first, False
        if places[last + 1] - places[first] != 3 * length:  # marks on letters, or rare letters
            length, rare = _take(data, places[first], places[last + 1], end, 0)[1], True
        if len(hashes):
            own = hash_of(data, places[first], places[last + 1], end, False) if rare else mix(code)
            hashes[tokens + found] = own
            ends[tokens + found + 1] = ends[tokens + found] + length
        if folds:
            own = fold_of(data, places[first], places[last + 1], table) if rare else mix(fold)
            folded[words + found] = own
        if len(word_ends):
            word_ends[words + found + 1] = word_ends[words + found] + length
        counts[LETTERS] += length
        counts[CHARACTERS] += length
        counts[ALPHABETICS] += kinds & ALPHABETIC != 0
        counts[LONGEST] = max(counts[LONGEST], length)
        first, found = last + 1, found + 1
        code, fold, kinds = BASIS, BASIS, np.uint32(0)
    return stop, found


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
def _ends_here(data: Bytes, first: int, at: int, end: int, table: Table, customs: int) -> bool:
    """Whether the word of letters and digits before `at` surely ends, by a quick look behind it."""
    if at == end or data[at] == BLANK:
        return True
    mark, last = data[at], table[data[at - 1]]
    if mark >= FAR:  # as in Chinese and Japanese
        return bool(table[decode(data, at, end)[0]] & (SINGLE | SPACE | PUNCTUATION) != 0)
    if customs & APART and mark < 0x80:
        return bool(mark != COLON)
    if mark == DOT:
        stop = at + 1 == end or (data[at + 1] < 0x80 and table[data[at + 1]] & SPACE != 0)
        return stop and at - first > 1 and not last & (UPPER | DIGIT)
    if mark >= 0x80 or mark == COLON or (mark == COMMA and last & DIGIT):
        return False
    return table[mark] & SPACE != 0 or not MANNERS[mark]


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
        url = point == COLON and is_url(data, first, at, end)
        stop = (
            url_end(data, at, end, table)
            if url
            else belonging(data, first, at, end, table, before, last, customs)
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
