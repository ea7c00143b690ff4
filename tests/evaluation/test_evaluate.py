import json
import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from evaluation import Evaluate, likelihood
from evaluation.score import Ratio
from stages.config import load_step
from stages.errors import DataError, SpecError
from stages.tokens import TrainTokenizer
from training import model

TEXTS = [
    "O gato viu a lua e a lua viu o mar, que é fundo.",
    "The cat saw the moon.",
    "ação",
    "Uma frase bem mais longa que as outras, para que precise de muitas janelas. " * 3,
    "中文测试",
] * 2
LANGUAGES = ["pt", "en", "pt", "pt", "zh"] * 2


torch.set_num_threads(1)


def documents(folder, texts=TEXTS, **columns):
    folder.mkdir(exist_ok=True)
    ids = [f"d{i}" for i in range(len(texts))]
    table = pa.table({"id": ids, "text": pa.array(texts, pa.large_string()), **columns})
    pq.write_table(table, folder / "documents.parquet")
    return folder


def trained(home, tokenizer, vocabulary, seeds=(1, 2)):
    """A flow's folder with a model before and after; the weights are random, that is enough."""
    home.mkdir()
    for name, seed in zip(("base", "model"), seeds, strict=True):
        about = {"vocabulary": str(vocabulary), "end": "0"}
        model.create("xs", about, 32, seed, home / name)
        model.add_tokenizer(tokenizer, 0, 32, home / name)
    return home


@pytest.fixture(scope="module")
def heldout(tmp_path_factory):
    return documents(tmp_path_factory.mktemp("flows") / "heldout", language=LANGUAGES)


@pytest.fixture(scope="module")
def home(heldout, tmp_path_factory):
    work = tmp_path_factory.mktemp("tokenizer")
    TrainTokenizer(vocabulary=300).run({"x": [heldout]}, work, work)
    return trained(tmp_path_factory.mktemp("flows") / "trained", str(work / "tokenizer.json"), 300)


def run(home, heldout, output, file=None, **fields):
    step = Evaluate(**{"cpus": 1, "window": 16, "stride": 5, "heldout": file} | fields)
    inputs = {"model": [home], "heldout": [heldout] if heldout else []}
    return step.run(inputs, output, output)


def naive(net, ids, begin, window, stride):
    """One token at a time, in the first window that has it."""
    line = [begin, *ids.tolist()]
    total = 0.0
    for at in range(1, len(line)):
        first = max(0, math.ceil((at - window + 1) / stride)) * stride
        with torch.no_grad():
            logits = net(torch.tensor([line[first:at]]), use_cache=False).logits[0, -1]
        total -= float(logits.log_softmax(-1)[line[at]])
    return total


@pytest.mark.parametrize("window, stride", [(16, 5), (16, 15), (8, 1), (32, 16)])
def test_it_agrees_with_a_naive_sliding_window(home, window, stride):
    net = model.load(home / "model")
    ids = [some[:45] for some in likelihood.encode(home / "model", TEXTS[:5])]
    assert max(map(len, ids)) == 45
    found = likelihood.nats(home / "model", ids, window=window, stride=stride, rows=3, gpu=False)
    expected = [naive(net, some, 0, window, stride) for some in ids]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("size", [0, 1, 2, 4, 5, 6, 7, 15, 16, 40])
@pytest.mark.parametrize("window, stride", [(6, 1), (6, 5), (6, 3), (2, 1)])
def test_every_token_is_scored_once_with_enough_before_it(size, window, stride):
    ids = np.arange(1, size + 1)
    found = likelihood.windows(7, ids, 0, window, stride)
    scored = [w.ids[w.first :].tolist() for w in found]
    assert list(chain(*scored)) == ids.tolist()
    assert all(w.ids.size <= window and w.first >= 1 for w in found)
    assert all(w.first >= window - stride for w in found[1:])


