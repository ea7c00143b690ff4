"""The rounds of a barrier: small tables exchanged through the store, partitioned by key.

Each round is a set of independent tasks, committed like any shard. A document is called by its
`doc`: the number of its shard in the manifest << 32 | its row in that shard.
"""

import json
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.shelf import write_sketch
from pipelines.store import Commit, Store
from stages.base import DOCUMENT, REMEMBERED, Barrier
from stages.config import digest, load_step, localize
from stages.errors import StoreError
from stages.shards import DOCUMENTS, SKETCH

PROPOSALS, ASKED, WANTED = "proposals.parquet", "asked.parquet", "wanted.parquet"
EVIDENCE, CONCLUSION, NAMES = "evidence.parquet", "conclusion.parquet", "names.parquet"
DECISION = "decision.parquet"
ASKED_PER_TASK = 100_000  # of a document and what it shares with others
SKETCH_ROWS_PER_TASK = 4_000_000
SKETCH_BYTES_PER_TASK = 512 << 20  # as they lie in the store
GROUP_BYTES = 8 << 20  # of evidence in a row group
WINDOW_BYTES = 64 << 20  # of evidence of a shard in memory at once
_UINT64 = 1 << 64


@lru_cache(32)
def barrier_of(store: Store, key: str) -> Barrier:
    """The barrier noted under a key."""
    step = localize(load_step(store.read(f"passes/{key}.json"), "barrier", homes=("",)))
    assert isinstance(step, Barrier)
    return step


@lru_cache(8)
def manifest(store: Store, key: str) -> tuple[str, ...]:
    """The keys of the shards that meet at a barrier, in the order that numbers them."""
    found = store.read(f"manifests/{key}.json")
    if found is None:
        raise StoreError(f"{store.url}: no manifest {key}")
    return tuple(found)


def between(column: str, low: int, high: int) -> pc.Expression:
    """A filter on an unsigned 64-bit column, bounds inclusive."""
    bounds = pa.scalar(low, pa.uint64()), pa.scalar(high, pa.uint64())
    return (pc.field(column) >= bounds[0]) & (pc.field(column) <= bounds[1])


def decide(store: Store, target: str, barrier: str, shards: str, at: int, parts: int) -> Commit:
    """Propose within one of `parts` equal ranges of the key."""
    sketches = _sketches(store, shards, at, parts)
    return _write(store, target, {PROPOSALS: barrier_of(store, barrier).decide(sketches)})


def decide_refined(
    store: Store, target: str, barrier: str, refined: str, at: int, parts: int
) -> Commit:
    """Propose again, from the second sketches of all shards."""
    sketches = _sketches(store, refined, at, parts)
    return _write(store, target, {PROPOSALS: barrier_of(store, barrier).decide_refined(sketches)})


