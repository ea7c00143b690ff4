"""The kinds of step a pipeline is made of, and the batch of documents that passes between them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Batch: TypeAlias = pa.RecordBatch
Parts: TypeAlias = Callable[
    [], Iterator[pa.Table]
]  # a table part by part, from the first whenever called

DOCUMENT = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),  # source, file and offset; given by us
        pa.field("text", pa.large_string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),  # the name of the Source step
        pa.field("url", pa.string()),
        pa.field("date", pa.timestamp("s")),  # UTC
        pa.field("meta", pa.map_(pa.string(), pa.string())),
    ]
)
DROPPED = pa.field("dropped", pa.string())  # the rule a row leaves by; null while it stays
VALUE = pa.field("value", pa.float64())  # what the rule measured
COPY_OF = pa.field("copy_of", pa.string())  # id of the copy that was kept
FAULT = pa.field("fault", pa.string())  # `ErrorClass: message`; null while the row is sound
REMEMBERED = 1 << 63  # documents numbered so and higher are of an index of earlier crawls

# A field annotated so is a path whose *content* is part of the step's fingerprint.
File: TypeAlias = Annotated[str, "file"]


@dataclass(frozen=True)
class Resources:
    """What one worker needs to run a step. `heavy` steps keep their model in a lasting actor."""

    cpus: float = 1
    gpus: float = 0
    memory: int = 0  # bytes; 0 leaves it to the runner
    heavy: bool = False


@dataclass(frozen=True, kw_only=True)
class Step(ABC):  # noqa: B024 -- the kinds below hold the abstract methods
    """One item of a pipeline file.

    Its dataclass fields are its whole configuration: they name its YAML keys, decide its
    fingerprint and generate its documentation. Models and tables are loaded on the worker by a
    `functools.cached_property`, and never travel.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    version: ClassVar[int] = 1  # raise it when the same fields give another result
    rewrites: ClassVar[bool] = False  # changes `text`: measures taken before it are void after it
    costly: ClassVar[bool] = False  # its result is committed, so that no later change redoes it

    @property
    def needs(self) -> tuple[str, ...]:
        """Columns that must be there, by name."""
        return ("text",)

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """Columns that are there afterwards."""
        return ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures of the text (see `stages.measure`) that must be there as columns."""
        return ()

    @property
    def places(self) -> tuple[str, ...]:
        """Fields that say where something is, not what: they are not part of the fingerprint."""
        return ()

    @property
    def resources(self) -> Resources:
        """What a worker needs to run this step."""
        return Resources()

    def check(self) -> None:  # noqa: B027 -- most steps have nothing to add
        """Raise SpecError where the fields contradict each other or name what is not there."""

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, kw_only=True)
class Stage(Step):
    """A step that sees one batch at a time. The result never depends on how rows are batched."""

    @abstractmethod
    def __call__(self, batch: Batch) -> Batch:
        """Return the batch, edited; rows to leave out are marked with `drop` or `fault`."""


@dataclass(frozen=True, kw_only=True)
class Barrier(Step):
    """A step that must have seen every document of its flow before it can judge one.

    Rounds, each of them parallel tasks that exchange small tables through the store:

    1. `sketch(batch)` rides at the end of the pass before; its column `key` (uint64) says which
       rows must meet. The engine adds the column `doc` (uint64: shard number << 32 | row).
    2. `decide(sketches)` sees all rows whose keys share a partition and returns *proposals*.
       If `refined`, a second sketch follows, of the documents that were proposed only:
       `refine(batch, proposals)` gets them read again (with `row`, their position in the shard) and
       the shard's proposals about them (`row` in place of `doc`), and returns a sketch, its `row`
       the batch's; what `decide_refined(sketches)` says then are the proposals.
    3. If `verified`: `ask(proposals)` (central) names documents (`doc`) that must be compared, those
       of one `group` (int64, from 0 on) together, with what else `verify` is to know of them;
       `evidence(batch)` is taken of every document named (one row per document, in order), read
       again from the committed shard; `verify(asked, shown)` gets the rows of some whole groups and
       the evidence of their documents (tables with `doc` and `evidence`, each document once), and
       returns proposals again.
    4. `conclude(proposals)` (central, small) returns the decision: a table with `doc` (the rows it
       is about) and whatever `__call__` needs; a column `kept` (uint64 doc) is translated by the
       engine into the id of that document, as the string column `copy_of`. Schema metadata of the
       decision reaches every shard. Of a document that an index holds (REMEMBERED and up) there is no
       evidence to be taken, and the column `remembered` names it where it is `kept`.
    5. `__call__(batch, decision)` rides at the start of the pass after, with the shard's own slice
       of the decision: its rows carry `row` (uint32, position in the shard) instead of `doc`. The
       batch carries `row` too.
    """

    verified: ClassVar[bool] = False
    refined: ClassVar[bool] = False

    @property
    def late(self) -> tuple[str, ...]:
        """Fields that shape the decision but not the sketch: a new value redoes no pass before."""
        return ()

    def forecast(self) -> Iterator[str]:
        """What a plan should tell of it, line by line."""
        return iter(())

    def about(self, proposals: pa.Table, decision: pa.Table) -> dict[str, Any]:  # noqa: ARG002
        """Numbers of the decision for reports: plain data of bounded size, documents by number."""
        return {}

    @abstractmethod
    def sketch(self, batch: Batch) -> pa.Table:
        """Summarise the batch: `key` (uint64), `row` (uint32, index within the batch), and more."""

    @abstractmethod
    def decide(self, sketches: pa.Table) -> pa.Table:
        """Propose, from the sketches of one partition (ordered by doc). Any split, same union."""

    def refine(self, batch: Batch, proposals: pa.Table) -> pa.Table:  # noqa: ARG002
        """Sketch again, with `key` and `row`, the documents that proposals are about."""
        raise TypeError(f"{type(self).__name__} does not refine")

    def decide_refined(self, sketches: pa.Table) -> pa.Table:  # noqa: ARG002
        """`decide`, of the second sketches."""
        raise TypeError(f"{type(self).__name__} does not refine")

    def ask(self, proposals: pa.Table) -> pa.Table:  # noqa: ARG002
        """The documents (`doc`: uint64) to compare, those of a `group` (int64) with each other."""
        raise TypeError(f"{type(self).__name__} does not verify")

    def evidence(self, batch: Batch) -> pa.Array:  # noqa: ARG002
        """What `verify` compares: one value per row of a batch of documents."""
        raise TypeError(f"{type(self).__name__} does not verify")

    def verify(self, asked: pa.Table, shown: Iterable[pa.Table]) -> pa.Table:  # noqa: ARG002
        """The proposals that hold, from the rows asked for and the evidence of their documents."""
        raise TypeError(f"{type(self).__name__} does not verify")

    @abstractmethod
    def conclude(self, proposals: pa.Table) -> pa.Table:
        """Turn all proposals into one decision. Independent of the order of the proposals."""

    def concluded(self, parts: Parts) -> tuple[pa.Table, dict[str, Any]]:
        """`conclude` and `about`, of the proposals of each task; they may be too many to hold at once."""
        proposals = pa.concat_tables(parts())
        decision = self.conclude(proposals)
        return decision, self.about(proposals, decision)

    @abstractmethod
    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        """Apply the shard's slice of the decision to a batch, as `Stage.__call__` does."""