def test_no_document_sees_another(home):
    ids = likelihood.encode(home / "model", TEXTS[:5])
    how = {"window": 16, "stride": 5, "gpu": False}
    together = likelihood.nats(home / "model", ids, rows=5, **how)
    alone = [likelihood.nats(home / "model", [some], rows=1, **how)[0] for some in ids]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
    backwards = likelihood.nats(home / "model", ids[::-1], rows=2, **how)
    np.testing.assert_allclose(together, backwards[::-1], rtol=1e-6)


def test_scores_are_sums_over_sums_and_agree_with_each_other(home, heldout, tmp_path):
    told = run(home, heldout, tmp_path)
    rows = pq.read_table(tmp_path / "likelihood.parquet").to_pandas()
    nats, bytes_ = rows["model_nats"].sum(), sum(len(text.encode()) for text in TEXTS)
    scores = {(score["name"], score["group"]): score for score in told["scores"]}
    bits = scores["bits_per_byte", "all"]
    assert bits["after"] == pytest.approx(nats / math.log(2) / bytes_)
    assert bits["before"] == pytest.approx(rows["base_nats"].sum() / math.log(2) / bytes_)
    assert bits["change"] == pytest.approx(bits["after"] - bits["before"])
    assert scores["byte_perplexity", "all"]["after"] == pytest.approx(2 ** bits["after"])
    assert scores["token_perplexity", "all"]["after"] == pytest.approx(
        math.exp(nats / rows["model_tokens"].sum())
    )
    words = sum(len(text.split()) for text in TEXTS)
    assert scores["word_perplexity", "all"]["after"] == pytest.approx(math.exp(nats / words))
    assert bits["low"] < bits["after"] < bits["high"]
    assert bits["change_low"] < bits["change"] < bits["change_high"]
    assert told["numbers"]["bits_per_byte"] == bits["after"]
    json.dumps(told, allow_nan=False)


def test_each_language_has_its_score_the_largest_first(home, heldout, tmp_path):
    told = run(home, heldout, tmp_path)
    groups = [
        (score["group"], score["documents"]) for score in told["scores"] if score["group"] != "all"
    ]
    assert groups == [("pt", 6), ("en", 2), ("zh", 2)]
    rows = pq.read_table(tmp_path / "likelihood.parquet").to_pandas().query("language == 'pt'")
    portuguese = next(score for score in told["scores"] if score["group"] == "pt")
    expected = rows["model_nats"].sum() / math.log(2) / rows["bytes"].sum()
    assert portuguese["after"] == pytest.approx(expected)


def blank(home):
    """Weights of zero: every token is as likely as any other."""
    for name in ("base", "model"):
        net = model.load(home / name)
        for weights in net.parameters():
            torch.nn.init.zeros_(weights)
        net.save_pretrained(home / name)
    return home


