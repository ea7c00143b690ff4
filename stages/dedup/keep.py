"""Which of several copies stays: the first, the latest, or the best by a number that a column holds."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from stages.base import REMEMBERED, Barrier, Batch
from stages.dedup.index import View
from stages.errors import DataError, SpecError
from stages.kernels.hashing import Hashes
from stages.measure import MEASURES

FIRST, LATEST = "first", "latest"
NEVER = np.uint64(0xFFFFFFFFFFFFFFFF)  # the rank of a document without a date, or without a number
RANK = pa.field("rank", pa.uint64())


@dataclass(frozen=True, kw_only=True)
class Copies(Barrier, ABC):
    """A barrier that keeps one of several copies.

    `keep`: `first` (in the order they were read), `latest` (by `date`), or a column or measure
    (see `stages.measure`) whose highest value stays, such as `characters` or a quality score. Of
    equals the first stays; a document without a date or number stays only among its like.
    """

    keep: str = FIRST  # `first`, `latest`, or the column or measure whose highest stays

    @property
    def needs(self) -> tuple[str, ...]:
        own = self.keep not in (FIRST, LATEST, *MEASURES)
        return ("text", self.keep) if own else ("text",)

    @property
    def measures(self) -> tuple[str, ...]:
        return (self.keep,) if self.keep in MEASURES else ()

    def check(self) -> None:
        if self.keep in MEASURES and pa.types.is_large_list(MEASURES[self.keep]):
            raise SpecError(f"keep: {self.keep} is a list; name a measure or column of numbers")

    def ranked(self, batch: Batch) -> dict[str, Hashes]:
        """The column `rank` of a sketch, where the policy needs one: the lowest rank stays."""
        if self.keep == FIRST:
            return {}
        column = batch.column("date" if self.keep == LATEST else self.keep)
        numeric = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        if not numeric and not pa.types.is_timestamp(column.type):
            raise DataError(f"keep: the column {self.keep!r} is {column.type}, which has no order")
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        return {RANK.name: descending(column)}


@dataclass(frozen=True, kw_only=True)
class Remembering(Copies, ABC):
    """A barrier that also drops copies of what earlier crawls kept: what an index at `against` holds.

    What is in the index stays, whatever `keep` says of the documents of this crawl.
    """

    against: str | None = None  # folder or URL of an index (see `Remember`); with @7, its version 7
    pinned: tuple[str, ...] = ()  # digests of the crawls in it to compare with; a run fills it in

    @property
    def late(self) -> tuple[str, ...]:
        return ("against", "pinned")

    @property
    def places(self) -> tuple[str, ...]:
        return ("against",)

    @property
    @abstractmethod
    def table(self) -> str:
        """The table of an index that holds its keys."""

    @property
    @abstractmethod
    def terms(self) -> dict[str, Any]:
        """The fields that must be those of all who use the table."""

    @cached_property
    def view(self) -> View:
        """The crawls of the index that it compares with."""
        url, version = address(self.against or "")
        return View(url, version or 0, self.pinned)

    def forecast(self) -> Iterator[str]:
        """What of the index is compared with."""
        if self.against:
            documents = sum(crawl.documents for crawl in self.view.crawls)
            yield f"against {self.against}: {len(self.pinned)} crawls, {documents:,} documents"

    def remembered(self, kept: Hashes) -> dict[str, pa.Array]:
        """The column `remembered` of a decision: names of documents of the index; nothing without one."""
        if not self.pinned:
            return {}
        old = kept >= REMEMBERED
        docs = np.unique(kept[old])
        names = self.view.names(docs)
        at = pa.array(np.searchsorted(docs, kept), mask=~old)
        return {"remembered": pa.array([names[doc] for doc in docs.tolist()], pa.string()).take(at)}


def address(against: str) -> tuple[str, int | None]:
    """The place of an index, and the version asked for."""
    url, _, version = against.rpartition("@")
    return (url, int(version)) if url and version.isdecimal() else (against, None)


def descending(column: pa.Array) -> Hashes:
    """A rank of each number: the higher the number, the lower the rank; null and NaN come last."""
    known = column.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_floating(column.type):
        values = column.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
        known &= ~np.isnan(values)
        bits = (values + 0.0).view(np.uint64)  # -0.0 is 0.0
        negative = bits >> np.uint64(63) != 0
        order = np.where(negative, ~bits, bits | np.uint64(1 << 63))
    else:
        whole = column.fill_null(0).to_numpy(zero_copy_only=False)
        order = whole.astype(np.uint64)
        if whole.dtype.kind == "i":
            order ^= np.uint64(1 << 63)
    return np.where(known, NEVER - order, NEVER)
