"""Which documents, of those that are good, make up the corpus: shares of its parts, and splits."""

import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Barrier, Batch, Stage, drop
from stages.describe import hosts
from stages.errors import DataError, SpecError
from stages.kernels.hashing import hash64, positions

Sizes: TypeAlias = npt.NDArray[np.float64]

UNKNOWN = ""  # the group of documents without a language or a URL
NEARLY = 1e-9  # what rounding may add to a sum of shares


@dataclass(frozen=True, kw_only=True)
class Balance(Barrier):
    """Give the parts of a corpus their share of its bytes of text, by leaving documents out.

    Nothing is ever repeated: a share is reached by taking less of the others. Each group gets a rate
    from 0 to 1 and keeps the documents whose hash of `id` lies below it, so that a higher rate keeps
    all that a lower one kept; shares come out as exact as the number of documents allows.

    With `shares`, groups that are not named share what the named ones leave of 1, among themselves
    as they come; if that is nothing, they leave. With `cap`, no group may be more than this share of
    what is kept; documents of no known group count, but are not cut.
    """

    by: Literal["source", "language", "domain"] = "source"  # domain: the host name of `url`
    shares: dict[str, float] | None = None  # group: share of the bytes of text that are kept
    cap: float | None = None  # largest share that any one group may have
    seed: int = 0  # two steps by the same thing, one after the other, need different ones

    @property
    def needs(self) -> tuple[str, ...]:
        """The column of the groups, beside the text."""
        return ("id", "text", "url" if self.by == "domain" else self.by)

    def check(self) -> None:
        if (self.shares is None) == (self.cap is None):
            raise SpecError("shares: give either shares or a cap")
        if self.cap is not None and not 0 < self.cap <= 1:
            raise SpecError(f"cap: expected above 0 and at most 1, got {self.cap}")
        for group, share in (self.shares or {}).items():
            if not 0 < share <= 1:
                raise SpecError(f"shares.{group}: expected above 0 and at most 1, got {share}")
        whole = sum((self.shares or {}).values())
        if whole > 1 + NEARLY:
            raise SpecError(f"shares: expected at most 1 in all, got {whole:g}")

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per group in the batch: its name and bytes of text."""
        groups = group_of(batch, self.by).dictionary_encode()
        names, places = groups.dictionary, groups.indices.to_numpy()
        sizes = pc.binary_length(batch.column("text")).to_numpy()
        first = np.unique(places, return_index=True)[1]
        return pa.table(
            {
                "key": hash64(names),
                "row": first.astype(np.uint32),
                "group": names,
                "bytes": np.bincount(places, sizes, len(names)).astype(np.int64),
            }
        )

    def decide(self, sketches: pa.Table) -> pa.Table:
        """The bytes of each group."""
        sums = sketches.group_by("group").aggregate([("bytes", "sum")])
        return pa.table({"group": sums["group"], "bytes": sums["bytes_sum"]})

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """No rows, but the rates as metadata: those below 1, and `rest` of the groups not named."""
        ordered = proposals.sort_by([("bytes", "descending"), ("group", "ascending")])
        names = ordered["group"].to_pylist()
        sizes = ordered["bytes"].to_numpy().astype(np.float64)
        if self.shares is not None:
            rates, rest = self._meet(dict(zip(names, sizes.tolist(), strict=True)), self.shares)
        else:
            rates, rest = self._cut(names, sizes), 1.0
        empty = pa.schema([("doc", pa.uint64())]).empty_table()
        return empty.replace_schema_metadata(
            {"rates": json.dumps(rates, sort_keys=True), "rest": json.dumps(rest)}
        )

    def _meet(
        self, sizes: dict[str, float], shares: dict[str, float]
    ) -> tuple[dict[str, float], float]:
        """Rates of the named groups and of the rest: the largest corpus that has these shares."""
        if not sizes:
            return {}, 1.0
        missing = [group for group in shares if not sizes.get(group)]
        if missing:
            there = ", ".join(name or "(unknown)" for name in list(sizes)[:12])
            raise DataError(
                f"Balance.shares: there is no text of {self.by} {', '.join(missing)}, so no corpus "
                f"has these shares; there is: {there}"
            )
        others = sum(size for group, size in sizes.items() if group not in shares)
        left = max(0.0, 1 - sum(shares.values()))
        left = left if left > NEARLY and others else 0.0
        wholes = [sizes[group] / share for group, share in shares.items()]
        whole = min([*wholes, others / left] if left else wholes)
        rates = {group: min(1.0, share * whole / sizes[group]) for group, share in shares.items()}
        return rates, min(1.0, left * whole / others) if others else 1.0

    def _cut(self, names: list[str], sizes: Sizes) -> dict[str, float]:
        """Rates of the groups that are too large, from groups by falling size.

        With the k largest cut to cap * whole, whole = remainder / (1 - k * cap): the least k for
        which the next group fits.
        """
        cap = float(self.cap or 1)
        known = np.array([name != UNKNOWN for name in names], bool)
        large, remainder = sizes[known], float(sizes.sum())
        for cut in range(len(large) + 1):
            room = 1 - cut * cap
            if room <= NEARLY:
                break
            bound = cap * remainder / room
            if bound and (cut == len(large) or large[cut] <= bound * (1 + NEARLY)):
                named = [name for name in names if name != UNKNOWN][:cut]
                return {name: bound / size for name, size in zip(named, large, strict=False)}
            if cut < len(large):
                remainder -= float(large[cut])
        if not sizes.sum():
            return {}
        raise DataError(
            f"Balance.cap: {len(large)} groups by {self.by} with at most {cap:g} of the text each "
            f"cannot make up a corpus; raise cap to {1 / len(large):.3g} or more"
        )

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        about = decision.schema.metadata
        rates, rest = json.loads(about[b"rates"]), json.loads(about[b"rest"])
        groups = group_of(batch, self.by).dictionary_encode()
        by_group = np.array([rates.get(name, rest) for name in groups.dictionary.to_pylist()])
        rate = by_group[groups.indices.to_numpy()] if batch.num_rows else np.zeros(0)
        stays = positions(batch.column("id"), salt("balance", self.by, self.seed)) < rate
        return leave(batch, f"balance.{self.by}", stays, rate)


@dataclass(frozen=True, kw_only=True)
class Split(Stage):
    """Keep one part of the documents, chosen by hash: for held-out text, or a sample.

    Flows over the same documents with parts such as [0, 0.98] and [0.98, 1] have no document in
    common and miss none. By domain, all documents of a host are on the same side; a document without
    a URL then goes by its id.
    """

    part: tuple[float, float]  # from (inclusive) and to (exclusive), of 0 to 1
    by: Literal["id", "domain"] = "id"  # domain: all documents of a host on one side
    seed: int = 0  # another seed, another choice

    @property
    def needs(self) -> tuple[str, ...]:
        """What is hashed."""
        return ("id", "url") if self.by == "domain" else ("id",)

    def check(self) -> None:
        low, high = self.part
        if not 0 <= low < high <= 1:
            raise SpecError(f"part: expected two numbers from 0 to 1, rising, got {low}, {high}")

    def __call__(self, batch: Batch) -> Batch:
        names = batch.column("id")
        if self.by == "domain":
            names = pc.coalesce(hosts(batch.column("url")), names)
        place = positions(names, salt("split", self.by, self.seed))
        stays = (place >= self.part[0]) & (place < self.part[1])
        return leave(batch, "split.outside", stays, place)


def group_of(batch: Batch, by: str) -> pa.Array:
    """The name of each document's group."""
    column = hosts(batch.column("url")) if by == "domain" else batch.column(by)
    return column.fill_null(UNKNOWN)


def leave(batch: Batch, reason: str, stays: npt.NDArray[np.bool_], value: Sizes) -> Batch:
    """Drop the rows that do not stay, for one reason."""
    reasons = pc.if_else(pa.array(stays), pa.scalar(None, pa.string()), reason)
    return drop(batch, reasons, values=pa.array(value, mask=stays))


def salt(*parts: str | int) -> int:
    """A seed of its own for each purpose, or what one step keeps would be what the next one keeps."""
    return int(hash64(pa.array(["\0".join(map(str, parts))]))[0])