def test_bits_per_byte_count_bytes_whatever_the_tokenizer(heldout, home, tmp_path):
    """A model that knows nothing pays log2(vocabulary) bits per token, by definition."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    plain = Tokenizer(
        models.BPE({"<|endoftext|>": 0, **{c: i + 1 for i, c in enumerate(alphabet)}}, [])
    )
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    plain.add_special_tokens(["<|endoftext|>"])
    plain.save(str(tmp_path / "bytes.json"))
    byte_model = blank(trained(tmp_path / "bytes", str(tmp_path / "bytes.json"), 257))
    merged = blank(trained(tmp_path / "merged", str(home / "model" / "tokenizer.json"), 300))
    told = run(byte_model, heldout, tmp_path)
    assert told["scores"][0]["after"] == pytest.approx(math.log2(320), rel=1e-6)
    told = run(merged, heldout, tmp_path)
    tokens, bytes_ = told["numbers"]["tokens"], told["numbers"]["bytes"]
    assert tokens < bytes_
    assert told["scores"][0]["after"] == pytest.approx(tokens / bytes_ * math.log2(320), rel=1e-6)


def test_the_signature_names_what_the_figure_depends_on(home, heldout, tmp_path):
    signature = run(home, heldout, tmp_path)["scores"][0]["signature"]
    assert signature.startswith("bits_per_byte|window:16|stride:5|begin:0|tokenizer:")
    assert run(home, heldout, tmp_path, stride=6)["scores"][0]["signature"] != signature


def test_a_paired_interval_is_narrower_than_the_distance_of_two_intervals():
    """Documents differ much, models little: only pairing sees it."""
    rng = np.random.default_rng(1)
    before, units = rng.uniform(100, 900, 200), np.full(200, 500.0)
    after = before - rng.uniform(5, 15, 200)
    same = Ratio(name="x", unit="y", form=lambda x: x).compare(
        before, after, (units, units), "all", "s"
    )
    assert same.change.high < 0
    assert same.after.high > same.before.low
    assert same.change.value == pytest.approx((after - before).sum() / units.sum())


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    ratio = Ratio(name="x", unit="y", form=lambda x: x)
    hits = 0
    for _ in range(200):
        units = rng.integers(10, 1000, 80).astype(float)
        found = ratio.compare(None, units * rng.normal(2, 0.5, 80), (None, units), "all", "s").after
        hits += found.low <= 2 <= found.high
    assert (
        178 <= hits <= 199
    )  # 95 % of 200, give or take four deviations; some short for 80 documents


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".parquet"])
def test_held_out_text_may_be_a_file(home, tmp_path, suffix):
    path = tmp_path / f"heldout{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": text, "other": 1}) + "\n" for text in TEXTS))
    elif suffix == ".txt":
        path.write_text("\n\n".join(TEXTS))
    else:
        pq.write_table(pa.table({"text": TEXTS}), path)
    told = run(home, None, tmp_path, file=str(path), max_documents=4)
    assert told["numbers"]["documents"] == 4
    chosen = [TEXTS[i] for i in (0, 3, 6, 9)]
    stripped = [text.strip() if suffix == ".txt" else text for text in chosen]
    assert told["numbers"]["bytes"] == sum(len(text.encode()) for text in stripped)


def test_a_long_document_is_cut_at_a_whole_character(home, tmp_path):
    told = run(home, documents(tmp_path / "d", ["é" * 100, "a"]), tmp_path, max_bytes=9)
    assert told["numbers"]["bytes"] == 8 + 1


def test_a_model_that_was_not_there_before_has_only_an_after(home, heldout, tmp_path):
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "model").symlink_to(home / "model")
    told = run(tmp_path / "flow", heldout, tmp_path)
    assert told["scores"][0]["before"] is None
    assert told["scores"][0]["change"] is None
    assert told["scores"][0]["after"] > 0


def test_one_document_has_a_value_but_no_interval(home, tmp_path):
    told = run(home, documents(tmp_path / "d", ["só um"]), tmp_path)
    assert told["scores"][0]["low"] is None
    assert told["scores"][0]["after"] > 0


def test_text_without_spaces_has_no_perplexity_per_word(home, tmp_path):
    told = run(
        home, documents(tmp_path / "d", ["中文" * 150, "中" * 300]), tmp_path, window=32, stride=31
    )
    assert "word_perplexity" not in {score["name"] for score in told["scores"]}
    json.dumps(told, allow_nan=False)


def test_what_is_missing_is_said(home, heldout, tmp_path):
    with pytest.raises(DataError, match="expected one model"):
        Evaluate().run({"x": [heldout]}, tmp_path, tmp_path)
    with pytest.raises(DataError, match="no held-out text"):
        run(home, documents(tmp_path / "d", ["", " \n"]), tmp_path)
    with pytest.raises(DataError, match="sees 32 tokens at once; window is 64"):
        run(home, heldout, tmp_path, window=64)
    with pytest.raises(DataError, match="cannot be read"):
        run(home, None, tmp_path, file=str(tmp_path / "absent.jsonl"))


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"window": 8, "stride": 8}, "stride: expected less than the window"),
        ({"heldout": "x.csv"}, "heldout: expected"),
        ({"rows": 0}, "rows: expected more than 0"),
    ],
)
def test_contradictions_are_found_when_the_pipeline_is_planned(fields, message):
    with pytest.raises(SpecError, match=message):
        load_step({"evaluation.Evaluate": fields}, "flow")
    assert replace(Evaluate(), window=8, stride=7).check() is None
