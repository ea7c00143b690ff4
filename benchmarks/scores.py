"""Models that judge: how well they tell a reference from a crawl, and at what cost.

    python -m benchmarks.scores documents.parquet 'debian-handbook|anarchism'

The documents have columns id, text and url. Their languages are named and near copies left out, as
`pipelines/recipes/quality.yaml` does; those whose URL holds the pattern are the reference, the others
the crawl. What is held out is measured without what training text holds by half.
"""

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unicodedata import category, normalize
from unittest.mock import patch

import fasttext
import kenlm
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters.fasttext_filter import FastTextClassifierFilter

from benchmarks.page import circumstances, keep, table, words
from pipelines import Flow, Pipeline, run
from stages.base import DROPPED, Batch
from stages.dedup import MinHashDedup
from stages.language import LanguageFilter
from stages.perplexity import MODELS, PerplexityFilter, Sample, TrainPerplexity, load, root
from stages.read import Parquet
from stages.scores import ClassifierFilter, TrainClassifier, lines_of
from stages.shards import DOCUMENTS

PACKAGES = ("numba", "pyarrow", "fasttext-community", "ufal-kenlm", "datatrove")
LANGUAGES = ("en", "pt", "zh")
TIMED = 1000  # documents that speed is measured on
SAMPLE = 4_000_000  # bytes of text of each label, and of each language
WARM = 1_000_000
HELDOUT = 0.1
BOUND = 0.5


def main() -> None:
    """Train, judge, measure, and rewrite the section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("reference", help="a regular expression that its URLs hold")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        home = Path(folder)
        flows = prepare(options.documents, options.reference, home)
        about = circumstances(*PACKAGES)
        warm(flows, home)
        batch = pq.read_table(flows["crawl"] / DOCUMENTS)
        crawl = batch.combine_chunks().to_batches()[0]
        quality = judge_quality(flows, crawl.slice(0, TIMED), home)
        perplexity = judge_perplexity(flows, crawl, home)
    report(about, crawl.num_rows, quality, perplexity)


def prepare(documents: Path, pattern: str, home: Path) -> dict[str, Path]:
    """The flows `reference` and `crawl`, each a folder as the store would have it."""
    source = Parquet(paths=str(documents))
    flow = Flow([source], [LanguageFilter(), MinHashDedup()])
    done = run(Pipeline("scores", {"documents": flow}), str(home / "store"))
    shards = done.record["stretches"][-1]["keys"]
    rows = pa.concat_tables(pq.read_table(done.store.open(key, DOCUMENTS)) for key in shards)
    inside = pc.fill_null(pc.match_substring_regex(rows["url"], pattern), False)
    flows = {"reference": inside, "crawl": pc.invert(inside)}
    for name, chosen in flows.items():
        (home / name).mkdir()
        pq.write_table(rows.filter(chosen), home / name / DOCUMENTS)
    return {name: home / name for name in flows}


def warm(flows: dict[str, Path], home: Path) -> None:
    """Both jobs once, so that no kernel is compiled while they are timed: that takes 8 s each."""
    inputs = {name: [folder] for name, folder in flows.items()}
    for job in (TrainClassifier(sample=WARM), TrainPerplexity(sample=WARM, languages=("en",))):
        (home / type(job).__name__).mkdir()
        job.run(inputs, home / type(job).__name__, home)


def spent(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its CPU seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def judge_quality(flows: dict[str, Path], batch: Batch, home: Path) -> dict[str, Any]:
    """The classifier on held-out documents; its speed and verdicts beside fastText's and datatrove's."""
    inputs = {name: [folder] for name, folder in flows.items()}
    job = TrainClassifier(sample=SAMPLE, heldout=HELDOUT)
    told, seconds = spent(lambda: job.run(inputs, home, home))
    path = str(home / "model.bin")
    step = ClassifierFilter(model=path, label="reference", at_least=BOUND)
    step(batch.slice(0, 10))
    ours, our_seconds = spent(lambda: step(batch))
    model = fasttext.load_model(path)
    texts = batch["text"].to_pylist()

    def naive() -> list[Any]:
        return [model.predict(text.strip().replace("\n", " "), k=-1) for text in texts]

    naive_seconds = spent(naive)[1]
    lines = lines_of(batch["text"]).to_pylist()
    (labels, values), line_seconds = spent(
        lambda: model.f.multilinePredict(lines, -1, 0.0, "strict")
    )
    pairs = (dict(zip(*row, strict=True)) for row in zip(labels, values, strict=True))
    said = np.array([row.get("__label__reference", 0) for row in pairs])
    apart = float(np.abs(np.clip(said, 0, 1) - ours["quality_score"].to_numpy()).max())
    with patch("datatrove.pipeline.base.check_required_dependencies"):
        keep_labels = [("reference", BOUND)]
        theirs = FastTextClassifierFilter(path, keep_labels=keep_labels, newline_replacement=" ")
    theirs._model = model  # its own loader wants two packages more
    rows = [Document(text, str(at)) for at, text in enumerate(texts)]
    theirs.filter(Document(texts[0], "warm"))
    kept, their_seconds = spent(lambda: [theirs.filter(row) for row in rows])
    same = float(np.mean(np.array(kept) == ours[DROPPED.name].is_null().to_numpy(False)))
    megabytes = pc.sum(pc.binary_length(batch["text"])).as_py() / 1e6
    speeds = {
        "bateia, ClassifierFilter": megabytes / our_seconds,
        "fastText, all at once, on lines that were made before": megabytes / line_seconds,
        "fasttext.predict, text by text": megabytes / naive_seconds,
        "datatrove, FastTextClassifierFilter": megabytes / their_seconds,
    }
    found = {"told": told, "seconds": seconds, "speeds": speeds}
    return {**found, "same": same, "apart": apart, "judged": len(rows)}


def judge_perplexity(flows: dict[str, Path], crawl: Batch, home: Path) -> dict[str, Any]:
    """Models of the reference, the thirds of the crawl by them, and their speed beside kenlm's."""
    job = TrainPerplexity(languages=LANGUAGES, sample=SAMPLE, heldout=HELDOUT)
    told, seconds = spent(lambda: job.run({"reference": [flows["reference"]]}, home, home))
    models = str(home / MODELS)
    step = PerplexityFilter(models=models)
    known = step._languages
    step(crawl.filter(pc.is_in(crawl["language"], value_set=pa.array(known))).slice(0, 200))
    found, score_seconds = spent(lambda: step(crawl))
    judged = crawl.filter(found["perplexity"].is_valid())
    thirds = []
    for language in known:
        mine = found.filter(pc.equal(found["language"], language))["perplexity"].drop_null()
        parts = np.array_split(np.sort(mine.to_numpy()), 3)
        thirds.append((language, len(mine), *(float(np.median(part)) for part in parts)))
    (home / "en.arpa").write_bytes((root(models) / "en.arpa").read_bytes())
    ours = spent(lambda: load(models, "en.arpa"))[1]
    model, theirs = spent(lambda: kenlm.Model(str(home / "en.arpa")))
    english = judged.filter(pc.equal(judged["language"], "en")).slice(0, TIMED)
    lines = folded(english["text"])
    kenlm_seconds = spent(lambda: [model.score(line) for line in lines])[1]
    texts = english["text"].to_pylist()
    naive_seconds = spent(lambda: [plain_perplexity(model, text) for text in texts])[1]
    our_seconds = spent(lambda: step(english))[1]
    megabytes = pc.sum(pc.binary_length(english["text"])).as_py() / 1e6
    speeds = {
        "bateia, PerplexityFilter": megabytes / our_seconds,
        "kenlm behind unicodedata and re, text by text": megabytes / naive_seconds,
        "kenlm alone, on lines that were cut and folded before": megabytes / kenlm_seconds,
    }
    return {
        "told": told,
        "seconds": seconds,
        "all_seconds": score_seconds,
        "thirds": thirds,
        "loading": {"bateia": ours, "kenlm": theirs},
        "speeds": speeds,
    }


