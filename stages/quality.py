"""Filters that tell prose from what else the web is made of, by the shape of its words and lines."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pyarrow as pa

from stages import peers
from stages.base import Batch, Stage, drop, replace
from stages.errors import SpecError
from stages.filter import AtLeast, AtMost, Between, Bound, Filter, ModalFilter, Mode, require

if TYPE_CHECKING:
    from stages.kernels.c4lines import LineRules
    from stages.kernels.rewrite import Rules


# Bounds of other scripts than the Latin. Prose of Chinese has 1.6 letters a word, of Japanese 1.7, so that
# the bound of English for their length says nothing. Where a word is a letter there was no text to find
# bounds on: what surely misleads is off, what is left is loose.
CHINESE_AND_JAPANESE = ("zh", "yue", "wuu", "ja")
UNSPACED = ("th", "lo", "km", "my")
SHORT_WORDS: dict[str, dict[str, Bound]] = {
    **{language: {"mean_word_length": None} for language in CHINESE_AND_JAPANESE},
    **{language: {"mean_word_length": None, "stop_words": None} for language in UNSPACED},
}
LETTERS_REPEATED: dict[str, dict[str, Bound]] = {
    language: {
        **{f"top_{n}_gram": None for n in (2, 3, 4)},
        **{f"duplicate_{n}_grams": None for n in range(5, 10)},
        "duplicate_10_grams": 0.25,
    }
    for language in UNSPACED
}


@dataclass(frozen=True, kw_only=True)
class GopherQuality(ModalFilter):
    """Drop documents that do not have the shape of prose. A rule set to None is off.

    Rules and thresholds of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1) as datatrove has
    them; measures are those of `stages.measure`. In Chinese, Japanese, Thai, Lao, Khmer and Burmese,
    words are not held to a length of three letters (`NATIVE`, see `Filter`).
    """

    version = 3
    family = "gopher"
    NATIVE = SHORT_WORDS

    words: Between | None = (50, 100_000)
    mean_word_length: Between | None = (3, 10)
    hashes_per_word: AtMost | None = 0.1
    ellipses_per_word: AtMost | None = 0.1
    bulleted_lines: AtMost | None = 0.9
    trailing_off_lines: AtMost | None = 0.3
    alphabetic_words: AtLeast | None = 0.8
    stop_words: AtLeast | None = 2


@dataclass(frozen=True, kw_only=True)
class GopherRepetition(ModalFilter):
    """Drop documents that say the same again and again. A rule set to None is off.

    Rules and thresholds of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1) as datatrove has
    them; measures are those of `stages.measure`.
    """

    version = 3
    family = "repetition"
    NATIVE = LETTERS_REPEATED

    duplicate_paragraphs: AtMost | None = 0.3
    duplicate_paragraph_characters: AtMost | None = 0.2
    duplicate_lines: AtMost | None = 0.3
    duplicate_line_characters: AtMost | None = 0.2
    top_2_gram: AtMost | None = 0.2
    top_3_gram: AtMost | None = 0.18
    top_4_gram: AtMost | None = 0.16
    duplicate_5_grams: AtMost | None = 0.15
    duplicate_6_grams: AtMost | None = 0.14
    duplicate_7_grams: AtMost | None = 0.13
    duplicate_8_grams: AtMost | None = 0.12
    duplicate_9_grams: AtMost | None = 0.11
    duplicate_10_grams: AtMost | None = 0.1


@dataclass(frozen=True, kw_only=True)
class FineWebQuality(ModalFilter):
    """Drop lists, menus and torn pages. A rule set to None is off.

    Rules and thresholds of FineWeb (Penedo et al. 2024, arXiv:2406.17557, section 3.6) as datatrove
    has them; measures are those of `stages.measure`.
    """

    family = "fineweb"
    STRICT: ClassVar[dict[Mode, tuple[str, ...]]] = {
        "fineweb-2024": ("punctuated_lines", "short_lines", "repeated_line_characters")
    }

    punctuated_lines: AtLeast | None = 0.12
    short_lines: AtMost | None = 0.67
    repeated_line_characters: AtMost | None = 0.01
    newlines_per_word: AtMost | None = 0.3


# The same for its runs of words.
SHORT_WORDS_REPEATED: dict[str, dict[str, Bound]] = {
    language: {
        "mean_word_length": None,
        **{
            rule.replace("top", "common")
            .replace("duplicate", "repeated")
            .replace("_grams" if rule.endswith("s") else "_gram", "_words"): bound
            for rule, bound in LETTERS_REPEATED.get(language, {}).items()
        },
    }
    for language in SHORT_WORDS
}


@dataclass(frozen=True, kw_only=True)
class RedPajamaQuality(Filter):
    """Drop documents by the quality signals of RedPajama-V2. A rule set to None is off.

    The signals (Weber et al. 2024, arXiv:2411.12372) are those that need no model; `stages.measure`
    says which measure is meant as which. Bounds are those of Gopher as RedPajama's data card applies
    them, with at most 10,000 words; no bounds were published for the rest, so they are off.
    """

    version = 2
    family = "redpajama"
    NATIVE = SHORT_WORDS_REPEATED

    words: Between | None = (50, 10_000)
    mean_word_length: Between | None = (3, 10)
    symbols_per_word: AtMost | None = 0.1
    bulleted_lines: AtMost | None = 0.9
    trailing_off_lines: AtMost | None = 0.3
    alphabetic_words: AtLeast | None = 0.8
    common_2_words: AtMost | None = 0.2
    common_3_words: AtMost | None = 0.18
    common_4_words: AtMost | None = 0.16
    repeated_5_words: AtMost | None = 0.15
    repeated_6_words: AtMost | None = 0.14
    repeated_7_words: AtMost | None = 0.13
    repeated_8_words: AtMost | None = 0.12
    repeated_9_words: AtMost | None = 0.11
    repeated_10_words: AtMost | None = 0.1
    sentences: AtLeast | None = None
    words_per_line: AtLeast | None = None
    unique_words: Between | None = None
    word_entropy: Between | None = None
    stop_word_share: AtLeast | None = None
    capital_words: AtMost | None = None
    capitals: AtMost | None = None
    digits: AtMost | None = None
    curly_brackets: AtMost | None = None
    punctuated_lines: AtLeast | None = None
    javascript_lines: AtMost | None = None
    lorem_lines: AtMost | None = None


@dataclass(frozen=True, kw_only=True)
class CuratorQuality(Filter):
    """Drop documents of too many signs that are no prose. A rule set to None is off.

    The rules of NeMo Curator's English recipe that neither Gopher nor C4 has, with its thresholds;
    measures are those of `stages.measure`, in any language.
    """

    family = "curator"

    longest_word: AtMost | None = 1000
    marks: AtMost | None = 0.25
    digits: AtMost | None = 0.15
    spaces: AtMost | None = 0.25
    parentheses: AtMost | None = 0.1
    url_characters: AtMost | None = 0.2
    boilerplate_lines: AtMost | None = 0.4
    punctuated_lines: AtLeast | None = 0.15


@dataclass(frozen=True, kw_only=True)
class C4Paragraphs(Filter):
    """Drop documents without three long lines: datatrove's C4ParagraphFilter, of mC4's rule.

    Source: Xue et al. 2021, arXiv:2010.11934, section 3.1.
    """

    family = "c4_paragraphs"

    third_longest_line: AtLeast | None = 200


@dataclass(frozen=True, kw_only=True)
class C4Quality(Stage):
    """Leave lines that are not prose out of the text, and drop documents with the marks of none.

    Rules of C4 (Raffel et al. 2020, arXiv:1910.10683, section 2.2), in the order of the fields, with
    datatrove's defaults; FineWeb sets `no_terminal_punctuation` to False. Lines are stripped and
    joined with line feeds; a dropped document keeps the text it came with. Unlike datatrove:

    - A sentence may end as in any script, and a closing quotation mark of any script may follow.
    - In scripts without spaces each letter is a word, so that their lines have words enough.
    - A line is stripped and its words are counted after its citations are gone, not before.
    - Policy phrases are known in 28 languages, whatever their case and accents.
    - A sentence begins with a letter or digit and is ended by `.`, `?`, `!` without a letter behind
      it (but not by `...` or the dot of an initial), or by any other script's mark.
    """

    rewrites = True
    version = 2

    mode: Mode = "bateia"  # whose rules: other modes know none of the differences above
    citations: bool = True  # leave out `[12]`, `[edit]`, `[citation needed]`
    word_length: int | None = 1000  # leave out lines with a longer word
    no_terminal_punctuation: bool = True  # leave out lines that do not end a sentence
    words_per_line: int | None = 3  # leave out lines with fewer words
    lorem_ipsum: bool = True  # drop documents with "lorem ipsum" in a line that is left
    javascript: bool = True  # leave out lines that speak of Javascript
    curly_bracket: bool = True  # drop documents with `{` in a line that is left
    policy: bool = True  # leave out lines about terms of use, privacy, cookies
    sentences: int | None = 5  # drop documents with fewer sentences left

    def check(self) -> None:
        """Refuse limits that are not positive, and a mode whose packages are not there."""
        require(self.mode)
        for name in ("word_length", "words_per_line", "sentences"):
            limit = getattr(self, name)
            if limit is not None and limit < 1:
                raise SpecError(f"{name}: expected 1 or more, or null for off, got {limit}")

    @cached_property
    def rules(self) -> "Rules":
        """The fields as the kernel takes them."""
        from stages.kernels import phrases as ph
        from stages.kernels.rewrite import Rules

        kinds = ph.LOREM_IPSUM * self.lorem_ipsum | ph.JAVASCRIPT * self.javascript
        return Rules(
            citations=self.citations,
            no_terminal_punctuation=self.no_terminal_punctuation,
            words_per_line=self.words_per_line or 0,
            word_length=self.word_length or 0,
            phrases=kinds | ph.POLICY * self.policy,
            curly_bracket=self.curly_bracket,
            sentences=self.sentences or 0,
        )

    @cached_property
    def _line_rules(self) -> "LineRules":
        from stages.kernels.c4lines import LineRules

        return LineRules(
            citations=self.citations,
            no_terminal_punctuation=self.no_terminal_punctuation,
            words_per_line=self.words_per_line or 0,
            word_length=self.word_length or 0,
            lorem_ipsum=self.lorem_ipsum,
            javascript=self.javascript,
            curly_bracket=self.curly_bracket,
            policy=self.policy,
        )

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.rewrite import KEPT, TOO_FEW

        text, verdicts, sentences = self._rewritten(batch)
        stays = verdicts == KEPT
        reasons = pa.array(["", "c4.lorem_ipsum", "c4.curly_bracket", "c4.sentences"])
        return drop(
            replace(batch, "text", text),
            reasons.take(pa.array(verdicts, mask=stays)),
            values=pa.array(np.where(verdicts == TOO_FEW, sentences, 1), mask=stays),
        )

    def _rewritten(self, batch: Batch) -> tuple[pa.Array, np.ndarray, np.ndarray]:
        """What is left of each text, what becomes of it, and its sentences."""
        from stages.kernels.characters import table
        from stages.kernels.hashing import string_buffers
        from stages.kernels.phrases import boilerplate
        from stages.kernels.rewrite import rewrite

        if self.mode != "bateia":
            return peers.leave_lines_out(batch, self.mode, self._line_rules, self.sentences or 0)
        offsets, data = string_buffers(batch.column("text"))
        out = np.empty(offsets[-1] - offsets[0], np.uint8)
        ends = np.zeros(len(offsets), np.int64)
        verdicts = np.zeros(batch.num_rows, np.int64)
        sentences = np.zeros(batch.num_rows, np.int64)
        rewrite(data, offsets, table(), self.rules, boilerplate(), out, ends, verdicts, sentences)
        left = pa.py_buffer(out[: ends[-1]].copy())
        text = pa.LargeStringArray.from_buffers(batch.num_rows, pa.py_buffer(ends), left)
        return text, verdicts, sentences
