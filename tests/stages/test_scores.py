"""Classifiers that are trained here, and what they say of documents."""

import random

import fasttext
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.base import part
from stages.choice import copied, runs
from stages.errors import DataError, SpecError
from stages.scores import ClassifierFilter, TrainClassifier, area, curve, lines_of
from tests.documents import ENGLISH, PORTUGUESE, documents
from tests.models import classifier

SMALL = {"dimensions": 8, "buckets": 1000, "minimum": 1, "epochs": 20, "learning_rate": 0.5}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(classifier(tmp_path_factory.mktemp("scores") / "model.bin"))


def sentences(text, many, seed):
    words, chance = text.split(), random.Random(seed)
    return [" ".join(chance.choices(words, k=12)) for _ in range(many)]


def flow(home, texts, name, **columns):
    home.mkdir()
    batch = documents(*texts, source=name, **columns)
    pq.write_table(pa.Table.from_batches([batch]), home / "documents.parquet")
    return home


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    home = tmp_path_factory.mktemp("flows")
    return {
        "good": [flow(home / "good", sentences(PORTUGUESE, 300, 1), "good")],
        "bad": [
            flow(home / "bad1", sentences(ENGLISH, 200, 2), "bad1"),
            flow(home / "bad2", sentences(ENGLISH, 400, 3), "bad2"),
        ],
    }


def test_scores_are_those_of_fasttext_for_the_text_as_one_line(model):
    texts = [ENGLISH, PORTUGUESE, f"{ENGLISH}\n\n{PORTUGUESE}", "", "\x00\n", "rato", "</s> rio"]
    found = ClassifierFilter(model=model, label="pt")(documents(*texts))["quality_score"]
    theirs = fasttext.load_model(model)
    for text, score in zip(texts[:4], found.to_pylist(), strict=False):
        labels, chances = theirs.predict(text.replace("\n", " "), k=-1)
        by = dict(zip(labels, chances, strict=True))
        assert score == pytest.approx(min(1, by.get("__label__pt", 0)), abs=1e-6)
    assert found.null_count == 0


def test_a_model_that_the_kernel_does_not_know_is_asked_by_the_library(tmp_path):
    path = str(tmp_path / "ova.bin")
    lines = tmp_path / "lines.txt"
    lines.write_text(f"__label__en {ENGLISH}\n__label__pt {PORTUGUESE}\n" * 20)
    options = {"dim": 8, "bucket": 1000, "wordNgrams": 2, "minCount": 1, "lr": 0.5}
    theirs = fasttext.train_supervised(
        str(lines), loss="ova", thread=1, verbose=0, epoch=20, **options
    )
    theirs.save_model(path)
    texts = [ENGLISH, PORTUGUESE, f"{ENGLISH} {PORTUGUESE}"]
    found = ClassifierFilter(model=path, label="pt")(documents(*texts))["quality_score"]
    for text, score in zip(texts, found.to_pylist(), strict=True):
        by = dict(zip(*theirs.predict(text, k=-1), strict=True))
        assert score == pytest.approx(min(1, by["__label__pt"]), abs=1e-6)
    assert found[1].as_py() > 0.9 > found[0].as_py()


def test_bounds_are_inclusive_and_the_reason_has_the_name(model):
    rows = documents(ENGLISH, PORTUGUESE)
    step = ClassifierFilter(model=model, label="pt", name="toxic")
    scores = step(rows)["toxic_score"].to_pylist()
    for bound, field, left in ((scores[1], "at_least", [0]), (scores[0], "at_most", [1])):
        other = ClassifierFilter(model=model, label="pt", name="toxic", **{field: bound})
        _, dropped, _ = part(other(rows))
        assert dropped["id"].to_pylist() == [f"test#{at}" for at in left]
        assert dropped["dropped"].to_pylist() == ["toxic.score"]
        assert dropped["value"].to_pylist() == [scores[at] for at in left]


def test_two_classifiers_stand_in_one_flow(model):
    batch = documents(ENGLISH, PORTUGUESE)
    for label in ("pt", "en"):
        batch = ClassifierFilter(model=model, label=label, name=label)(batch)
    np.testing.assert_allclose(
        batch["pt_score"].to_numpy() + batch["en_score"].to_numpy(), 1, atol=1e-4
    )


def test_training_is_the_same_file_twice_and_tells_the_labels_apart(flows, tmp_path):
    models = []
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        told = TrainClassifier(quantize=True, **SMALL).run(flows, out, out)
        models.append([(out / file).read_bytes() for file in ("model.bin", "model.ftz")])
    numbers = told["numbers"]

    assert models[0] == models[1]
    assert numbers["trained_on"] + numbers["held_out"] == 600  # as many of each as the scarcer has
    assert 20 <= numbers["held_out"] <= 110
    assert numbers["auc"] > 0.99
    assert numbers["auc_quantized"] > 0.95
    rows = {(row["name"], row["group"]): row["after"] for row in told["scores"]}
    confusion = [n for (_, group), n in rows.items() if group == "confusion"]
    assert sum(confusion) == numbers["held_out"]
    assert rows["recall at 0.1", "good"] > 0.9
    step = ClassifierFilter(model=str(tmp_path / "one" / "model.bin"), label="good", at_least=0.5)
    kept, _, _ = part(step(documents(PORTUGUESE, ENGLISH)))
    assert kept["text"].to_pylist() == [PORTUGUESE]


