"""NLTK 3.8.1's sentences and tokens of English, as regular expressions: what our kernels have to say.

The rules of tokens are written down here, since later releases of NLTK cut quotation marks and dashes
otherwise, and give up after seconds of the clock. Punkt is that of the NLTK that is here, with the
expressions of then: later ones know quotation marks of print.
"""

# ruff: noqa: RUF001 -- quotation marks of print

import re
from functools import cache

from nltk.tokenize.punkt import (
    PunktLanguageVars,
    PunktParameters,
    PunktSentenceTokenizer,
    PunktToken,
)
from punkt import load_model

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


class LanguageThen(PunktLanguageVars):
    """English as NLTK 3.8.1 has it."""

    __slots__ = ()

    re_boundary_realignment = re.compile(r'["\')\]}]+?(?:\s+|(?=--)|$)', re.MULTILINE)

    @property
    def _re_non_word_chars(self):
        return r"(?:[)\";}\]\*:@\'\({\[!?])"

    def __init__(self):
        self._re_period_context = re.compile(
            self._period_context_fmt
            % {"NonWord": self._re_non_word_chars, "SentEndChars": self._re_sent_end_chars},
            re.VERBOSE,
        )
        self._re_word_tokenizer = re.compile(
            self._word_tokenize_fmt
            % {
                "NonWord": self._re_non_word_chars,
                "MultiChar": self._re_multi_char_punct,
                "WordStart": self._re_word_start,
            },
            re.VERBOSE,
        )


class TokenThen(PunktToken):
    """A token as NLTK 3.8.1 has it: later ones ask `regex`, for which `²` is not of a word."""

    __slots__ = ()

    _RE_ELLIPSIS = re.compile(r"\.\.+$")
    _RE_NUMERIC = re.compile(r"^-?[\.,]?\d[\d,\.-]*\.?$")
    _RE_INITIAL = re.compile(r"[^\W\d]\.$")


@cache
def punkt() -> PunktSentenceTokenizer:
    """The sentence tokenizer with NLTK's model of English."""
    model, learned = load_model("english"), PunktParameters()
    for name in ("abbrev_types", "collocations", "sent_starters"):
        setattr(learned, name, set(getattr(model, name)))
    learned.ortho_context.update({kind: int(seen) for kind, seen in model.ortho_context.items()})
    return PunktSentenceTokenizer(learned, lang_vars=LanguageThen(), token_cls=TokenThen)


def sentences_of(text: str) -> list[str]:
    return punkt().tokenize(text)


def words_of(sentence: str) -> list[str]:
    """The tokens of one sentence."""
    for pattern, put in RULES:
        sentence = pattern.sub(put, sentence)
    return sentence.split()


def tokens_of(text: str) -> list[str]:
    return [token for sentence in sentences_of(text) for token in words_of(sentence)]
