"""Take one shard through one pass. Pure but for the files it leaves: no Ray, no driver, no state."""

import faulthandler
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.columns import Marking, brought_by, columns_of, marks, measured
from pipelines.exchange import DECISION, between
from pipelines.plan import Input, Pass, load_pass
from pipelines.shelf import ShardWriter
from pipelines.store import Commit, Store
from stages.base import DOCUMENT, DROPPED, FAULT, Batch, fault, part, replace
from stages.errors import Error, StageError, StoreError
from stages.shards import DOCUMENTS

ROW = pa.field("row", pa.uint32())  # position in the input, for decisions and poison lists
UNREADABLE = -1  # in place of a row in a poison list: reading the input kills the worker
PATIENCE = 5  # times the CPU that a batch may take, by the clock
READ = "read"  # the first line of every funnel: what came in, and what could not be read


@dataclass
class Tally:
    """What happened at one stage. in = out + dropped + quarantined, always."""

    stage: str
    documents: int = 0
    out: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    quarantined: dict[str, int] = field(default_factory=dict)
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0  # of CPU

    def counts(self) -> dict[str, Any]:
        """The part that is the same on every run."""
        return {
            "stage": self.stage,
            "in": self.documents,
            "out": self.out,
            "dropped": self.dropped,
            "quarantined": self.quarantined,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
        }


@dataclass(frozen=True)
class Rows:
    """A part of a shard, for hunting what breaks it."""

    start: int
    stop: int


@lru_cache(32)
def pass_of(store: Store, key: str) -> Pass:
    """The pass noted under a key; kept, so that its models are loaded once per process."""
    raw = store.read(f"passes/{key}.json")
    if raw is None:
        raise StoreError(f"{store.url}: no pass is noted under {key}")
    return load_pass(raw)


