"""Perplexity as kenlm has it, of texts in the form that models are trained on."""

import itertools
import math
import random
import re
import unicodedata
from functools import cache
from zipfile import ZipFile

import kenlm
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import part
from stages.errors import DataError, SpecError
from stages.kernels.hashing import positions
from stages.mix import salt
from stages.perplexity import MODELS, PerplexityFilter, Sample, TrainPerplexity
from tests.documents import ENGLISH, PORTUGUESE, documents
from tests.models import language_models


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return str(language_models(tmp_path_factory.mktemp("perplexity") / "models.zip"))


@pytest.fixture(scope="module")
def folder(models, tmp_path_factory):
    home = tmp_path_factory.mktemp("folder")
    ZipFile(models).extractall(home)
    return str(home)


def spoken(*texts, language="pt"):
    return documents(*texts).append_column("language", pa.array([language] * len(texts)))


def folded(line):
    """A line as models see it, for letters with accents, digits and simple marks."""
    plain = "".join(c for c in unicodedata.normalize("NFD", line) if not unicodedata.combining(c))
    return re.findall(r"[a-z0]+|[^\sa-z0]", re.sub(r"\d+", "0", plain.lower()))


@cache
def oracle(path):
    return kenlm.Model(path)


def reference(path, text):
    """CCNet's perplexity, by kenlm."""
    model = oracle(path)
    lines = [words for line in text.split("\n") if (words := folded(line))]
    total = sum(model.score(" ".join(words)) for words in lines)
    return 10 ** (-total / sum(len(words) + 1 for words in lines)) if lines else None


WORDS = [*PORTUGUESE.split(), "desconhecido", "1234", "\n", "(", "ÁÉ", "<unk>", "</s>", "!"]


@given(st.lists(st.sampled_from(WORDS), max_size=40))
@settings(max_examples=60, deadline=None)
def test_perplexity_is_that_of_kenlm_line_by_line(models, folder, words):
    text = " ".join(words)
    found = PerplexityFilter(models=models)(spoken(text))["perplexity"][0].as_py()

    expected = reference(f"{folder}/pt.arpa", text)
    assert PerplexityFilter(models=folder)(spoken(text))["perplexity"][0].as_py() == found
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-5))


def test_what_a_model_was_trained_on_surprises_it_least(models):
    step = PerplexityFilter(models=models, at_most=20)
    kept, dropped, _ = part(step(spoken(PORTUGUESE, ENGLISH, "\n \n", language="pt")))

    assert kept["id"].to_pylist() == ["test#0", "test#2"]
    assert kept["perplexity"][1].as_py() is None
    assert dropped["dropped"].to_pylist() == ["perplexity.at_most"]
    assert dropped["value"][0].as_py() > 20


def test_bounds_may_differ_by_language_and_no_model_means_no_verdict(models):
    step = PerplexityFilter(models=models, at_most=1, by_language={"pt": None})
    rows = documents(PORTUGUESE, ENGLISH, ENGLISH, ENGLISH)
    rows = rows.append_column("language", pa.array(["pt", "en", "xx", None]))
    kept, dropped, _ = part(step(rows))

    assert kept["id"].to_pylist() == ["test#0", "test#2", "test#3"]
    assert kept["perplexity"].is_valid().to_pylist() == [True, False, False]
    assert dropped["id"].to_pylist() == ["test#1"]


def shard(home, batch):
    home.mkdir()
    pq.write_table(pa.Table.from_batches([batch]), home / "documents.parquet")
    return home


def test_the_same_documents_give_the_same_models_however_they_lie_in_shards(tmp_path):
    rows = [spoken(*[f"{PORTUGUESE} {n} {w}" for n, w in enumerate(PORTUGUESE.split())])]
    rows += [spoken(*[f"{w} {ENGLISH}" for w in ENGLISH.split()], language="en")]
    ids = pa.array([f"d{at}" for at in range(sum(map(len, rows)))])
    whole = pa.Table.from_batches(rows).set_column(0, "id", ids)
    found = []
    for name, cuts in (("one", [0, len(ids)]), ("many", [0, 3, 17, len(ids)])):
        pieces = [
            shard(tmp_path / f"{name}{a}", whole.slice(a, b - a).combine_chunks().to_batches()[0])
            for a, b in itertools.pairwise(cuts)
        ]
        out = tmp_path / name
        out.mkdir()
        told = TrainPerplexity(order=3, minimum=0).run({"texts": pieces}, out, out)
        found.append((out / MODELS).read_bytes())
        assert [row["group"] for row in told["scores"]] == ["en"] * 5 + ["pt"] * 5

    assert found[0] == found[1]


