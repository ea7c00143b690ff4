"""Every document of a batch measured, one row of numbers each."""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lines as ln
from stages.kernels import words as wd
from stages.kernels.characters import (
    ALPHABETIC,
    DIGIT,
    PUNCTUATION,
    SPACE,
    UPPER,
    Bytes,
    Table,
    decode,
)
from stages.kernels.lines import measure_lines, measure_repeats
from stages.kernels.manners import APART, HYPHENS, ORDINALS
from stages.kernels.ngrams import diversity, measure_ngrams, table_size
from stages.kernels.phrases import JAVASCRIPT, LOREM_IPSUM, POLICY, Phrases
from stages.kernels.rewrite import judge_line, read_line, seek, sieve
from stages.kernels.stopwords import Stops, count_stop_words
from stages.kernels.unspaced import LETTERS, Cutter
from stages.kernels.words import Asked, Hashes, Numbers, cut

Rows: TypeAlias = npt.NDArray[np.float64]

# The columns that each kernel writes, in order.
CHARACTER_MEASURES = (
    "characters",
    "bytes",
    "letters",
    "digits",
    "capitals",
    "marks",
    "spaces",
    "curly_brackets",
    "parentheses",
)
GRAMS = (*(f"top_{n}_gram" for n in (2, 3, 4)), *(f"duplicate_{n}_grams" for n in range(5, 11)))
PHRASES = (
    *(f"common_{n}_words" for n in (2, 3, 4)),
    *(f"repeated_{n}_words" for n in range(5, 11)),
)
WORD_MEASURES = (
    "words",
    "mean_word_length",
    "longest_word",
    "hashes_per_word",
    "ellipses_per_word",
    "symbols_per_word",
    "newlines_per_word",
    "alphabetic_words",
    "capital_words",
    "url_characters",
    "stop_words",
    "stop_word_share",
    "unique_words",
    "word_entropy",
    *GRAMS,
    *PHRASES,
)
LINE_MEASURES = (
    "lines",
    "bulleted_lines",
    "trailing_off_lines",
    "punctuated_lines",
    "short_lines",
    "third_longest_line",
    "duplicate_lines",
    "duplicate_line_characters",
    "repeated_line_characters",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
)
# Of LINE_MEASURES, those that cost hashing the lines.
REPEATS = LINE_MEASURES[6:]
NOTICE_MEASURES = ("sentences", "boilerplate_lines", "javascript_lines", "lorem_lines")
STOP_WORDS, UNIQUE, FIRST_GRAM, FIRST_PHRASE = 10, 12, 14, 14 + len(GRAMS)


class Wanted(NamedTuple):
    """What is asked of the words beyond counts."""

    hashes: bool  # the column `word_hashes`
    stop_words: bool
    diversity: bool  # of WORD_MEASURES, those of different words
    gram: int  # words and marks of the longest n-gram of GRAMS, 0 without any
    phrase: int  # words of the longest n-gram of PHRASES


@njit(cache=True)
def characters_of(data: Bytes, offsets: Numbers, table: Table, out: Rows) -> None:
    """Fill `out` (documents x CHARACTER_MEASURES)."""
    tally = np.zeros(128, np.int64)  # of ASCII
    kinds = np.array([ALPHABETIC, DIGIT, UPPER, PUNCTUATION, SPACE], np.uint32)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        tally[:] = 0
        out[row, :] = 0
        beyond, at = 0, start
        while at < end:
            if data[at] < 0x80:
                tally[data[at]] += 1
                at += 1
                continue
            point, size = decode(data, at, end)
            at += size
            beyond += 1
            entry = table[point]
            for kind in range(len(kinds)):
                out[row, 2 + kind] += entry & kinds[kind] != 0
        for code in range(128):
            for kind in range(len(kinds)):
                if table[code] & kinds[kind]:
                    out[row, 2 + kind] += tally[code]
        out[row, 7] = tally[0x7B] + tally[0x7D]
        out[row, 8] = tally[0x28] + tally[0x29]
        characters = beyond + tally.sum()
        out[row, 2:] /= max(1, characters)
        out[row, 0], out[row, 1] = characters, end - start


@njit(cache=True)
def words_of(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    wanted: Wanted,
    stops: Stops,
    languages: Numbers,
    customs: Bytes,
    cutter: Cutter,
    folded: Hashes,
    out: Rows,
) -> Numbers:
    """Fill `out` (documents x WORD_MEASURES); return where in `folded` each document's words end.

    `languages` says which list of stop words holds for each document (`stopwords.ANY`: not known),
    `customs` how its language writes words (`words.HYPHENS`...); `folded` has room for `word_room`
    hashes, or for one document's if the column is not asked for. In the column, what Chinese and
    Japanese are cut into is letters: signatures of documents are made of it.
    """
    room = word_room(offsets, False)
    exact = room if wanted.stop_words or wanted.gram else 0
    hashes, ends = np.empty(exact, np.uint64), np.empty(exact + 1 if exact else 0, np.int64)
    word_ends = np.empty(room + 1 if wanted.phrase else 0, np.int64)
    counts, grams = np.zeros(wd.COUNTS, np.int64), np.zeros(len(GRAMS), np.int64)
    seen, tallies = np.zeros(len(stops[1]), np.uint8), np.zeros((64, 2), np.int64)
    stretches = np.zeros(len(offsets), np.int64)
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        mine = folded[stretches[row] :]
        asked = Asked(hashes, ends, mine, word_ends)
        tokens = cut(data, start, end, table, customs[row], cutter, asked, counts)
        words, characters = counts[wd.WORDS], max(1, counts[wd.CHARACTERS])
        _counted(counts, tokens, out[row])
        if wanted.stop_words:
            many, all_ = count_stop_words(hashes, tokens, languages[row], stops, seen, tallies)
            out[row, STOP_WORDS], out[row, STOP_WORDS + 1] = many, all_ / max(1, words)
        if wanted.diversity:
            many, out[row, UNIQUE + 1] = diversity(mine, words)
            out[row, UNIQUE] = many / max(1, words)
        if wanted.gram:
            measure_ngrams(hashes, ends, tokens, wanted.gram, False, grams)
            out[row, FIRST_GRAM:FIRST_PHRASE] = grams / characters
        if wanted.phrase:
            measure_ngrams(mine, word_ends, words, wanted.phrase, True, grams)
            out[row, FIRST_PHRASE:] = grams / max(1, counts[wd.LETTERS])
        if wanted.hashes and (counts[wd.WORDED] or customs[row] & APART):
            plain = Asked(hashes[:0], ends[:0], mine, word_ends[:0])
            others = customs[row] & (ORDINALS | HYPHENS) | LETTERS
            cut(data, start, end, table, others, cutter, plain, counts)
        stretches[row + 1] = stretches[row] + (counts[wd.WORDS] if wanted.hashes else 0)
    return stretches