def plain_perplexity(model: Any, text: str) -> float:
    """CCNet's way in plain Python: normalise each line, join its words, ask kenlm."""
    total, count = 0.0, 0
    for line in text.lower().split("\n"):
        bare = "".join(c for c in normalize("NFD", line) if category(c) != "Mn")
        found = re.findall(r"\w+|[^\w\s]", re.sub(r"\d+", "0", bare))
        if found:
            total += model.score(" ".join(found))
            count += len(found) + 1
    return 10 ** (-total / max(count, 1))


def folded(column: pa.Array) -> list[str]:
    """The lines as models see them, joined with spaces."""
    sample = Sample()
    sample.add(column)
    ids, spelled = sample.ids()
    tokens = spelled.take(pa.array(ids)).to_pylist()
    return " ".join(tokens).replace("<s> ", "").split(" </s>")[:-1]


def report(
    about: dict[str, object], documents: int, quality: dict[str, Any], perplexity: dict[str, Any]
) -> None:
    """Keep the results and their section."""
    told = quality["told"]
    rows = {row["name"]: row["after"] for row in told["scores"] if row["group"] == "reference"}
    bounds = sorted({float(name.rpartition(" ")[2]) for name in rows if " at " in name})
    points = [(b, rows[f"precision at {b:g}"], rows[f"recall at {b:g}"]) for b in bounds]
    found = {(row["group"], row["name"]): row["after"] for row in perplexity["told"]["scores"]}
    median, fresh, seen = list(dict.fromkeys(name for _, name in found))[:3]
    thirds = [
        (row[0], found[row[0], median], found[row[0], fresh], found[row[0], seen], *row[1:])
        for row in perplexity["thirds"]
    ]
    speeds = [*quality["speeds"].items(), *perplexity["speeds"].items()]
    text = f"""
## Models that judge

`python -m benchmarks.scores documents.parquet 'debian-handbook|anarchism'`: manuals in 20 languages; the
reference is what is written as a book, the crawl the other {documents:,} documents, near copies left out of both.
Pages of translations that are not translated yet are alike by more than that: held-out documents of whose runs
of 8 words more than half are trained on are *seen*, and judge nothing.

`TrainClassifier` on {told["numbers"]["trained_on"]:,} documents, {quality["seconds"]:.1f} s of CPU; on
{told["numbers"]["held_out"]:,} held-out documents ({told["numbers"]["held_out_copies"]} more were seen) the AUC is
{told["numbers"]["auc"]:.4f}, and for the reference:

{table(["threshold", "precision", "recall"], points)}

`TrainPerplexity` of the reference, {perplexity["seconds"]:.1f} s of CPU for {len(thirds)} languages; the median
perplexity of held-out reference, and of the crawl's thirds:

{table(["language", "reference", "held out", "seen", "crawl documents", "head", "middle", "tail"], thirds)}

MB of text per second of CPU, one thread. {quality["same"]:.2%} of {quality["judged"]:,} verdicts at {BOUND} are
datatrove's; of the same lines fastText's own scores differ by {quality["apart"]:.0e} at most. Perplexities are kenlm's (`tests/stages/test_perplexity.py`); loading the English model takes
{perplexity["loading"]["bateia"]:.1f} s here, {perplexity["loading"]["kenlm"]:.1f} s there.

{table(["", "MB/s"], speeds)}

{words(about)}
"""
    keep("scores", {"about": about, "quality": quality, "perplexity": perplexity}, text)


if __name__ == "__main__":
    main()
