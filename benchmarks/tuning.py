"""How long a moved threshold takes on a million documents: `python -m benchmarks.tuning`.

The documents are made up, their features are not: the filters themselves judge what they measured, and
features, commits and the record of the run have the shape that a real run leaves.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.page import CACHE, circumstances, keep, words
from pipelines.graph import Flow, Pipeline
from pipelines.outlook import Outlook
from pipelines.plan import Pass, passes
from pipelines.runs import Run
from pipelines.shelf import _VERDICT
from pipelines.store import Store, encode
from pipelines.tuning import Tuning
from stages.dedup import ExactDedup, MinHashDedup
from stages.language import LanguageFilter
from stages.measure import COUNTS, Measure
from stages.quality import C4Quality, FineWebQuality, GopherQuality, GopherRepetition
from stages.read import Warc
from stages.shards import FEATURES

DOCUMENTS = 1_000_000
SHARDS = 100
DOMAINS = 100_000
LANGUAGES = ("en", "pt", "es", "fr", "de", "it", "ru", "ja", "zh", "ko")
MOVES = 300
STEPS = (
    LanguageFilter(), GopherRepetition(), GopherQuality(), C4Quality(), FineWebQuality(),
    ExactDedup(), MinHashDedup(),
)  # fmt: skip


def measured(name: str, rng: np.random.Generator, rows: int) -> pa.Array:
    """A measure with the spread that it has on the web, about."""
    if name == "words":
        return pa.array(np.exp(rng.normal(5.6, 1.4, rows)).astype(np.int64))
    if name == "stop_words":
        return pa.array(rng.poisson(9, rows))
    if name in COUNTS:
        return pa.array(np.exp(rng.normal(3, 1, rows)).astype(np.int64))
    if name == "mean_word_length":
        return pa.array(rng.normal(5, 0.8, rows))
    if name in ("alphabetic_words", "punctuated_lines"):
        return pa.array(rng.beta(9, 1.3, rows))
    return pa.array(rng.beta(0.4, 12, rows))


def judged(work: Pass, rng: np.random.Generator, come: pa.Table) -> pa.Table:
    """The features of documents that went through a pass: filters judge, other steps drop a few."""
    rows = come.num_rows
    known = {"row": pa.array(np.arange(rows)), "language": come["language"].combine_chunks()}
    batch = pa.RecordBatch.from_pydict(known)
    stage, rule = np.full(rows, None, object), np.full(rows, None, object)
    columns: dict[str, np.ndarray] = {}
    names = work.names
    for name, step in zip(names, [*([work.entry] if work.entry else []), *work.chain], strict=True):
        here = batch.num_rows
        if isinstance(step, Measure):
            for column in step.names:
                if not column.endswith("hashes"):
                    batch = batch.append_column(column, measured(column, rng, here))
                    columns[column] = np.full(rows, np.nan)
                    columns[column][batch["row"].to_numpy()] = batch[column].to_numpy()
        if hasattr(step, "senses"):
            reasons = step(batch)["dropped"]
        else:
            few = 0.0 if isinstance(step, Measure) else 0.06
            reasons = pa.array(np.where(rng.random(here) < few, f"{name}.some", None))
        left = pc.is_valid(reasons).to_numpy(zero_copy_only=False)
        at = batch["row"].to_numpy()[left]
        stage[at], rule[at] = name, np.array(reasons.to_pylist(), object)[left]
        batch = batch.filter(pc.is_null(reasons))
    whole = {n: pa.array(v, mask=np.isnan(v)) for n, v in columns.items()}
    kinds = {n: v.cast(pa.int64()) if n in COUNTS else v for n, v in whole.items()}
    verdict = np.where(stage == None, "kept", "dropped")  # noqa: E711 -- of each row
    return pa.table({"verdict": verdict, "stage": stage, "rule": rule, **kinds})


def made_up(root: Path) -> Run:
    """The record of a run over a million documents, with its features."""
    store = Store(str(root))
    pipeline = Pipeline("million", {"crawl": Flow([Warc(paths="nowhere")], STEPS)})
    plan = passes("crawl", pipeline.flows["crawl"])
    rng = np.random.default_rng(7)
    stretches = [
        {"flow": "crawl", "steps": w.names, "pass": w.key, "keys": [], "barrier_keys": []}
        for w in plan
    ]
    for shard in range(SHARDS):
        rows = DOCUMENTS // SHARDS
        who = {
            "id": [f"warc/crawl/part-{shard:05}.warc.gz#{n * 9173}" for n in range(rows)],
            "source": ["warc"] * rows,
            "url": [f"https://www.site{d}.example/page/{n}" for n, d in enumerate(rng.zipf(1.3, rows) % DOMAINS)],
            "bytes": np.exp(rng.normal(7.5, 1.2, rows)).astype(np.int64),
            "language": rng.choice(LANGUAGES, rows, p=[0.4, *[0.6 / 9] * 9]),
        }  # fmt: skip
        come = pa.table(who)
        for number, work in enumerate(plan):
            features = pa.table(
                {**{n: come[n] for n in come.column_names}, **columns_of(work, rng, come)}
            )
            key = f"{number:02}{shard:018}"
            folder = store.scratch(key)
            for column in _VERDICT:
                if column.name not in features.column_names:
                    features = features.append_column(
                        column, pa.nulls(features.num_rows, column.type)
                    )
            pq.write_table(features, folder / FEATURES, compression="zstd", row_group_size=8192)
            stages = [{"stage": "read", "in": come.num_rows}]
            store.commit(key, folder, {"input": f"{shard}", "stages": stages, "counts": {}}, {})
            stretches[number]["keys"].append(key)
            come = come.filter(pc.equal(features["verdict"], "kept"))
    record = {
        "pipeline": "million",
        "recipe": pipeline.dump(),
        "stretches": stretches,
        "started": "",
    }
    store.overwrite("runs/million/run.json", encode(record))
    return Run.open(store, "million")


def columns_of(work: Pass, rng: np.random.Generator, come: pa.Table) -> dict[str, Any]:
    found = judged(work, rng, come)
    return {name: found[name] for name in found.column_names}


def move(outlook: Outlook, rng: np.random.Generator, settings: dict[str, Any]) -> float:
    """Drag one line to somewhere on its axis; seconds until the answer is ready to be sent."""
    number = int(rng.integers(len(outlook.axes))) + 1
    rule, axis = outlook.tuning.rules[number - 1], outlook.axes[number - 1]
    value = float(rng.uniform(axis["edges"][0], axis["edges"][-1]))
    sense = rule.judge.step.senses[rule.name]
    settings[f"crawl.{rule.judge.name}.{rule.name}"] = (
        [value, None] if sense == "between" else value
    )
    began = time.perf_counter()
    json.dumps(outlook.numbers(settings, [number]))
    return time.perf_counter() - began


def resident() -> float:
    """Megabytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def measure(root: Path) -> dict[str, Any]:
    """Load and move, in a process of its own."""
    run = Run.open(Store(str(root)), "million")
    import duckdb

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    tuning = Tuning.open(run, "crawl")
    outlook = Outlook(tuning)
    loaded = time.perf_counter() - began
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    held = resident()
    rng = np.random.default_rng(11)
    first = [move(outlook, rng, {}) for _ in range(MOVES)]
    many = [move(outlook, rng, settings) for settings in [{}] for _ in range(MOVES)]
    began = time.perf_counter()
    every = outlook.numbers(
        {"crawl.GopherQuality.words": [77, None]}, range(1, len(outlook.axes) + 1)
    )
    settled = time.perf_counter() - began
    assert every["judged"] > DOCUMENTS / 2
    return {
        "documents": every["judged"],
        "rules": len(tuning.rules),
        "threads": duckdb.sql("SELECT current_setting('threads')").fetchall()[0][0],
        "load_seconds": loaded,
        "load_peak_mb": peak,
        "resident_mb": held,
        **{f"move_p{p}_ms": 1000 * float(np.percentile(first, p)) for p in (50, 95, 100)},
        **{f"moved_all_p{p}_ms": 1000 * float(np.percentile(many, p)) for p in (50, 95, 100)},
        "settle_ms": 1000 * settled,
    }


