"""What other thresholds would have kept, against a second run that has them."""

import re
import sys
from itertools import chain

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.cli import main
from deploy.story import example
from pipelines import Flow, Pipeline, Store, run
from pipelines.audit import explain
from pipelines.bounds import with_bounds
from pipelines.outlook import Outlook
from pipelines.report import report
from pipelines.sampling import Wanted, sample
from pipelines.tuning import Tuning
from stages.clean import NormalizeText
from stages.errors import DataError, SpecError
from stages.pack import Pack
from stages.read import Jsonl
from stages.tokens import Tokenize, TrainTokenizer
from tests.tuned import write_recipe, write_texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def recipe(texts):
    return write_recipe(texts)


@pytest.fixture(scope="module")
def done(recipe, tmp_path_factory):
    return run(Pipeline.load(recipe), str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def outlook(done):
    return Outlook(Tuning.open(done, "crawl"))


def stages(done, flow="crawl"):
    (found,) = [f for f in report(done)["flows"] if f["name"] == flow]
    return found["stages"]


def passed(done, flow="crawl"):
    """How many documents every filter let through, in order."""
    return [
        s["out"]
        for s in stages(done, flow)
        if "Quality" in s["stage"] or "Repet" in s["stage"]
        if "C4" not in s["stage"]
    ]


WORDS = "crawl.GopherQuality.words"
MOVES = {
    "tightened": {WORDS: [80, 100_000]},
    "tightened behind a stage that rewrites": {"crawl.GopherQuality.2.words": [150, None]},
    "for one language": {"crawl.GopherQuality.by_language.pt.words": [120, None]},
    "off": {"crawl.GopherQuality.by_language.es.words": None},
    "loosened": {WORDS: [5, None]},
    "loosened at the last filter": {"crawl.GopherQuality.2.words": [1, None]},
    "several": {
        WORDS: [5, 200], "crawl.GopherRepetition.duplicate_lines": 0.05,
        "crawl.FineWebQuality.repeated_line_characters": 0.0, "crawl.GopherQuality.by_language.en.words": [90, None],
    },
}  # fmt: skip


@pytest.mark.parametrize("moves", MOVES.values(), ids=MOVES)
def test_what_a_filter_would_pass_is_what_it_passes_in_a_run(done, outlook, moves):
    """The strongest claim: a second run with the new thresholds has these very numbers."""
    said = outlook.numbers(moves)
    again = run(with_bounds(done.pipeline(), moves), done.store)
    real = passed(again)
    assert [f["now"] for f in said["filters"]] == passed(done)
    for filtered, out in zip(said["filters"], real, strict=True):
        assert filtered["new"] <= out <= filtered["new"] + filtered["unjudged"], filtered["name"]
    assert [f["unjudged"] for f in said["filters"]][:2] == [0, 0]
    changed = said["lost"] + said["goes_on"]["documents"]
    assert changed, "the move should change something"
    dropped = {rule.reason: [0, 0] for rule in outlook.tuning.rules}
    for rule, counts in zip(outlook.tuning.rules, said["rules"], strict=True):
        dropped[rule.reason][0] += counts["now"]
        dropped[rule.reason][1] += counts["new"]
    for which, one in enumerate((done, again)):
        real_dropped = {}
        for stage in stages(one):
            for reason, many in stage["dropped"].items():
                real_dropped[reason] = real_dropped.get(reason, 0) + many
        known = {reason: pair[which] for reason, pair in dropped.items() if pair[which]}
        if which == 0 or not said["goes_on"]["documents"]:
            assert known == {r: n for r, n in real_dropped.items() if r in dropped}


def test_kept_is_exact_when_a_last_filter_moves(done):
    """No stage is behind it, so nothing goes on: by language too, with bounds of a language."""
    outlook = Outlook(Tuning.open(done, "last"))
    for moves in (
        {"last.FineWebQuality.short_lines": 0.9},
        {"last.FineWebQuality.short_lines": 0.01},
        {"last.FineWebQuality.by_language.pt.short_lines": 0.05},
        {"last.FineWebQuality.punctuated_lines": 0.99},
    ):
        said = outlook.numbers(moves)
        again = run(with_bounds(done.pipeline(), moves), done.store)
        assert said["goes_on"]["documents"] == 0
        assert said["new"]["documents"] == stages(again, "last")[-1]["out"]
        assert said["new"]["bytes"] == stages(again, "last")[-1]["bytes_out"]
        kept = [
            documents(done.store, key)
            for s, _ in again.walked()
            if s["flow"] == "last"
            for key in s["keys"]
        ]
        for row in said["languages"]:
            assert row["new"] == sum(
                part["language"].to_pylist().count(row["name"]) for part in kept
            )
        assert sum(row["new"] for row in said["domains"]) == said["new"]["documents"]


def documents(store, key):
    return pq.read_table(store.open(key, "documents.parquet"))


def test_a_measure_that_is_taken_twice_has_two_columns(done):
    """Each is of one text: the one before C4Quality rewrote it, and the one after."""
    stretch = next(s for s, _ in done.walked() if s["flow"] == "crawl")
    seen = 0
    for key in stretch["keys"]:
        rows = pq.read_table(done.store.open(key, "features.parquet")).to_pylist()
        later = {
            r["id"]: len(r["text"].split("\n")) for r in documents(done.store, key).to_pylist()
        }
        for row in rows:
            if row["stage"] in ("GopherRepetition", "GopherQuality", "C4Quality"):
                assert row["words.2"] is None
                assert row["words"] is not None
            elif row["verdict"] == "kept":
                assert row["words.2"] <= row["words"]
                seen += row["words.2"] < row["words"]
                assert later[row["id"]]
    assert seen
    assert {"words", "words.2"} <= {d["measure"] for d in report(done)["flows"][0]["distributions"]}
    assert "words.2" not in documents(done.store, stretch["keys"][0]).column_names
    assert not [n for n in documents(done.store, stretch["keys"][0]).column_names if "@" in n]


def test_a_story_tells_the_bounds_of_the_documents_language(done):
    one = sample(done, Wanted(reason="gopher.words", language="es"), 1)[0]
    (chapter,) = explain(done, one["id"])
    assert chapter["measures"]["words"]["rule"][:2] == ("gopher", 60)


def test_features_know_the_language_in_every_flow_behind_the_one_that_named_it(done):
    for stretch, _ in done.walked():
        for key in stretch["keys"]:
            known = pq.read_table(done.store.open(key, "features.parquet"))
            if known.num_rows and stretch["flow"] == "last":
                assert set(known["language"].to_pylist()) <= {"pt", "en", "es"}


@settings(max_examples=25)
@given(
    words=st.tuples(st.integers(0, 200), st.one_of(st.none(), st.integers(200, 900))),
    lines=st.floats(0, 1),
    number=st.integers(1, 20),
)
def test_nobody_is_counted_twice_or_lost(outlook, words, lines, number):
    moves = {WORDS: list(words), "crawl.GopherRepetition.duplicate_lines": lines}
    said = outlook.numbers(moves, [number])
    assert said["now"]["documents"] + said["won"] - said["lost"] == said["new"]["documents"]
    for group in ("languages", "domains"):
        for side in ("now", "new"):
            assert sum(row[side] for row in said[group]) == said[side]["documents"]
        assert sum(row["goes_on"] for row in said[group]) == said["goes_on"]["documents"]
    histogram = said["histograms"][number]
    column = outlook.tuning.rules[number - 1].column
    measured = outlook.base.execute(f"SELECT count({column}) FROM docs").fetchall()[0][0]
    assert sum(chain(*histogram.values())) == measured
    assert min(chain(*histogram.values())) >= 0


def test_documents_beside_the_line_are_the_nearest_that_it_alone_decides(done, outlook):
    number = next(n for n, r in enumerate(outlook.tuning.rules, 1) if r.reason == "gopher.words")
    moves = {WORDS: [70, 100_000]}
    outside = outlook.documents(moves, "outside", number, "pt", 5)
    inside = outlook.documents(moves, "inside", number, "pt", 5)
    assert outside
    assert inside
    assert {row["language"] for row in outside + inside} == {"pt"}
    values = [row["value"] for row in outside]
    assert values == sorted(values, reverse=True)
    assert all(value < 70 for value in values)
    assert all(row["new"] == "gopher.words" for row in outside)
    assert all(row["kept"] for row in inside)
    assert all(row["text"] for row in outside + inside)
    others = outlook.tuning.fate({WORDS: None})
    for row in outside:
        query = f"SELECT {others} <= 0 FROM docs WHERE id = $1"
        assert outlook.base.execute(query, [row["id"]]).fetchall() == [(True,)]
    for row in outlook.documents(moves, "lost", number, many=50):
        assert (row["now"], row["new"]) == ("kept", "gopher.words")
    wider = {WORDS: [5, None]}
    assert {row["new"] for row in outlook.documents(wider, "won", number, many=50)} == {"goes on"}


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(reason="gopher.words", near=29),
        Wanted(stage="C4Quality"),
        Wanted(language="pt", verdict="kept", flow="last"),
        Wanted(verdict="kept", reason="gopher.words", near=45, flow="crawl"),
        Wanted(verdict="quarantined"),
    ],
)
def test_examples_are_what_was_asked_for_and_the_same_every_time(done, wanted):
    found = sample(done, wanted, 4)
    assert found == sample(done, wanted, 4)
    assert bool(found) == (wanted.verdict != "quarantined")
    for row in found:
        assert row["text"]
        assert wanted.verdict != "dropped" or row["rule"]
        assert wanted.stage in (None, row.get("stage"))
        assert wanted.language in (None, row["language"])
        assert (row.get("measured") is not None) == bool(wanted.verdict == "kept" and wanted.reason)
        if wanted.reason and wanted.verdict == "dropped":
            assert (row["rule"], row["bound"][0]) in {
                ("gopher.words", 30),
                ("gopher.words", 60),
                ("gopher.words", 45),
            }
    if wanted.near is not None:
        apart = [abs(row["value"] - wanted.near) for row in found]
        assert apart == sorted(apart)


