"""Runs of words shared with benchmarks, against a plain reading; and what pipelines do by themselves."""

import gzip
import json
import re
import unicodedata
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaluation import Evaluate
from pipelines import Flow, Pipeline, run
from pipelines.forecast import forecast
from pipelines.graph import unguarded
from pipelines.store import Store
from stages.base import File, Job, part
from stages.config import load_step
from stages.decontaminate import HELDOUT, Decontaminate
from stages.errors import SpecError
from stages.mix import Split
from stages.read import Jsonl
from tests.stages.barriers import documents

QUESTION = "Um comboio parte de Lisboa às 9 horas e anda 80 km por hora; onde está ele às 11?"
ANSWER = "Está a 160 km de Lisboa, já depois de Coimbra."
LONG = " ".join(f"palavra{at}" for at in range(200))


@pytest.fixture
def benchmark(tmp_path):
    path = tmp_path / "contas.jsonl"
    items = [{"id": "a", "question": QUESTION, "choices": [ANSWER, "Não sei."], "year": 2020}]
    path.write_text("\n".join(json.dumps(item) for item in items), encoding="utf-8")
    return str(path)


def judged(step, *texts):
    return part(step(documents(texts)))


def words(text):
    """Words as the definition has them, without our tables."""
    plain = unicodedata.normalize("NFD", text.lower())
    kept = "".join(c for c in plain if c.isalnum() or c.isspace())
    return kept.split()


VOCABULARY = ["rio", "RIO", "ponte,", "3", "-", "Açao"]  # few, so that runs meet and overlap
TEXT = st.lists(st.sampled_from(VOCABULARY), max_size=20).map(" ".join)
ITEM = st.lists(st.sampled_from(["ponte", "3", "ação"]), max_size=6).map(" ".join)


@given(st.lists(TEXT, min_size=1, max_size=4), ITEM, st.integers(1, 3), st.sampled_from([0, 0.5]))
@example(["3 3 RIO ponte, rio - Ponte 3 3 3"], "ponte", 2, 0.5)  # runs that overlap
@example(["3 3 3 3 3 rio ponte rio 3"], "3", 1, 0.5)
@settings(max_examples=60, deadline=None)
def test_the_runs_found_are_those_of_the_definition(tmp_path_factory, texts, item, hits, share):
    item = f"rio ponte rio {item}"
    path = tmp_path_factory.getbasetemp() / "plain.jsonl"
    path.write_text(json.dumps({"text": item}), encoding="utf-8")
    runs = {tuple(words(item)[at : at + 3]) for at in range(len(words(item)) - 2)}
    step = Decontaminate(against=str(path), ngram=3, hits=hits, share=share)

    stay, dropped, _ = judged(step, *texts)

    expected = []
    for at, text in enumerate(texts):
        found = words(text)
        places = [p for p in range(len(found) - 2) if tuple(found[p : p + 3]) in runs]
        held = {p + k for p in places for k in range(3)}
        if len(places) >= hits and len(held) / max(1, len(found)) >= share:
            expected.append((f"d{at}", pytest.approx(len(held) / len(found))))
    rows = dropped.to_pylist() if dropped else []
    assert [(row["id"], row["value"]) for row in rows] == expected
    assert stay.num_rows + len(rows) == len(texts)


def test_a_copy_leaves_with_the_benchmark_the_share_and_the_item(benchmark):
    text = f"{LONG}\n{QUESTION.upper().replace('À', 'A')}"

    stay, dropped, _ = judged(Decontaminate(against=benchmark), LONG, text)

    (row,) = dropped.to_pylist()
    assert stay["id"].to_pylist() == ["d0"]
    assert row["dropped"] == "decontaminate.contas"
    assert row["value"] == pytest.approx(19 / 219)
    assert row["contamination"].startswith("contas#0 7: UM COMBOIO PARTE DE LISBOA")