@dataclass(frozen=True)
class Slice:
    """A part of an input that one worker reads: bytes `start` to `stop` (or row groups) of a file."""

    path: str  # where it is read from; never part of its identity
    name: str  # what its documents' ids begin with; stable when the input is moved as a whole
    start: int
    stop: int
    size: int  # bytes to read, for weighing
    identity: str  # content: checksum of the file, or ETag and size


@dataclass(frozen=True, kw_only=True)
class Source(Step):
    """Where documents come from."""

    @abstractmethod
    def slices(self) -> list[Slice]:
        """Every part of the input, ordered by name and start. DataError if there is none."""

    @abstractmethod
    def read(self, part: Slice) -> Iterator[Batch]:
        """The documents of a part, in order, in batches bounded in bytes; at least one batch.

        What cannot be read is a row too, marked with `fault`; what is not a document (an image,
        a redirect) leaves by `drop`.
        """


@dataclass(frozen=True, kw_only=True)
class Sink(Step):
    """Where the documents of a flow end, one committed shard at a time."""

    @abstractmethod
    def write(self, batches: Iterable[Batch], folder: Path) -> dict[str, int]:
        """Consume the batches of one shard into files in the folder; return counts that add up."""


@dataclass(frozen=True, kw_only=True)
class Job(Step):
    """One piece of work over whole flows, such as training: a node of the graph as any other."""

    evaluates: ClassVar[bool] = False  # its documents, of flows and files, must not be trained on

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def stands(self) -> bool:
        """Whether what it did outside of the store is still there; if not, it is done again."""
        return True

    @abstractmethod
    def run(self, inputs: Mapping[str, Sequence[Path]], output: Path, work: Path) -> dict[str, Any]:
        """Do the work; files left in `output` are committed with the returned numbers.

        `inputs` gives, for each flow in `from`, the folders of its committed shards, in order: a
        document shard holds `documents.parquet`, a packed one `tokens.arrow`, a job's what it wrote.
        `work` outlives a killed run: checkpoints go there, and the next run finds them.
        """


