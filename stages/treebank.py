"""English as NLTK 3.8.1 cuts it into sentences and tokens: what datatrove counted in the spring of 2024.

Sentences are those of Punkt (Kiss and Strunk 2006) with NLTK's model of English, tokens those of its
`NLTKWordTokenizer`; whatever the language of the text. NLTK's rules are kernels, so they stay those of then.
"""

# ruff: noqa: RUF001 -- quotation marks of print

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stages.segment import Bytes, Numbers, marks

if TYPE_CHECKING:
    from stages.kernels.padding import Classes
    from stages.kernels.stops import Known, Model
    from stages.kernels.streams import Stream
    from stages.kernels.words import Hashes

STOPS = ".'\"!?"  # what ends a line for the filter of FineWeb

# What characters are to Punkt, as NLTK 3.8.1 has it; later releases know quotation marks of print too.
OUTSIDE = ")\";}]*:@'({[?!"
NEVER_FIRST = '("`{[:;&#*@)}]-,'
CLOSERS = "\"')]}"
NUMBER = "##number##"  # what each number is to the model

# What characters are to the rules of tokens.
OPENING = "«“‘„"
EARLY = ";@#$%&?!"
LATE = "*[](){}<>»”’"
BEGIN_WORDS = "cglwdmCGLWDM"


class Treebank:
    """Cuts texts of any language as English, as the filters of then did."""

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        """The tokens of each text; quotation marks become `` and ''."""
        from stages.kernels.punkt import cut_sentences
        from stages.kernels.treebank import cut_tokens

        return cut_tokens(data, cut_sentences(data, offsets, model()), classes())

    def sentences(self, data: Bytes, offsets: Numbers) -> Numbers:
        """How many sentences each text has, none if it is blank."""
        from stages.kernels.punkt import cut_sentences

        return np.diff(cut_sentences(data, offsets, model()).starts)


@cache
def treebank() -> Treebank:
    """The one tokenizer."""
    return Treebank()


@cache
def model() -> "Model":
    """NLTK's model of English."""
    from punkt import load_model

    from stages.kernels import stops

    learned = load_model("english")
    known = {word: int(seen) for word, seen in learned.ortho_context.items()}
    for words, bit in (
        (learned.sent_starters, stops.STARTER),
        (learned.abbrev_types, stops.ABBREVIATION),
        ({word for word, _ in learned.collocations}, stops.PAIRED),
    ):
        known.update({word: known.get(word, 0) | bit for word in sorted(words)})
    ones, others = zip(*sorted(learned.collocations), strict=True)
    pairs = stops.pairs_of(_spelled(ones), _spelled(others))
    keys, bits = _table(_spelled(known), np.array(list(known.values()), np.uint16))
    return stops.Model(
        kinds=kinds_of_punkt(),
        words=keys,
        known=bits,
        pairs=_table(pairs, np.zeros(len(pairs), np.uint16))[0],
        number=_spelled((NUMBER,))[0],
    )


def _spelled(words: Iterable[str]) -> "Hashes":
    from stages.kernels.stops import spellings

    each = [word.encode() for word in words]
    data = np.frombuffer(b"".join(each), np.uint8)
    return spellings(data, np.cumsum([0, *map(len, each)], dtype=np.int64))


def _table(codes: "Hashes", bits: "Known") -> tuple["Hashes", "Known"]:
    """An open hash table of keys, and what is known of each."""
    from stages.kernels.ngrams import table_size
    from stages.kernels.stops import enter

    size = table_size(2 * len(codes))
    keys, values = np.zeros(size, np.uint64), np.zeros(size, np.uint16)
    enter(keys, values, codes, bits)
    return keys, values


@cache
def kinds_of_punkt() -> Bytes:
    """What each character is to Punkt: bits of `stages.kernels.stops`."""
    from stages.kernels import stops as pk
    from stages.kernels.streams import BLANK

    every, word, digit = _characters()
    found = np.zeros(len(every), np.uint8)
    for mask, bit in (
        (marks() & BLANK != 0, pk.BLANK),
        (word & ~digit, pk.LETTER),
        (digit, pk.DIGIT),
        (np.char.isupper(every), pk.UPPER),
        (np.char.islower(every), pk.LOWER),
    ):
        found[mask] |= bit
    for characters, bit in (
        (OUTSIDE, pk.OUTSIDE),
        (NEVER_FIRST, pk.NEVER_FIRST),
        (CLOSERS, pk.CLOSER),
    ):
        found[[ord(character) for character in characters]] |= np.uint8(bit)
    return found


@cache
def classes() -> "Classes":
    """What each character is to the rules of tokens and to datatrove: bits of `stages.kernels.padding`.

    One more than there are: a quotation mark that opens.
    """
    from stages.kernels import padding as pd
    from stages.kernels.streams import BLANK

    every, word, digit = _characters()
    found = np.append(marks_then(), np.uint8(0)).astype(np.uint32)
    for mask, bit in ((word, pd.WORD), (digit, pd.DIGIT), (marks() & BLANK != 0, pd.SPACE)):
        found[: len(every)][mask] |= np.uint32(bit)
    for characters, bit in (
        (OPENING, pd.OPENING),
        ("`\"'", pd.QUOTES),
        (":,", pd.COLONS),
        (".", pd.FULL_STOP),
        (EARLY, pd.EARLY),
        (LATE, pd.LATE),
        ("-", pd.DASH),
        (BEGIN_WORDS, pd.FIRST),
    ):
        found[[ord(character) for character in characters]] |= np.uint32(bit)
    return found


def _characters() -> tuple[npt.NDArray[np.str_], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Every character; whether it is one of words (re's \\w) and whether a digit (\\d)."""
    every = np.arange(0x110000, dtype=np.uint32).view("U1")
    word = np.char.isalnum(every)
    word[ord("_")] = True
    return every, word, np.char.isdecimal(every)


@cache
def marks_then() -> Bytes:
    """What each character was to datatrove, as `stages.segment.marks` says what it is."""
    from datatrove.utils.text import PUNCTUATION

    from stages.kernels.streams import PLAIN, TERMINAL

    found = (marks() | np.uint8(PLAIN)) & np.uint8(0xFF ^ TERMINAL)
    found[[ord(character) for character in PUNCTUATION]] &= np.uint8(0xFF ^ PLAIN)
    found[[ord(character) for character in STOPS]] |= np.uint8(TERMINAL)
    return found
