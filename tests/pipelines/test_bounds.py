"""Thresholds by name, and written into a recipe without touching anything else."""

import os
from difflib import ndiff

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import Pipeline
from pipelines.bounds import amended, read_recipe, setting, with_bounds, write_recipe
from stages.errors import SpecError

RECIPE = """\
# A crawl, and what we learned of it.
name: mine   # short

flows:
  crawl:
    from: [{stages.read.Text: {paths: 'x/*.txt'}}]   # not here yet
    stages:
      - stages.language.LanguageFilter
      - stages.quality.GopherRepetition: {}
      # prose
      - stages.quality.GopherQuality:
          # fifty words at least
          words: [ 50,  100_000 ]   # as Gopher has it
          stop_words:
            2
          mean_word_length:
            - 3   # short
            - 10
          by_language:
            pt: {words: [40, null]}

      # torn pages
      - stages.quality.FineWebQuality   # by itself
      - "stages.quality.GopherQuality": {hashes_per_word: 0.1, by_language: {}}
      - stages.quality.GopherQuality:
      - {stages.quality.FineWebQuality: {short_lines: 0.5, }}
  more: {from: [crawl], stages: [stages.quality.FineWebQuality, stages.quality.GopherQuality: {words: null}]}
# the end"""

NAMES = [
    "crawl.GopherRepetition.top_2_gram",
    "crawl.GopherQuality.words",
    "crawl.GopherQuality.stop_words",
    "crawl.GopherQuality.mean_word_length",
    "crawl.GopherQuality.bulleted_lines",
    "crawl.GopherQuality.by_language.pt.words",
    "crawl.GopherQuality.by_language.pt.stop_words",
    "crawl.GopherQuality.by_language.no.words",
    "crawl.FineWebQuality.short_lines",
    "crawl.FineWebQuality.by_language.en.short_lines",
    "crawl.GopherQuality.2.hashes_per_word",
    "crawl.GopherQuality.2.by_language.pt.hashes_per_word",
    "crawl.GopherQuality.3.words",
    "crawl.GopherQuality.3.by_language.fr.words",
    "crawl.FineWebQuality.2.punctuated_lines",
    "more.FineWebQuality.short_lines",
    "more.GopherQuality.words",
]
TWO = ("words", "mean_word_length")
number = st.one_of(st.integers(0, 10**9), st.floats(0, 1e6, allow_nan=False))
share = st.one_of(st.none(), number)


@st.composite
def bounds_of_the_recipe(draw):
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True))
    found = {}
    for name in names:
        low, high = draw(share), draw(share)
        if None not in (low, high):
            low, high = sorted((low, high))
        two = draw(st.one_of(st.none(), st.just([low, high])))
        found[name] = two if name.rpartition(".")[2] in TWO else low
    return found


@settings(max_examples=30)
@given(bounds=bounds_of_the_recipe(), crlf=st.booleans())
def test_a_recipe_is_amended_to_what_was_meant_and_keeps_every_comment(bounds, crlf):
    text = RECIPE.replace("\n", "\r\n") if crlf else RECIPE
    after = amended(text, "mine.yaml", bounds)
    before = Pipeline.loads(text, "mine.yaml")
    assert Pipeline.loads(after, "mine.yaml") == with_bounds(before, bounds)
    comments = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    left = [line.partition("#")[2] for line in after.splitlines() if "#" in line]
    gone = {" short"} if "crawl.GopherQuality.mean_word_length" in bounds else set()
    assert [c for c in comments if c not in gone] == [c for c in left if c not in gone]
    assert after.count("\n") == after.count("\r\n") if crlf else "\r" not in after


def changes(settings):
    lines = ndiff(RECIPE.splitlines(), amended(RECIPE, "mine.yaml", settings).splitlines())
    return [line for line in lines if line[:1] in "+-"]


def test_only_the_line_of_the_bound_is_another():
    assert changes({"crawl.GopherQuality.words": [40, 100_000]}) == [
        "-           words: [ 50,  100_000 ]   # as Gopher has it",
        "+           words: [40, 100000]   # as Gopher has it",
    ]
    assert changes({"crawl.FineWebQuality.short_lines": 0.6}) == [
        "-       - stages.quality.FineWebQuality   # by itself",
        "+       - stages.quality.FineWebQuality: {short_lines: 0.6}   # by itself",
    ]
    assert changes({"crawl.GopherQuality.bulleted_lines": None}) == [
        "+           bulleted_lines: null",
    ]
    assert changes({"crawl.GopherQuality.by_language.es.stop_words": 3}) == [
        "+             es: {stop_words: 3}",
    ]


@pytest.mark.parametrize(
    "name, bound, message",
    [
        ("craw.GopherQuality.words", [1, 2], "did you mean 'crawl'"),
        ("crawl.GofferQuality.words", [1, 2], "did you mean 'GopherQuality'"),
        ("crawl.GopherQuality.word", [1, 2], "did you mean 'words'"),
        ("crawl.GopherQuality", [1, 2], "has no rule"),
        ("crawl.GopherQuality.words", [9, 2], "above the upper bound"),
        ("crawl.GopherQuality.words", 9, "words"),
        ("crawl.GopherQuality.by_language.pt.words", 9, "expected two numbers"),
        ("crawl.GopherQuality.bulleted_lines", "many", "number"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(name, bound, message):
    with pytest.raises(SpecError, match=message):
        amended(RECIPE, "mine.yaml", {name: bound})


def test_settings_are_read_as_a_recipe_is():
    assert setting("crawl.GopherQuality.words=[40, null]") == (
        "crawl.GopherQuality.words", [40, None],
    )  # fmt: skip
    assert setting("a.B.c = 0.5") == ("a.B.c", 0.5)
    assert setting("a.B.by_language.no.c=null") == ("a.B.by_language.no.c", None)
    for wrong in ("a.B.c", "a.B.c=[1"):
        with pytest.raises(SpecError):
            setting(wrong)


def test_a_recipe_is_replaced_whole_behind_its_link_and_with_its_mode(tmp_path):
    home = tmp_path / "recipes"
    home.mkdir()
    file, link = home / "mine.yaml", tmp_path / "link.yaml"
    file.write_text(RECIPE)
    file.chmod(0o640)
    link.symlink_to(file)
    write_recipe(link, "name: other\r\n")
    assert link.is_symlink()
    assert read_recipe(file) == "name: other\r\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(home) == ["mine.yaml"]