def test_other_numbers_are_another_question(benchmark):
    step = Decontaminate(against=benchmark)

    assert judged(step, QUESTION.replace("80", "90").replace("9 h", "8 h"))[1] is None


def test_question_and_answer_make_runs_together_and_columns_choose(benchmark):
    seam = " ".join([*QUESTION.split()[-7:], *ANSWER.split()[:6]])

    assert judged(Decontaminate(against=benchmark), seam)[1] is not None
    only = Decontaminate(against=benchmark, columns=("question",))
    assert judged(only, seam)[1] is None
    assert judged(only, QUESTION)[1] is not None


def test_only_the_run_and_its_context_are_cut(benchmark):
    text = f"{LONG} antes disto: {QUESTION} Depois, {LONG}"
    step = Decontaminate(against=benchmark, remove="span", sentences=None)
    wide = Decontaminate(against=benchmark, remove="span", sentences=None, context=2)

    (row,) = judged(step, text)[0].to_pylist()
    assert row["text"] == f"{LONG} antes disto: Depois, {LONG}"
    assert row["decontaminate_cut"] == len(QUESTION) + 1
    assert row["contamination"].startswith("contas#0 7:")
    (row,) = judged(wide, text)[0].to_pylist()
    assert row["text"] == f"{LONG} {LONG.removeprefix('palavra0 ')}"
    (gone,) = judged(step, QUESTION)[1].to_pylist()
    assert (gone["dropped"], gone["text"]) == ("decontaminate.words", QUESTION)


@pytest.mark.parametrize("kind", ["json", "lines", "gz", "parquet", "txt", "folder"])
def test_benchmarks_are_read_in_every_form(tmp_path, kind):
    rows = [{"q": "nada"}, {"q": QUESTION}]
    if kind == "json":
        path, name = tmp_path / "a b.json", "a_b"
        path.write_text(json.dumps(rows))
    elif kind == "lines":
        path, name = tmp_path / "x.json", "x"
        path.write_text("\n".join(map(json.dumps, rows)))
    elif kind == "gz":
        path, name = tmp_path / "x.jsonl.gz", "x"
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    elif kind == "parquet":
        path, name = tmp_path / "x.parquet", "x"
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "txt":
        path, name = tmp_path / "x.txt", "x"
        path.write_text(f"nada\n\n{QUESTION}\n", encoding="utf-8")
    else:
        path, name = tmp_path / "set", "mmlu_pt"
        (path / "mmlu").mkdir(parents=True)
        (path / "README").write_text(QUESTION)
        (path / "mmlu" / "pt.jsonl").write_text("\n".join(map(json.dumps, rows)))

    (row,) = judged(Decontaminate(against=str(path)), QUESTION)[1].to_pylist()

    assert row["dropped"] == f"decontaminate.{name}"
    assert row["contamination"].startswith(f"{name}#1 ")


