"""The tokenizers that datatrove's filters count words with, as streams of tokens over Arrow buffers."""

import codecs
import csv
import unicodedata
from abc import ABC, abstractmethod
from contextlib import suppress
from functools import cache
from itertools import chain, pairwise
from math import log
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from stages.errors import SpecError

if TYPE_CHECKING:
    from stages.kernels.affixes import Rules, Specials
    from stages.kernels.chinese import Dictionary
    from stages.kernels.streams import Stream

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

ENGLISH = "en"  # of documents whose language is not known, as datatrove's filters have it
SLICE = 1 << 19  # bytes of text that are cut at once
TABLE = 4_000_000  # tokens of chunks that a tokenizer keeps, 13 bytes each, before it begins anew
SPELL = 100_000  # characters that spaCy is given at once

# Each byte that is not UTF-8 is one U+FFFD, as the kernels decode; Python takes several for one.
EACH = "each byte"
codecs.register_error(EACH, lambda wrong: ("\ufffd", cast("UnicodeDecodeError", wrong).start + 1))


class Segmenter(Protocol):
    """Cuts texts, given as bytes and where each begins, into a stream of tokens."""

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        """The tokens of each text."""

    def sentences(self, data: Bytes, offsets: Numbers) -> Numbers:
        """How many sentences each text has, at least one."""


@cache
def segmenter(language: str) -> Segmenter:
    """The tokenizer that datatrove assigns to a language; spaCy's for any language if it has none."""
    from datatrove.utils.word_tokenizers import SpaCyTokenizer, load_word_tokenizer
    from spacy.tokenizer import Tokenizer  # type: ignore[import-not-found]

    try:
        theirs = load_word_tokenizer(names().get(language, language))
    except ValueError:
        theirs = SpaCyTokenizer("xx")
    except ImportError as wrong:
        raise SpecError(
            f"mode: datatrove's tokenizer of {language!r} is not there: {wrong}"
        ) from wrong
    if type(theirs) is SpaCyTokenizer:
        if theirs.language == "zh":
            return Chinese()
        if theirs.language == "ja":
            return Japanese()
        if isinstance(theirs.tokenizer.tokenizer, Tokenizer):
            return by_rules(theirs.language)
    return Foreign(theirs)


@cache
def names() -> dict[str, str]:
    """The name that datatrove has for the language that a code of two letters means, as its table marks it.

    Asked for the code itself, datatrove takes the first language of that code in the table: for `zh`
    that is Min Dong, cut at blanks. `cmn_Hani` is cut by jieba.
    """
    from datatrove.utils._import_utils import ASSETS_PATH

    with open(Path(ASSETS_PATH) / "tokenizer_assignment.csv", encoding="utf-8") as file:
        return {
            row["code_1"]: f"{row['code_3']}_{row['script']}"
            for row in csv.DictReader(file)
            if row["default_code_1"] == row["default_script"] == "TRUE" and row["type"]
        }


@cache
def by_rules(code: str) -> "ByRules":
    """The tokenizer of a spaCy language, one for all languages that are cut alike."""
    import spacy

    nlp: Any = spacy.blank(code)
    # What else spaCy would find out about each new token, in Python: half of the time it takes.
    nlp.vocab.lex_attr_getters = {}
    return ByRules(nlp)


@cache
def marks() -> Bytes:
    """What each character is to datatrove and spaCy: bits of `stages.kernels.streams`."""
    from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
    from spacy.pipeline import Sentencizer

    from stages.kernels import characters as ch
    from stages.kernels import streams as st

    kinds = ch.table() & np.uint32((1 << ch.CLASS_BITS) - 1)
    found = np.full(ch.SIZE, st.PLAIN, np.uint8)
    for ours, bit in (
        (ch.ALPHABETIC, st.LETTER),
        (ch.SPACE, st.BLANK),
        (ch.LINE_END, st.LINE_END),
        (ch.DIGIT, st.DIGIT),
    ):
        found |= ((kinds & np.uint32(ours)) != 0).astype(np.uint8) * np.uint8(bit)
    points = np.array([unicodedata.category(chr(point))[0] == "P" for point in range(ch.SIZE)])
    found |= points.astype(np.uint8) * np.uint8(st.PUNCTUATION)
    for characters, bit in ((TERMINAL_PUNCTUATION, st.TERMINAL), (_stops(Sentencizer), st.STOP)):
        found[[ord(character) for character in characters]] |= np.uint8(bit)
    found[[ord(character) for character in PUNCTUATION_SET]] &= np.uint8(0xFF ^ st.PLAIN)
    return found


