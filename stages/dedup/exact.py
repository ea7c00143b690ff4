"""Exact copies: documents with the same text, byte for byte or in a looser normal form, or the same URL."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import REMEMBERED, Batch, drop
from stages.dedup.keep import RANK, Remembering
from stages.dedup.summary import clusters
from stages.errors import SpecError
from stages.kernels.hashing import hash64
from stages.kernels.urls import canonical


@dataclass(frozen=True, kw_only=True)
class ExactDedup(Remembering):
    """Keep one document (`keep` says which) of every text, URL or id.

    They are compared by 128 bits, two XXH64 of different seeds: among 10^10 different texts the
    odds that any two collide are 1.5e-19. Empty texts are copies of each other; documents without
    a URL are nobody's. URLs are the same if their canonical forms are (see `stages.kernels.urls`).
    """

    by: Literal["text", "url", "id"] = "text"  # what copies have in common
    ignore_case: bool = False  # compare lower-case forms of texts, of any script
    ignore_space: bool = False  # any run of white space in texts is one blank; none at the ends

    def check(self) -> None:
        super().check()
        for name in ("ignore_case", "ignore_space"):
            if self.by != "text" and getattr(self, name):
                raise SpecError(f"{name}: is about texts; leave it out with `by: {self.by}`")

    @property
    def table(self) -> str:
        return f"exact-{self.by}"

    @property
    def terms(self) -> dict[str, Any]:
        return {"ignore_case": self.ignore_case, "ignore_space": self.ignore_space}

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per document: `key` and `check` are the halves of the hash of what is compared."""
        forms = self.normal_form(batch.column(self.by))
        known = np.flatnonzero(forms.is_valid().to_numpy(zero_copy_only=False))
        columns = {"key": hash64(forms, 0), "check": hash64(forms, 1), **self.ranked(batch)}
        return pa.table(
            {name: column[known] for name, column in columns.items()}
            | {"row": known.astype(np.uint32)}
        )

    def normal_form(self, column: pa.Array) -> pa.Array:
        """What is compared of each text, URL or id; null where there is nothing to compare."""
        if self.by == "url":
            return canonical(column)
        if self.ignore_case:
            column = pc.utf8_lower(column)
        if self.ignore_space:
            column = pc.replace_substring_regex(column, r"[\s\v\x{85}\pZ]+", " ")
            column = pc.ascii_trim(column, " ")
        return column

    def decide(self, sketches: pa.Table) -> pa.Table:
        """All but the best of each text, as (`doc`, `kept`)."""
        names = [name for name in ("doc", RANK.name) if name in sketches.column_names]
        key, check, doc, *ranks = (sketches[name].to_numpy() for name in ("key", "check", *names))
        if self.pinned:  # what is in the index comes before all others
            keys = np.unique(key)
            known = self.view.lookup(self.table, keys)
            key = np.concatenate([keys[known["at"].to_numpy()], key])
            check = np.concatenate([known["check"].to_numpy(), check])
            doc = np.concatenate([known["doc"].to_numpy(), doc])
            ranks = [np.concatenate([np.zeros(len(known), np.uint64), rank]) for rank in ranks]
        order = np.lexsort((doc, *ranks, doc < REMEMBERED, check, key))
        key, check, doc = key[order], check[order], doc[order]
        best = np.ones(len(doc), bool)
        best[1:] = (key[1:] != key[:-1]) | (check[1:] != check[:-1])
        kept = doc[best][np.cumsum(best) - 1] if len(doc) else doc
        leaves = ~best & (doc < REMEMBERED)
        doc, kept = doc[leaves], kept[leaves]
        return pa.table({"doc": doc, "kept": kept, **self.remembered(kept)})

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """The proposals, in order of document: each document has at most one."""
        return proposals.sort_by("doc")

    def about(self, proposals: pa.Table, decision: pa.Table) -> dict[str, Any]:  # noqa: ARG002
        """Clusters by size, and the largest."""
        return clusters(decision)

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        copy_of = chosen(batch, decision, "copy_of")
        reasons = pc.if_else(copy_of.is_valid(), "dedup.exact", pa.scalar(None, pa.string()))
        return drop(batch, reasons, copies=copy_of)


def chosen(batch: Batch, decision: pa.Table, name: str) -> pa.Array:
    """What a decision says, in the column `name`, of each row of the batch; null if nothing."""
    column = decision[name].combine_chunks()
    rows = decision["row"].combine_chunks()
    found: pa.Array = column.take(pc.index_in(batch.column("row"), value_set=rows))
    return found