@pytest.mark.parametrize(
    "content, fields, message",
    [
        ('{"q": "curto demais"}', {}, "against: .*x.jsonl has no item of 13 words or more"),
        ('{"q": 1', {}, "against: .*x.jsonl: cannot be read"),
        (f'{{"q": "{LONG}"}}', {"columns": ["answer"]}, "columns: .*: no item has 'answer'"),
        (f'{{"q": "{LONG}"}}', {"share": 2}, "share: expected 0 to 1, got 2"),
        (f'{{"q": "{LONG}"}}', {"ngram": 1}, "ngram: expected at least 2, got 1"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, content, fields, message):
    path = tmp_path / "x.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(SpecError, match=message):
        load_step({"stages.decontaminate.Decontaminate": {"against": str(path), **fields}}, "p")


# --- what a pipeline does by itself


@dataclass(frozen=True, kw_only=True)
class Learn(Job):
    """Learns nothing."""

    def run(self, inputs, output, work):
        return {"numbers": {}, "series": [], "scores": []}


@dataclass(frozen=True, kw_only=True)
class Exam(Learn):
    """An evaluation of nothing."""

    evaluates = True

    paper: File | None = None


def recipe(tmp_path, *guards, read=("model", "heldout"), paper=None):
    """Of 20 pairs of equal documents, halves to learn from and to be examined on."""
    rows = [{"text": " ".join(f"p{at // 2}w{k}" for k in range(40))} for at in range(40)]
    (tmp_path / "in.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return Pipeline(
        "exam",
        {
            "crawl": Flow([Jsonl(paths=str(tmp_path / "in.jsonl"))]),
            "train": Flow(["crawl"], [Split(part=(0, 0.5)), *guards]),
            "heldout": Flow(["crawl"], [Split(part=(0.5, 1))]),
            "model": Flow(["train"], [Learn()]),
            "scores": Flow(list(read), [Exam(paper=paper)]),
        },
    )


def test_all_that_evaluations_read_is_kept_out_of_training_by_itself(tmp_path):
    done = run(recipe(tmp_path, Decontaminate()), str(tmp_path / "store"))

    def texts(flow, name):
        keys = [s["keys"] for s in done.record["stretches"] if s["flow"] == flow][-1]
        return [
            text
            for key in keys
            for text in pq.read_table(done.store.open(key, name))["text"].to_pylist()
        ]

    trained, held = (set(texts(flow, "documents.parquet")) for flow in ("train", "heldout"))
    assert trained
    assert held
    assert trained.isdisjoint(held)
    (keys,) = [s["keys"] for s in done.record["stretches"] if s["flow"] == "train"]
    rules = [
        rule
        for key in keys
        for rule in pq.read_table(done.store.open(key, "rejects.parquet"))["rule"].to_pylist()
    ]
    assert rules.count("decontaminate.heldout") >= 2
    again = Pipeline.loads(done.pipeline().dump(), "again", homes=("",))
    assert again.flows == done.pipeline().flows
    assert again.flows["decontamination"].inputs == ("heldout",)


def test_files_that_evaluations_name_are_kept_out_too(tmp_path, benchmark):
    both = recipe(tmp_path, Decontaminate(hits=2), paper=benchmark)
    alone = recipe(tmp_path, Decontaminate(), paper=benchmark, read=["model"])

    assert [s.against for s in both.flows["train"].steps[1:]] == [HELDOUT, benchmark]
    assert [s.hits for s in both.flows["train"].steps[1:]] == [2, 2]
    assert both.flows["decontamination"].inputs == ("heldout",)
    assert [s.against for s in alone.flows["train"].steps[1:]] == [benchmark]
    assert "decontamination" not in alone.flows


def test_a_plan_warns_of_what_is_not_kept_out(tmp_path, benchmark):
    bare = recipe(tmp_path, paper=benchmark)
    half = recipe(tmp_path, Decontaminate(against=benchmark), paper=benchmark)
    whole = recipe(tmp_path, Decontaminate(), paper=benchmark)

    lines = list(forecast(bare, Store(str(tmp_path / "store"))))
    assert [re.search("copies of (.*) out of model", line)[1] for line in lines[-2:]] == [
        "heldout",
        benchmark,
    ]
    assert lines[-1].startswith("warning: scores: nothing keeps copies of ")
    assert [line.split(" ")[5] for line in unguarded(half)] == ["heldout"]
    assert list(unguarded(whole)) == []
    assert Evaluate.evaluates


def test_without_an_evaluation_a_benchmark_must_be_named(tmp_path):
    with pytest.raises(
        SpecError, match=r"train.stages\[0\].Decontaminate.against: name benchmarks"
    ):
        Pipeline("p", {"train": Flow([Jsonl(paths="x.jsonl")], [Decontaminate()])})


def test_what_is_held_out_cannot_be_held_against_itself(tmp_path):
    flows = recipe(tmp_path).flows
    flows["crawl"] = Flow(flows["crawl"].inputs, [Decontaminate()])

    with pytest.raises(SpecError, match="flows feed themselves: .*decontamination"):
        Pipeline("p", flows)
