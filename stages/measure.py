"""Numbers that are read off a text once, as columns that any number of filters judge by."""

from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from stages import peers
from stages.base import Batch, Stage, replace
from stages.errors import SpecError

WORD_HASHES = "word_hashes"

# name -> what it is. A share is a number from 0 to 1 unless said; a text without words, lines or
# paragraphs measures 0 where there is nothing to divide by. Words and marks: `stages.kernels.words`.
# `rps_...` is the quality signal of RedPajama-V2 (arXiv:2411.12372) that the measure is meant as.
ABOUT = {
    "characters": "code points; ccnet_length",
    "bytes": "bytes of UTF-8",
    "letters": "share of characters that are letters",
    "digits": "share of characters that are digits; rps_lines_numerical_chars_fraction",
    "capitals": "share of characters that are capitals; rps_lines_uppercase_letter_fraction",
    "marks": "share of characters that are punctuation, symbols or control characters",
    "spaces": "share of characters that are white space",
    "curly_brackets": "`{` and `}` per character; rps_doc_curly_bracket",
    "parentheses": "`(` and `)` per character",
    "words": "words; punctuation, symbols and emoji are not words; rps_doc_word_count",
    "mean_word_length": "characters per word; rps_doc_mean_word_length",
    "longest_word": "characters of the longest word",
    "hashes_per_word": "`#` outside of words, per word or mark",
    "ellipses_per_word": "`...` and `…` outside of words, per word or mark",
    "symbols_per_word": "both together; rps_doc_symbol_to_word_ratio",
    "newlines_per_word": "line feeds per word or mark",
    "alphabetic_words": "share of words and marks with a letter in them; 1 - rps_doc_frac_no_alph_words",
    "capital_words": "share of words whose letters are all capitals; rps_doc_frac_all_caps_words",
    "url_characters": "share of characters that are part of a URL with its scheme",
    "stop_words": "different stop words of the language (column `language`), of eight and more; "
    "without that column, or a list for it, those of the language that has most in the text",
    "stop_word_share": "all of those stop words, per word; rps_doc_stop_word_fraction",
    "unique_words": "different words (as in `word_hashes`) per word; rps_doc_frac_unique_words",
    "word_entropy": "entropy, in nats, of how often each of them comes; rps_doc_unigram_entropy",
    "top_2_gram": "characters in all occurrences of the most frequent pair of words and marks, the "
    "spaces between them included, per character of the text; 0 if none occurs twice; may pass 1",
    "top_3_gram": "the same of three words and marks",
    "top_4_gram": "the same of four words and marks",
    "duplicate_5_grams": "characters in runs of five words and marks that were there before, none "
    "counted twice and spaces left out, per character of the text",
    **{
        f"duplicate_{n}_grams": f"the same of {name} words and marks"
        for n, name in enumerate(("six", "seven", "eight", "nine", "ten"), 6)
    },
    "common_2_words": "characters in all occurrences of the most frequent pair of words (as in "
    "`word_hashes`), per character of words; 0 if none occurs twice; rps_doc_frac_chars_top_2gram",
    "common_3_words": "the same of three words; rps_doc_frac_chars_top_3gram",
    "common_4_words": "the same of four words; rps_doc_frac_chars_top_4gram",
    "repeated_5_words": "characters in runs of five words (as in `word_hashes`) that occur more than "
    "once, the first time too, none counted twice, per character of words; "
    "rps_doc_frac_chars_dupe_5grams",
    **{
        f"repeated_{n}_words": f"the same of {name} words; rps_doc_frac_chars_dupe_{n}grams"
        for n, name in enumerate(("six", "seven", "eight", "nine", "ten"), 6)
    },
    "sentences": "stretches with a letter or digit in them, between ends of lines and of sentences, as "
    "in `C4Quality`; rps_doc_num_sentences",
    "lines": "lines that are not blank; ccnet_nlines",
    "words_per_line": "words per line that is not blank; rps_lines_num_words",
    "bulleted_lines": "share of all lines that begin with `-` or one of `• ‣ ▶ ◀ ◦ ■ □ ▪ ▫` or an en dash; "
    "rps_lines_start_with_bulletpoint",
    "trailing_off_lines": "share of all lines that end with `...` or `…`; "
    "rps_doc_frac_lines_end_with_ellipsis",
    "punctuated_lines": "share of lines not blank that end with what ends a sentence in any script; "
    "rps_lines_ending_with_terminal_punctution_mark",
    "short_lines": "share of lines not blank that have at most 30 characters",
    "third_longest_line": "characters of the third longest line that is not blank; 0 without three",
    "boilerplate_lines": "share of lines not blank about terms of use, privacy or cookies, in 28 "
    "languages",
    "javascript_lines": "share of lines not blank that speak of Javascript; "
    "rps_lines_javascript_counts",
    "lorem_lines": "share of lines not blank with `lorem ipsum`; rps_doc_lorem_ipsum",
    "duplicate_lines": "share of lines not blank that were there before",
    "duplicate_line_characters": "characters of lines that were there before, per character",
    "repeated_line_characters": "characters of lines that were there before, per character that is "
    "not a line feed",
    "paragraphs": "stretches of lines that blank lines part",
    "duplicate_paragraphs": "share of paragraphs that were there before",
    "duplicate_paragraph_characters": "characters of such paragraphs, per character",
    WORD_HASHES: "one hash for each word, of its form in lower case without accents, any run of "
    "digits taken for one 0 and the marks in it (`don't`, `3.5`) left out",
}
# Languages that write ordinals as a number with a full stop.
ORDINAL_LANGUAGES = (
    *("bs", "cs", "da", "de", "et", "fi", "fo", "hr", "hu", "is", "lv", "nb", "nn"),
    *("no", "pl", "sk", "sl", "sr", "tr"),
)
COUNTS = (
    *("characters", "bytes", "words", "longest_word", "stop_words", "sentences"),
    *("lines", "third_longest_line", "paragraphs"),
)


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
    Those of datatrove's Gopher, C4 and FineWeb filters are theirs, except where those mislead:

    - An n-gram that occurs once is no repetition (datatrove: `top_4_gram` of any short text).
    - A line ends as in `str.splitlines` for all measures, blank characters at its end do not hide
      how it ends, and blank lines are no lines where repeats, ends and lengths of lines are meant.
    - Paragraphs are parted by blank lines, also if those hold blanks.
    - Stop words count with a capital and in capitals too, and in 61 languages.
    - Words are cut as spaCy does for Latin scripts, in all languages (`stages.kernels.words`); `don't`
      is one word, a URL another. The column `language`, if it is there, says whether a hyphen parts
      words (English) and whether `3.` is an ordinal (German and others).
    - The letters of scripts without spaces (Han, kana, Thai, Lao, Khmer, Burmese) are words of one
      letter each, so `mean_word_length` is 1 there: filters have other bounds for such languages.
    """

    version = 3

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

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels import measures
        from stages.kernels.characters import table
        from stages.kernels.hashing import string_buffers
        from stages.kernels.phrases import boilerplate

        offsets, data = string_buffers(batch.column("text"))
        rows = batch.num_rows
        columns: dict[str, pa.Array] = {}
        wide = "words_per_line" in self.names  # is made of measures of two kernels

        def room(names: tuple[str, ...]) -> np.ndarray:
            out = np.zeros((rows, len(names)), np.float64)
            columns.update({name: out[:, at] for at, name in enumerate(names)})
            return out

        if self._wants(measures.CHARACTER_MEASURES):
            measures.characters_of(data, offsets, table(), room(measures.CHARACTER_MEASURES))
        if self._wants((*measures.WORD_MEASURES, WORD_HASHES)) or wide:
            columns[WORD_HASHES] = self._words(batch, data, offsets, room(measures.WORD_MEASURES))
        if self._wants(measures.LINE_MEASURES) or wide:
            repeats = any(name in measures.REPEATS for name in self.names)
            measures.lines_of(data, offsets, table(), repeats, room(measures.LINE_MEASURES))
        if self._wants(measures.NOTICE_MEASURES):
            out = room(measures.NOTICE_MEASURES)
            measures.notices_of(data, offsets, table(), boilerplate(), out)
        if wide:
            columns["words_per_line"] = columns["words"] / np.maximum(1, columns["lines"])
        others = tuple(name for name in self.names if name in peers.MEASURES)
        if others:
            columns |= peers.measure(batch, others)
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
    ) -> pa.Array | None:
        """Fill the measures of words; return the column of hashes, if it is asked for."""
        from stages.kernels import measures
        from stages.kernels.characters import table
        from stages.kernels.stopwords import stop_table

        def longest(names: tuple[str, ...]) -> int:
            return max((int(name.split("_")[1]) for name in names if name in self.names), default=0)

        wanted = measures.Wanted(
            hashes=WORD_HASHES in self.names,
            stop_words=self._wants(("stop_words", "stop_word_share")),
            diversity=self._wants(("unique_words", "word_entropy")),
            gram=longest(measures.GRAMS),
            phrase=longest(measures.PHRASES),
        )
        folds = wanted.hashes or wanted.diversity or wanted.phrase
        room = measures.word_room(offsets, wanted.hashes) if folds else 0
        folded = np.empty(room, np.uint64)
        lists, customs = _lists(batch), _customs(batch)
        stretches = measures.words_of(
            data, offsets, table(), wanted, stop_table(), lists, customs, folded, out
        )
        if not wanted.hashes:
            return None
        values = pa.array(folded[: stretches[-1]].copy())
        return pa.LargeListArray.from_arrays(pa.array(stretches), values)


def _customs(batch: Batch) -> np.ndarray:
    """How the language of each row writes words, as bits; 0 where it is not known."""
    from stages.kernels.words import HYPHENS, ORDINALS

    if "language" not in batch.schema.names:
        return np.zeros(batch.num_rows, np.uint8)
    customs = {**dict.fromkeys(ORDINAL_LANGUAGES, ORDINALS), "en": HYPHENS}
    named = batch.column("language").to_pylist()
    return np.array([customs.get(name, 0) for name in named], np.uint8)


def _lists(batch: Batch) -> np.ndarray:
    """Which list of stop words holds for each row."""
    from stages.kernels.stopwords import ANY, languages

    lists = {language: at for at, language in enumerate(languages())}
    if "language" not in batch.schema.names:
        return np.full(batch.num_rows, ANY, np.int64)
    named = batch.column("language").to_pylist()
    return np.array([lists.get(name, ANY) for name in named], np.int64)
