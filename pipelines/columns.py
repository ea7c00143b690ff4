"""Which columns a pass writes as features, so that a column which is added twice is two columns."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.plan import Input, Pass
from pipelines.store import Store
from stages.base import DOCUMENT, Batch, Step, replace
from stages.measure import Measure
from stages.shards import DOCUMENTS


@dataclass(frozen=True)
class Marking:
    """A step that also notes, under names of their own, columns which a later step adds again."""

    step: Callable[[Batch], Batch]
    marks: dict[str, str]

    def __call__(self, batch: Batch) -> Batch:
        after = self.step(batch)
        for name, mark in self.marks.items():
            after = replace(after, mark, after.column(name))
        return after

    def __str__(self) -> str:
        return str(self.step)


def brought_by(store: Store, source: Input) -> dict[str, pa.DataType]:
    """The scalar columns, beyond DOCUMENT, that documents have when they come in."""
    if source.source is not None:
        schema = pa.schema(source.source.adds)
    else:
        schema = pq.read_schema(store.open(source.key, DOCUMENTS, check=False))
    return {
        column.name: column.type
        for column in schema
        if column.name not in DOCUMENT.names and not pa.types.is_nested(column.type)
    }


def marks(job: Pass, brought: dict[str, pa.DataType]) -> list[dict[str, str]]:
    """For each step, the columns it adds that are there twice in this pass, and what marks them."""
    steps = [job.entry, *job.chain] if job.entry else job.chain
    every = [c.name for step in steps for c in step.adds if not pa.types.is_nested(c.type)]
    twice = {name for name in every if every.count(name) > 1 or name in brought}
    return [
        {c.name: f"{job.columns[at][c.name]}@" for c in step.adds if c.name in twice}
        for at, step in enumerate(job.chain)
    ]


def columns_of(job: Pass) -> dict[str, pa.DataType]:
    """The scalar columns, beyond DOCUMENT, that steps of this pass add, each as often as added."""
    entry = [(column.name, column.type) for column in (job.entry.adds if job.entry else ())]
    chain = [
        (job.columns[at][column.name], column.type)
        for at, step in enumerate(job.chain)
        for column in step.adds
    ]
    return {name: kind for name, kind in [*entry, *chain] if not pa.types.is_nested(kind)}


def measured(job: Pass) -> set[str]:
    """The columns that only this pass needs: measures do not travel with the documents."""
    steps: list[Step] = [s for s in job.chain if isinstance(s, Measure)]
    return {column.name for step in steps for column in step.adds}