def main() -> None:
    root = CACHE / "million"
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure(root)))
        return
    shutil.rmtree(root, ignore_errors=True)  # filters of another day judged otherwise
    made_up(root)
    command = [sys.executable, "-m", "benchmarks.tuning", "measure"]
    out = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    found = json.loads(out.stdout)
    about = circumstances("bateia", "duckdb", "pyarrow")
    text = f"""
## A moved threshold, on a million documents

`python -m benchmarks.tuning`: features of a run of {DOCUMENTS:,} documents in {SHARDS} shards and
{DOMAINS:,} domains, judged by the filters themselves; {found["documents"]:,} documents and {found["rules"]} rules
in the table, {found["threads"]} threads. A move is a line dragged to a random place on its axis: everything the page
shows again is counted (kept, lost, going on, by rule, language and domain, the histogram), as JSON.

| | |
| --- | ---: |
| load, once | {found["load_seconds"]:.1f} s |
| memory while loading, beyond what the process had | {found["load_peak_mb"]:,.0f} MB |
| memory of the whole process, loaded | {found["resident_mb"]:,.0f} MB |
| one line moved: half of {MOVES} moves within | {found["move_p50_ms"]:.0f} ms |
| 95 of 100 within | {found["move_p95_ms"]:.0f} ms |
| the slowest | {found["move_p100_ms"]:.0f} ms |
| every line moved, one after the other: half within | {found["moved_all_p50_ms"]:.0f} ms |
| 95 of 100 within | {found["moved_all_p95_ms"]:.0f} ms |
| all {found["rules"]} histograms anew, when a line is let go | {found["settle_ms"]:.0f} ms |

{words(about)}
"""
    keep("tuning", {"about": about, **found}, text)


if __name__ == "__main__":
    main()
