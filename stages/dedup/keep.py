"""Which of several copies stays: the first, the latest, or the best by a number that a column holds."""

from abc import ABC
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stages.base import Barrier, Batch
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
