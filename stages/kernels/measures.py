"""Every document of a batch measured, one row of numbers each."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lines as ln
from stages.kernels import words as wd
from stages.kernels.characters import Bytes, Table, decode
from stages.kernels.lines import measure_lines
from stages.kernels.ngrams import measure_ngrams
from stages.kernels.stopwords import Stops, count_stop_words
from stages.kernels.words import Hashes, Numbers, cut

Rows: TypeAlias = npt.NDArray[np.float64]

# The columns that each kernel writes, in order.
CHARACTER_MEASURES = ("characters", "bytes")
WORD_MEASURES = (
    "words",
    "mean_word_length",
    "hashes_per_word",
    "ellipses_per_word",
    "newlines_per_word",
    "alphabetic_words",
    "stop_words",
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
LINE_MEASURES = (
    "lines",
    "bulleted_lines",
    "trailing_off_lines",
    "punctuated_lines",
    "short_lines",
    "duplicate_lines",
    "duplicate_line_characters",
    "repeated_line_characters",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
)
STOP_WORDS, FIRST_GRAM = 6, 7


@njit(cache=True)
def characters_of(data: Bytes, offsets: Numbers, out: Rows) -> None:
    """Fill `out` (documents x CHARACTER_MEASURES)."""
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        out[row, 1] = end - at
        characters = 0
        while at < end:
            at += decode(data, at, end)[1]
            characters += 1
        out[row, 0] = characters


@njit(cache=True)
def words_of(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    longest: int,
    stops: Stops,
    languages: Numbers,
    customs: Bytes,
    tallies: Numbers,
    folded: Hashes,
    out: Rows,
) -> Numbers:
    """Fill `out` (documents x WORD_MEASURES); return where in `folded` each document's words end.

    `longest` is the longest n-gram that is asked for (0: none); `languages` the list of stop words
    of each document (`stopwords.ANY`: not known), empty where they are not asked for; `tallies` one
    entry per list; `folded` has room for `word_room` hashes, or none if they are not asked for.
    """
    room = 0
    for row in range(len(offsets) - 1):
        room = max(room, offsets[row + 1] - offsets[row])
    hashes, ends = np.empty(room, np.uint64), np.empty(room + 1, np.int64)
    counts, grams = np.zeros(wd.COUNTS, np.int64), np.zeros(9, np.int64)
    seen = np.zeros(len(stops[1]), np.uint8)
    stretches = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        tokens = cut(
            data, start, end, table, customs[row], hashes, ends, folded[stretches[row] :], counts
        )
        words, all_tokens = counts[wd.WORDS], max(1, tokens)
        stretches[row + 1] = stretches[row] + (words if len(folded) else 0)
        out[row, 0] = words
        out[row, 1] = counts[wd.LETTERS] / max(1, words)
        out[row, 2] = counts[wd.NUMBER_SIGNS] / all_tokens
        out[row, 3] = counts[wd.ELLIPSES] / all_tokens
        out[row, 4] = counts[wd.NEWLINES] / all_tokens if tokens else 0.0
        out[row, 5] = counts[wd.ALPHABETICS] / all_tokens
        if len(languages):
            out[row, STOP_WORDS] = count_stop_words(
                hashes, tokens, languages[row], stops, seen, tallies
            )
        if longest:
            measure_ngrams(hashes, ends, tokens, longest, grams)
            for gram in range(len(grams)):
                out[row, FIRST_GRAM + gram] = grams[gram] / max(1, counts[wd.CHARACTERS])
    return stretches


@njit(cache=True)
def word_room(offsets: Numbers) -> int:
    """The most words that the documents can have: two ASCII words have a byte between them."""
    room = 0
    for row in range(len(offsets) - 1):
        room += (offsets[row + 1] - offsets[row] + 1) // 2
    return room


@njit(cache=True)
def lines_of(data: Bytes, offsets: Numbers, table: Table, repeats: bool, out: Rows) -> None:
    """Fill `out` (documents x LINE_MEASURES), those of repeats if they are asked for."""
    counts = np.zeros(ln.COUNTS, np.int64)
    for row in range(len(offsets) - 1):
        measure_lines(data, offsets[row], offsets[row + 1], table, repeats, counts)
        every, lines = max(1, counts[ln.ALL]), max(1, counts[ln.LINES])
        characters = counts[ln.LINE_CHARACTERS]
        out[row, 0] = counts[ln.LINES]
        out[row, 1] = counts[ln.BULLETED] / every
        out[row, 2] = counts[ln.TRAILING] / every
        out[row, 3] = counts[ln.PUNCTUATED] / lines
        out[row, 4] = counts[ln.SHORTS] / lines
        out[row, 5] = counts[ln.REPEATS] / lines
        out[row, 6] = counts[ln.REPEATED] / max(1, characters)
        out[row, 7] = counts[ln.REPEATED] / max(1, characters - counts[ln.LINE_FEEDS])
        out[row, 8] = counts[ln.PARAGRAPH_REPEATS] / max(1, counts[ln.PARAGRAPHS])
        out[row, 9] = counts[ln.PARAGRAPH_REPEATED] / max(1, characters)
