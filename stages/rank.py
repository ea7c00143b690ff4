"""The best part of a flow, or its parts from best to worst, by any column that scores documents."""

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Barrier, Batch, Parts, drop, replace
from stages.errors import SpecError
from stages.kernels.hashing import hash64
from stages.mix import salt

Ranks: TypeAlias = npt.NDArray[np.uint64]
Counts: TypeAlias = npt.NDArray[np.int64]

DIGIT = 16  # bits of a rank that are counted at a time
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


def lowest(parts: Parts, shares: Sequence[float]) -> dict[str, list[int]]:
    """By group, the lowest rank among the best ceil(share * n) of its n documents, for each share.

    `parts`: tables of `group` and `ranks`, which are read four times, once for each 16 bits of a
    rank, the highest first: what is held are the counts of their values, 512 kB for each group and
    share, and one table.
    """
    found: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}  # how many of those that begin with the bits found are lower
    for shift in range(64 - DIGIT, -1, -DIGIT):
        counts: dict[str, Counts] = {}
        for group, values in chain.from_iterable(map(_listed, parts())):
            into = counts.setdefault(group, np.zeros((len(shares), 1 << DIGIT), np.int64))
            for at, known in enumerate(found.get(group, [0] * len(shares))):
                here = values
                if shift + DIGIT < 64:
                    here = values[values >> np.uint64(shift + DIGIT) == known]
                digits = here >> np.uint64(shift) & np.uint64((1 << DIGIT) - 1)
                into[at] += np.bincount(digits.astype(np.int64), minlength=1 << DIGIT)
        for group, rows in counts.items():
            if group not in found:
                many = int(rows[0].sum())
                best = [max(1, int(np.ceil(share * many - 1e-9))) for share in shares]
                found[group], places[group] = [0] * len(shares), [many - some for some in best]
            for at, row in enumerate(rows):
                ends = np.cumsum(row)
                digit = int(np.searchsorted(ends, places[group][at], "right"))
                places[group][at] -= int(ends[digit] - row[digit])
                found[group][at] = found[group][at] << DIGIT | digit
    return found


def _listed(part: pa.Table) -> Iterator[tuple[str, Ranks]]:
    for chunk in part.select(["group", "ranks"]).to_batches():
        for at, group in enumerate(chunk["group"].to_pylist()):
            yield group, chunk["ranks"][at].values.to_numpy()


@dataclass(frozen=True, kw_only=True)
class _Ranked(Barrier):
    """What both barriers share: every document's rank is compared with every other's of its group."""

    version = 2

    column: str  # whose value ranks the documents
    by_language: bool = False  # rank the documents of each language among themselves

    @property
    def needs(self) -> tuple[str, ...]:
        return ("id", self.column, *(("language",) if self.by_language else ()))

    def sketch(self, batch: Batch) -> pa.Table:
        """The rank of each document, and its group. The key is another hash of `id`: any will do."""
        kind = batch.column(self.column).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            raise SpecError(
                f"{type(self).__name__}.column: documents are ranked by numbers, and "
                f"{self.column!r} is {kind}"
            )
        ids = batch.column("id")
        columns = {
            "key": hash64(ids, salt("ranked")),
            "row": np.arange(batch.num_rows, dtype=np.uint32),
            "group": self._groups(batch),
            "rank": ranks(batch.column(self.column), ids),
        }
        return pa.table(columns)

    def _groups(self, batch: Batch) -> pa.Array:
        if self.by_language:
            return batch.column("language").fill_null("")
        return pa.repeat(pa.scalar(""), batch.num_rows)

    def decide(self, sketches: pa.Table) -> pa.Table:
        """The ranks of each group: one row per group."""
        lists = sketches.select(["group", "rank"]).group_by("group", use_threads=False)
        return lists.aggregate([("rank", "list")]).rename_columns(["group", "ranks"])

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """No rows, but the lowest rank of each part but the last as metadata, by group."""
        return self.concluded(lambda: iter([proposals]))[0]

    def concluded(self, parts: Parts) -> tuple[pa.Table, dict[str, Any]]:
        """The same, of one table of ranks at a time."""
        found = lowest(parts, self._parts)
        empty = pa.schema([("doc", pa.uint64())]).empty_table()
        told = json.dumps(found, sort_keys=True)
        return empty.replace_schema_metadata({"lowest": told}), {}

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
    with one. Reason: `top.COLUMN`, with the document's value. The decision is made in one place,
    which reads 8 bytes of each document four times and holds half a megabyte for each language.
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