def test_only_held_out_documents_that_were_not_seen_are_measured(tmp_path):
    chance = random.Random(0)
    texts = [" ".join(chance.choices(WORDS, k=40)) for _ in range(200)]
    texts += [f"{text} {n}" for n, text in enumerate(texts[:10] * 10)]
    home = shard(tmp_path / "a", spoken(*texts))
    job = TrainPerplexity(order=3, minimum=0, heldout=0.3)
    told = job.run({"texts": [home]}, tmp_path, tmp_path)["scores"]
    median, measured, seen, *_ = (row["after"] for row in told)

    aside = positions(pa.array([f"test#{n}" for n in range(300)]), salt("heldout", 0)) < 0.3
    trained = set(itertools.compress((text.rsplit(" ", 1)[0] for text in texts), ~aside))
    copies = [n for n in np.flatnonzero(aside).tolist() if n >= 200 or texts[n] in trained]
    assert seen == len(copies) > 20
    assert measured == aside.sum() - seen > 20
    model = PerplexityFilter(models=str(tmp_path / MODELS))
    fresh = [texts[n] for n in np.flatnonzero(aside).tolist() if n not in copies]
    assert median == np.median(model(spoken(*fresh))["perplexity"].to_numpy())


def test_only_the_languages_that_are_wanted_and_have_text_enough_get_a_model(tmp_path):
    rows = [spoken(PORTUGUESE, PORTUGUESE * 2), spoken(*[ENGLISH] * 9, language="en")]
    home = shard(tmp_path / "a", pa.Table.from_batches(rows).combine_chunks().to_batches()[0])
    for step, expected in (
        (TrainPerplexity(minimum=1000), ["en.arpa"]),
        (TrainPerplexity(minimum=0, languages=("pt",)), ["pt.arpa"]),
    ):
        out = tmp_path / expected[0]
        out.mkdir()
        step.run({"texts": [home]}, out, out)
        assert ZipFile(out / MODELS).namelist() == expected
    with pytest.raises(DataError, match="no language"):
        TrainPerplexity(minimum=10**6).run({"texts": [home]}, home, home)


def test_words_are_gathered_as_they_are_spelled():
    sample = Sample()
    sample.add(pa.array(["Ação 1.234: «não»...\n\n\x00é", "中文 don't"], pa.large_string()))
    ids, words = sample.ids()
    sentences = " ".join(words.take(pa.array(ids)).to_pylist())

    assert sentences == ("<s> acao 0 . 0 : « nao » . </s> <s> e </s> <s> 中 文 don ' t </s>")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("hello", "x.arpa is no ARPA file"),
        ("\\data\\\nngram 1=2\n\n\\1-grams:\n-1 a\n\n\\end\\\n", "1 of 2 read"),
        ("\\data\\\nngram 1=1\n\n\\1-grams:\nx a\n\n\\end\\\n", "x.arpa:5"),
    ],
)
def test_a_file_that_is_no_model_is_refused(tmp_path, text, wrong):
    (tmp_path / "x.arpa").write_text(text)
    step = PerplexityFilter(models=str(tmp_path))
    with pytest.raises(SpecError, match=wrong):
        step(spoken("a", language="x"))


def test_mistakes_in_fields_are_named(models, tmp_path):
    with pytest.raises(SpecError, match="no LANGUAGE.arpa"):
        PerplexityFilter(models=str(tmp_path)).check()
    with pytest.raises(SpecError, match="by_language.fr: no model"):
        PerplexityFilter(models=models, by_language={"fr": 1}).check()
    with pytest.raises(SpecError, match="prune"):
        TrainPerplexity(prune=(0, 2, 1)).check()


def test_models_of_others_are_read_whatever_their_numbers_look_like(tmp_path):
    (tmp_path / "pt.arpa").write_text(
        "\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n-1.5e+0\t<unk>\t0\n-99 <s> -.25\n"
        "-0.5\t</s>\n-2.5E-1\ta\t-1e-1\n\n\\2-grams:\n-0.125\t<s> a\n\n\\end\\\n"
    )
    found = PerplexityFilter(models=str(tmp_path))(spoken("a", "a b"))["perplexity"].to_numpy()

    one = -0.125 - 0.1 - 0.5
    other = -0.125 - 0.1 - 1.5 - 0.5
    np.testing.assert_allclose(np.log10(found), [-one / 2, -other / 3], rtol=1e-6)
    assert math.isfinite(found.sum())
