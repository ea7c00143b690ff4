"""English as NLTK 3.8.1 cuts it into sentences and tokens: what datatrove counted in the spring of 2024.

Sentences are those of Punkt (Kiss and Strunk 2006) with NLTK's model of English, tokens those of its
`NLTKWordTokenizer`, made one document at a time. The rules stand here because later releases of NLTK
cut quotation marks and dashes otherwise, and give up after seconds of the clock.
"""

# ruff: noqa: RUF001 -- quotation marks of print

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from stages.segment import Bytes, Numbers, _texts, marks, spelled

if TYPE_CHECKING:
    from stages.kernels.streams import Stream

STOPS = ".'\"!?"  # what ends a line for the filter of FineWeb

# What is put for what, in this order: quotation marks that open, punctuation, brackets, double
# hyphens, and then, with a blank at both ends, marks
# that close and contractions.
RULES = [
    (re.compile(pattern), put)
    for pattern, put in (
        ("([«“‘„]|[`]+)", r" \1 "),
        (r"^\"", "``"),
        (r"(``)", r" \1 "),
        (r"([ \(\[{<])(\"|\'{2})", r"\1 `` "),
        (r"(?i)(\')(?!re|ve|ll|m|t|s|d|n)(\w)\b", r"\1 \2"),
        # The class holds a blank: were it to give any back, a run of them would take its square.
        (r"([^\.])(\.)([\]\)}>\"'»”’ ]*+)\s*$", r"\1 \2 \3 "),
        (r"([:,])([^\d])", r" \1 \2"),
        (r"([:,])$", r" \1 "),
        (r"\.{2,}", r" \g<0> "),
        (r"[;@#$%&]", r" \g<0> "),
        (r"([^\.])(\.)([\]\)}>\"']*)\s*$", r"\1 \2\3 "),
        (r"[?!]", r" \g<0> "),
        (r"([^'])' ", r"\1 ' "),
        (r"[*]", r" \g<0> "),
        (r"[\]\[\(\)\{\}\<\>]", r" \g<0> "),
        (r"--", " -- "),
        (r"\A", " "),
        (r"\Z", " "),
        ("([»”’])", r" \1 "),
        (r"''", " '' "),
        (r'"', " '' "),
        (r"([^' ])('[sS]|'[mM]|'[dD]|') ", r"\1 \2 "),
        (r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) ", r"\1 \2 "),
        (r"(?i)\b(can)(not)\b", r" \1 \2 "),
        (r"(?i)\b(d)('ye)\b", r" \1 \2 "),
        (r"(?i)\b(gim)(me)\b", r" \1 \2 "),
        (r"(?i)\b(gon)(na)\b", r" \1 \2 "),
        (r"(?i)\b(got)(ta)\b", r" \1 \2 "),
        (r"(?i)\b(lem)(me)\b", r" \1 \2 "),
        (r"(?i)\b(more)('n)\b", r" \1 \2 "),
        (r"(?i)\b(wan)(na)(?=\s)", r" \1 \2 "),
        (r"(?i) ('t)(is)\b", r" \1 \2 "),
        (r"(?i) ('t)(was)\b", r" \1 \2 "),
    )
]


class Treebank:
    """Cuts texts of any language as English, as the filters of then did."""

    @cached_property
    def punkt(self) -> Any:
        """NLTK's sentence tokenizer, without the clock of its regular expressions."""
        from nltk.tokenize.punkt import (  # type: ignore[import-untyped]
            PunktLanguageVars,
            PunktParameters,
            PunktSentenceTokenizer,
        )
        from punkt import load_model

        model, learned, rules = load_model("english"), PunktParameters(), PunktLanguageVars()
        for name in ("abbrev_types", "collocations", "sent_starters"):
            setattr(learned, name, set(getattr(model, name)))
        learned.ortho_context.update(
            {kind: int(seen) for kind, seen in model.ortho_context.items()}
        )
        rules._re_period_context = re.compile(rules.period_context_re().pattern, re.VERBOSE)
        rules._re_word_tokenizer = re.compile(rules._word_tokenizer_re().pattern, re.VERBOSE)
        return PunktSentenceTokenizer(learned, lang_vars=rules)

    def tokens(self, text: str) -> list[str]:
        """The tokens of a text; quotation marks become `` and ''."""
        return [token for sentence in self.punkt.tokenize(text) for token in words_of(sentence)]

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        """The tokens of each text."""
        return spelled([self.tokens(text) for text in _texts(data, offsets)], marks_then())

    def sentences(self, data: Bytes, offsets: Numbers) -> Numbers:
        """How many sentences each text has, none if it is blank."""
        return np.array(
            [len(self.punkt.tokenize(text)) for text in _texts(data, offsets)], np.int64
        )


def words_of(sentence: str) -> list[str]:
    """The tokens of one sentence."""
    for pattern, put in RULES:
        sentence = pattern.sub(put, sentence)
    return sentence.split()


@cache
def treebank() -> Treebank:
    """The one tokenizer, its model read once."""
    return Treebank()


@cache
def marks_then() -> Bytes:
    """What each character was to datatrove, as `stages.segment.marks` says what it is."""
    from datatrove.utils.text import PUNCTUATION

    from stages.kernels.streams import PLAIN, TERMINAL

    found = (marks() | np.uint8(PLAIN)) & np.uint8(0xFF ^ TERMINAL)
    found[[ord(character) for character in PUNCTUATION]] &= np.uint8(0xFF ^ PLAIN)
    found[[ord(character) for character in STOPS]] |= np.uint8(TERMINAL)
    return found
