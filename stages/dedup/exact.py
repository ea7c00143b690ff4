"""Exact copies: documents whose texts are the same, byte for byte or in a looser normal form."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Barrier, Batch, drop
from stages.kernels.hashing import hash64


@dataclass(frozen=True, kw_only=True)
class ExactDedup(Barrier):
    """Keep the first document of every text, in the order the documents were read.

    Texts are compared by 128 bits, two XXH64 of different seeds: among 10^10 different texts the
    odds that any two collide are 1.5e-19. Empty texts are copies of each other.
    """

    ignore_case: bool = False  # compare lower-case forms, of any script
    ignore_space: bool = False  # any run of white space counts as one blank; none at the ends

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per document: `key` and `check` are the halves of the hash of its text."""
        forms = self.normal_form(batch.column("text"))
        return pa.table(
            {
                "key": hash64(forms, 0),
                "check": hash64(forms, 1),
                "row": np.arange(batch.num_rows, dtype=np.uint32),
            }
        )

    def normal_form(self, column: pa.Array) -> pa.Array:
        """What is compared of each text."""
        if self.ignore_case:
            column = pc.utf8_lower(column)
        if self.ignore_space:
            column = pc.replace_substring_regex(column, r"[\s\v\x{85}\pZ]+", " ")
            column = pc.ascii_trim(column, " ")
        return column

    def decide(self, sketches: pa.Table) -> pa.Table:
        """All but the first of each text, as (`doc`, `kept`)."""
        key, check, doc = (sketches[name].to_numpy() for name in ("key", "check", "doc"))
        order = np.lexsort((doc, check, key))
        key, check, doc = key[order], check[order], doc[order]
        first = np.ones(len(doc), bool)
        first[1:] = (key[1:] != key[:-1]) | (check[1:] != check[:-1])
        kept = doc[first][np.cumsum(first) - 1] if len(doc) else doc
        return pa.table({"doc": doc[~first], "kept": kept[~first]})

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """The proposals, in order of document: each document has at most one."""
        return proposals.sort_by("doc")

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