def test_examples_of_what_is_not_there_say_what_is(done):
    with pytest.raises(DataError, match="there are .*crawl"):
        sample(done, Wanted(flow="crwl"))
    with pytest.raises(DataError, match=r"no reason 'gopher.word'; there are .*gopher.words"):
        sample(done, Wanted(reason="gopher.word"))


def test_a_document_kept_is_shown_with_the_measure_and_the_bounds_it_was_judged_by(done):
    wanted = Wanted(verdict="kept", reason="gopher.words", near=45, flow="crawl")
    shown = example(sample(done, wanted, 1)[0]).splitlines()[1]

    assert re.fullmatch(r"  crawl: kept; gopher.words = \d+ \(bound: .*\d+\)", shown)


def test_a_bound_of_the_wrong_shape_is_named_once(outlook):
    with pytest.raises(SpecError, match=r"^crawl\.GopherQuality\.words: expected a list"):
        outlook.numbers({"crawl.GopherQuality.words": 40})


def test_a_rule_that_was_not_measured_is_not_guessed(done, outlook):
    with pytest.raises(SpecError, match="did not measure 'stop_words'"):
        outlook.numbers({"crawl.GopherQuality.2.stop_words": 3})


def test_tokens_are_estimated_by_what_a_flow_behind_packed(recipe, done):
    packed = {
        "tokenizer": Flow(["crawl"], [TrainTokenizer(vocabulary=300)]),
        "packed": Flow(
            ["crawl"], [Tokenize(tokenizer="flow:tokenizer/tokenizer.json"), Pack(length=64)]
        ),
    }
    pipeline = Pipeline("packed", {**Pipeline.load(recipe).flows, **packed})
    again = run(pipeline, done.store)
    said = Outlook(Tuning.open(again, "crawl")).numbers({WORDS: [80, None]})
    (counts,) = [f["counts"] for f in report(again)["flows"] if f["name"] == "packed"]
    assert said["now"]["tokens"] == counts["tokens"]
    assert 0 < said["new"]["tokens"] < counts["tokens"]


