"""Document by document, filter by filter, language by language: does bateia say what datatrove says?

    python -m benchmarks.verdicts [--documents FILE.parquet] [--languages en pt ...] [--mode fineweb-2024]

Both in this process, datatrove from the extra `interop`, given the language of the documents and, but
for English, our stop words of it; that of April 2024 in an environment of its own (`fineweb.lock`).
Documents need columns `text` and `language`; without a file they are made of the demo's crawl.
Languages that are not named keep their rows of the last run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.differences import MEANING, WRONG, differences
from benchmarks.page import CACHE, ROOT, circumstances, earlier, keep, table, words
from pipelines.plan import with_measures
from stages.base import DROPPED, VALUE, Batch, Stage
from stages.kernels.stopwords import languages as stop_words
from stages.measure import Measure
from stages.quality import C4Quality, FineWebQuality, GopherQuality, GopherRepetition
from stages.segment import names

LANGUAGES = ("en", "pt", "es", "de", "zh", "ja")
MODE: Any = "datatrove-0.10"
THEN: Any = "fineweb-2024"
TIMES = 5  # that a batch is judged which takes some hundredths of a second
SAMPLE, AROUND = 400, 8_000_000  # documents compared; bytes of others that the table has seen
HEAD = (
    "filter", "language", "mode", "documents", "same verdict", "both drop", "only datatrove drops",
    "only bateia drops", "where they differ",
)  # fmt: skip
SPEEDS = ("filter", "language", "MB", "datatrove", "first texts", "times", "later texts", "times")
SPEEDS_DEFAULT = ("filter", "language", "MB", "datatrove 0.10.1", "bateia", "times")
CLASSES = (
    "filter", "language", "same verdict", "where datatrove is right", "differ where it is wrong",
    "differ by definition",
)  # fmt: skip
SPEEDS_THEN = ("filter", "language", "MB", "datatrove 0.2.0", "bateia", "times")
Reasons = list[str | None]


def main() -> None:
    """Compare, and rewrite the section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--documents", type=Path, help="Parquet with the columns text and language")
    parser.add_argument("--languages", nargs="+", choices=LANGUAGES, default=LANGUAGES)
    parser.add_argument("--mode", choices=[THEN], help="keep the rest of the last run")
    options = parser.parse_args()
    about = circumstances("bateia", "datatrove", "spacy", "jieba", "sudachipy", "numba")
    documents = pq.read_table(options.documents) if options.documents else crawl()
    install()
    before: Any = earlier("verdicts").get("languages", {})
    rows = before | {
        code: compare(documents, code, before[code] if options.mode else None)
        for code in options.languages
    }
    rows = {code: rows[code] for code in LANGUAGES if code in rows}
    write(about, rows)


def install() -> None:
    """The datatrove of April 2024 in an environment of its own."""
    uv, home = [sys.executable, "-m", "uv"], CACHE / "fineweb"
    make = [*uv, "venv", "-q", "--allow-existing", "-p", sys.executable, home]
    wanted = ["--no-deps", "--require-hashes", "-r", ROOT / "benchmarks" / "fineweb.lock"]
    subprocess.run(make, check=True)
    pip = [*uv, "pip", "install", "-q", "-p", home / "bin" / "python", *wanted]
    subprocess.run(pip, check=True)


def crawl() -> pa.Table:
    """Texts of the demo's crawl with their languages."""
    from benchmarks.ground import fetch
    from stages.base import part
    from stages.clean import NormalizeText
    from stages.extract import HtmlToText
    from stages.language import LanguageFilter
    from stages.read import Warc

    source, chain = Warc(paths=f"{fetch()}/*.warc.gz"), (HtmlToText(), NormalizeText())
    batches = []
    for piece in source.slices():
        for batch in source.read(piece):
            for step in (None, *chain, LanguageFilter(languages=LANGUAGES)):
                batch = part(step(batch) if step else batch)[0]
            batches.append(batch.select(["text", "language"]))
    return pa.Table.from_batches(batches)


