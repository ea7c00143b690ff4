"""Words that another tokenizer cut, as arrays, and what its filters read off them.

A stream holds the tokens of many texts one after the other: `hashes` of their characters, `lengths`
in characters, `flags`, and in `starts` where each text's tokens begin. A hash is a polynomial in
BASE over the code points, so that the hash of joined tokens follows from theirs.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import Bytes, decode
from stages.kernels.eight import EVERY, HIGH, eight, printed
from stages.kernels.hashing import P1, mix
from stages.kernels.ngrams import DUPLICATE, TOP, find, measure_ngrams, table_size
from stages.kernels.words import Hashes, Numbers

Marks: TypeAlias = npt.NDArray[np.uint8]
Lengths: TypeAlias = npt.NDArray[np.int32]
Rows: TypeAlias = npt.NDArray[np.float64]

# What a character is, by the sets of the tokenizer: bits of the table of marks.
LETTER = 1  # str.isalpha
PLAIN = 2  # not punctuation: makes its token a word
PUNCTUATION = 4  # a category of punctuation: does not begin a sentence
STOP = 8  # ends a sentence, standing alone
TERMINAL = 16  # a line that ends in it is punctuated
BLANK = 32  # str.isspace
LINE_END = 64  # those of str.splitlines
DIGIT = 128  # decimal digits of all scripts

BASE = np.uint64(0x9E6C63D0876A9A47)
MANY = 512  # characters; most n-grams have fewer
POWERS = np.array([pow(int(BASE), length, 1 << 64) for length in range(MANY)], np.uint64)
WORD_COLUMNS = (
    "words",
    "mean_word_length",
    "hashes_per_word",
    "ellipses_per_word",
    "alphabetic_words",
    "stop_words",
    "newlines_per_word",
    "top_2_gram",
    "top_3_gram",
    "top_4_gram",
    "duplicate_5_grams",
    "duplicate_6_grams",
    "duplicate_7_grams",
    "duplicate_8_grams",
    "duplicate_9_grams",
    "duplicate_10_grams",
)
FIRST_GRAM = 7
DOT, NUMBER_SIGN, ELLIPSIS, NEWLINE = 0x2E, 0x23, 0x2026, 0x0A
DOTS, NUMBER_SIGNS = EVERY * np.uint64(DOT), EVERY * np.uint64(NUMBER_SIGN)


class Stream(NamedTuple):
    """The tokens of texts; a token of blanks has BLANK among its flags."""

    hashes: Hashes
    lengths: Lengths
    flags: Bytes
    starts: Numbers  # one more than texts


@njit(cache=True)
def token(data: Bytes, start: int, end: int, marks: Marks) -> tuple[np.uint64, int, np.int64]:
    """Hash, length and flags of the token that these bytes are."""
    code, length, some, every = np.uint64(0), 0, np.int64(0), np.int64(0xFF)
    at = start
    while at < end:
        point, size = decode(data, at, end)
        mark = np.int64(marks[point])
        code = code * BASE + np.uint64(point) + np.uint64(1)
        length += 1
        some |= mark
        every &= mark
        at += size
    flags = some & (LETTER | PLAIN) | every & (PUNCTUATION | BLANK)
    if length == 1:
        flags |= some & STOP
    return code, length, flags if length else np.int64(BLANK)


@njit(cache=True)
def spell(data: Bytes, begins: Numbers, ends: Numbers, marks: Marks, starts: Numbers) -> Stream:
    """The stream of tokens that lie so in the data; one without a byte is a token of blanks."""
    many = len(begins)
    stream = Stream(
        np.empty(many, np.uint64), np.empty(many, np.int32), np.empty(many, np.uint8), starts
    )
    for at in range(many):
        code, length, flags = token(data, begins[at], ends[at], marks)
        stream.hashes[at], stream.lengths[at], stream.flags[at] = code, length, flags
    return stream


@njit(cache=True)
def count_sentences(stream: Stream, out: Numbers) -> None:
    """Sentences of each text as spaCy's sentencizer parts them; at least one.

    The first token behind a stop that is neither a stop nor punctuation begins one.
    """
    for row in range(len(out)):
        sentences, over = 1, False
        for at in range(stream.starts[row], stream.starts[row + 1]):
            flags = stream.flags[at]
            if flags & STOP:
                over = True
            elif over and not flags & PUNCTUATION:
                sentences += 1
                over = False
        out[row] = sentences


@njit(cache=True)
def words_of(
    data: Bytes,
    offsets: Numbers,
    stream: Stream,
    stops: tuple[Hashes, Numbers],
    often: bool,
    grams: bool,
    out: Rows,
) -> None:
    """Fill `out` (texts x WORD_COLUMNS), the last nine if `grams` are asked for.

    `stops` is the `stop_table`; `often` counts a stop word as often as it occurs. Tokens of blanks are
    none.
    """
    room = 0
    for row in range(len(offsets) - 1):
        room = max(room, stream.starts[row + 1] - stream.starts[row])
    hashes, ends = np.empty(room, np.uint64), np.empty(room + 1, np.int64)
    seen = np.zeros(len(stops[0]), np.uint8)
    signs, counts = np.zeros(4, np.int64), np.zeros(9, np.int64)
    for row in range(len(offsets) - 1):
        tokens, words, letters, alphabetic, stopped = 0, 0, 0, 0, 0
        seen[:] = 0
        ends[0] = 0
        for one in range(stream.starts[row], stream.starts[row + 1]):
            at = np.uint64(one)
            flags, code, length = stream.flags[at], stream.hashes[at], stream.lengths[at]
            if flags & BLANK:
                continue
            words += flags & PLAIN != 0
            letters += length if flags & PLAIN else 0
            alphabetic += flags & LETTER
            key = mix(code) | np.uint64(1)
            slot = find(stops[0], np.uint64(len(stops[0]) - 1), key)
            if stops[0][slot] and (often or not seen[stops[1][slot]]):
                seen[stops[1][slot]] = 1
                stopped += 1
            hashes[tokens] = code
            ends[tokens + 1] = ends[tokens] + length
            tokens += 1
        characters = _signs(data, offsets[row], offsets[row + 1], signs)
        out[row, 0] = words
        out[row, 1] = letters / max(1, words)
        out[row, 2] = signs[0] / max(1, tokens)
        out[row, 3] = signs[1] / max(1, tokens)
        out[row, 4] = alphabetic / max(1, tokens)
        out[row, 5] = stopped
        out[row, 6] = signs[2] / max(1, tokens)
        if grams:
            _grams(hashes, ends, tokens, counts)
            for gram in range(len(counts)):
                out[row, FIRST_GRAM + gram] = counts[gram] / max(1, characters)


@njit(cache=True)
def stop_table(hashes: Hashes) -> tuple[Hashes, Numbers]:
    """An open hash table of tokens and their numbers."""
    keys = np.zeros(table_size(max(1, len(hashes))), np.uint64)
    numbers = np.zeros(len(keys), np.int64)
    for number in range(len(hashes)):
        key = mix(hashes[number]) | np.uint64(1)
        slot = find(keys, np.uint64(len(keys) - 1), key)
        keys[slot], numbers[slot] = key, number
    return keys, numbers


@njit(cache=True)
def _signs(data: Bytes, start: int, end: int, signs: Numbers) -> int:
    """Count `#`, ellipses and line feeds into `signs`; the number of characters."""
    signs[:] = 0
    characters, dots, at = 0, 0, start
    while at < end:
        if at + 8 <= end and _says_nothing(eight(data, at)):
            at, characters, dots = at + 8, characters + 8, 0
            continue
        point, size = decode(data, at, end)
        at += size
        characters += 1
        dots = dots + 1 if point == DOT else 0
        if dots == 3:
            signs[1] += 1
            dots = 0
        signs[0] += point == NUMBER_SIGN
        signs[1] += point == ELLIPSIS
        signs[2] += point == NEWLINE
    return characters


@lean_inline
def _says_nothing(some: np.uint64) -> bool:
    """Whether eight bytes are ASCII without controls, `.` and `#`."""
    dots, numbers = some ^ DOTS, some ^ NUMBER_SIGNS
    found = (dots - EVERY) & ~dots | (numbers - EVERY) & ~numbers
    return bool(printed(some) & ~found == HIGH)


@njit(cache=True)
def _grams(hashes: Hashes, ends: Numbers, tokens: int, out: Numbers) -> None:
    """Characters in the top 2- to 4-grams and the duplicate 5- to 10-grams, as datatrove counts.

    The first n-gram of a text without a repeated one is its top; n-grams are the same whose
    characters are the same, however they are cut.
    """
    measure_ngrams(hashes, ends, tokens, TOP[-1], False, out)
    for n in TOP:
        if out[n - 2] == 0 and tokens >= n:
            out[n - 2] = ends[n] + n - 1
    if tokens < DUPLICATE[0]:
        return
    joined = np.empty(tokens + 1, np.uint64)
    joined[0] = 0
    for at in range(tokens):
        joined[at + 1] = joined[at] * _power(ends[at + 1] - ends[at]) + hashes[at]
    keys = np.empty(table_size(tokens), np.uint64)
    for n in DUPLICATE:
        out[n - 2] = _duplicate(joined, ends, tokens, n, keys)


@lean
def _duplicate(joined: Hashes, ends: Numbers, tokens: int, n: int, keys: Hashes) -> int:
    keys[:] = 0
    mask, shift = np.uint64(len(keys) - 1), np.uint64(32)
    at, ahead, last = np.uint64(0), np.uint64(n), np.uint64(tokens)
    characters = 0
    while at + ahead <= last:
        length = ends[at + ahead] - ends[at]
        key = joined[at + ahead] - joined[at] * _power(length)
        key = key if key else np.uint64(1)
        slot = (key * P1 >> shift) & mask
        there = keys[slot]
        while there != 0 and there != key:
            slot = (slot + np.uint64(1)) & mask
            there = keys[slot]
        if there:
            characters += length
            at += ahead
        else:
            keys[slot] = key
            at += np.uint64(1)
    return characters


@lean_inline
def _power(length: int) -> np.uint64:
    """BASE to the power of a length."""
    at = np.uint64(length)
    return POWERS[at] if at < np.uint64(MANY) else _far_power(length)


@lean
def _far_power(length: int) -> np.uint64:
    result, factor = np.uint64(1), BASE
    while length:
        if length & 1:
            result *= factor
        factor *= factor
        length >>= 1
    return result
