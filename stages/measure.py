"""Numbers that are read off a text once, as columns that any number of filters judge by."""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property

import numpy as np
import pyarrow as pa

from stages import peers
from stages.base import Batch, Stage, replace
from stages.errors import SpecError

WORD_HASHES = "word_hashes"

# name -> what it is. A share is a number from 0 to 1 unless said; a text without words, lines or
# paragraphs measures 0 where there is nothing to divide by. Words and marks: `stages.kernels.words`.
ABOUT = {
    "characters": "code points",
    "bytes": "bytes of UTF-8",
    "words": "words; punctuation, symbols and emoji are not words",
    "mean_word_length": "characters per word",
    "hashes_per_word": "`#` per word or mark",
    "ellipses_per_word": "`...` and `…` per word or mark",
    "newlines_per_word": "line feeds per word or mark",
    "alphabetic_words": "share of words and marks with a letter in them",
    "stop_words": "different stop words of the language (column `language`), of eight and more; "
    "without that column, or a list for it, those of the language that has most in the text",
    "top_2_gram": "characters in all occurrences of the most frequent pair of words and marks, the "
    "spaces between them included, per character of the text; 0 if none occurs twice; may pass 1",
    "top_3_gram": "the same of three words and marks",
    "top_4_gram": "the same of four words and marks",
    "duplicate_5_grams": "characters in runs of five words and marks that were there before, none "
    "counted twice and spaces left out, per character of the text",
    "duplicate_6_grams": "the same of six words and marks",
    "duplicate_7_grams": "the same of seven words and marks",
    "duplicate_8_grams": "the same of eight words and marks",
    "duplicate_9_grams": "the same of nine words and marks",
    "duplicate_10_grams": "the same of ten words and marks",
    "lines": "lines that are not blank",
    "bulleted_lines": "share of all lines that begin with `•` or `-`",
    "trailing_off_lines": "share of all lines that end with `...` or `…`",
    "punctuated_lines": "share of lines not blank that end with what ends a sentence in any script",
    "short_lines": "share of lines not blank that have at most 30 characters",
    "duplicate_lines": "share of lines not blank that were there before",
    "duplicate_line_characters": "characters of lines that were there before, per character",
    "repeated_line_characters": "characters of lines that were there before, per character that is "
    "not a line feed",
    "duplicate_paragraphs": "share of paragraphs (blank lines part them) that were there before",
    "duplicate_paragraph_characters": "characters of such paragraphs, per character",
    WORD_HASHES: "one hash for each word, of its form in lower case without accents, any run of "
    "digits taken for one 0 and what joins its parts (`don't`, `3.5`) left out",
}
COUNTS = ("characters", "bytes", "words", "stop_words", "lines")


def _type(name: str) -> pa.DataType:
    if name == WORD_HASHES:
        return pa.large_list(pa.uint64())
    return pa.int64() if name in COUNTS else pa.float64()


MEASURES: dict[str, pa.DataType] = {name: _type(name) for name in ABOUT} | peers.MEASURES
ABOUT |= peers.ABOUT  # the same by the definitions of others, prefixed


@dataclass(frozen=True, kw_only=True)
class Measure(Stage):
    """Append measures of the text as columns. Pipelines get it where a filter needs it.

    All of them are taken in one go, with one cutting into words; only what is asked for is taken.
    They are those of datatrove's Gopher, C4 and FineWeb filters, except where those mislead:

    - An n-gram that occurs once is no repetition (datatrove: `top_4_gram` of any short text).
    - A line ends as in `str.splitlines` for all measures, blank characters at its end do not hide
      how it ends, and blank lines are no lines where repeats, ends and lengths of lines are meant.
    - Paragraphs are parted by blank lines, also if those hold blanks.
    - Stop words count with a capital and in capitals too, and in 45 languages.
    - Words are cut alike in all languages; the letters of scripts without spaces (Han, kana, Thai,
      Lao, Khmer, Burmese) are words of one letter each, so `mean_word_length` is 1 there.
    """

    names: tuple[str, ...]  # which measures to take; each is a column of its name

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """One column per name."""
        return tuple(pa.field(name, MEASURES[name], nullable=False) for name in self.names)

    def check(self) -> None:
        """Refuse names that are no measures."""
        for at, name in enumerate(self.names):
            if name not in MEASURES:
                near = get_close_matches(name, MEASURES, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(MEASURES)}"
                raise SpecError(f"names[{at}]: there is no measure {name!r}; {hint}")

    @cached_property
    def longest(self) -> int:
        """Words of the longest n-gram that is asked for, 0 without any."""
        return max((int(n.split("_")[1]) for n in self._own if "_gram" in n), default=0)

    @cached_property
    def _own(self) -> tuple[str, ...]:
        """Those of our own definition."""
        return tuple(name for name in self.names if name not in peers.MEASURES)

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels import measures
        from stages.kernels.characters import table
        from stages.kernels.hashing import string_buffers

        offsets, data = string_buffers(batch.column("text"))
        rows = batch.num_rows
        columns: dict[str, pa.Array] = {}

        def room(names: tuple[str, ...]) -> np.ndarray:
            out = np.zeros((rows, len(names)), np.float64)
            columns.update({name: out[:, at] for at, name in enumerate(names)})
            return out

        if self._wants(measures.CHARACTER_MEASURES):
            measures.characters_of(data, offsets, room(measures.CHARACTER_MEASURES))
        if self._wants((*measures.WORD_MEASURES, WORD_HASHES)):
            columns[WORD_HASHES] = self._words(batch, data, offsets, room(measures.WORD_MEASURES))
        if self._wants(measures.LINE_MEASURES):
            repeats = any("duplicate" in n or "repeated" in n for n in self._own)
            measures.lines_of(data, offsets, table(), repeats, room(measures.LINE_MEASURES))
        if len(self._own) < len(self.names):
            columns |= peers.measure(batch, tuple(set(self.names) - set(self._own)))
        for name in self.names:
            column = columns[name]
            if name != WORD_HASHES:
                column = pa.array(column).cast(MEASURES[name])
            batch = replace(batch, name, column)
        return batch

    def _wants(self, names: tuple[str, ...]) -> bool:
        return not set(names).isdisjoint(self.names)

    def _words(
        self, batch: Batch, data: np.ndarray, offsets: np.ndarray, out: np.ndarray
    ) -> pa.Array:
        """Fill the measures of words; return the column of hashes (empty if not asked for)."""
        from stages.kernels.characters import table
        from stages.kernels.measures import word_room, words_of
        from stages.kernels.stopwords import languages, stop_table

        wanted = WORD_HASHES in self.names
        folded = np.empty(word_room(offsets) if wanted else 0, np.uint64)
        lists = _lists(batch) if "stop_words" in self.names else np.zeros(0, np.int64)
        tallies = np.zeros(len(languages()), np.int64)
        stretches = words_of(
            data, offsets, table(), self.longest, stop_table(), lists, tallies, folded, out
        )
        values = pa.array(folded[: stretches[-1]].copy())
        return pa.LargeListArray.from_arrays(pa.array(stretches), values)


def _lists(batch: Batch) -> np.ndarray:
    """Which list of stop words holds for each row."""
    from stages.kernels.stopwords import ANY, languages

    lists = {language: at for at, language in enumerate(languages())}
    if "language" not in batch.schema.names:
        return np.full(batch.num_rows, ANY, np.int64)
    named = batch.column("language").to_pylist()
    return np.array([lists.get(name, ANY) for name in named], np.int64)
