"""Near copies: MinHash proposes pairs of documents, their true similarity decides.

Broder (1997) for the signature, Leskovec et al., Mining of Massive Datasets, 3.4 for the bands; the
defaults (14 bands of 8 rows over 5-word shingles) are FineWeb's, but nothing is deleted on the word
of a signature, and nothing through a chain of neighbours.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Barrier, Batch, drop
from stages.dedup.clusters import components, distinct_pairs, settle
from stages.dedup.exact import chosen
from stages.errors import SpecError
from stages.kernels.hashing import Hashes, Offsets
from stages.kernels.minhash import (
    Signatures,
    band_keys,
    distinct_shingles,
    permutations,
    signatures,
    similarities,
)
from stages.measure import WORD_HASHES, Measure

SMALL = 16  # in a component of so many documents or fewer, every pair is compared


@dataclass(frozen=True, kw_only=True)
class MinHashDedup(Barrier):
    """Drop documents that are nearly the same as an earlier one that is kept.

    Two documents become a candidate pair if all rows of one band of their signatures agree; a
    candidate is deleted only if its similarity to a document that stays, measured on the sets of
    shingles, reaches `similarity`. Words are compared in lower case without accents, digits or punctuation
    (see `stages.measure`). A text shorter than a shingle is one shingle; a text without words matches nothing.

    A pair of similarity s is found with probability 1 - (1 - s**rows)**bands: see `recall`.
    """

    verified = True
    measures = (WORD_HASHES,)
    late = ("similarity",)

    bands: int = 14  # of a signature; more find pairs less alike
    rows: int = 8  # permutations per band; bands * rows of them in all
    words: int = 5  # words in a shingle
    similarity: float = 0.8  # least Jaccard similarity of the shingle sets of a copy
    seed: int = 1  # another seed, other permutations

    def check(self) -> None:
        for name in ("bands", "rows", "words"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 < self.similarity <= 1:
            raise SpecError(f"similarity: expected above 0 and at most 1, got {self.similarity}")
        if not 0 <= self.seed < 1 << 32:
            raise SpecError(f"seed: expected 0 to {(1 << 32) - 1}, got {self.seed}")

    def recall(self, similarity: float) -> float:
        """The share of pairs of this similarity that are found: the S-curve of the bands."""
        return float(1 - (1 - similarity**self.rows) ** self.bands)

    def sign(self, column: pa.Array) -> Signatures:
        """The signatures of documents by their word hashes: uint32, (documents, bands * rows).

        They are what `datasketch.MinHash(hashvalues=..., scheme="affine32")` takes.
        """
        drawn = permutations(self.bands * self.rows, self.seed)
        return signatures(*list_buffers(column), self.words, *drawn)

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per document and band, none for a document without words."""
        column = batch.column(WORD_HASHES)
        filled = np.diff(list_buffers(column)[0]) > 0
        keys = band_keys(self.sign(column), self.bands)[filled]
        rows = np.flatnonzero(filled).astype(np.uint32)
        return pa.table({"key": keys.ravel(), "row": rows.repeat(self.bands)})

    def decide(self, sketches: pa.Table) -> pa.Table:
        """In each bucket, each document with the first and with the one before it: linear."""
        key, doc = sketches["key"].to_numpy(), sketches["doc"].to_numpy()
        order = np.lexsort((doc, key))
        key, doc = key[order], doc[order]
        later = np.flatnonzero(key[1:] == key[:-1]) + 1
        starts = np.ones(len(key), bool)
        starts[later] = False
        first = np.flatnonzero(starts)[np.cumsum(starts) - 1] if len(key) else later
        left = np.concatenate([doc[later], doc[later]])
        return pairs_table(left, np.concatenate([doc[later - 1], doc[first[later]]]))

    def ask(self, proposals: pa.Table) -> pa.Table:
        """The proposals, each member with the first of its component, all pairs of small ones."""
        left, right = distinct_pairs(proposals["doc"].to_numpy(), proposals["other"].to_numpy())
        members, firsts = components(left, right)
        order = np.lexsort((members, firsts))
        members, firsts = members[order], firsts[order]
        lefts, rights = [left, members[members > firsts]], [right, firsts[members > firsts]]
        size = np.unique(firsts, return_counts=True)[1]
        small = np.repeat(size <= SMALL, size)
        for lag in range(1, min(SMALL, len(members))):
            together = small[lag:] & (firsts[lag:] == firsts[:-lag])
            lefts.append(members[lag:][together])
            rights.append(members[:-lag][together])
        return pairs_table(np.concatenate(lefts), np.concatenate(rights))

    def evidence(self, batch: Batch) -> pa.Array:
        """The set of shingles of each document: their hashes, sorted (large_list<uint64>)."""
        column = Measure(names=(WORD_HASHES,))(batch).column(WORD_HASHES)
        offsets, shingles = distinct_shingles(*list_buffers(column), self.words)
        return pa.LargeListArray.from_arrays(offsets, shingles)

    def verify(self, pairs: pa.Table) -> pa.Table:
        """The pairs as similar as asked for, with their similarity as `value`."""
        found = similarities(
            *list_buffers(pairs["evidence"]), *list_buffers(pairs["other_evidence"])
        )
        table = pairs.select(["doc", "other"]).append_column("value", pa.array(found))
        return table.filter(pa.array(found >= self.similarity))

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """Who leaves, in order of document: those with a verified pair with one that stays.

        `kept` is the most similar of those that stay, of equals the first; `value` how similar.
        """
        proposals = proposals.sort_by([("doc", "ascending"), ("other", "ascending")])
        doc, other, value = (proposals[name].to_numpy() for name in ("doc", "other", "value"))
        members = np.unique(np.concatenate([doc, other]))
        places = np.searchsorted(members, doc), np.searchsorted(members, other)
        pair = settle(*places, value, len(members))
        return pa.table(
            {
                "doc": members[pair >= 0],
                "kept": other[pair[pair >= 0]],
                "value": value[pair[pair >= 0]],
            }
        )

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        copy_of = chosen(batch, decision, "copy_of")
        reasons = pc.if_else(copy_of.is_valid(), "dedup.minhash", pa.scalar(None, pa.string()))
        return drop(batch, reasons, values=chosen(batch, decision, "value"), copies=copy_of)


def pairs_table(left: Hashes, right: Hashes) -> pa.Table:
    """The distinct pairs, each with its later document as `doc`."""
    doc, other = distinct_pairs(left, right)
    return pa.table({"doc": doc, "other": other})


def list_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Hashes]:
    """Offsets (one more than rows) and values of a column of lists of uint64."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_list(pa.uint64()))
    values = column.values.to_numpy()
    return column.offsets.to_numpy(), values
