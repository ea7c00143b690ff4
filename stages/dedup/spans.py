"""Sentences, lines and paragraphs that were there already, in another document or in the same one."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from stages.base import Barrier, Batch, Stage
from stages.dedup.cutting import _Cutting, at_least, places_of, shared
from stages.errors import SpecError
from stages.kernels.hashing import string_buffers


@dataclass(frozen=True, kw_only=True)
class _Spans(_Cutting):
    """What spans are, and when two are the same."""

    # of what a span is made. Lines end as in `str.splitlines`, blank lines part paragraphs, sentences
    # end as in any script and with their line
    unit: Literal["sentence", "line", "paragraph"] = "sentence"
    window: int = 3  # successive units in a span
    span_words: int = 1  # least words in a span; one without a word is never cut
    # compare without case, accents, punctuation and the values of numbers; else exactly but for white
    # space
    fold: bool = True

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """Characters cut, as `sentence_cut`, `line_cut` or `paragraph_cut`."""
        return (pa.field(f"{self.unit}_cut", pa.int64(), nullable=False),)

    def check(self) -> None:
        super().check()
        at_least(self, {"window": 1, "span_words": 1})

    @property
    def _units(self) -> tuple[int, int]:
        """Kind and form of a unit, as kernels know them."""
        from stages.kernels.units import EXACT, FOLDED, LINE, PARAGRAPH, SENTENCE

        kinds = {"sentence": SENTENCE, "line": LINE, "paragraph": PARAGRAPH}
        return kinds[self.unit], FOLDED if self.fold else EXACT


@dataclass(frozen=True, kw_only=True)
class SpanDedup(_Spans, Barrier):
    """Cut spans that other documents have too, and drop documents of which too little is left.

    As it stands it is the sentence deduplication of C4 (Raffel et al. 2020, arXiv:1910.10683, section
    2.2): of every three successive sentences that occur again, only the first occurrence stays. For
    boilerplate as in CCNet and RefinedWeb: `{unit: line, window: 1, documents: 10, keep_first: false}`.

    A document of which too little is left leaves by `sentence.words` or `sentence.sentences` (`line.`,
    `paragraph.`) with how many are left, its text as it came; the column `sentence_cut` (`line_cut`,
    `paragraph_cut`) says how many characters were cut. A span whose first occurrence is in such a
    document is lost with it. Spans are compared by 96 bits: among 10^10 of them the odds that any two
    that differ are taken for the same are 6e-10. The central rounds hold 12 bytes per span cut.
    """

    documents: int = 1  # least documents that have the span; 1: repeats in one document are cut too
    keep_first: bool = True  # the first occurrence stays, in the order the documents were read

    def check(self) -> None:
        super().check()
        at_least(self, {"documents": 1})
        if self.documents == 1 and not self.keep_first:
            raise SpecError("documents: expected at least 2 without keep_first, got 1")

    def sketch(self, batch: Batch) -> pa.Table:
        """One row of 20 bytes per span: its hashes, and which it is of its document."""
        from stages.kernels.characters import table
        from stages.kernels.spans import span_keys

        offsets, data = string_buffers(batch.column("text"))
        columns = span_keys(data, offsets, table(), *self._units, self.window, self.span_words)
        return pa.table(dict(zip(("key", "check", "row", "span"), columns, strict=True)))

    def decide(self, sketches: pa.Table) -> pa.Table:
        """The spans to cut, as (`doc`, `span`)."""
        columns = shared(sketches, "key", "check", "doc", "span").columns
        key, check, doc, span = (column.to_numpy() for column in columns)
        order = np.lexsort((span, doc, check, key))
        key, check, doc, span = key[order], check[order], doc[order], span[order]
        first = np.ones(len(key), bool)
        first[1:] = (key[1:] != key[:-1]) | (check[1:] != check[:-1])
        new = first.copy()
        new[1:] |= doc[1:] != doc[:-1]
        group = np.cumsum(first) - 1
        many = np.bincount(group, new)[group] if len(group) else np.zeros(0)
        cut = many >= self.documents
        if self.keep_first:
            cut &= ~first
        return pa.table({"doc": doc[cut], "span": span[cut]})

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """The proposals, in order of document."""
        return proposals.sort_by([("doc", "ascending"), ("span", "ascending")])

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        places, (spans,) = places_of(batch, decision, "span")
        return self._cut(batch, self.unit, self._units, places, spans, spans + self.window)


@dataclass(frozen=True, kw_only=True)
class RepeatedSpans(_Spans, Stage):
    """Cut spans that were there before in the same document, and drop those of which too little is left.

    A repeat does not overlap with what it repeats. Reasons and column are those of `SpanDedup`.
    """

    window: int = 1  # successive units in a span

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.characters import table
        from stages.kernels.spans import repeats

        offsets, data = string_buffers(batch.column("text"))
        places, spans = repeats(data, offsets, table(), *self._units, self.window, self.span_words)
        return self._cut(batch, self.unit, self._units, places, spans, spans + self.window)