def test_an_object_store_is_tuned_and_sampled_alike(recipe, done, outlook, s3):
    remote = run(Pipeline.load(recipe), Store(f"{s3}-tuning"))
    assert Outlook(Tuning.open(remote, "crawl")).numbers({WORDS: [80, None]}, [14]) == (
        outlook.numbers({WORDS: [80, None]}, [14])
    )
    wanted = Wanted(reason="gopher.words")
    assert sample(remote, wanted) == sample(done, wanted)


def test_a_flow_without_filters_has_nothing_to_tune(texts, tmp_path):
    flow = Flow([Jsonl(paths=f"{texts}/*.jsonl")], [NormalizeText()])
    done = run(Pipeline("plain", {"crawl": flow}), str(tmp_path / "store"))
    with pytest.raises(DataError, match="no filter"):
        Tuning.open(done, "crawl")


def test_the_extra_that_is_missing_is_named(done, monkeypatch, capsys):
    for missing in ("duckdb", "uvicorn"):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, missing, None)
            assert main(["tune", done.id, "--store", done.store.url]) == 4
        assert "extra `tune`" in capsys.readouterr().err


def test_the_command_predicts_and_amends_the_recipe_of_the_run(done, recipe, capsys):
    before = recipe.read_text()
    arguments = ["tune", done.id, "--store", done.store.url, "--set", f"{WORDS}=[50, 100000]"]
    try:
        assert main(arguments) == 0
        assert "kept ->" in capsys.readouterr().out
        assert recipe.read_text() == before
        assert main([*arguments, "--apply"]) == 0
        assert recipe.read_text() == before.replace("[30, 100000]", "[50, 100000]")
        assert "+          words: [50, 100000]   # thirty" in capsys.readouterr().out
    finally:
        recipe.write_text(before)
    assert main(["tune", done.id, "--store", done.store.url, "--apply"]) == 4
    assert "no bounds were saved" in capsys.readouterr().err
    assert (
        main(["sample", done.id, "--store", done.store.url, "--reason", "gopher.words", "-n", "2"])
        == 0
    )
    assert capsys.readouterr().out.count("gopher.words = ") == 2