def _sketches(store: Store, shards: str, at: int, parts: int) -> pa.Table:
    """The rows of all shards' sketches in one range of the key, in order of doc."""
    bounds = between("key", at * _UINT64 // parts, (at + 1) * _UINT64 // parts - 1)
    tables = []
    for number, shard in enumerate(manifest(store, shards)):
        path = store.open(shard, SKETCH, check=at == 0)  # once per shard is enough
        rows = pq.read_table(path, filters=bounds)
        docs = pc.add(rows["row"].cast(pa.uint64()), pa.scalar(number << 32, pa.uint64()))
        tables.append(rows.drop_columns(["row"]).append_column("doc", docs))
    return pa.concat_tables(tables).sort_by("doc").combine_chunks()


def refine(
    store: Store, target: str, barrier: str, shards: str, proposals: str, number: int
) -> Commit:
    """Sketch again what is proposed of one shard."""
    found = [_of_shard(store, key, PROPOSALS, number) for key in manifest(store, proposals)]
    about = pa.concat_tables(found).drop_columns(["doc"]).sort_by("row").combine_chunks()
    rows = about["row"].to_numpy()
    step = barrier_of(store, barrier)
    tables = [step.refine(nobody(), about.slice(0, 0))]
    shard = manifest(store, shards)[number]
    for batch, picked in documents_of(store, shard, np.unique(rows), DOCUMENT.names):
        some = slice(*np.searchsorted(rows, [picked[0], picked[-1] + np.uint64(1)]))
        batch = batch.append_column("row", pa.array(picked, pa.uint32()))
        tables.append(step.refine(batch, about[some]))
    folder = store.scratch(target)
    write_sketch(folder, tables)
    return store.commit(target, folder, {}, {})


def nobody() -> pa.RecordBatch:
    """A batch of no documents, with their positions."""
    return pa.RecordBatch.from_pylist([], DOCUMENT.append(pa.field("row", pa.uint32())))


def ask(store: Store, target: str, barrier: str, proposals: str) -> Commit:
    """Name the documents whose evidence is wanted, whole groups of them in one part."""
    found = pa.concat_tables(_each(store, proposals, PROPOSALS))
    asked = barrier_of(store, barrier).ask(found)
    asked = asked.take(pc.sort_indices(asked, [("group", "ascending"), ("doc", "ascending")]))
    groups = asked["group"].to_numpy()
    before = np.searchsorted(groups, groups)  # rows of the groups before
    parts = np.unique(before // ASKED_PER_TASK, return_inverse=True)[1].astype(np.uint32)
    asked = asked.append_column("part", pa.array(parts)).drop_columns(["group"])
    ours = pc.less(asked["doc"], pa.scalar(REMEMBERED, pa.uint64()))
    wanted = asked.select(["doc", "part"]).filter(ours).group_by(["doc", "part"]).aggregate([])
    wanted = wanted.sort_by([("doc", "ascending"), ("part", "ascending")])
    numbers = np.unique(wanted["doc"].to_numpy() >> np.uint64(32)).tolist()
    result = {
        "rows": asked.num_rows,
        "parts": int(parts[-1]) + 1 if len(parts) else 1,
        "shards": numbers,
    }
    return _write(store, target, {ASKED: asked, WANTED: wanted}, result)


def evidence(
    store: Store, target: str, barrier: str, shards: str, asked: str, number: int
) -> Commit:
    """What the wanted documents of one shard have to show, those of one part together."""
    wanted = _of_shard(store, asked, WANTED, number)
    rows = wanted["row"].to_numpy()
    step = barrier_of(store, barrier)
    documents = documents_of(
        store, manifest(store, shards)[number], np.unique(rows), DOCUMENT.names
    )
    folder = store.scratch(target)
    kind = nothing(step).type
    schema = pa.schema([("part", pa.uint32()), ("doc", pa.uint64()), ("evidence", kind)])
    with pq.ParquetWriter(
        folder / EVIDENCE, schema, compression="none", use_dictionary=False
    ) as out:
        for picked, shown in _windows(step, documents):
            low, high = np.searchsorted(rows, picked[0]), np.searchsorted(rows, picked[-1], "right")
            some = wanted.slice(low, high - low).sort_by(
                [("part", "ascending"), ("doc", "ascending")]
            )
            at = pc.index_in(some["row"], value_set=pa.array(picked)).combine_chunks()
            for run in within(weights(shown).take(at).to_numpy(), GROUP_BYTES):
                columns = [some["part"][run], some["doc"][run], shown.take(at[run])]
                out.write_table(pa.table(columns, schema))
    return store.commit(target, folder, {}, {})


def _windows(
    step: Barrier, documents: Iterable[tuple[pa.RecordBatch, np.ndarray]]
) -> Iterator[tuple[np.ndarray, pa.Array]]:
    """Rows and their evidence, about WINDOW_BYTES of it at a time."""
    rows: list[np.ndarray] = []
    shown: list[pa.Array] = []
    for batch, picked in documents:
        rows.append(picked)
        shown.append(step.evidence(batch))
        if sum(array.nbytes for array in shown) >= WINDOW_BYTES:
            yield np.concatenate(rows), pa.concat_arrays(shown)
            rows, shown = [], []
    if rows:
        yield np.concatenate(rows), pa.concat_arrays(shown)


def nothing(step: Barrier) -> pa.Array:
    """The evidence of no documents, for its type."""
    return step.evidence(pa.RecordBatch.from_pylist([], DOCUMENT))


def verify(store: Store, target: str, barrier: str, asked: str, shown: str, at: int) -> Commit:
    """Compare the documents of one part, as their evidence comes by."""
    rows = pq.read_table(store.open(asked, ASKED), filters=pc.field("part") == at)
    paths = [store.open(key, EVIDENCE, check=at == 0) for key in manifest(store, shown)]
    step = barrier_of(store, barrier)
    found = step.verify(rows.drop_columns(["part"]), _shown(step, paths, at))
    return _write(store, target, {PROPOSALS: found})


def _shown(step: Barrier, paths: list[Path], at: int) -> Iterator[pa.Table]:
    """The evidence for one part, row group by row group; documents in order."""
    yield pa.table({"doc": pa.array([], pa.uint64()), "evidence": nothing(step)})
    for path in paths:
        file = pq.ParquetFile(path)
        for group in range(file.metadata.num_row_groups):
            head = file.read_row_group(group, columns=["part"])
            here = np.flatnonzero(head["part"].to_numpy() == at)
            if len(here):
                yield file.read_row_group(group, columns=["doc", "evidence"]).take(pa.array(here))


def weights(column: pa.Array) -> pa.Array:
    """About how many bytes each value takes: exact for lists of hashes, an average for others."""
    if pa.types.is_large_list(column.type) or pa.types.is_list(column.type):
        return pc.multiply(pc.list_value_length(column), 8).cast(pa.int64())
    return pa.repeat(pa.scalar(column.nbytes // max(1, len(column)), pa.int64()), len(column))


def within(sizes: np.ndarray, most: int) -> Iterator[slice]:
    """Cut rows into runs of at most so many bytes, but of at least one row."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, "right")))
        yield slice(start, stop)
        start = stop


def conclude(store: Store, target: str, barrier: str, proposals: str) -> Commit:
    """Turn all proposals into one decision, in which documents are still numbers."""
    decision, about = barrier_of(store, barrier).concluded(
        lambda: _each(store, proposals, PROPOSALS)
    )
    numbers: list[int] = []
    if "kept" in decision.schema.names:
        kept = decision["kept"].to_numpy()
        numbers = np.unique(kept[kept < REMEMBERED] >> np.uint64(32)).tolist()
    result = {"rows": decision.num_rows, "shards": numbers}
    return _write(store, target, {CONCLUSION: decision}, {**result, "about": about})


def names(store: Store, target: str, shards: str, concluded: str, number: int) -> Commit:
    """The ids of the documents of one shard that a decision says were kept."""
    here = between("kept", number << 32, ((number + 1) << 32) - 1)
    kept = pq.read_table(store.open(concluded, CONCLUSION), columns=["kept"], filters=here)["kept"]
    rows = np.unique(kept.to_numpy()) & np.uint64(0xFFFFFFFF)
    docs, ids = [], []
    for batch, picked in documents_of(store, manifest(store, shards)[number], rows, ["id"]):
        docs.append(pa.array(picked + np.uint64(number << 32), pa.uint64()))
        ids.append(batch.column("id"))
    return _write(
        store,
        target,
        {NAMES: pa.table({"doc": pa.chunked_array(docs), "id": pa.chunked_array(ids)})},
    )


def settle(store: Store, target: str, concluded: str, named: str) -> Commit:
    """The decision as shards apply it: sorted by document, kept copies called by their ids.

    The result names each shard's own slice by a digest, so that a shard about which nothing
    changed keeps its key.
    """
    decision = pq.read_table(store.open(concluded, CONCLUSION)).sort_by("doc")
    if "kept" in decision.schema.names:
        empty = pa.table({"doc": pa.array([], pa.uint64()), "id": pa.array([], pa.string())})
        known = pa.concat_tables([empty, *_each(store, named, NAMES)]).combine_chunks()
        at = pc.index_in(decision["kept"], value_set=known["doc"].combine_chunks())
        ids = known["id"].take(at)
        if "remembered" in decision.schema.names:
            ids = pc.coalesce(ids, decision["remembered"])
            decision = decision.drop_columns(["remembered"])
        decision = decision.drop_columns(["kept"]).append_column("copy_of", ids)
    return _write(store, target, {DECISION: decision}, {"slices": _slices(decision)})


def _slices(decision: pa.Table) -> dict[str, str]:
    """The digest of what the decision says about each shard, by its number; '' is what it says to all."""
    about = json.dumps(
        {k.decode(): v.decode() for k, v in (decision.schema.metadata or {}).items()}
    )
    found = {"": digest(about, str(decision.schema.names))}
    numbers = decision["doc"].to_numpy() >> np.uint64(32)
    starts = np.unique(numbers, return_index=True)[1].tolist()
    for start, stop in zip(starts, [*starts[1:], len(numbers)][: len(starts)], strict=True):
        rows = decision.slice(start, stop - start)
        local = pc.bit_wise_and(rows["doc"], pa.scalar(0xFFFFFFFF, pa.uint64()))
        rows = rows.set_column(rows.schema.get_field_index("doc"), "doc", local).combine_chunks()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        found[str(numbers[start])] = digest(sink.getvalue().to_pybytes().hex())
    return found


def documents_of(
    store: Store, shard: str, rows: np.ndarray, columns: list[str]
) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """The given rows (sorted) of a shard, row group by row group, and their numbers."""
    file = pq.ParquetFile(store.open(shard, DOCUMENTS))
    first = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        low, high = np.searchsorted(rows, [first, first + count])
        if low < high:
            picked = rows[low:high]
            table = file.read_row_group(group, columns=columns)
            batch = table.take(pa.array(picked - np.uint64(first))).combine_chunks().to_batches()[0]
            yield batch, picked
        first += count


def _of_shard(store: Store, key: str, name: str, number: int) -> pa.Table:
    """The rows of a table sorted by doc that are about one shard, with `row`."""
    bounds = between("doc", number << 32, ((number + 1) << 32) - 1)
    table = pq.read_table(store.open(key, name), filters=bounds)
    rows = pc.bit_wise_and(table["doc"], pa.scalar(0xFFFFFFFF, pa.uint64()))
    return table.append_column("row", rows)


def _each(store: Store, keys: str, name: str) -> Iterator[pa.Table]:
    return (pq.read_table(store.open(key, name)) for key in manifest(store, keys))


def _write(
    store: Store, target: str, tables: dict[str, pa.Table], result: dict[str, object] | None = None
) -> Commit:
    folder = store.scratch(target)
    for name, table in tables.items():
        pq.write_table(table, folder / name, compression="zstd", compression_level=1)
    return store.commit(target, folder, result or {}, {})
