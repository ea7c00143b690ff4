"""Spans, long repeats and benchmarks in texts: what is cut, how fast, against others and the definition.

python -m benchmarks.spans DOCUMENTS.parquet      # columns text and language
python -m benchmarks.spans one STEP DOCUMENTS.parquet ROWS
"""

import json
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.cost import ALONE, cost
from benchmarks.ground import THEIRS
from benchmarks.page import CACHE, circumstances, keep, table, words
from pipelines import Flow, Pipeline, run
from stages.base import Stage, Step
from stages.decontaminate import Decontaminate
from stages.dedup import RepeatedSpans, SpanDedup, SubstringDedup
from stages.read import Parquet

WORK = CACHE / "spans"
SAMPLE, LENGTH = 700, 50
STEPS: dict[str, Step] = {
    "sentences": SpanDedup(),
    "lines": SpanDedup(unit="line", window=1),
    "substring": SubstringDedup(),
}
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff\u200b-\u200f\u2060-\u206f\ufeff]"
)


def engine(step: Step, rows: pa.Table, name: str) -> tuple[list[str | None], float]:
    """What a pipeline leaves of each text, None of those that leave; CPU seconds, reading and writing in them."""
    home = WORK / name
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    pq.write_table(rows, home / "in.parquet", row_group_size=4096)
    flow = Flow([Parquet(paths=str(home / "in.parquet"))], [step])
    start = time.process_time()
    done = run(Pipeline("spans", {"all": flow}), str(home / "store"))
    seconds = time.process_time() - start
    found = {}
    for key in done.record["stretches"][-1]["keys"]:
        kept = pq.read_table(done.store.open(key, "documents.parquet"))
        found |= dict(zip(kept["id"].to_pylist(), kept["text"].to_pylist(), strict=True))
    first = done.record["stretches"][0]["keys"]
    ids = [
        each
        for key in first
        for each in pq.read_table(done.store.open(key, "features.parquet"))["id"].to_pylist()
    ]
    return [found.get(each) for each in ids], seconds


def one(step: str, path: str, rows: str) -> None:
    """A step over some documents, for its cost."""
    texts = pq.read_table(path, columns=["text"]).slice(0, int(rows))
    _, seconds = engine(STEPS[step], texts, f"one-{step}")
    print(
        json.dumps({"seconds": seconds, "bytes": pc.sum(pc.binary_length(texts["text"])).as_py()})
    )