def test_labels_may_be_a_field_of_the_documents_and_may_be_renamed(tmp_path):
    texts = [*sentences(PORTUGUESE, 40, 1), *sentences(ENGLISH, 40, 2), "neither"]
    kinds = ["insult"] * 20 + ["threat"] * 20 + ["fine"] * 40
    meta = [[("toxic", kind)] for kind in kinds] + [[]]
    home = flow(tmp_path / "labelled", texts, "jigsaw", meta=meta)
    step = TrainClassifier(
        by="toxic", labels={"insult": "toxic", "threat": "toxic"}, heldout=0.3, **SMALL
    )
    told = step.run({"jigsaw": [home]}, tmp_path, tmp_path)

    assert {row["group"] for row in told["scores"]} == {"toxic", "fine", "confusion"}
    assert told["numbers"]["trained_on"] + told["numbers"]["held_out"] == 80


def test_a_document_is_held_out_under_every_label_or_none(tmp_path):
    texts = sentences(PORTUGUESE, 100, 1)
    both = {n: [flow(tmp_path / n, texts, "same")] for n in ("a", "b")}
    _, trained, held, _ = TrainClassifier(**SMALL)._documents(both)

    assert set(trained.lines).isdisjoint(held.lines)
    assert len(trained.lines) + len(held.lines) == 200


def windows(text):
    words = text.split()
    return [tuple(words[at : at + 8]) for at in range(len(words) - 7)]


TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=20).map(" ".join), max_size=6)


@given(TEXTS, TEXTS)
def test_a_text_was_seen_if_more_than_half_of_its_runs_of_words_were(held, trained):
    known = {run for text in trained for run in windows(text)}
    expected = [
        sum(run in known for run in windows(text)) * 2 > len(windows(text)) for text in held
    ]
    found = [runs(pa.array([text], pa.large_string()))[0] for text in trained]

    assert copied(pa.array(held, pa.large_string()), found).tolist() == expected


def test_held_out_documents_that_were_seen_in_training_are_not_judged(tmp_path):
    fresh = sentences(" ".join("abcdefghijklmnopqrstuvwxyz"), 300, 1)
    near = [f"{text} again" for text in fresh[:20] * 15]
    labels = {"fresh": fresh, "near": near, "other": sentences(PORTUGUESE, 300, 2)}
    flows = {name: [flow(tmp_path / name, texts, name)] for name, texts in labels.items()}
    two = {name: flows[name] for name in ("fresh", "other")}
    told = TrainClassifier(**SMALL).run(two, tmp_path, tmp_path)["numbers"]

    assert told["held_out"] > 0 == told["held_out_copies"]
    with pytest.raises(DataError, match="none held out that it has not seen"):
        TrainClassifier(**SMALL).run(flows, tmp_path, tmp_path)


def test_what_cannot_be_trained_on_is_refused(flows, tmp_path):
    with pytest.raises(DataError, match="two labels"):
        TrainClassifier().run({"good": flows["good"]}, tmp_path, tmp_path)
    few = {n: [flow(tmp_path / n, ["one"], n)] for n in ("a", "b")}
    with pytest.raises(DataError, match="too few"):
        TrainClassifier().run(few, tmp_path, tmp_path)


def test_a_label_or_line_end_in_a_text_is_only_text():
    lines = lines_of(pa.array(["a __label__good b\nc </s> d"], pa.large_string())).to_pylist()
    assert lines == [b"a __label_good b c  /s> d \n"]


def test_mistakes_in_fields_are_named(model, tmp_path):
    with pytest.raises(SpecError, match="did you mean 'pt'"):
        ClassifierFilter(model=model, label="ptt").check()
    with pytest.raises(SpecError, match="at_least: the lower bound"):
        ClassifierFilter(model=model, label="pt", at_least=0.9, at_most=0.1).check()
    with pytest.raises(SpecError, match="name: expected small letters"):
        ClassifierFilter(model=model, label="pt", name="My score").check()
    (tmp_path / "no.bin").write_text("no")
    with pytest.raises(SpecError, match="not a fastText model"):
        ClassifierFilter(model=str(tmp_path / "no.bin"), label="pt").check()


SCORED = st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0])), min_size=2)


@given(SCORED.filter(lambda pairs: len({truth for truth, _ in pairs}) == 2))
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs):
    truth, scores = (np.array(column) for column in zip(*pairs, strict=True))
    pairs = [(a > b) + (a == b) / 2 for a in scores[truth] for b in scores[~truth]]

    assert area(truth, scores) == pytest.approx(np.mean(pairs))
    points = curve("x", truth, scores)["points"]
    for recall, precision in points:
        bound = [s for s in np.unique(scores) if (scores[truth] >= s).mean() == recall]
        assert any(truth[scores >= s].mean() == pytest.approx(precision) for s in bound)
    assert points[-1][0] == 1
