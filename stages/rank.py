"""The best part of a flow, or its parts from best to worst, by any column that scores documents."""

import json
from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Barrier, Batch, drop, replace
from stages.errors import SpecError
from stages.kernels.hashing import hash64
from stages.mix import salt

Ranks: TypeAlias = npt.NDArray[np.uint64]

HIGH, LOW = np.uint32(1 << 31), np.uint64(32)


def ranks(column: pa.Array, ids: pa.Array) -> Ranks:
    """A number for each document that sorts as its score does, then by a hash of its id.

    The upper half holds the score as a float32, which is what fastText gives. The order is that of
    IEEE 754 with the sign turned over; NaN and null are lower than any number.
    """
    scores = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 as 0
    order = np.where(bits & HIGH, ~bits, bits | HIGH)
    order = np.where(np.isnan(scores), np.uint32(0), order).astype(np.uint64)
    return (order << LOW) | (hash64(ids, salt("rank")) >> LOW)


@dataclass(frozen=True, kw_only=True)
class _Ranked(Barrier):
    """What both barriers share: every document's rank meets every other's of its group."""

    column: str  # whose value ranks the documents
    by_language: bool = False  # rank the documents of each language among themselves

    @property
    def needs(self) -> tuple[str, ...]:
        return ("id", self.column, *(("language",) if self.by_language else ()))

    def sketch(self, batch: Batch) -> pa.Table:
        """The rank of each document, which is the key too, and its group."""
        kind = batch.column(self.column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise SpecError(
                f"column: documents are ranked by numbers, and {self.column!r} is {kind}"
            )
        found = ranks(batch.column(self.column), batch.column("id"))
        rows = np.arange(batch.num_rows, dtype=np.uint32)
        return pa.table({"key": found, "row": rows, "group": self._groups(batch)})

    def _groups(self, batch: Batch) -> pa.Array:
        if self.by_language:
            return batch.column("language").fill_null("")
        return pa.repeat(pa.scalar(""), batch.num_rows)

    def decide(self, sketches: pa.Table) -> pa.Table:
        """The ranks of each group: one row per group."""
        lists = sketches.select(["group", "key"]).group_by("group", use_threads=False)
        return lists.aggregate([("key", "list")]).rename_columns(["group", "ranks"])

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """No rows, but the lowest rank of each part but the last as metadata, by group."""
        found = {}
        for group in sorted(pc.unique(proposals["group"]).to_pylist()):
            lists = proposals.filter(pc.equal(proposals["group"], group))["ranks"]
            values = np.concatenate([some.flatten().to_numpy() for some in lists.chunks])
            # Of n documents the best ceil(share * n); `partition` finds them without a full sort.
            counts = [max(1, int(np.ceil(part * len(values) - 1e-9))) for part in self._parts]
            places = [len(values) - count for count in counts]
            found[group] = np.partition(values, places)[places].tolist()
        empty = pa.schema([("doc", pa.uint64())]).empty_table()
        return empty.replace_schema_metadata({"lowest": json.dumps(found, sort_keys=True)})

    @property
    @abstractmethod
    def _parts(self) -> list[float]:
        """The shares of all documents above each cut, rising."""

    def _part_of(self, batch: Batch, decision: pa.Table) -> npt.NDArray[np.int64]:
        """The number of each document's part, 0 for the best."""
        lowest = json.loads(decision.schema.metadata[b"lowest"])
        groups = self._groups(batch).dictionary_encode()
        mine = ranks(batch.column(self.column), batch.column("id"))
        none = [0] * len(self._parts)
        cuts = [lowest.get(name, none) for name in groups.dictionary.to_pylist()]
        table = np.array(cuts, np.uint64).reshape(len(cuts), len(self._parts))
        below = mine[:, None] < table[groups.indices.to_numpy()]
        number: npt.NDArray[np.int64] = below.sum(axis=1)
        return number


@dataclass(frozen=True, kw_only=True)
class KeepTop(_Ranked):
    """Keep the best part of the documents by a column, exactly: DCLM keeps a tenth.

    Documents are ranked by the column's value (as float32), those of one value by a hash of `id`; of
    n documents the best `share` * n stay, rounded up. A document without a value is worse than any
    with one. Reason: `top.COLUMN`, with the document's value. The decision is made in one place
    from 8 bytes for each document.
    """

    late = ("share",)

    share: Annotated[float, Field(gt=0, lt=1)] = 0.1  # of the documents that stay

    @property
    def _parts(self) -> list[float]:
        return [self.share]

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        stays = pa.array(self._part_of(batch, decision) == 0)
        reasons = pc.if_else(stays, pa.scalar(None, pa.string()), f"top.{self.column}")
        values = batch.column(self.column).cast(pa.float64())
        return drop(batch, reasons, values=pc.if_else(stays, pa.scalar(None, pa.float64()), values))


@dataclass(frozen=True, kw_only=True)
class Buckets(_Ranked):
    """Name the part of its language that a document is in: the head, middle or tail of CCNet.

    Adds `COLUMN_bucket`. Parts are of equal size, by the column's value, the lowest first
    (as perplexity goes), those of one value by a hash of `id` (Wenzek et al. 2020,
    arXiv:1911.00359, cut by the thirds of a reference sample; here it is the flow itself). Documents
    without a value are in no bucket and stay. Reason: `bucket.NAME`, with the document's value.
    """

    late = ("names", "keep")

    by_language: bool = True  # rank the documents of each language among themselves
    names: tuple[str, ...] = ("head", "middle", "tail")  # of the parts, from the lowest value on
    keep: tuple[str, ...] = ()  # parts that stay; empty: all

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field(f"{self.column}_bucket", pa.string()),)

    def check(self) -> None:
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise SpecError(f"names: expected two different names or more, got {self.names}")
        for at, name in enumerate(self.keep):
            if name not in self.names:
                raise SpecError(f"keep[{at}]: {name!r} is none of {', '.join(self.names)}")

    @property
    def _parts(self) -> list[float]:
        return [at / len(self.names) for at in range(1, len(self.names))]

    def sketch(self, batch: Batch) -> pa.Table:
        """As of any ranking, but only of documents with a value."""
        known = batch.column(self.column).is_valid()
        return super().sketch(batch).filter(known)

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        column = batch.column(self.column)
        part = len(self.names) - 1 - self._part_of(batch, decision)  # 0 for the lowest values
        named = pa.array(self.names).take(pa.array(part))
        buckets = pc.if_else(column.is_valid(), named, pa.scalar(None, pa.string()))
        batch = replace(batch, f"{self.column}_bucket", buckets)
        if not self.keep:
            return batch
        stays = pc.is_in(buckets, value_set=pa.array([*self.keep, None], pa.string()))
        reasons = pc.if_else(
            stays, pa.scalar(None, pa.string()), pc.binary_join_element_wise("bucket", buckets, ".")
        )
        values = pc.if_else(stays, pa.scalar(None, pa.float64()), column.cast(pa.float64()))
        return drop(batch, reasons, values=values)
