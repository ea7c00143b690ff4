"""Bring text to one form before anything judges it."""

import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, Stage, replace
from stages.kernels.normalize import Form, squeeze


@dataclass(frozen=True, kw_only=True)
class NormalizeText(Stage):
    """Bring every text to one Unicode form, without hidden characters, its white space squeezed.

    Removed: controls, characters without width, direction marks, byte order marks, tags, private
    use, bytes that are not UTF-8; joiners and variation selectors where they join or select nothing
    (Persian, Indic scripts and emoji keep theirs). Any blank is a space, any line end `\\n`; runs of
    blanks become one space, more than two line ends two; lines and the text are stripped. A text
    that was normalised once stays as it is.

    `form`: NFC composes accents; NFKC also turns ligatures, full-width letters, superscripts and
    the like into plain ones, which loses meaning in formulas.
    """

    rewrites = True

    form: Form = "NFC"

    def __call__(self, batch: Batch) -> Batch:
        return replace(batch, "text", normalize(batch.column("text"), self.form))


def normalize(column: pa.Array, form: Form = "NFC") -> pa.Array:
    """The texts in one form. Only those that the quick check of Unicode is unsure of are composed."""
    clean, unsure = squeeze(column, form)
    rows = np.flatnonzero(unsure)
    while len(rows):  # what is composed may show a blank to squeeze, and what is squeezed a pair
        before = clean.take(pa.array(rows))
        composed = [unicodedata.normalize(form, text) for text in before.to_pylist()]
        after = pa.array(composed, pa.large_string())
        moved = pc.not_equal(before, after)
        rows = rows[moved.to_numpy(zero_copy_only=False)]
        changed = np.zeros(len(clean), np.bool_)
        changed[rows] = True
        again, unsure = squeeze(after.filter(moved), form)
        clean = pc.replace_with_mask(clean, pa.array(changed), again)
        rows = rows[unsure]
    return clean