def growth(path: str) -> list[tuple[object, ...]]:
    total = pq.read_metadata(path).num_rows
    found: list[tuple[object, ...]] = []
    for step in STEPS:
        for share in (4, 2, 1):
            log = WORK / "one.log"
            command = [
                sys.executable,
                "-m",
                "benchmarks.spans",
                "one",
                step,
                path,
                str(total // share),
            ]
            spent = cost(command, log, **ALONE)
            about = json.loads(log.read_text().strip().split("\n")[-1])
            size = about["bytes"] / 1e6
            found.append(
                (
                    step,
                    total // share,
                    size,
                    about["seconds"],
                    size / about["seconds"],
                    spent.worker / 1e9,
                )
            )
    return found


def speeds(texts: pa.Table) -> list[tuple[str, float]]:
    """Stages without a barrier, warm, MB of text per second of CPU."""
    batches = texts.combine_chunks().to_batches(max_chunksize=1024)
    size = sum(pc.sum(pc.binary_length(batch["text"])).as_py() for batch in batches) / 1e6
    steps: dict[str, Stage] = {
        "RepeatedSpans, lines": RepeatedSpans(unit="line"),
        "Decontaminate": Decontaminate(against=str(WORK / "items.jsonl")),
    }
    found = []
    for name, step in steps.items():
        step(batches[0])
        start = time.process_time()
        for batch in batches:
            step(batch)
        found.append((name, size / (time.process_time() - start)))
    return found


def named(words: list[str]) -> np.ndarray:
    """A number for each run of LENGTH words, equal where the runs are, by doubling (Karp et al. 1972)."""
    numbers: dict[str, int] = {}
    ranks = np.array([numbers.setdefault(word, len(numbers)) for word in words], np.int64)
    size = 1
    while size < LENGTH:
        step = min(size, LENGTH - size)
        pairs = ranks[:-step] * (ranks.max() + 1) + ranks[step:]
        ranks = np.unique(pairs, return_inverse=True)[1]
        size += step
    return ranks


def by_definition(texts: list[str]) -> list[list[bool]]:
    """Of each text which words are in a run of LENGTH words that was there before."""
    split = [text.split() for text in texts]
    sizes = np.array([len(some) + 1 for some in split])
    whole = [word for at, some in enumerate(split) for word in [*some, f"\0{at}"]]
    ranks = named(whole)
    homes = np.repeat(np.arange(len(sizes)), sizes)
    first = np.full(ranks.max() + 1, len(whole))
    places = np.arange(len(ranks))
    np.minimum.at(first, ranks, places)
    origin = first[ranks]
    ends = np.cumsum(sizes)
    inside = places + LENGTH < ends[homes[places]]
    again = inside & ((homes[origin] != homes[places]) | (places >= origin + LENGTH))
    change = np.zeros(len(whole) + 1, np.int64)
    np.add.at(change, places[again], 1)
    np.add.at(change, places[again] + LENGTH, -1)
    cut = np.cumsum(change)[:-1] > 0
    return [part[:-1].tolist() for part in np.split(cut, ends[:-1])]


def exactness(rows: pa.Table) -> dict[str, Any]:
    """Of the characters that the definition says, how many are cut, and of those cut how many it says."""
    texts = [text for text in rows["text"].to_pylist() if not UNSPACED.search(text)]
    expected = by_definition(texts)
    found, _ = engine(
        SubstringDedup(length=LENGTH, words=1, sentences=None), pa.table({"text": texts}), "exact"
    )
    said = done = both = same = 0
    for text, cut, left in zip(texts, expected, found, strict=True):
        some = text.split()
        should = Counter(word for word, gone in zip(some, cut, strict=True) if gone)
        did = Counter(some) - Counter((left or "").split())
        rest = [word for word, gone in zip(some, cut, strict=True) if not gone]
        same += rest == (left or "").split()
        said += sum(len(word) * many for word, many in should.items())
        done += sum(len(word) * many for word, many in did.items())
        both += sum(len(word) * many for word, many in (should & did).items())
    size = sum(len(text.encode()) for text in texts) / 1e6
    return {
        "documents": len(texts),
        "mb": size,
        "said": said,
        "cut": done,
        "recall": both / said,
        "precision": both / done,
        "same": same / len(texts),
    }


def versus(rows: pa.Table) -> list[tuple[object, ...]]:
    """datatrove's sentence deduplication and decontamination on the same documents."""
    texts = [re.sub(r"\n\s*\n", "\n", text.strip()) for text in rows["text"].to_pylist()]
    size = sum(len(text.encode()) for text in texts) / 1e6
    write(WORK / "documents.jsonl", texts)
    theirs = THEIRS[0] if Path(THEIRS[0]).exists() else sys.executable
    script = str(Path(__file__).with_name("datatrove_spans.py"))
    shutil.rmtree(WORK / "theirs", ignore_errors=True)
    command = [
        theirs,
        script,
        *(str(WORK / n) for n in ("documents.jsonl", "items.jsonl", "theirs", "theirs.json")),
    ]
    subprocess.run(command, check=True, capture_output=True)
    them = json.loads((WORK / "theirs.json").read_text(encoding="utf-8"))
    found = [
        ("three sentences", *alike(texts, them["sentences"], SpanDedup())),
        ("three lines", *alike(texts, them["lines"], SpanDedup(unit="line"))),
    ]
    step = Decontaminate(against=str(WORK / "items.jsonl"), ngram=12, columns=("text",))
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.large_string())})
    step(batch.slice(0, 10))
    start = time.process_time()
    hit = step(batch)["dropped"].is_valid().to_pylist()
    ours = time.process_time() - start
    hits = them["benchmarks"]["hit"]
    same = sum(a == b for a, b in zip(hits, hit, strict=True)) / len(texts)
    theirs = them["benchmarks"]["seconds"]
    figures = size / theirs, size / ours, theirs / ours
    counted = f"{sum(hits)} and {sum(hit)} dropped"
    return [*found, ("12-grams of benchmarks", *figures, f"{same:.1%}", None, counted)]


