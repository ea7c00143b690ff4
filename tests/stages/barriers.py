"""The rounds of a Barrier, in memory, as its docstring tells them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import DOCUMENT, REMEMBERED, part
from stages.measure import Measure


def documents(texts, **columns):
    rows = len(texts)
    table = {
        "id": [f"d{at}" for at in range(rows)],
        "text": list(texts),
        "source": ["s"] * rows,
        "url": [None] * rows,
        "date": [None] * rows,
        "meta": [[]] * rows,
    }
    extra = {name: column for name, column in columns.items() if name not in table}
    table.update({name: column for name, column in columns.items() if name in table})
    batch = pa.RecordBatch.from_pydict(table, schema=DOCUMENT)
    for name, column in extra.items():
        batch = batch.append_column(name, pa.array(column))
    return batch


def shards(batch, cuts):
    edges = [0, *sorted(cuts), batch.num_rows]
    return [batch.slice(a, b - a) for a, b in pairwise(edges)]


def drive(barrier, parts, partitions=1, batches=1, shuffle=0):
    """Run the barrier over shards; return (documents kept, rejects, decision) of the whole."""
    numbers = np.random.default_rng(shuffle)
    sketches = []
    for shard, whole in enumerate(parts):
        edges = np.linspace(0, whole.num_rows, batches + 1).astype(int)
        for start, stop in pairwise(edges):
            batch = whole.slice(start, stop - start)
            if barrier.measures:
                batch = Measure(names=barrier.measures)(batch)
            sketch = barrier.sketch(batch)
            row = pc.add(sketch["row"].cast(pa.uint64()), pa.scalar(start, pa.uint64()))
            doc = pc.add(row, pa.scalar(shard << 32, pa.uint64()))
            sketches.append(sketch.drop_columns("row").append_column("doc", doc))
    sketch = pa.concat_tables(sketches).sort_by("doc")
    home = sketch["key"].to_numpy() % partitions
    rounds = [barrier.decide(sketch.filter(pa.array(home == at))) for at in range(partitions)]
    numbers.shuffle(rounds)
    proposals = pa.concat_tables(rounds)
    if barrier.refined:
        proposals = _refined(barrier, parts, proposals, partitions)
    if barrier.verified:
        proposals = _verified(barrier, parts, proposals, partitions)
    decision = barrier.conclude(proposals)
    kept, rejects = [], []
    for shard, whole in enumerate(parts):
        batch = whole.append_column("row", pa.array(np.arange(whole.num_rows), pa.uint32()))
        if barrier.measures:
            batch = Measure(names=barrier.measures)(batch)
        stay, leave, broken = part(barrier(batch, _slice(decision, shard, parts)))
        assert broken is None
        kept += stay["id"].to_pylist()
        if leave is not None:
            rejects += leave.to_pylist()
    return kept, rejects, decision


def _refined(barrier, parts, proposals, partitions):
    tables = []
    for shard, whole in enumerate(parts):
        ours = _slice(proposals, shard, parts)
        batch = whole.append_column("row", pa.array(np.arange(whole.num_rows), pa.uint32()))
        named = np.unique(ours["row"].to_numpy())
        sketch = barrier.refine(batch.take(pa.array(named)), ours.sort_by("row"))
        doc = pc.add(sketch["row"].cast(pa.uint64()), pa.scalar(shard << 32, pa.uint64()))
        tables.append(sketch.drop_columns("row").append_column("doc", doc))
    sketch = pa.concat_tables(tables).sort_by("doc")
    home = sketch["key"].to_numpy() % partitions
    return pa.concat_tables(
        [barrier.decide_refined(sketch.filter(pa.array(home == at))) for at in range(partitions)]
    )


def _verified(barrier, parts, proposals, partitions):
    asked = barrier.ask(proposals).sort_by([("group", "ascending"), ("doc", "ascending")])
    rounds = []
    for at in range(partitions):
        some = asked.filter(pa.array(asked["group"].to_numpy() % partitions == at))
        shown = evidence(barrier, parts, some["doc"].to_numpy())
        rounds.append(barrier.verify(some.drop_columns("group"), shown))
    return pa.concat_tables(rounds)


def evidence(barrier, parts, docs):
    """What some documents have to show, shard by shard."""
    for shard, whole in enumerate(parts):
        named = np.unique(docs[docs >> np.uint64(32) == shard])
        rows = pa.array(named & np.uint64(0xFFFFFFFF))
        found = barrier.evidence(whole.select(DOCUMENT.names).take(rows))
        assert len(found) == len(rows)
        yield pa.table({"doc": named, "evidence": found})


def _slice(decision, shard, parts):
    doc = decision["doc"].to_numpy()
    here = decision.filter(pa.array(doc >> np.uint64(32) == shard))
    row = pc.bit_wise_and(here["doc"], pa.scalar(0xFFFFFFFF, pa.uint64())).cast(pa.uint32())
    out = here.drop_columns("doc").append_column("row", row)
    if "kept" in out.column_names:
        ids = [
            parts[doc >> 32]["id"][doc & 0xFFFFFFFF].as_py() if doc < REMEMBERED else None
            for doc in here["kept"].to_pylist()
        ]
        if "remembered" in out.column_names:
            named = out["remembered"].to_pylist()
            ids = [known or old for known, old in zip(ids, named, strict=True)]
            out = out.drop_columns("remembered")
        out = out.drop_columns("kept").append_column("copy_of", pa.array(ids, pa.string()))
    return out
