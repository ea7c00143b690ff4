"""Near copies: MinHash proposes pairs of documents, their true similarity decides.

Broder (1997) for the signature, Leskovec et al., Mining of Massive Datasets, 3.4 for the bands; the
defaults (14 bands of 8 rows over 5-word shingles) are FineWeb's, but nothing is deleted on the word
of a signature, and nothing through a chain of neighbours.
"""

import mmap
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import REMEMBERED, Batch, drop
from stages.dedup import bands
from stages.dedup.clusters import LEADERS, Places, distinct, settle, union_find
from stages.dedup.exact import chosen
from stages.dedup.keep import RANK, Remembering
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
)
from stages.measure import WORD_HASHES, Measure

WINDOW = 64 << 20  # of sets in memory at once, where a crowd has more


@dataclass(frozen=True, kw_only=True)
class MinHashDedup(Remembering):
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

    However many pages are alike, a document is compared with no more than eight others per band: with
    those that were the first to stay of all that came by, best first, or in the place of one that came by.
    In a crowd of thousands of pages that are only partly copies of each other a few in a hundred stay
    beside one that is like them.
    """

    version = 2
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
        return (*super().late, "compare", *(() if self.bands is None else ("similarity",)))

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

    @property
    def table(self) -> str:
        return "near"

    @property
    def terms(self) -> dict[str, Any]:
        bands, rows = self.shape
        shingles = {"words": self.words, "characters": self.characters}
        return {"bands": bands, "rows": rows, **shingles, "seed": self.seed}

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
        yield from super().forecast()
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
        """Who shares a bucket (`key`) with others, or with documents of the index: these too."""
        order = np.argsort(sketches["key"].to_numpy(), kind="stable")
        key = sketches["key"].to_numpy()[order]
        same = key[1:] == key[:-1]
        shared = np.zeros(len(key), bool)
        shared[1:] |= same
        shared[:-1] |= same
        found = []
        if self.pinned:
            keys = np.unique(key)
            known = self.view.lookup(self.table, keys)
            holds = keys[known["at"].to_numpy()]
            shared |= np.isin(key, holds)
            first = np.arange(len(holds)) - np.searchsorted(holds, holds) < LEADERS
            columns = {"key": holds[first], "doc": known["doc"].to_numpy()[first]}
            if RANK.name in sketches.column_names:
                columns[RANK.name] = np.zeros(first.sum(), np.uint64)
            found.append(pa.table(columns).select(sketches.column_names))
        found.append(sketches.take(pa.array(order[shared])))
        return pa.concat_tables(found)

    def ask(self, proposals: pa.Table) -> pa.Table:
        """The same rows, those that hang together by common buckets in a `group`."""
        order = np.argsort(proposals["key"].to_numpy(), kind="stable")
        proposals = proposals.take(pa.array(order))
        key, doc = proposals["key"].to_numpy(), proposals["doc"].to_numpy()
        ours = np.flatnonzero(doc < REMEMBERED)
        members = distinct(doc[ours])  # a copy
        place = np.searchsorted(members, doc[ours])
        same = np.flatnonzero(key[ours][1:] == key[ours][:-1])
        left, right = place[same + 1], place[same]
        edges = np.argsort(
            left, kind="stable"
        )  # left came later: sketches are in order of document
        group = union_find(left[edges], right[edges], len(members))[place]
        every = group[np.searchsorted(key[ours], key)] if len(key) else group
        return proposals.append_column("group", pa.array(every, pa.int64()))

    def evidence(self, batch: Batch) -> pa.Array:
        """The set of shingles of each document: their hashes, sorted (large_list<uint64>)."""
        if self.words:
            batch = Measure(names=(WORD_HASHES,))(batch)
        size = self.words or self.characters or 1
        offsets, shingles = distinct_shingles(*self._hashes(batch), size)
        return pa.LargeListArray.from_arrays(offsets, shingles)

    def verify(self, asked: pa.Table, shown: Iterable[pa.Table]) -> pa.Table:
        """All pairs (`doc`, `other`) that were compared, with their similarity as `value`.

        One of the pairs of a document that `leaves` says so: the document leaves for the other.
        """
        key, doc = asked["key"].to_numpy(), asked["doc"].to_numpy()
        rank = np.zeros(len(doc), np.uint64)
        if RANK.name in asked.column_names:
            rank = asked[RANK.name].to_numpy()
        order = np.lexsort((doc, rank, doc < REMEMBERED))
        key, doc = key[order], doc[order]
        starts = np.flatnonzero(np.diff(doc, prepend=~doc[:1]))
        nodes, old = doc[starts], int((doc[starts] >= REMEMBERED).sum())
        node = np.repeat(np.arange(len(nodes)), np.diff([*starts, len(doc)]))
        keys, bucket = np.unique(key, return_inverse=True)
        before = int(starts[old]) if old < len(starts) else len(doc)
        known = np.argsort(bucket[:before], kind="stable")  # of the index, in order of document
        full = bucket[known]
        held, many = (
            np.zeros((len(keys), LEADERS), np.int64),
            np.bincount(full, minlength=len(keys)),
        )
        held[full, np.arange(before) - np.searchsorted(full, full)] = node[known]
        remembered = self.view.shingles(nodes[:old]) if old else iter(())
        ends = np.array([*starts[old:], len(doc)]) - before
        judged = []
        with tempfile.TemporaryFile() as file:
            sets, mapped = spooled(nodes, (*remembered, *shown), file)
            for low, high in windows(sets, old):
                judged += [settle(
                    low, ends[low - old : high - old + 1], bucket[before:], held, many, sets,
                    self.similarity, self.compare == "containment",
                )]  # fmt: skip
                mapped.madvise(mmap.MADV_DONTNEED)
            del sets
        left, right, value, leaves = map(np.concatenate, zip(*judged, strict=True))
        other = nodes[right]
        found = {"doc": nodes[left], "other": other, "value": value, "leaves": leaves}
        kept = np.where(leaves, other, np.uint64(0))
        return pa.table(found | self.remembered(kept))

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """Who leaves, in order of document: `kept` is the document it leaves for, `value` how similar."""
        found = proposals.filter(proposals["leaves"]).drop_columns(["leaves"]).sort_by("doc")
        return found.rename_columns({"other": "kept"})

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


def spooled(
    documents: Hashes, shown: Iterable[pa.Table], file: Any
) -> tuple[tuple[Places, Places, Hashes], mmap.mmap]:
    """Where the set of each document begins and ends among the hashes, and these: mapped from a file.

    They may be more than fit into memory: of a crowd, which must be judged as a whole.
    """
    begins = np.zeros(len(documents), np.int64)
    ends = np.zeros(len(documents), np.int64)
    order, end = np.argsort(documents), 0
    for some in shown:
        offsets, values = list_buffers(some["evidence"])
        at = order[np.searchsorted(documents, some["doc"].to_numpy(), sorter=order)]
        begins[at], ends[at] = offsets[:-1] - offsets[:1] + end, offsets[1:] - offsets[:1] + end
        file.write(values[offsets[0] : offsets[-1]].tobytes())
        end += int(offsets[-1] - offsets[0])
    file.write(bytes(8))  # nothing cannot be mapped
    file.flush()
    mapped = mmap.mmap(file.fileno(), 8 * end + 8)
    return (begins, ends, np.frombuffer(mapped, np.uint64, end)), mapped


def windows(sets: tuple[Places, Places, Hashes], first: int) -> Iterator[tuple[int, int]]:
    """The documents from `first` on in runs whose sets take about WINDOW bytes, at least one run."""
    begins, ends, _ = sets
    filled = np.cumsum((ends - begins)[first:]) * 8 // WINDOW
    cuts = first + 1 + np.flatnonzero(np.diff(filled))
    yield from pairwise([first, *cuts.tolist(), len(begins)])


def list_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[Offsets, Hashes]:
    """Offsets (one more than rows) and values of a column of lists of uint64."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    column = column.cast(pa.large_list(pa.uint64()))
    values = column.values.to_numpy()
    return column.offsets.to_numpy(), values