@njit(cache=True)
def _counted(counts: Numbers, tokens: int, out: npt.NDArray[np.float64]) -> None:
    """The first of WORD_MEASURES, from what `cut` counted."""
    words, every = counts[wd.WORDS], max(1, tokens)
    out[0] = words
    out[1] = counts[wd.LETTERS] / max(1, words)
    out[2] = counts[wd.LONGEST]
    out[3] = counts[wd.NUMBER_SIGNS] / every
    out[4] = counts[wd.ELLIPSES] / every
    out[5] = (counts[wd.NUMBER_SIGNS] + counts[wd.ELLIPSES]) / every
    out[6] = counts[wd.NEWLINES] / every if tokens else 0.0
    out[7] = counts[wd.ALPHABETICS] / every
    out[8] = counts[wd.CAPITALS] / max(1, words)
    out[9] = counts[wd.URLS] / max(1, counts[wd.CHARACTERS])


@njit(cache=True)
def word_room(offsets: Numbers, every: bool) -> int:
    """The most words that the documents, or the largest, can have: words and marks of one byte."""
    room = 0
    for row in range(len(offsets) - 1):
        size = offsets[row + 1] - offsets[row]
        room = room + size if every else max(room, size)
    return room


@njit(cache=True)
def lines_of(data: Bytes, offsets: Numbers, table: Table, repeats: bool, out: Rows) -> None:
    """Fill `out` (documents x LINE_MEASURES), those of repeats if they are asked for."""
    counts = np.zeros(ln.COUNTS, np.int64)
    room = 2 * word_room(offsets, False) if repeats else 0  # lines, and paragraphs behind them
    hashes, lengths, keys = (
        np.empty(room, np.uint64),
        np.empty(room, np.int64),
        np.empty(2, np.uint64),
    )
    for row in range(len(offsets) - 1):
        lines = measure_lines(data, offsets[row], offsets[row + 1], table, hashes, lengths, counts)
        if repeats:
            if len(keys) < table_size(lines):
                keys = np.empty(table_size(lines), np.uint64)
            measure_repeats(hashes, lengths, lines, keys, counts)
        every, lines = max(1, counts[ln.ALL]), max(1, counts[ln.LINES])
        characters = counts[ln.LINE_CHARACTERS]
        out[row, 0] = counts[ln.LINES]
        out[row, 1] = counts[ln.BULLETED] / every
        out[row, 2] = counts[ln.TRAILING] / every
        out[row, 3] = counts[ln.PUNCTUATED] / lines
        out[row, 4] = counts[ln.SHORTS] / lines
        out[row, 5] = counts[ln.THIRD]
        out[row, 6] = counts[ln.REPEATS] / lines
        out[row, 7] = counts[ln.REPEATED] / max(1, characters)
        out[row, 8] = counts[ln.REPEATED] / max(1, characters - counts[ln.LINE_FEEDS])
        out[row, 9] = counts[ln.PARAGRAPHS]
        out[row, 10] = counts[ln.PARAGRAPH_REPEATS] / max(1, counts[ln.PARAGRAPHS])
        out[row, 11] = counts[ln.PARAGRAPH_REPEATED] / max(1, characters)


@njit(cache=True)
def notices_of(data: Bytes, offsets: Numbers, table: Table, phrases: Phrases, out: Rows) -> None:
    """Fill `out` (documents x NOTICE_MEASURES): sentences and lines as `rewrite` sees them."""
    room = word_room(offsets, False)
    folded, sought = np.empty(room, np.uint32), sieve(phrases)
    kinds = (POLICY, JAVASCRIPT, LOREM_IPSUM)
    for row in range(len(offsets) - 1):
        at, end, lines = offsets[row], offsets[row + 1], 0
        out[row, :] = 0
        while at < end:
            start = at
            at, stop, suspect, _, _ = read_line(data, at, end, table, sought)
            line = judge_line(data, start, stop, table)
            if line.stop == line.begin:
                continue
            lines += 1
            out[row, 0] += line.sentences
            found = seek(data, line, table, folded, phrases, sought) if suspect else 0
            for kind in range(len(kinds)):
                out[row, 1 + kind] += found & kinds[kind] != 0
        out[row, 1:] /= max(1, lines)
