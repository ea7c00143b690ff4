"""Measures as other projects define them, for filters that have to say what theirs say.

Two releases of datatrove: 0.10, and 0.2 of April 2024, with which FineWeb was published. The older one
cut all texts by NLTK as English (`stages.treebank`), whatever their language.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.base import Batch
from stages.filter import PREFIX, Mode
from stages.segment import ENGLISH, SLICE, Bytes, Numbers, Segmenter, marks, segmenter
from stages.treebank import marks_then, treebank

if TYPE_CHECKING:
    from stages.kernels.c4lines import LineRules

THEN: Mode = "fineweb-2024"
COUNTS = ("words", "stop_words")

# name in datatrove's mode -> what it is, where it is not what the measure of that name is.
DEFINITIONS = {
    "words": "tokens of the language's tokenizer with a character that is not punctuation",
    "mean_word_length": "characters per such word",
    "hashes_per_word": "`#` per token",
    "ellipses_per_word": "`...` and `…` per token",
    "newlines_per_word": "line feeds per token",
    "alphabetic_words": "share of tokens with a letter in them",
    "stop_words": "different tokens among the stop words of the language (of English: datatrove's "
    "eight), as they are listed, in lower case",
    "top_2_gram": "characters of the most frequent pair of tokens times its occurrences, per "
    "character of the text, also if it occurs once",
    "top_3_gram": "the same of three tokens",
    "top_4_gram": "the same of four tokens",
    "duplicate_5_grams": "characters in runs of five tokens that were there before, per character",
    "duplicate_6_grams": "the same of six tokens",
    "duplicate_7_grams": "the same of seven tokens",
    "duplicate_8_grams": "the same of eight tokens",
    "duplicate_9_grams": "the same of nine tokens",
    "duplicate_10_grams": "the same of ten tokens",
    "bulleted_lines": "share of all lines that begin with `•` or `-`",
    "trailing_off_lines": "share of all lines that end with `...` or `…`",
    "punctuated_lines": "share of lines not blank whose last character ends a sentence",
    "short_lines": "share of lines not blank that have at most 30 characters",
    "duplicate_lines": "share of lines (runs of line feeds part them) that were there before",
    "duplicate_line_characters": "characters of such lines, per character",
    "repeated_line_characters": "characters of lines not blank that were there before, per "
    "character that is not a line feed",
    "duplicate_paragraphs": "share of paragraphs (two line feeds and more part them) that were there "
    "before; 1 of an empty text",
    "duplicate_paragraph_characters": "characters of such paragraphs, per character",
}
# The same for April 2024, where that was not so.
DEFINITIONS_THEN = DEFINITIONS | {
    "words": "tokens of NLTK (of English, in any language) with a character that is not punctuation",
    "stop_words": "occurrences of datatrove's eight English stop words, in lower case",
    "punctuated_lines": "share of all lines, blank ones too, whose last character is one of `.'\"!?`",
    "short_lines": "share of all lines, blank ones too, that have at most 30 characters",
    "duplicate_lines": "share of lines (of `str.splitlines`, blank ones too) that were there before",
}
WHOSE: dict[Mode, tuple[str, dict[str, str]]] = {
    "datatrove-0.10": ("datatrove 0.10", DEFINITIONS),
    THEN: ("datatrove 0.2, with which FineWeb was made,", DEFINITIONS_THEN),
}
ABOUT = {
    PREFIX[mode] + name: f"as {whose} has it: {what}"
    for mode, (whose, definitions) in WHOSE.items()
    for name, what in definitions.items()
}
MEASURES: dict[str, pa.DataType] = {
    PREFIX[mode] + name: pa.int64() if name in COUNTS else pa.float64()
    for mode in WHOSE
    for name in DEFINITIONS
}


def measure(batch: Batch, names: tuple[str, ...]) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of these names, all of a mode from one cutting into tokens."""
    found = {}
    for mode in WHOSE:
        prefix = PREFIX[mode]
        wanted = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
        columns = _measure(batch, mode, wanted) if wanted else {}
        found.update({prefix + name: columns[name] for name in wanted})
    return found


