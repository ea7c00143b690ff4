"""Near copies: MinHash proposes pairs of documents, their true similarity decides.

Broder (1997) for the signature, Leskovec et al., Mining of Massive Datasets, 3.4 for the bands; the
defaults (14 bands of 8 rows over 5-word shingles) are FineWeb's, but nothing is deleted on the word
of a signature, and nothing through a chain of neighbours.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, drop
from stages.dedup import bands
from stages.dedup.clusters import OTHER_RANK, distinct_pairs, settle, standing, union_find
from stages.dedup.exact import chosen
from stages.dedup.keep import RANK, Copies
from stages.dedup.summary import BINS, summary
from stages.errors import SpecError
from stages.kernels.characters import table
from stages.kernels.hashing import Hashes, Offsets, string_buffers
from stages.kernels.minhash import (
    Signatures,
    band_keys,
    distinct_shingles,
    letters,
    permutations,
    signatures,
    similarities,
)
from stages.measure import WORD_HASHES, Measure

LEADERS = 8  # of a bucket are compared with all of it
SMALL = 16  # in a component of so many documents or fewer, every pair is compared


@dataclass(frozen=True, kw_only=True)
class MinHashDedup(Copies):
    """Drop documents that are nearly the same as a better one that is kept (`keep` says which).

    Two documents become a candidate pair if all rows of one band of their signatures agree; a
    candidate is deleted only if its similarity to a document that stays, measured on the sets of
    shingles, reaches `similarity`. Texts are compared in lower case without accents, digits or punctuation
    (see `stages.measure`). A text shorter than a shingle is one shingle; one without words matches nothing.

    Shingles of `words` serve every script: a letter of one without spaces (Han, Thai) is a word.
    Shingles of `characters` find more of short texts, at half the speed.

    A pair of Jaccard similarity s is found with probability 1 - (1 - s**rows)**bands, which `bateia
    plan` prints. With `bands` and `rows` null they are derived from `similarity`. `containment` is the
    share of the shingles of the copy that leaves that are in the one kept; pairs are found alike.

    However many pages are alike, no document is compared with more than nine others per band, the best
    of its component, and all others of a component of up to 16. In a crowd of thousands of pages that
    are only partly copies of each other a few in a hundred stay beside one that is like them.
    """

    verified = True

    bands: int | None = 14  # of a signature; more find pairs less alike
    rows: int | None = 8  # permutations per band; bands * rows of them in all
    permutations: int = 112  # at most, where bands and rows are derived (null)
    words: int | None = 5  # words in a shingle
    characters: int | None = None  # characters in a shingle; instead of words, which are then null
    similarity: float = 0.8  # least similarity of the shingle sets of a copy
    compare: Literal["jaccard", "containment"] = "jaccard"  # what similarity is
    seed: int = 1  # another seed, other permutations

    @property
    def late(self) -> tuple[str, ...]:
        return ("compare",) if self.bands is None else ("similarity", "compare")

    @property
    def measures(self) -> tuple[str, ...]:
        return super().measures + ((WORD_HASHES,) if self.words else ())

    def check(self) -> None:
        super().check()
        for name in ("bands", "rows", "permutations", "words", "characters"):
            if (given := getattr(self, name)) is not None and given < 1:
                raise SpecError(f"{name}: expected at least 1, got {given}")
        if (self.bands is None) != (self.rows is None):
            raise SpecError("bands, rows: give both, or set both to null to derive them")
        if (self.words is None) == (self.characters is None):
            raise SpecError("words, characters: one is the size of a shingle, the other null")
        if not 0 < self.similarity <= 1:
            raise SpecError(f"similarity: expected above 0 and at most 1, got {self.similarity}")
        if not 0 <= self.seed < 1 << 32:
            raise SpecError(f"seed: expected 0 to {(1 << 32) - 1}, got {self.seed}")

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Bands, and rows of each."""
        if self.bands is None or self.rows is None:
            return bands.split(self.permutations, self.similarity)
        return self.bands, self.rows

    def recall(self, similarity: float) -> float:
        """The share of pairs of this similarity that are found: the S-curve of the bands."""
        return float(bands.recall(similarity, *self.shape))

    def forecast(self) -> Iterator[str]:
        """The S-curve."""
        count, rows = self.shape
        derived = f", derived from similarity {self.similarity:g}" if self.bands is None else ""
        yield f"{count} bands of {rows} rows{derived}; share of pairs found, by their similarity:"
        points = sorted({*(tenth / 10 for tenth in range(3, 10)), 0.85, 0.95, self.similarity})
        found = [(at, self.recall(at)) for at in points]
        yield ", ".join(f"{at:g}: {f'{r:.1%}' if r < 0.9995 else '> 99.9%'}" for at, r in found)
        yield f"those below {self.similarity:g} are compared and refused"

    def sign(self, column: pa.Array) -> Signatures:
        """The signatures of documents by the hashes of their words: uint32, (documents, bands * rows).

        They are what `datasketch.MinHash(hashvalues=..., scheme="affine32")` takes.
        """
        return self._signed(*list_buffers(column))

    def _signed(self, offsets: Offsets, hashes: Hashes) -> Signatures:
        count, rows = self.shape
        size = self.words or self.characters or 1
        return signatures(offsets, hashes, size, *permutations(count * rows, self.seed))

    def _hashes(self, batch: Batch) -> tuple[Offsets, Hashes]:
        """The words or letters of each document."""
        if self.words:
            return list_buffers(batch.column(WORD_HASHES))
        offsets, data = string_buffers(batch.column("text"))
        return letters(data, offsets, table())

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per document and band, none for a document without words."""
        offsets, hashes = self._hashes(batch)
        filled = np.diff(offsets) > 0
        keys = band_keys(self._signed(offsets, hashes), self.shape[0])[filled]
        rows = np.flatnonzero(filled).astype(np.uint32).repeat(self.shape[0])
        ranks = self.ranked(batch).items()
        repeated = {name: ranks[filled].repeat(self.shape[0]) for name, ranks in ranks}
        return pa.table({"key": keys.ravel(), "row": rows, **repeated})

    def decide(self, sketches: pa.Table) -> pa.Table:
        """In each bucket, each document with the one before it and with the LEADERS best ones."""
        names = [name for name in ("doc", RANK.name) if name in sketches.column_names]
        key, *columns = (sketches[name].to_numpy() for name in ("key", *names))
        order = np.lexsort((*columns, key))
        key, columns = key[order], [column[order] for column in columns]
        starts = np.ones(len(key), bool)
        starts[1:] = key[1:] != key[:-1]
        first = np.flatnonzero(starts)[np.cumsum(starts) - 1] if len(key) else starts.astype(int)
        after = np.arange(len(key)) - first
        lefts, rights = [np.flatnonzero(after)], [np.flatnonzero(after) - 1]
        for leader in range(LEADERS):
            behind = np.flatnonzero(after > leader + 1)  # the next one has it as its neighbour
            lefts.append(behind)
            rights.append(first[behind] + leader)
        left, right = np.concatenate(lefts), np.concatenate(rights)
        return pairs_table(*columns, left=left, right=right)

    def ask(self, proposals: pa.Table) -> pa.Table:
        """The proposals, each member with the best of its component, all pairs of small ones."""
        proposals = distinct_pairs(proposals)
        stand = standing(proposals)
        best = union_find(stand.left, stand.right, len(stand.members))
        order = np.argsort(best, kind="stable")
        members, best = order, best[order]
        lefts, rights = [members[members > best]], [best[members > best]]
        size = np.unique(best, return_counts=True)[1]
        small = np.repeat(size <= SMALL, size)
        for lag in range(1, min(SMALL, len(members))):
            together = small[lag:] & (best[lag:] == best[:-lag])
            lefts.append(members[lag:][together])
            rights.append(members[:-lag][together])
        more = pairs_table(
            *((stand.members,) if stand.ranks is None else (stand.members, stand.ranks)),
            left=np.concatenate(lefts),
            right=np.concatenate(rights),
        )
        return distinct_pairs(pa.concat_tables([proposals, more]))

    def evidence(self, batch: Batch) -> pa.Array:
        """The set of shingles of each document: their hashes, sorted (large_list<uint64>)."""
        if self.words:
            batch = Measure(names=(WORD_HASHES,))(batch)
        size = self.words or self.characters or 1
        offsets, shingles = distinct_shingles(*self._hashes(batch), size)
        return pa.LargeListArray.from_arrays(offsets, shingles)

    def verify(self, pairs: pa.Table) -> pa.Table:
        """The pairs with their true similarity as `value`, those not alike too: reports count them."""
        found = similarities(
            *list_buffers(pairs["evidence"]),
            *list_buffers(pairs["other_evidence"]),
            self.compare == "containment",
        )
        pairs = pairs.drop_columns(["evidence", "other_evidence"])
        return pairs.append_column("value", pa.array(found))

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """Who leaves, in order of document: those with a verified pair with one that stays.

        `kept` is the most similar of those that stay, of equals the best; `value` how similar.
        """
        alike = proposals.filter(pc.greater_equal(proposals["value"], self.similarity))
        stand = standing(alike)
        value = alike["value"].to_numpy()[stand.pairs]
        pair = settle(stand.left, stand.right, value, len(stand.members))
        left = np.flatnonzero(pair >= 0)
        found = {
            "doc": stand.members[left],
            "kept": stand.members[stand.right[pair[left]]],
            "value": value[pair[left]],
        }
        return pa.table(found).sort_by("doc")

    def about(self, proposals: pa.Table, decision: pa.Table) -> dict[str, Any]:
        """Clusters, and pairs found by similarity against those that the S-curve lets expect."""
        found = summary(proposals, decision, self.similarity)
        if self.compare == "jaccard":  # the curve says nothing of containment
            found["recall"] = [self.recall((at + 0.5) / BINS) for at in range(BINS)]
        return found

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        copy_of = chosen(batch, decision, "copy_of")
        reasons = pc.if_else(copy_of.is_valid(), "dedup.minhash", pa.scalar(None, pa.string()))
        return drop(batch, reasons, values=chosen(batch, decision, "value"), copies=copy_of)


def pairs_table(
    docs: Hashes, ranks: Hashes | None = None, *, left: Offsets, right: Offsets
) -> pa.Table:
    """The distinct pairs of some documents, the worse one of each as `doc`, with their ranks if any."""
    columns = {"doc": docs[left], "other": docs[right]}
    if ranks is not None:
        columns |= {RANK.name: ranks[left], OTHER_RANK.name: ranks[right]}
    return distinct_pairs(pa.table(columns))


def list_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Hashes]:
    """Offsets (one more than rows) and values of a column of lists of uint64."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_list(pa.uint64()))
    values = column.values.to_numpy()
    return column.offsets.to_numpy(), values
