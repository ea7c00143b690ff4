"""Long passages that were there already, wherever in a document they begin and end."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from stages.base import Barrier, Batch
from stages.dedup.cutting import _Cutting, at_least, places_of, shared
from stages.kernels.hashing import string_buffers


@dataclass(frozen=True, kw_only=True)
class SubstringDedup(_Cutting, Barrier):
    """Cut every run of `length` words or more that stands elsewhere before, word for word.

    Exact substring deduplication as of Lee et al. 2022 (arXiv:2107.06499) on words instead of tokens,
    but the first occurrence, in the order the documents were read, stays. A word is a run of visible
    characters, in scripts without spaces a letter; words are the same if all characters are. A run
    that repeats an earlier one of its own document must not overlap with it.

    No suffix array of the whole is needed. Of each run one gram of half its length is taken, the
    same in all its copies (winnowing): one of 13 words for runs of 50. Only where such grams meet are
    whole runs compared, by 128 bits. So every repeat is found, and nothing else is cut.
    """

    refined = True

    length: int = 50  # words of the shortest repeat that is cut

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """Characters cut."""
        return (pa.field("substring_cut", pa.int64(), nullable=False),)

    def check(self) -> None:
        super().check()
        at_least(self, {"length": 2})

    def sketch(self, batch: Batch) -> pa.Table:
        """One row of 16 bytes per sampled gram, `at` its first word."""
        from stages.kernels.characters import table
        from stages.kernels.spans import anchors

        offsets, data = string_buffers(batch.column("text"))
        key, row, at = anchors(data, offsets, table(), self.length)
        return pa.table({"key": key, "row": row, "at": at})

    def decide(self, sketches: pa.Table) -> pa.Table:
        """The grams that occur again, as (`doc`, `at`), in order."""
        found = shared(sketches, "doc", "at")
        return found.sort_by([("doc", "ascending"), ("at", "ascending")])

    def refine(self, batch: Batch, proposals: pa.Table) -> pa.Table:
        """One row of 24 bytes per run about those grams, `start` its first word."""
        from stages.kernels.characters import table
        from stages.kernels.spans import runs_at

        proposals = proposals.sort_by([("row", "ascending"), ("at", "ascending")])
        places, (ats,) = places_of(batch, proposals, "at")
        offsets, data = string_buffers(batch.column("text"))
        key, check, row, start = runs_at(data, offsets, table(), self.length, places, ats)
        rows = batch.column("row").to_numpy()[row]
        return pa.table({"key": key, "check": check, "row": rows, "start": start})

    def decide_refined(self, sketches: pa.Table) -> pa.Table:
        """The runs to cut, as stretches of words: (`doc`, `first`, `stop`)."""
        from stages.kernels.spans import merged, repeated

        names = ("key", "check", "doc", "start")
        key, check, doc, start = (sketches[name].to_numpy() for name in names)
        cut = repeated(key, check, doc, start, self.length)
        doc, start = doc[cut], start[cut].astype(np.int64)
        order = np.lexsort((start, doc))
        return stretches(*merged(doc[order], start[order], start[order] + self.length))

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """The stretches, in order of document, those that touch as one."""
        from stages.kernels.spans import merged

        ordered = proposals.sort_by([("doc", "ascending"), ("first", "ascending")])
        doc, first, stop = (ordered[name].to_numpy() for name in ("doc", "first", "stop"))
        return stretches(*merged(doc, first.astype(np.int64), stop.astype(np.int64)))

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        from stages.kernels.units import EXACT, WORD

        places, (first, stop) = places_of(batch, decision, "first", "stop")
        return self._cut(batch, "substring", (WORD, EXACT), places, first, stop)


def stretches(doc: np.ndarray, first: np.ndarray, stop: np.ndarray) -> pa.Table:
    """Words `first` to `stop` of documents."""
    return pa.table({"doc": doc, "first": first.astype(np.uint32), "stop": stop.astype(np.uint32)})