def texts(batch: Batch) -> list[str]:
    """The text of every row."""
    rows: list[str] = batch.column("text").to_pylist()
    return rows


def replace(batch: Batch, name: str, column: pa.Array) -> Batch:
    """The batch with one column replaced or, if it is new, appended."""
    at = batch.schema.get_field_index(name)
    if at < 0:
        return batch.append_column(name, column)
    return batch.set_column(at, batch.schema.field(at).with_type(column.type), column)


def drop(
    batch: Batch,
    reasons: pa.Array | Sequence[str | None],
    *,
    values: pa.Array | None = None,
    copies: pa.Array | None = None,
) -> Batch:
    """Mark the rows that have a reason to leave; the engine moves them to the rejects."""
    column = reasons if isinstance(reasons, pa.Array) else pa.array(reasons, DROPPED.type)
    batch = batch.append_column(DROPPED, column)
    if values is not None:
        batch = batch.append_column(VALUE, values.cast(VALUE.type))
    if copies is not None:
        batch = batch.append_column(COPY_OF, copies)
    return batch


def fault(batch: Batch, errors: pa.Array | Sequence[str | None]) -> Batch:
    """Mark the rows that are broken, with `ErrorClass: message`; they go to quarantine."""
    column = errors if isinstance(errors, pa.Array) else pa.array(errors, FAULT.type)
    return batch.append_column(FAULT, column)


def part(batch: Batch) -> tuple[Batch, Batch | None, Batch | None]:
    """Part a batch into the rows that stay, the rows marked by `drop`, the rows marked by `fault`."""
    names = batch.schema.names
    marks = [mark.name for mark in (FAULT, DROPPED) if mark.name in names]
    if not marks:
        return batch, None, None
    stay, taken = None, {}
    for mark in marks:
        sound = batch.column(mark).is_null()
        here = pc.invert(sound) if stay is None else pc.and_(stay, pc.invert(sound))
        taken[mark] = batch.filter(here) if pc.any(here).as_py() else None
        stay = sound if stay is None else pc.and_(stay, sound)
    kept = batch if pc.all(stay).as_py() is not False else batch.filter(stay)
    verdicts = [f.name for f in (DROPPED, VALUE, COPY_OF, FAULT) if f.name in names]
    return kept.drop_columns(verdicts), taken.get(DROPPED.name), taken.get(FAULT.name)