def compare(
    documents: pa.Table, code: str, before: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    """All filters on a sample of one language; only the mode of April 2024, if rows of before are given."""
    some = documents.filter(pc.equal(documents["language"], code)).select(["text", "language"])
    some = some.filter(pc.not_equal(some["text"], "")).combine_chunks()
    order = np.random.default_rng(0).permutation(len(some))
    batch, others = batch_of(some, np.sort(order[:SAMPLE])), batch_of(some, order[SAMPLE:])
    sizes = np.cumsum(pc.binary_length(others["text"].cast(pa.large_binary())).to_numpy())
    others = others.slice(0, int(np.searchsorted(sizes, AROUND)))
    size = sum(len(text.encode()) for text in batch["text"].to_pylist()) / 1e6
    april = then(batch)
    rows = before or [row(name, code, batch, others, size) for name in filters(code)]
    if not before:
        rows[0] |= recipe(code, batch, others, size)
    return [merged(one, code, batch, size, april[one["filter"]]) for one in rows]


def merged(
    one: dict[str, Any], code: str, batch: Batch, size: float, april: dict[str, Any]
) -> dict[str, Any]:
    """A row with what the mode of April 2024 says and costs."""
    step = filters(code)[one["filter"]][1](mode=THEN)
    ours(step, batch.slice(0, 2))
    found = ours(step, batch)[0]
    spent = float(np.median([ours(step, batch)[1] for _ in range(TIMES)]))
    modes = one["modes"] | {"fineweb-2024": agreement(april["reasons"], found)}
    return one | {
        "modes": modes,
        "theirs_then": size / april["seconds"],
        "then": size / spent,
    }


def then(batch: Batch) -> dict[str, Any]:
    """Reasons and CPU seconds of the filters of April 2024, by filter."""
    script, python = ROOT / "benchmarks" / "fineweb_side.py", CACHE / "fineweb/bin/python"
    with tempfile.TemporaryDirectory() as folder:
        texts, out = Path(folder, "texts.json"), Path(folder, "out.json")
        texts.write_text(json.dumps(batch["text"].to_pylist()), encoding="utf-8")
        subprocess.run([python, script, texts, out], check=True)
        found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def batch_of(documents: pa.Table, rows: np.ndarray) -> Batch:
    chosen = documents.take(pa.array(rows)).combine_chunks()
    columns = [chosen[name].combine_chunks() for name in ("text", "language")]
    return pa.RecordBatch.from_arrays(
        [columns[0].cast(pa.large_string()), columns[1]], names=["text", "language"]
    )


def filters(code: str) -> dict[str, tuple[Callable[[], Any], Callable[..., Stage]]]:
    """Theirs and ours, with the same thresholds."""
    from datatrove.pipeline import filters as dt

    own = None if code == "en" else list(stop_words()[code])
    code = names()[code]  # asked for `zh`, datatrove would take Min Dong
    return {
        "GopherQuality": (
            lambda: dt.GopherQualityFilter(language=code, stop_words=own), GopherQuality,
        ),
        "GopherRepetition": (lambda: dt.GopherRepetitionFilter(language=code), GopherRepetition),
        "C4Quality": (lambda: dt.C4QualityFilter(language=code), C4Quality),
        "FineWebQuality": (lambda: dt.FineWebQualityFilter(language=code), FineWebQuality),
    }  # fmt: skip


def row(name: str, code: str, batch: Batch, others: Batch, size: float) -> dict[str, Any]:
    """One filter on one language: verdicts of our own modes, and MB/s of text per CPU second."""
    their, our = filters(code)[name]
    expected, spent = theirs(their(), batch)
    found = ours(our(mode=MODE), batch)[0]
    first, later = costs(code, lambda some: ours(our(mode=MODE), some)[1], batch, others)
    ours(our(), batch.slice(0, 2))
    default, spent_default = min((ours(our(), batch) for _ in range(3)), key=lambda run: run[1])
    return {
        "filter": name,
        "modes": {
            "datatrove-0.10": agreement(expected, found),
            "bateia": agreement(expected, default),
        },
        "classes": differences(our(), our(mode=MODE), code, batch, expected, default),
        "documents": batch.num_rows,
        "size": size,
        "theirs": size / spent,
        "first": size / first,
        "later": size / later,
        "default": size / spent_default,
    }


def recipe(code: str, batch: Batch, others: Batch, size: float) -> dict[str, float]:
    """MB/s of all filters in the mode datatrove-0.10, one behind the other; no document leaves."""
    our = {name: step(mode=MODE) for name, (_, step) in filters(code).items()}
    order = ("GopherRepetition", "GopherQuality", "C4Quality", "FineWebQuality")
    chain = with_measures([our[name] for name in order], None)

    def spent(some: Batch) -> float:
        begin = time.process_time()
        for step in chain:
            some = step(some)
            marks = {DROPPED.name, VALUE.name} & set(some.schema.names)
            some = some.drop_columns(sorted(marks))
        return time.process_time() - begin

    first, later = costs(code, spent, batch, others)
    return {"recipe_first": size / first, "recipe_later": size / later}


def costs(
    code: str, spent: Callable[[Batch], float], batch: Batch, others: Batch
) -> tuple[float, float]:
    """CPU seconds of some work on first texts, and on later ones; the least of three times each."""
    from stages import segment

    cutter = segment.segmenter(code)
    spent(batch.slice(0, 2))  # compiled, models read

    def behind(seen: Batch | None) -> float:
        if isinstance(cutter, segment.ByRules):
            cutter.forget()
            if seen is not None:
                spent(seen)
        return spent(batch)

    first = min(behind(None) for _ in range(3))
    if not isinstance(cutter, segment.ByRules):
        return first, first
    return first, min(behind(others) for _ in range(3))


def theirs(step: Any, batch: Batch) -> tuple[Reasons, float]:
    """The reasons of datatrove's filter and its CPU seconds."""
    from datatrove.data import Document
    from datatrove.utils.text import split_into_parts

    documents = [Document(text=text, id="") for text in batch["text"].to_pylist()]
    step.filter(Document(text="A text to read the models. 中文", id=""))
    split_into_parts.cache_clear()
    begin = time.process_time()
    verdicts = [step.filter(document) for document in documents]
    spent = time.process_time() - begin
    return [None if verdict is True else verdict[1] for verdict in verdicts], spent


def ours(step: Stage, batch: Batch) -> tuple[Reasons, float]:
    """The reasons of our filter and the CPU seconds of it and its measures."""
    begin = time.process_time()
    out = step(Measure(names=step.measures)(batch) if step.measures else batch)
    return out[DROPPED.name].to_pylist(), time.process_time() - begin


def agreement(expected: Reasons, found: Reasons) -> dict[str, Any]:
    """How often two filters say the same, and by which rules they differ."""
    pairs = list(zip(expected, found, strict=True))
    only_theirs = Counter(a for a, b in pairs if a and not b)
    only_ours = Counter(b for a, b in pairs if b and not a)
    rules = [*only_theirs.most_common(3), *only_ours.most_common(3)]
    return {
        "same": sum((a is None) == (b is None) for a, b in pairs) / max(1, len(pairs)),
        "both": sum(bool(a and b) for a, b in pairs),
        "only_theirs": only_theirs.total(),
        "only_ours": only_ours.total(),
        "rules": ", ".join(f"{rule} {count}" for rule, count in rules),
    }


def classified(one: dict[str, Any], code: str) -> tuple[object, ...]:
    """One filter and language as a row of CLASSES."""
    found: dict[str, int] = one["classes"]
    same = one["modes"]["bateia"]["same"]
    wrong = {name: many for name, many in found.items() if name in WRONG}
    others = {name: many for name, many in found.items() if name not in WRONG}
    judged = one["documents"] - sum(wrong.values())
    right = (judged - sum(others.values())) / max(1, judged)
    named = (", ".join(f"{name} {many}" for name, many in some.items()) for some in (wrong, others))
    return one["filter"], code, f"{same:.2%}", f"{right:.2%}", *named


def together(code: str, found: list[dict[str, Any]]) -> tuple[Any, ...]:
    """What all four cost in one recipe; datatrove's seconds are the sum of those of each."""
    one, theirs = found[0], 1 / sum(1 / row["theirs"] for row in found)
    first, later = one["recipe_first"], one["recipe_later"]
    return ("all four", code, one["size"], theirs, first, first / theirs, later, later / theirs)


def write(about: dict[str, object], rows: dict[str, list[dict[str, Any]]]) -> None:
    """The section; a row of an older run is missing where it lacks what is said."""
    every = [(one, code) for code, found in rows.items() for one in found]
    verdicts = [
        (
            one["filter"], code, mode, one["documents"], f"{same['same']:.2%}", same["both"],
            same["only_theirs"], same["only_ours"], same["rules"],
        )
        for mode in ("datatrove-0.10", "fineweb-2024", "bateia")
        for one, code in every
        if mode in one["modes"]
        for same in [one["modes"][mode]]
    ]  # fmt: skip
    classes = [classified(one, code) for one, code in every if "classes" in one]
    seen = {name for one, _ in every for name in one.get("classes", {})}
    meaning = "\n".join(f"- {name}: {why}" for name, why in MEANING.items() if name in seen)
    speeds = [
        (
            one["filter"], code, one["size"], one["theirs"], one["first"],
            one["first"] / one["theirs"], one["later"], one["later"] / one["theirs"],
        )
        for one, code in every
    ]  # fmt: skip
    speeds += [together(code, found) for code, found in rows.items() if "recipe_first" in found[0]]
    speeds_default = [
        (
            one["filter"], code, one["size"], one["theirs"], one["default"],
            one["default"] / one["theirs"],
        )
        for one, code in every
        if "default" in one
    ]  # fmt: skip
    speeds_then = [
        (
            one["filter"], code, one["size"], one["theirs_then"], one["then"],
            one["then"] / one["theirs_then"],
        )
        for one, code in every
        if "then" in one
    ]  # fmt: skip
    text = f"""
## The same verdicts as datatrove

`python -m benchmarks.verdicts`: {SAMPLE} documents of each language, each filter alone with its
default thresholds. For `datatrove-0.10` and for the default, `bateia`, it is compared with datatrove
0.10.1, given the language and, but for English, our stop words of it; for `fineweb-2024` with datatrove
0.2.0 and NLTK 3.8.1, with which FineWeb was published, and which cut any language as English.

{table(HEAD, verdicts)}

### Where the default mode differs, and why

Each document on which the two differ, put into a class by `benchmarks/differences.py`. Where datatrove
is wrong its verdict is none to agree with: those documents are left out of the fourth column. That
their words of Chinese and Japanese are held to three letters counts as its fault: it is a bound of
English that next to no prose in these languages keeps.

{table(CLASSES, classes)}

{meaning}

### What the default mode costs

MB of text per second of CPU, one thread, each filter alone, its measures included, of bateia the best of
three runs: there is no table of chunks, the first text is as fast as later ones.

{table(SPEEDS_DEFAULT, speeds_default)}

### What the mode `datatrove-0.10` costs

MB of text per second of CPU, one thread, each filter alone, its measures included, of bateia the best of
three runs. "First texts": the table of chunks is empty. "Later texts": the worker has seen up to
{AROUND // 1_000_000} MB of other documents of the language, as is soon the case in a crawl; Chinese and
Japanese have no such table. "All four" are the filters in one recipe, where ours share the cutting into
tokens (C4 rewriting makes a second one) and datatrove cuts anew in each; no document leaves.

{table(SPEEDS, speeds)}

### What the mode `fineweb-2024` costs

The same, ours the median of {TIMES} times. NLTK's rules are kernels here, without a table: first texts
cost what later ones do. bateia takes every measure of every text, for the report, where datatrove stops
at the first rule that a text breaks: at `FineWebQuality` most texts in Chinese and Japanese leave by how
their lines end, before a word is cut there. In a recipe the measures of all filters come from one cutting.

{table(SPEEDS_THEN, speeds_then)}

{words(about)}
"""
    keep("verdicts", {"about": about, "languages": rows}, text)


if __name__ == "__main__":
    main()
