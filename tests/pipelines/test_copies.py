"""What a run says of copies: in its plan, and in its report."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.pages import report_html
from pipelines import Flow, Pipeline, Store, run
from pipelines.copies import CLIP, difference
from pipelines.forecast import forecast
from pipelines.report import report
from stages.dedup import ExactDedup, MinHashDedup
from stages.errors import SpecError
from stages.read import Jsonl

WORDS = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
PAGE = " ".join(WORDS[:200])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Two files: ten pages of their own, twice each; a page nine times, each with one other word."""
    home = tmp_path_factory.mktemp("copies")
    alone = [" ".join(WORDS[at : at + 30]) for at in range(200, 500, 30)]
    near = [PAGE.replace(WORDS[at * 20 + 5], f"<b>other{at}") for at in range(9)]
    rows = [
        *[{"text": text, "url": f"https://a.org/{at}"} for at, text in enumerate(alone)],
        *[{"text": text, "url": f"https://b.org/{at}"} for at, text in enumerate(alone)],
        *[{"text": text, "url": f"https://c.org/{at}"} for at, text in enumerate(near)],
    ]
    for name, some in (("0", rows[:15]), ("1", rows[15:])):
        lines = "".join(json.dumps(row) + "\n" for row in some)
        (home / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    steps = [ExactDedup(), MinHashDedup(keep="characters")]
    return Pipeline("copies", {"crawl": Flow([Jsonl(paths=str(home / "*.jsonl"))], steps)})


@pytest.fixture(scope="module")
def done(recipe, tmp_path_factory):
    return run(recipe, str(tmp_path_factory.mktemp("store")))


def test_a_plan_tells_what_the_bands_will_find(recipe, tmp_path):
    lines = "\n".join(forecast(recipe, Store(str(tmp_path))))

    assert "MinHashDedup: 14 bands of 8 rows; share of pairs found, by their similarity:" in lines
    assert "0.7: 56.5%, 0.8: 92.4%, 0.85: 98.8%, 0.9: > 99.9%" in lines


def test_the_report_has_the_clusters_with_their_members_and_where_they_differ(done):
    exact, near = report(done)["flows"][0]["copies"]

    assert (exact["stage"], exact["copies"], exact["sizes"]) == ("ExactDedup", 10, {"2": 10})
    assert exact["domains"] == [{"name": "b.org", "in": 10, "copies": 10}]
    assert exact["sources"] == [{"name": "jsonl", "in": 29, "copies": 10, "elsewhere": 0}]
    assert (near["stage"], near["copies"], near["sizes"]) == ("MinHashDedup", 8, {"8": 1})
    assert near["domains"] == [{"name": "c.org", "in": 9, "copies": 8}]
    assert near["compared"] == near["alike"] == 8
    assert sum(near["by_similarity"]) == 8
    assert near["giant"] == {"size": 9, "leave": 8}
    [cluster] = near["largest"]
    assert cluster["size"] == 9
    assert cluster["url"].startswith("https://c.org/")
    for copy in cluster["copies"]:
        assert 0.85 < copy["similarity"] < 1
        different = [pair for pair in copy["segments"] if pair[0] != pair[1]]
        assert any("other" in side for pair in different for side in pair)
    counted = {stage["stage"]: stage["dropped"] for stage in report(done)["flows"][0]["stages"]}
    assert sum(counted["MinHashDedup"].values()) == near["copies"]


def test_a_report_says_which_copies_of_a_crawl_are_of_another_crawl(tmp_path):
    texts = {
        "spring": ["um", "um", "dois"],
        "spring/b": ["dois"],
        "autumn": ["três", "um", "três", "dois"],
    }
    for name, some in texts.items():
        path = tmp_path / f"{name.replace('/', '-')}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in some))
    sources = [
        Jsonl(paths=str(tmp_path / f"{name.replace('/', '-')}.jsonl"), name=name) for name in texts
    ]
    done = run(Pipeline("crawls", {"all": Flow(sources, [ExactDedup()])}), str(tmp_path / "store"))

    [exact] = report(done)["flows"][0]["copies"]

    assert exact["sources"] == [
        {"name": "autumn", "in": 4, "copies": 3, "elsewhere": 2},
        {"name": "spring", "in": 3, "copies": 1, "elsewhere": 0},
        {"name": "spring/b", "in": 1, "copies": 1, "elsewhere": 1},
    ]
    page = report_html(report(done))
    assert '<th class="n">of another source</th>' in page


def test_the_page_shows_them_and_runs_nothing_of_them(done):
    page = report_html(report(done))

    assert "The largest clusters" in page
    assert "<mark>" in page
    assert "<b>other" not in page


@given(st.text("ab \n", max_size=60), st.text("ab \n", max_size=60))
def test_segments_put_together_are_the_texts(kept, copy):
    found = difference(kept, copy)
    sides = ["".join(pair[side] for pair in found["segments"]) for side in (0, 1)]

    assert [kept[found["skipped"] :], copy[found["skipped"] :]] == sides
    assert not found["more"]


def test_a_difference_far_behind_is_what_is_shown_and_no_text_takes_long():
    a, b = f"{PAGE * 50} end of one", f"{PAGE * 50} end of another"
    found = difference(a, b)
    assert found["skipped"] > len(PAGE) * 49
    assert ["one", "another"] in [[side.strip() for side in pair] for pair in found["segments"]]

    start = time.process_time()
    for text in ("a b " * 100_000, "\n" * 1_000_000, "x" * 1_000_000, "ab" * 500_000):
        shown = difference(text, text[::-1] + "c")
        assert sum(len(side) for pair in shown["segments"] for side in pair) <= 2 * CLIP
    assert time.process_time() - start < 20


def test_a_column_that_nobody_adds_is_named_before_any_work(recipe):
    source = recipe.flows["crawl"].inputs
    assert Pipeline("p", {"crawl": Flow(source, [ExactDedup(keep="words")])}).order() == ["crawl"]

    with pytest.raises(SpecError, match="needs the column 'quality', which no step before it adds"):
        Pipeline("p", {"crawl": Flow(source, [MinHashDedup(keep="quality")])})
