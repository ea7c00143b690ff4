"""Bounds by language out of what a run measured."""

import json

import pytest
import yaml

from deploy.cli import main
from pipelines import Flow, Pipeline, Run, Store, run
from pipelines.thresholds import thresholds
from stages.config import load_step
from stages.dedup import ExactDedup
from stages.errors import DataError, SpecError
from stages.language import LanguageFilter
from stages.quality import GopherQuality
from stages.read import Jsonl
from tests.documents import ENGLISH, PORTUGUESE

OFF = dict.fromkeys(GopherQuality().senses)


def prose(language, words):
    text = (ENGLISH if language == "en" else PORTUGUESE).split()
    return " ".join(text[at % len(text)] for at in range(words))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A run over English documents of 30 to 129 words, Portuguese ones of 60 to 258, ten German."""
    home = tmp_path_factory.mktemp("thresholds")
    rows = [("en", 30 + at) for at in range(100)] + [("pt", 60 + 2 * at) for at in range(100)]
    texts = [prose(*row) for row in rows]
    texts += [
        f"Der Fuchs springt über den Hund und das Haus ist {'sehr ' * at}alt" for at in range(9)
    ]
    lines = [json.dumps({"id": str(at), "text": text}) for at, text in enumerate(texts)]
    (home / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    steps = [
        LanguageFilter(languages=("en", "pt", "de"), score=0),
        ExactDedup(),  # a barrier: the filter is in another pass than the one that names languages
        GopherQuality(**{**OFF, "words": (40, 120)}),
    ]
    flows = {"crawl": Flow([Jsonl(paths=str(home / "rows.jsonl"))], steps)}
    run(Pipeline("bounds", flows), str(home / "store"))
    return str(home / "store")


def proposals(store, **how):
    ((flow, step, found),) = thresholds(Run.open(Store(store), "latest"), **how)
    assert (flow, type(step)) == ("crawl", GopherQuality)
    return {made.language: made for made in found}


def test_a_bound_loses_as_large_a_share_as_in_the_language_it_is_compared_with(store):
    found = proposals(store, least=50)

    assert set(found) == {"pt"}  # English loses ten documents below and nine above; German has nine
    assert found["pt"].bounds == {"words": (80, 240)}
    assert found["pt"].documents == 100
    assert (found["pt"].then, found["pt"].now) == (pytest.approx(0.81), pytest.approx(0.31))


def test_a_given_share_stays_in_every_language(store):
    found = proposals(store, keep=0.8, least=50)

    assert {name: made.bounds["words"] for name, made in found.items()} == {
        "en": (40, 119),
        "pt": (80, 238),
    }
    assert found["en"].then == pytest.approx(0.8)


def test_a_bound_that_nothing_breaks_is_left_alone(store):
    found = proposals(store, like="de", least=9)

    assert found["en"].bounds.keys() <= {"words"}
    assert all(made.bounds.get("words", (0, 120))[1] == 120 for made in found.values())


def test_a_language_with_too_few_documents_cannot_be_compared_with(store):
    with pytest.raises(DataError, match=r"9 documents in 'de' .* fewer than 50; .*\(en, pt\)"):
        proposals(store, like="de", least=50)
    with pytest.raises(SpecError, match="--keep: expected a share above 0 and below 1, got 95"):
        proposals(store, keep=95)


def test_the_command_prints_what_a_recipe_takes(store, capsys):
    assert main(["thresholds", "bounds", "--store", store, "--least", "50"]) == 0

    printed = capsys.readouterr().out
    ((step,),) = [yaml.safe_load(printed)]
    rules = load_step(step, "f")
    assert rules.by_language == {"pt": {"words": (80, 240)}}
    assert "# 100 documents: 81.0% stay, now 31.0%" in printed
