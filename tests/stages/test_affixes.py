"""spaCy's rules as automata, against `re` and against spaCy."""

# ruff: noqa: RUF001 -- other scripts

import re
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.affixes import compiled, special_cases
from stages.kernels.affixes import cut_by_rules
from stages.kernels.hashing import string_buffers
from stages.patterns import NotSimpleError, needed
from stages.segment import ByRules, by_rules, segmenter

# What each has of its own: words that expressions tell (fr, hu, tr), a look at what loops (lb, sl), rules
# that begin anywhere (id), infixes without a character (it) or with a loop in a loop (pt), ranges of
# repetition (el).
CODES = ("en", "pt", "es", "de", "fr", "it", "ru", "el", "hu", "id", "lb", "sl", "tr", "xx")
SIGNS = (
    *".,;:!?()[]{}<>\"'`-–—_/\\@#$%&*+=~^|§€£°…“”’‘«»¿¡·。，、（）☃",
    *(
        "...",
        "--",
        "---",
        "''",
        "``",
        "'s",
        "’s",
        "://",
        "www.",
        "US$",
        "km",
        "km²",
        "°C.",
        "GB",
        "a",
        "b",
    ),
    *(
        "Z",
        "É",
        "ß",
        "ж",
        "Я",
        "क",
        "한",
        "ع",
        "ー",
        "1",
        "22",
        "3.5",
        "foo",
        "Bar",
        ".com",
        "d'",
        "l’",
    ),
    *(
        "Á.",
        "e.g.",
        "127.0.0.1",
        "\u200b",
        "\ufeff",
        "\u0301",
        "😀",
        "𝒳",
        "İ",
        "ſ",
        ":)",
        "8-)",
        "<a b>",
    ),
)


class Tokenizer:
    """Rules as a spaCy tokenizer has them."""

    def __init__(self, prefixes: str = "^\0", suffixes: str = "\0$", infixes: str = "\0") -> None:
        self.prefix_search = re.compile(prefixes).search
        self.suffix_search = re.compile(suffixes).search
        self.infix_finditer = re.compile(infixes).finditer
        self.token_match = None
        self.rules: dict[str, object] = {}
        self.find_prefix = self.find_suffix = self.find_infix = None


@cache
def by_infixes(pattern: str) -> ByRules:
    rules, tokenizer = ByRules.__new__(ByRules), Tokenizer(infixes=pattern)
    rules.rules = compiled(tokenizer), special_cases(tokenizer)
    return rules


def cut(rules: ByRules, chunks: list[str]) -> list[list[int] | None]:
    """The characters of the tokens of each chunk, None where the rules do not tell."""
    assert rules.rules
    offsets, data = string_buffers(pa.array(chunks, pa.large_string()))
    counts, sizes = np.full(len(chunks), -1, np.int64), np.empty(len(data), np.int64)
    cut_by_rules(data, offsets[:-1], offsets[1:], *rules.rules, counts, sizes)
    edges = np.cumsum([0, *np.maximum(counts, 0)])
    return [
        None if many < 0 else sizes[first : first + many].tolist()
        for many, first in zip(counts, edges[:-1], strict=True)
    ]


def asked(rules: ByRules, chunks: list[str]) -> list[list[int]]:
    """The same by spaCy."""
    return [[len(token) for token in rules.nlp.tokenizer(chunk)] for chunk in chunks]


@pytest.mark.parametrize("code", CODES)
@given(data=st.data())
@settings(max_examples=20)
def test_cuts_as_spacy_does_where_the_rules_tell(code, data):
    rules = by_rules(code)
    special = [text for text in rules.nlp.tokenizer.rules if not any(map(str.isspace, text))]
    signs = st.one_of(st.sampled_from(SIGNS), st.sampled_from(special))
    chunk = (
        st.lists(signs, min_size=1, max_size=6).map("".join).filter(lambda text: " " not in text)
    )
    chunks = data.draw(st.lists(chunk, min_size=1, max_size=50))

    found, expected = cut(rules, chunks), asked(rules, chunks)
    told = [(chunk, mine, its) for chunk, mine, its in zip(chunks, found, expected, strict=True)
            if mine is not None]  # fmt: skip
    assert [mine for _, mine, _ in told] == [its for _, _, its in told], told