def _measure(batch: Batch, mode: Mode, wanted: set[str]) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of a mode, these among them."""
    from stages.kernels import measures as ours
    from stages.kernels import newlines, streams
    from stages.kernels.characters import table
    from stages.kernels.hashing import string_buffers

    rows = batch.num_rows
    found: dict[str, npt.NDArray[np.float64]] = {}

    def room(columns: tuple[str, ...]) -> npt.NDArray[np.float64]:
        out = np.zeros((rows, len(columns)))
        found.update({name: out[:, at] for at, name in enumerate(columns)})
        return out

    offsets, data = string_buffers(batch.column("text"))
    if "trailing_off_lines" in wanted:
        ours.lines_of(data, offsets, table(), False, room(ours.LINE_MEASURES))
    if "bulleted_lines" in wanted:
        newlines.bulleted_of(data, offsets, table(), room(("bulleted_lines",)))
    repeats = newlines.REPEAT_COLUMNS if mode == THEN else ()
    if wanted & (set(newlines.NEWLINE_COLUMNS) - set(repeats)):
        out = room(newlines.NEWLINE_COLUMNS)
        newlines.newlines_of(data, offsets, _marks(mode), mode == THEN, out)
    if wanted & set(repeats):
        newlines.repeats_of(data, offsets, _marks(mode), room(repeats))
    if wanted & set(newlines.PARAGRAPH_COLUMNS):
        newlines.paragraphs_of(data, offsets, _marks(mode), room(newlines.PARAGRAPH_COLUMNS))
    if wanted & set(streams.WORD_COLUMNS):
        out = room(streams.WORD_COLUMNS)
        for language, chosen in _groups(languages(batch, mode)):
            for part in _slices(offsets, chosen):
                piece = string_buffers(batch.column("text").take(pa.array(part)))
                out[part] = _words(mode, language, *piece[::-1], wanted)
    return found


def _words(
    mode: Mode, language: str, data: Bytes, offsets: Numbers, wanted: set[str]
) -> npt.NDArray[np.float64]:
    from stages.kernels.streams import WORD_COLUMNS, words_of

    out = np.zeros((len(offsets) - 1, len(WORD_COLUMNS)))
    stream = _cutter(mode, language).cut(data, offsets)
    stops = _stop_words(language if "stop_words" in wanted else None)
    grams = any("_gram" in name for name in wanted)
    words_of(data, offsets, stream, stops, mode == THEN, grams, out)
    return out


def _cutter(mode: Mode, language: str) -> Segmenter:
    return treebank() if mode == THEN else segmenter(language)


def _marks(mode: Mode) -> Bytes:
    return marks_then() if mode == THEN else marks()


@cache
def _stop_words(language: str | None) -> tuple[npt.NDArray[np.uint64], Numbers]:
    """The stop words of a language as an open hash table; English ones if it has no list; None: none."""
    from stages.kernels.stopwords import languages as lists
    from stages.kernels.streams import stop_table
    from stages.segment import spelled

    words = lists().get(language, lists()[ENGLISH]) if language else ()
    return stop_table(spelled([list(words)]).hashes)


def languages(batch: Batch, mode: Mode) -> list[str]:
    """The language that each document is cut as, English where none is known."""
    if mode == THEN or "language" not in batch.schema.names:
        return [ENGLISH] * batch.num_rows
    return [language or ENGLISH for language in batch.column("language").to_pylist()]


def _groups(named: list[str]) -> Iterator[tuple[str, Numbers]]:
    """The rows of each language."""
    different = sorted(set(named))
    column = np.array(named, dtype=object) if len(different) > 1 else None
    for language in different:
        yield (
            language,
            np.arange(len(named)) if column is None else np.flatnonzero(column == language),
        )


def _slices(offsets: Numbers, rows: Numbers) -> Iterator[Numbers]:
    """Some rows in pieces of SLICE bytes or one row."""
    sizes = np.cumsum(offsets[rows + 1] - offsets[rows])
    first = 0
    while first < len(rows):
        start = sizes[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(sizes, start + SLICE)))
        yield rows[first:last]
        first = last


def leave_lines_out(
    batch: Batch, mode: Mode, rules: "LineRules", least: int
) -> tuple[pa.Array, Numbers, Numbers]:
    """What datatrove's C4 filter leaves of each text, what becomes of it, and its sentences.

    The second are verdicts of `stages.kernels.rewrite`; a text with fewer than `least` sentences (0:
    they are not counted) has to leave, and a text that leaves stays as it was. Sentences are 0 where
    the number of lines says that there are enough.
    """
    from stages.kernels.c4lines import join_lines, keep_lines
    from stages.kernels.hashing import string_buffers
    from stages.kernels.rewrite import KEPT, TOO_FEW

    offsets, data = string_buffers(batch.column("text"))
    rows, room = batch.num_rows, offsets[-1] - offsets[0]
    lines, edges = np.empty(room, np.uint8), np.zeros(room + rows + 1, np.int64)
    starts, verdicts = np.zeros(rows + 1, np.int64), np.zeros(rows, np.int64)
    many = keep_lines(data, offsets, marks(), rules, lines, edges, starts, verdicts)
    edges = edges[: many + 1]
    found = np.zeros(rows, np.int64)
    if least:
        # A line has one sentence at least (for NLTK not a blank one): as many lines settle it.
        lines_of = np.diff(starts)
        near = (verdicts == KEPT) & ((lines_of < least) | (mode == THEN))
        column = pa.LargeStringArray.from_buffers(many, pa.py_buffer(edges), pa.py_buffer(lines))
        chosen = np.flatnonzero(np.repeat(near, lines_of))
        owners = np.repeat(np.arange(rows), lines_of)[chosen]
        named = np.array(languages(batch, mode), object)[owners].tolist()
        np.add.at(found, owners, sentences(column.take(pa.array(chosen)), named, mode))
        verdicts[near & (found < least)] = TOO_FEW
    out, ends = np.empty(room + rows, np.uint8), np.zeros(rows + 1, np.int64)
    join_lines(lines, edges, starts, data, offsets, marks(), verdicts, out, ends)
    left = pa.py_buffer(out[: ends[-1]].copy())
    return pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), left), verdicts, found


def sentences(texts: pa.Array, named: list[str], mode: Mode = "datatrove-0.10") -> Numbers:
    """How many sentences datatrove finds in each text, given its language."""
    from stages.kernels.hashing import string_buffers

    offsets, _ = string_buffers(texts)
    out = np.zeros(len(texts), np.int64)
    for language, chosen in _groups(named):
        for part in _slices(offsets, chosen):
            places, data = string_buffers(texts.take(pa.array(part)))
            out[part] = _cutter(mode, language).sentences(data, places)
    return out
