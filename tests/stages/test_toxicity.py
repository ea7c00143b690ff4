"""Bad words by language, against the regular expressions of C4."""

import re

import pytest

from stages.base import part
from stages.config import load_step
from stages.errors import SpecError
from stages.toxicity import BadWords, bad_words
from tests.stages.barriers import documents

UNSPACED = ("ja", "th", "zh")


def rows(texts, languages):
    return documents(texts, language=languages)


def judged(step, batch):
    kept, left, _ = part(step(batch))
    return kept["id"].to_pylist(), left.to_pylist() if left is not None else []


def test_there_are_lists_for_28_languages_without_the_exceptions_of_c4():
    lists = dict(bad_words())
    assert len(lists) == 28
    assert sum(len(words) for words in lists.values()) == 2666 - 4
    assert "性" not in lists["zh"].to_pylist()


@pytest.mark.parametrize("language", [language for language, _ in bad_words()])
def test_verdicts_are_those_of_c4(language):
    """Each word of the list alone, between others, in brackets, on a line, and within another.

    A sign that is no word, as an emoji, is found within one too: C4 wants blanks around it.
    """
    words = dict(bad_words())[language].to_pylist()
    lowered = [word.lower() for word in words]
    pattern = "|".join(map(re.escape, lowered))
    spaced = language not in UNSPACED
    expected = re.compile(rf"(?:\W|^)(?:{pattern})(?:\W|$)" if spaced else pattern)
    forms = ("{}", "xyz {}, xyz", "xyz({}) xyz", "XYZ\n{}", *(("q{}q",) if spaced else ()))
    signs = {word for word in words if not any(map(str.isalnum, word))}
    texts = [
        form.format(word.upper())
        for word in words
        for form in (forms[:4] if word in signs else forms)
    ]
    found = BadWords()(rows(texts, [language] * len(texts)))["bad_words"].to_numpy() > 0

    assert found.tolist() == [bool(expected.search(text.lower())) for text in texts]


def test_only_the_words_of_the_own_language_count_and_others_are_not_judged():
    texts = ["o pinto", "the pinto", "", "o pinto", "o pinto"]
    out = BadWords()(rows(texts, ["pt", "en", "pt", "xx", None]))

    assert out["bad_words"].to_pylist() == [1, 0, 0, None, None]
    assert out["dropped"].to_pylist() == ["toxicity.bad_words", *[None] * 4]
    assert out["value"].to_pylist()[0] == 1
    assert out.schema.field("bad_words") == BadWords().adds[0]


def test_a_share_of_what_would_leave_stays_the_same_share_every_time():
    batch = rows(["o pinto"] * 1000, ["pt"] * 1000)
    kept = {share: set(judged(BadWords(keep=share), batch)[0]) for share in (0, 0.1, 0.5, 1)}

    assert not kept[0]
    assert len(kept[1]) == 1000
    assert 60 < len(kept[0.1]) < 140
    assert kept[0.1] < kept[0.5]
    assert kept[0.1] == set(judged(BadWords(keep=0.1), batch.slice(500))[0]) | set(
        judged(BadWords(keep=0.1), batch.slice(0, 500))[0]
    )


def test_own_lists_take_the_place_of_ours(tmp_path):
    (tmp_path / "pt.txt").write_text("chato\n")
    step = BadWords(lists=str(tmp_path), at_most=1)
    step.check()

    assert judged(step, rows(["chato", "chato, chato", "pinto"], ["pt"] * 3))[0] == ["d0", "d2"]
    with pytest.raises(SpecError, match="expected a folder"):
        BadWords(lists=str(tmp_path / "pt.txt")).check()
    with pytest.raises(SpecError, match="keep"):
        load_step({"stages.toxicity.BadWords": {"keep": 2}}, "here")
