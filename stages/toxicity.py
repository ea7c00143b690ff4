"""Words that offend, by language."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Stage, drop, replace
from stages.errors import SpecError
from stages.kernels.hashing import positions
from stages.kernels.terms import Terms
from stages.lists import lists_of, strings

SEED = 0xBAD  # a sample of its own: other stages draw by the id too


@dataclass(frozen=True, kw_only=True)
class BadWords(Stage):
    """Drop documents with bad words of their language, as C4 did.

    The lists are those of C4 (Raffel et al. 2020, arXiv:1910.10683, section 2.2): 28 languages, with
    its exceptions for Japanese and Chinese. Words match as in `stages.keywords.KeywordFilter`: whole
    words, except in scripts that write no spaces. Many an entry is a common word (pt `amador`, es
    `negro`): look at what leaves before you trust them, or bring lists of your own.

    Adds `bad_words`, the number of hits; null where the language (column `language`) is not known or
    has no list: such a document is not judged and stays. Reason: `toxicity.bad_words`, with the hits.
    """

    lists: File | None = None  # in place of ours: a folder of files of terms, as in `pt.txt`
    at_most: Annotated[int, Field(ge=0)] = 0  # hits that any document may have
    keep: Annotated[float, Field(ge=0, le=1)] = (
        0.0  # share of those with more that stays, by their id
    )

    needs = ("id", "text", "language")

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field("bad_words", pa.int64()),)

    def check(self) -> None:
        if self.lists:
            if not Path(self.lists).is_dir():
                raise SpecError(f"lists: {self.lists}: expected a folder of files, as in `pt.txt`")
            lists_of(self.lists)

    @cached_property
    def terms(self) -> dict[str, Terms]:
        """The terms of each language, compiled."""
        lists = lists_of(self.lists) if self.lists else bad_words()
        return {language: Terms([words]) for language, words in lists}

    def __call__(self, batch: Batch) -> Batch:
        hits = np.full(batch.num_rows, -1)
        languages = batch.column("language")
        for language in pc.unique(languages).drop_null().to_pylist():
            if language in self.terms:
                own = pc.fill_null(pc.equal(languages, language), False)
                found, _ = self.terms[language].count(batch.column("text").filter(own))
                hits[own.to_numpy(zero_copy_only=False)] = found[:, 0]
        batch = replace(batch, "bad_words", pa.array(hits, mask=hits < 0))
        leaves = hits > self.at_most
        if self.keep:
            leaves &= positions(batch.column("id"), SEED) >= self.keep
        reasons = pa.array(np.full(len(hits), "toxicity.bad_words"), pa.string(), mask=~leaves)
        return drop(batch, reasons, values=pa.array(hits, mask=~leaves))


@cache
def bad_words() -> tuple[tuple[str, pa.Array], ...]:
    """The terms of each language, as in `bad_words.txt`, less the exceptions of C4."""
    text = Path(__file__).with_name("bad_words.txt").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        (row[0], strings([word for word in row[1:] if word not in ALLOWED])) for row in rows
    )


# Parts of many a word in languages without spaces: each was in over a tenth of all documents.
ALLOWED = ("sm", "グロ", "女の子", "性")