def run_pass(
    store: Store, target: str, work: str, source: Input, number: int, decision: str, isolated: bool
) -> Commit:
    """Take an input through a pass and commit what comes out under `target`.

    `number` is the input's place among its flow's shards and `decision` the key of the verdict to
    apply, if there is one. With `isolated`, a batch that takes longer than the pass allows ends
    this process, so that the driver can find the document at fault.
    """
    began, cpu = time.time(), time.process_time()
    job = pass_of(store, work)
    folder = store.scratch(target)
    poison = {int(row): str(why) for row, why in store.read(f"poison/{target}.json") or []}
    brought = brought_by(store, source)
    journey = Journey(
        job, decision_slice(store, decision, number), poison, isolated, marks=marks(job, brought)
    )
    writer = ShardWriter(folder, brought, columns_of(job), measured(job), journey.marks)
    batches = read(store, source) if UNREADABLE not in poison else unreadable(source)
    kept = writer.follow(journey.through(batches), journey.left)
    counts = job.sink.write(kept, folder) if job.sink else writer.keep(kept)
    writer.close(journey.sketches if job.exit else None)
    journey.check()
    result = {
        "input": source.name,
        "stages": [tally.counts() for tally in journey.tallies],
        "counts": counts,
    }
    made = {
        "seconds": {tally.stage: round(tally.seconds, 4) for tally in journey.tallies},
        "cpu": round(time.process_time() - cpu, 4),
        "began": round(began, 3),
        "ended": round(time.time(), 3),
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    return store.commit(target, folder, result, made)


def probe(
    store: Store, _target: str, work: str, source: Input, number: int, decision: str, rows: Rows
) -> int:
    """Take only some rows through a pass and throw the result away; return how many rows there were.

    What makes this call die or hang is among those rows.
    """
    job = pass_of(store, work)
    journey = Journey(job, decision_slice(store, decision, number), {}, True, rows)
    for _ in journey.through(read(store, source)):
        journey.left.clear()
        journey.sketches.clear()
    return journey.read_rows


def read(store: Store, source: Input) -> Iterator[Batch]:
    """The batches of a slice of a source or of a committed shard, `row` not yet added."""
    if source.source is not None and source.slice is not None:
        yield from source.source.read(source.slice)
        return
    file = pq.ParquetFile(store.open(source.key, DOCUMENTS))
    groups = range(file.metadata.num_row_groups)
    for group in groups:
        table = file.read_row_group(group).combine_chunks()
        yield from table.to_batches() or []
    if not groups:
        yield pa.RecordBatch.from_pylist([], file.schema_arrow)


def unreadable(source: Input) -> Iterator[Batch]:
    """One row in place of an input whose very reading kills the worker."""
    row = {"id": f"{source.name}#unreadable", "text": "", "source": source.name}
    yield pa.RecordBatch.from_pylist([row], DOCUMENT)


def decision_slice(store: Store, decision: str, number: int) -> pa.Table | None:
    """The rows of a decision that are about one shard, with `row` in place of `doc`."""
    if not decision:
        return None
    path = store.open(decision, DECISION)
    mine = between("doc", number << 32, ((number + 1) << 32) - 1)
    table = pq.read_table(path, filters=mine)
    rows = pc.bit_wise_and(table["doc"], pa.scalar(0xFFFFFFFF, pa.uint64())).cast(pa.uint32())
    return table.drop_columns(["doc"]).append_column(ROW, rows)


class Journey:
    """Batches on their way through the steps of a pass, counted at every step."""

    def __init__(
        self,
        job: Pass,
        decision: pa.Table | None,
        poison: dict[int, str],
        isolated: bool,
        rows: Rows | None = None,
        marks: Sequence[dict[str, str]] = (),
    ) -> None:
        self.job, self.poison, self.rows, self.marks = job, poison, rows, marks
        self.seconds = job.seconds if isolated else 0.0
        self.steps = chain(job, decision, marks)
        self.sketches: list[pa.Table] = []
        self.sketched = 0
        if job.exit:
            self.steps.append((f"{type(job.exit).__name__}.sketch", self._sketch))
        self.tallies = [Tally(READ), *(Tally(name) for name, _ in self.steps)]
        self.read_rows = 0
        self.left: list[tuple[str, Batch, bool]] = []  # (stage, rows, quarantined) to be written

    def through(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The rows that survive, batch by batch; the others wait in `left` for the writer."""
        budget = Budget(self.seconds)
        if self.seconds:
            self._warm()
        iterator = iter(batches)
        while True:
            with budget:
                began = time.process_time()
                batch = next(iterator, None)
                if batch is None:
                    break
                batch = self._enter(batch, time.process_time() - began)
                if batch is None:
                    continue
                for tally, (_, step) in zip(self.tallies[1:], self.steps, strict=True):
                    batch = self._take(tally, step, batch)
            yield batch

    def _warm(self) -> None:
        """Let kernels compile and models load on a document of no account, off the clock."""
        row = {"id": "", "text": "Warm up.", "source": "", ROW.name: 0}
        batch = pa.RecordBatch.from_pylist([row], DOCUMENT.append(ROW))
        try:
            for _, step in self.steps:
                batch = part(step(batch))[0]
        except Exception:  # what is wrong will show on real documents
            self.left.clear()
        self.sketches, self.sketched = [], 0

    def _enter(self, batch: Batch, seconds: float) -> Batch | None:
        """Number the rows, cut to the wanted ones, take out the poisonous and the unreadable."""
        first, self.read_rows = self.read_rows, self.read_rows + batch.num_rows
        numbers = pa.array(range(first, self.read_rows), ROW.type)
        batch = replace(batch, ROW.name, numbers)
        if self.rows:
            start = max(0, self.rows.start - first)
            batch = batch.slice(start, max(0, min(batch.num_rows, self.rows.stop - first) - start))
            if not batch.num_rows:
                return None
        if self.poison:
            everything = self.poison.get(UNREADABLE)
            why = [self.poison.get(row, everything) for row in range(first, self.read_rows)]
            marks = pa.array(why, FAULT.type)
            if FAULT.name in batch.schema.names:
                marks = pc.coalesce(marks, batch.column(FAULT.name))
            batch = replace(batch, FAULT.name, marks)
        return self._count(self.tallies[0], batch, batch, seconds)

    def _take(self, tally: Tally, step: Callable[[Batch], Batch], batch: Batch) -> Batch:
        began = time.process_time()
        after = guard(step, batch)
        return self._count(tally, batch, after, time.process_time() - began)

    def _count(self, tally: Tally, before: Batch, after: Batch, seconds: float) -> Batch:
        kept, dropped, broken = part(after)
        tally.documents += before.num_rows
        tally.out += kept.num_rows
        tally.bytes_in += text_bytes(before)
        tally.bytes_out += text_bytes(kept)
        tally.seconds += seconds
        if dropped is not None:
            add_counts(tally.dropped, dropped.column(DROPPED.name))
            self.left.append((tally.stage, dropped, False))
        if broken is not None:
            kinds = pc.list_element(
                pc.split_pattern(broken.column(FAULT.name), ":", max_splits=1), 0
            )
            add_counts(tally.quarantined, kinds)
            self.left.append((tally.stage, broken, True))
        return kept

    def _sketch(self, batch: Batch) -> Batch:
        """Sketch the rows that will be written, numbered as they will stand in the shard."""
        assert self.job.exit
        sketch = self.job.exit.sketch(batch)
        rows = pc.add(sketch["row"].cast(pa.uint32()), pa.scalar(self.sketched, pa.uint32()))
        at = sketch.schema.get_field_index("row")
        self.sketches.append(sketch.set_column(at, ROW, rows))
        self.sketched += batch.num_rows
        return batch

    def check(self) -> None:
        """Raise if any stage does not add up: a row was lost or made on the way."""
        before = None
        for tally in self.tallies:
            gone = sum(tally.dropped.values()) + sum(tally.quarantined.values())
            lost = tally.documents - tally.out - gone
            if lost or (before is not None and tally.documents != before):
                raise StoreError(
                    f"{self.job.flow}.{tally.stage}: {tally.documents} documents in, {tally.out} out, "
                    f"{gone} set aside: {lost} unaccounted for; this is a fault of the stage"
                )
            before = tally.out


def chain(
    job: Pass, decision: pa.Table | None, marks: Sequence[dict[str, str]] = ()
) -> list[tuple[str, Callable[[Batch], Batch]]]:
    """The steps of a pass by name, led by the barrier whose decision it applies."""
    steps: list[tuple[str, Callable[[Batch], Batch]]] = []
    names = job.names
    if job.entry and decision is not None:
        barrier, verdict = job.entry, decision
        steps.append((names[0], lambda batch: barrier(batch, verdict)))
    work: list[Callable[[Batch], Batch]] = [*job.chain]
    for at, noted in enumerate(marks):
        work[at] = Marking(job.chain[at], noted) if noted else job.chain[at]
    steps.extend(zip(names[len(names) - len(job.chain) :], work, strict=True))
    return steps


def guard(step: Callable[[Batch], Batch], batch: Batch) -> Batch:
    """Run a step; if it raises, halve the batch until the rows at fault stand alone, marked.

    A mistake of ours (`Error`) is no document's fault and goes up.
    """
    try:
        return step(batch)
    except Error:
        raise
    except Exception as error:
        if batch.num_rows <= 1:
            return _broken(step, batch, error)
    middle = batch.num_rows // 2
    halves = [guard(step, batch.slice(0, middle)), guard(step, batch.slice(middle))]
    return join(halves)


def _broken(step: Callable[[Batch], Batch], batch: Batch, error: BaseException) -> Batch:
    try:
        empty = step(batch.slice(0, 0))  # has the columns that this step would have added
    except Exception as wrong:
        raise StageError(
            f"{step} fails even on no documents: {type(wrong).__name__}: {wrong}"
        ) from error
    rows = pa.Table.from_batches([batch])
    for column in empty.schema:
        if column.name not in rows.schema.names:
            rows = rows.append_column(column, pa.nulls(rows.num_rows, column.type))
    whole = rows.select(empty.schema.names).combine_chunks().to_batches()
    message = " ".join(str(error).split())[:500]
    return fault(whole[0], [f"{type(error).__name__}: {message}"]) if whole else empty


def join(batches: list[Batch]) -> Batch:
    """One batch of several, whose verdict columns may be there or not."""
    tables = [pa.Table.from_batches([batch]) for batch in batches]
    whole = pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    return whole.to_batches()[0] if whole.num_rows else batches[0]


def add_counts(counts: dict[str, int], column: pa.Array) -> None:
    """Count the values of a column of strings into a dictionary."""
    for entry in pc.value_counts(column).to_pylist():
        counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]


def text_bytes(batch: Batch) -> int:
    """Bytes of UTF-8 in the text column of a batch."""
    return pc.sum(pc.binary_length(batch.column("text"))).as_py() or 0


class Budget:
    """Ends the process when one batch takes too long, whatever holds the interpreter.

    Too long is `seconds` of the process's CPU, so that a busy machine condemns no document, or
    PATIENCE times as much by the clock, for what waits and does not compute.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        if seconds:
            faulthandler.register(signal.SIGPROF, chain=True)  # says where, and the process ends

    def __enter__(self) -> None:
        if self.seconds:
            faulthandler.dump_traceback_later(PATIENCE * self.seconds, exit=True)
            signal.setitimer(signal.ITIMER_PROF, self.seconds)

    def __exit__(self, *_: object) -> None:
        if self.seconds:
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.cancel_dump_traceback_later()
