"""Bounds by language, and what else all filters share."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pytest

from stages.config import load_step
from stages.errors import SpecError
from stages.filter import AtLeast, AtMost, Between, Filter
from stages.kernels.stopwords import languages
from stages.measure import MEASURES
from stages.quality import GopherQuality, GopherRepetition, RedPajamaQuality


@dataclass(frozen=True, kw_only=True)
class Sizes(Filter):
    """Three rules to try."""

    family = "sizes"
    NATIVE: ClassVar = {"zh": {"words": (90, None), "digits": None}, "th": {"words": None}}

    words: Between | None = (50, 100)
    digits: AtMost | None = 0.5
    stop_words: AtLeast | None = 2


def judged(rules, rows, **columns):
    """(reason, value) of documents with these numbers of words, few digits and a stop word."""
    found = rules(
        pa.record_batch(
            {
                "words": pa.array(rows, pa.int64()),
                "digits": pa.array([0.75] * len(rows)),
                "stop_words": pa.array([1] * len(rows), pa.int64()),
                **columns,
            }
        )
    )
    return list(zip(found["dropped"].to_pylist(), found["value"].to_pylist(), strict=True))


def test_a_language_has_bounds_of_its_own_and_the_others_those_of_the_fields():
    rules = Sizes(
        by_language={"pt": {"words": (10, None), "digits": None, "stop_words": 1}}, stop_words=None
    )
    rows = judged(rules, [20, 20, 5, 20, 20], language=["pt", "es", "pt", None, "xx"])

    few, early = ("sizes.words", 20.0), ("sizes.words", 5.0)
    assert rows == [(None, None), few, early, few, few]


def test_rules_that_only_a_language_has_are_measured_too():
    rules = Sizes(words=None, digits=None, stop_words=None, by_language={"pt": {"digits": 0.5}})

    assert (rules.measures, rules.needs) == (("digits",), ("text", "language"))
    assert judged(rules, [1, 1], language=["pt", "en"]) == [("sizes.digits", 0.75), (None, None)]


def test_a_language_in_which_the_own_bounds_mislead_has_others_without_being_asked():
    rules = Sizes(stop_words=None)

    assert rules.needs == ("text",)
    assert judged(rules, [80, 95, 20], language=["zh", "zh", "th"]) == [
        ("sizes.words", 80.0),
        (None, None),
        ("sizes.digits", 0.75),
    ]
    assert judged(rules, [95], language=["en"]) == judged(rules, [95]) == [("sizes.digits", 0.75)]


def test_what_a_recipe_says_goes_before_what_a_filter_has_for_a_language():
    mine = Sizes(stop_words=None, by_language={"zh": {"words": (1, None)}})
    everywhere = Sizes(stop_words=None, words=(60, 100))

    assert judged(mine, [80], language=["zh"]) == [(None, None)]
    assert judged(everywhere, [80, 40], language=["zh", "zh"]) == [
        (None, None),
        ("sizes.words", 40.0),
    ]


@pytest.mark.parametrize("kind", [GopherQuality, GopherRepetition, RedPajamaQuality])
def test_what_a_filter_has_for_a_language_are_rules_of_it(kind):
    for language, own in kind.NATIVE.items():
        assert set(own) <= set(kind().senses), language
    kind().check()
    assert set(kind().measures) <= set(MEASURES)


@pytest.mark.parametrize("language", ["zh", "ja", "th", "lo", "km", "my"])
def test_the_length_of_words_is_not_judged_where_a_word_is_a_letter(language):
    rules = dict.fromkeys(name for name, _, _ in GopherQuality().rules_by_language[language])

    assert "mean_word_length" not in rules
    assert ("stop_words" in rules) == (language in languages())


def test_the_value_of_the_first_broken_rule_is_kept():
    assert judged(Sizes(), [40, 60]) == [("sizes.words", 40.0), ("sizes.digits", 0.75)]


@pytest.mark.parametrize(
    ("by_language", "message"),
    [
        ({"pt": {"word": None}}, r"by_language\.pt\.word: unknown rule; did you mean 'words'"),
        ({"pt": {"words": 3}}, r"by_language\.pt\.words: expected two numbers, got 3"),
        ({"pt": {"stop_words": [1, 2]}}, r"by_language\.pt\.stop_words: expected one number"),
        ({"pt": {"words": [9, 3]}}, r"by_language\.pt\.words: the lower bound 9 is above"),
    ],
)
def test_mistakes_in_bounds_of_a_language_are_named(by_language, message):
    with pytest.raises(SpecError, match=message):
        load_step({"stages.quality.GopherQuality": {"by_language": by_language}}, "f")


def test_the_order_of_languages_does_not_matter():
    first = {"pt": {"digits": None}, "es": {"words": None}}
    rows = [
        judged(Sizes(by_language=own), [20] * 3, language=["pt", "es", "en"])
        for own in (first, dict(reversed(first.items())))
    ]

    assert rows[0] == rows[1]