def test_the_rules_tell_of_prose_so_that_spacy_is_not_asked(monkeypatch):
    def refuse(*_: object) -> None:
        raise AssertionError("spaCy was asked")

    monkeypatch.setattr(ByRules, "_ask", refuse)
    text = (
        "“Don't!” she said (in 1999), for £3.50: it's 20km—or more... U.S.-made; e.g. well-known."
    )
    for code, prose in (("en", text), ("pt", "O guarda-chuva d'água, que custou R$ 3,50 (três)!")):
        rules = by_rules(code)
        rules.forget()
        offsets, data = string_buffers(pa.array([prose], pa.large_string()))
        rules.cut(data, offsets)


@pytest.mark.parametrize(
    "pattern",
    [
        r",,+|…|(?<=[0-9])[+\-*^](?=[0-9-])|(?<=[a-z]),(?=[A-Z])|(?<=[a-z])(?:-|--|---)(?=[a-z])",
        r"(?<=[a-z]')(?=[a-z])|'",
        r"(\w+-\w+(-\w+)*)|-",
        r"a{1,3},|[^a-]b?\d|\+(?![0-9])|(?<!a)b",
        r"(?:ab|a)(?:c|bcd)?",
    ],
)
@given(text=st.text(st.sampled_from("ab-',+0AZ…cdé"), min_size=1, max_size=12))
def test_an_automaton_finds_what_the_expression_finds(pattern, text):
    expected, last = [], 0
    for match in re.finditer(pattern, text):
        if match.start() > 0:
            expected += [match.start() - last, match.end() - match.start()]
            last = match.end()
    expected = [size for size in [*expected, len(text) - last] if size]

    assert cut(by_infixes(pattern), [text]) == [expected]


@pytest.mark.parametrize(
    ("pattern", "points"),
    [
        (r"\(|\[", "([" ),
        (r"(?<=[0-9])(?:km|kg)", "0123456789"),
        (r"'s|’s", "'’"),
        (r"(?<=[a-z])\.(?=[A-Z])", "."),
        (r"[a-z]+", ""),
        (r"(?:-)?ish", ""),
        (r"\(|ish", ""),
        (r"[^0-9]", ""),
        (r"(?<!\()x", ""),
    ],
)  # fmt: skip
def test_knows_what_a_match_has_to_have_besides_letters(pattern, points):
    found = {chr(point) for first, last in needed(pattern) for point in range(first, last + 1)}

    assert found == set(points)


def test_a_rule_that_is_no_simple_alternative_is_left_to_spacy_where_it_may_match():
    odd = compiled(Tokenizer(infixes=r"-|=(?:ab|c)+="))
    plain = compiled(Tokenizer(infixes=r"-"))

    assert odd.flags[odd.kinds[ord("=")]]
    assert not plain.flags[plain.kinds[ord("=")]]


def test_a_rule_that_letters_may_match_and_that_is_not_simple_is_refused():
    with pytest.raises(NotSimpleError):
        compiled(Tokenizer(infixes=r"-|(?:ab|c)+"))
    with pytest.raises(NotSimpleError):
        compiled(Tokenizer(prefixes=r"^-|x"))


def test_without_automata_spacy_is_asked_and_says_the_same():
    text = ["The dog can't bark, U.S. and 3.5 (well) said.", "A dog-house, isn't it?"]
    offsets, data = string_buffers(pa.array(text, pa.large_string()))
    expected = segmenter("en").cut(data, offsets)
    alone = ByRules(by_rules("en").nlp)
    alone.rules = None

    assert all(
        np.array_equal(a, b) for a, b in zip(alone.cut(data, offsets), expected, strict=True)
    )