def alike(texts: list[str], them: dict[str, Any], step: Step) -> tuple[object, ...]:
    """Speeds, same verdicts (as it was, cut, dropped), same words left, words that each side takes out."""
    engine(step, pa.table({"text": texts[:50]}), "warm")
    left, seconds = engine(step, pa.table({"text": texts}), "ours")
    same = apart = total = 0
    kept = [0, 0]
    for text, *sides in zip(texts, them["left"], left, strict=True):
        split = [(side or "").split() for side in sides]
        fates = [
            None if s is None else w == text.split() for s, w in zip(sides, split, strict=True)
        ]
        same += fates[0] == fates[1]
        theirs, ours = map(Counter, split)
        apart += ((theirs - ours) + (ours - theirs)).total()
        total += len(text.split())
        kept = [many + len(words) for many, words in zip(kept, split, strict=True)]
    size = sum(len(text.encode()) for text in texts) / 1e6
    taken = " and ".join(f"{1 - many / total:.1%}" for many in kept)
    speeds = size / them["seconds"], size / seconds, them["seconds"] / seconds
    return *speeds, f"{same / len(texts):.1%}", f"{1 - apart / total:.1%}", f"{taken} of the words"


def write(path: Path, texts: list[str]) -> None:
    lines = (json.dumps({"id": str(at), "text": text}) for at, text in enumerate(texts))
    path.write_text("\n".join(lines), encoding="utf-8")


def main(path: str) -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    about = circumstances("bateia", "pyarrow", "numba", "datatrove")
    grown = growth(path)  # first: a child begins with the peak of its parent
    whole = pq.read_table(path, columns=["text", "language"])
    english = whole.filter(pc.equal(whole["language"], "en"))
    sample = english.take(pa.array(range(0, english.num_rows, max(1, english.num_rows // SAMPLE))))
    short = pc.less(pc.binary_length(sample["text"]), 20_000)
    sample = sample.filter(short)
    write(WORK / "items.jsonl", [text[:400] for text in english["text"].to_pylist()[3::150]])
    peers, exact, alone = versus(sample), exactness(english), speeds(english)
    text = f"""
## Spans, long repeats, benchmarks

`python -m benchmarks.spans DOCUMENTS.parquet`: {whole.num_rows:,} documents of prose in many languages, full of
licences and menus. MB of text per second of CPU, one thread. Ours with reading, writing and committing
of every shard; datatrove's steps by themselves, {sample.num_rows:,} English documents.

{table(["what", "datatrove", "bateia", "times", "same verdict", "same words left", "taken out"], peers)}

A verdict is: as it was, cut, dropped. Blank lines were left out of the texts before, for datatrove counts them as
lines. Where the two differ it is by where sentences end (ours also with their line, spaCy's run on through
headings and menus), and by what is a word where a document is dropped for being left too short.

**Long repeats against the definition.** {exact["documents"]:,} English documents, {exact["mb"]:.1f} MB, runs of {LENGTH} words, named by
prefix doubling in numpy: it says that {exact["said"]:,} characters repeat; cut were {exact["cut"]:,}. Recall
{exact["recall"]:.6f}, precision {exact["precision"]:.6f}; {exact["same"]:.2%} of the documents are left exactly so.

{table(["stage, warm", "MB/s"], alone)}

### Growth

Each in a process of its own, kernels compiled before.

{table(["step", "documents", "MB", "CPU s", "MB/s", "peak GB"], grown)}

{words(about)}
"""
    keep(
        "spans",
        {"about": about, "peers": peers, "exact": exact, "alone": alone, "growth": grown},
        text,
    )


if __name__ == "__main__":
    one(*sys.argv[2:]) if sys.argv[1] == "one" else main(sys.argv[1])