def _stops(sentencizer: Any) -> list[str]:
    return [character for character in sentencizer.default_punct_chars if len(character) == 1]


class _Sentencized(ABC):
    """Counts sentences as spaCy's sentencizer does over the tokens of `cut`."""

    @abstractmethod
    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        """The tokens of each text."""

    def sentences(self, data: Bytes, offsets: Numbers) -> Numbers:
        from stages.kernels.streams import count_sentences

        out = np.empty(len(offsets) - 1, np.int64)
        count_sentences(self.cut(data, offsets), out)
        return out


class ByRules(_Sentencized):
    """A spaCy tokenizer that cuts each white-space chunk by rules, with a table of what became of it.

    What becomes of a chunk is the same wherever it stands (but for emoticons whose halves stand in
    two chunks), so the table changes the speed and nothing else. A new chunk is cut by a kernel that
    knows spaCy's rules; where they do not tell, spaCy is asked.
    """

    def __init__(self, nlp: Any) -> None:
        from stages.affixes import compiled, special_cases
        from stages.patterns import NotSimpleError

        self.nlp = nlp
        self.rules: tuple[Rules, Specials] | None = None
        with suppress(NotSimpleError):
            self.rules = compiled(nlp.tokenizer), special_cases(nlp.tokenizer)
        self.forget()

    def forget(self) -> None:
        """Begin anew with an empty table."""
        from stages.kernels.chunks import Kept

        self.keys, self.places = np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.int64)
        size = 1 << 16
        self.room = Kept(
            np.zeros(size, np.int64),
            np.zeros(size, np.uint64),
            np.zeros(size, np.int32),
            np.zeros(size, np.uint8),
        )
        self.chunks = self.tokens = 0

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        from stages.kernels.chunks import cut_chunks, enter, look_up, stream_of

        if self.tokens > TABLE:
            self.forget()
        chunks = cut_chunks(data, offsets, marks())
        if len(self.keys) < 2 * (self.chunks + len(chunks.codes)):
            old = self.keys, self.places
            size = 1 << int(4 * (self.chunks + len(chunks.codes))).bit_length()
            self.keys, self.places = np.zeros(size, np.uint64), np.zeros(size, np.int64)
            enter(self.keys, self.places, *old)
        found = np.empty(len(chunks.codes), np.int64)
        fresh = look_up(chunks.codes, self.keys, self.places, self.chunks, found)
        self._learn(data, chunks.begins[fresh], chunks.ends[fresh])
        return stream_of(found, chunks.starts, self.room)

    def _learn(self, data: Bytes, begins: Numbers, ends: Numbers) -> None:
        """Append the tokens of chunks that are not in the table."""
        from stages.kernels.affixes import cut_by_rules
        from stages.kernels.chunks import describe_chunks

        counts, sizes = np.full(len(begins), -1, np.int64), np.zeros(0, np.int64)
        if self.rules:
            sizes = np.empty(int((ends - begins).sum()), np.int64)
            sizes = sizes[: cut_by_rules(data, begins, ends, *self.rules, counts, sizes)]
        asked = np.flatnonzero(counts < 0)
        if len(asked):
            known = counts >= 0
            counts[asked], theirs = self._ask(data, begins[asked], ends[asked])
            known, ours = np.repeat(known, counts), sizes
            sizes = np.empty(len(known), np.int64)
            sizes[known], sizes[~known] = ours, theirs
        self._append(describe_chunks(data, begins, ends, sizes, marks()))

    def _ask(self, data: Bytes, begins: Numbers, ends: Numbers) -> tuple[Numbers, Numbers]:
        """How many tokens spaCy makes of each chunk, and their characters; it cuts many at a time."""
        texts = [
            data[begin:end].tobytes().decode("utf-8", EACH)
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
        counts, sizes, first = [], [], 0
        while first < len(texts):
            last, size = first, 0
            while last < len(texts) and size < SPELL:
                size += len(texts[last]) + 1
                last += 1
            some = self._ask_at_once(texts[first:last])
            counts.append(some[0])
            sizes.append(some[1])
            first = last
        return np.concatenate(counts), np.concatenate(sizes)

    def _ask_at_once(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        from spacy.attrs import LENGTH  # type: ignore[import-not-found]

        with self.nlp.memory_zone():
            # spaCy fails on the name of its first symbol; another of its form is cut alike.
            text = "\n".join(texts).replace("IS_ALPHA", "IS_ALPHB")
            every = self.nlp.tokenizer(text).to_array([LENGTH]).astype(np.int64).ravel()
        # The line feed between two chunks is a token of its own: the one that begins at its place.
        places = np.cumsum(every) - every
        feeds = np.searchsorted(places, np.cumsum([len(text) + 1 for text in texts[:-1]]) - 1)
        edges = np.array([-1, *feeds, len(every)])
        return np.diff(edges) - 1, np.delete(every, feeds)

    def _append(self, made: Any) -> None:
        many, tokens = len(made.firsts) - 1, len(made.hashes)
        room = self.room
        if self.chunks + many + 1 > len(room.firsts) or self.tokens + tokens > len(room.hashes):
            size = 2 * max(self.chunks + many + 1, self.tokens + tokens)
            self.room = room = type(room)(
                np.resize(room.firsts, size),
                np.resize(room.hashes, size),
                np.resize(room.lengths, size),
                np.resize(room.flags, size),
            )
        room.firsts[self.chunks : self.chunks + many + 1] = made.firsts + self.tokens
        new = slice(self.tokens, self.tokens + tokens)
        room.hashes[new], room.lengths[new] = made.hashes, made.lengths
        room.flags[new] = made.flags
        self.chunks += many
        self.tokens += tokens


class Chinese(_Sentencized):
    """jieba with spaCy around it."""

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        from stages.kernels.chinese import cut_chinese
        from stages.kernels.streams import spell

        begins, ends, starts = cut_chinese(data, offsets, marks(), dictionary())
        return spell(data, begins, ends, marks(), starts)


@cache
def dictionary() -> "Dictionary":
    """The words and the model of jieba as arrays."""
    import jieba  # type: ignore[import-untyped]
    from jieba import finalseg

    from stages.kernels.chinese import FIRST_HAN, LAST_HAN, NEVER, Dictionary, table_of

    frequencies, total = jieba.Tokenizer.gen_pfdict(jieba.get_module_res("dict.txt"))
    words = list(frequencies)
    logs = np.array([log(n) - log(total) if n else np.nan for n in frequencies.values()])
    points = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    places = np.cumsum([0, *map(len, words)])
    states = "BMES"
    turn = [[finalseg.trans_P[a].get(b, NEVER) for b in states] for a in states]
    emit = [
        [finalseg.emit_P[state].get(chr(point), NEVER) for state in states]
        for point in range(FIRST_HAN, LAST_HAN + 1)
    ]
    start = [finalseg.start_P[state] for state in states]
    keys, chances = table_of(points, places, logs)
    model = (np.array(start), np.array(turn), np.array(emit))
    return Dictionary(keys, chances, -log(total), *model)


class Japanese(_Sentencized):
    """Sudachi in mode A, as datatrove's copy of spaCy's tokenizer uses it, as kernels."""

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        from stages.kernels.japanese import cut_japanese
        from stages.kernels.streams import spell
        from stages.sudachi import model

        begins, ends, starts = cut_japanese(data, offsets, marks(), *model())
        return spell(data, begins, ends, marks(), starts)


class Foreign:
    """Any other tokenizer of datatrove, asked document by document."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def cut(self, data: Bytes, offsets: Numbers) -> "Stream":
        return spelled([self.tokenizer.word_tokenize(text) for text in _texts(data, offsets)])

    def sentences(self, data: Bytes, offsets: Numbers) -> Numbers:
        spans = [self.tokenizer.span_tokenize(text) for text in _texts(data, offsets)]
        return np.array([max(1, len(found)) for found in spans], np.int64)


def spelled(texts: list[list[str]], known: Bytes | None = None) -> "Stream":
    """The stream of tokens that are strings, by a table like that of `marks`."""
    from stages.kernels.streams import spell

    tokens = [token.encode("utf-8", "replace") for token in chain.from_iterable(texts)]
    data = np.frombuffer(b"".join(tokens), np.uint8)
    places = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
    starts = np.cumsum([0, *map(len, texts)], dtype=np.int64)
    known = marks() if known is None else known
    return spell(data, places[:-1], places[1:], known, starts)


def _texts(data: Bytes, offsets: Numbers) -> list[str]:
    edges = offsets.tolist()
    whole = data[edges[0] : edges[-1]].tobytes()
    first = edges[0]
    return [whole[a - first : b - first].decode("utf-8", EACH) for a, b in pairwise(edges)]
