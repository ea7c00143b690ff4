"""Leaving spans out of texts, and judging what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, Step, drop, replace
from stages.errors import SpecError
from stages.kernels.hashing import string_buffers

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class _Cutting(Step):
    """A step that leaves spans out of texts, and drops those of which too little is left.

    A document that was cut, and has fewer than `words` words or `sentences` sentences then, is
    dropped, its text as it came; one that was not cut stays, however short.
    """

    rewrites = True

    words: int = 50  # least words left of a document that was cut
    sentences: int | None = 3  # least sentences left of a document that was cut

    def check(self) -> None:
        at_least(self, {"words": 1, "sentences": 1})

    def _cut(
        self,
        batch: Batch,
        family: str,
        units: tuple[int, int],
        places: Places,
        froms: Places,
        tos: Places,
    ) -> Batch:
        """The batch without some units of its texts: those of row i from `places[i]` to `places[i + 1]`.

        `units` says of what kind and form they are. Adds the column `FAMILY_cut`.
        """
        from stages.kernels.characters import table
        from stages.kernels.units import without

        offsets, data = string_buffers(batch.column("text"))
        rows = batch.num_rows
        out = np.empty(offsets[-1] - offsets[0], np.uint8)
        ends = np.zeros(len(offsets), np.int64)
        judged = np.zeros((rows, 3), np.int64)
        without(data, offsets, table(), *units, places, froms, tos, out, ends, judged)
        characters, words, sentences = judged.T
        cut = characters > 0
        few = [cut & (words < self.words), cut & (sentences < (self.sentences or 0))]
        which = np.select(few, [0, 1], 2)
        leaves = which < 2
        left = pa.py_buffer(out[: ends[-1]].copy())
        text = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), left)
        if leaves.any():
            text = pc.if_else(pa.array(leaves), batch.column("text"), text)
        batch = replace(batch, "text", text)
        batch = replace(batch, f"{family}_cut", pa.array(characters))
        reasons = pa.array([f"{family}.words", f"{family}.sentences", None], pa.string())
        values = np.where(which == 0, words, sentences)
        return drop(batch, reasons.take(pa.array(which)), values=pa.array(values, mask=~leaves))


def at_least(step: Step, bounds: dict[str, int]) -> None:
    """Refuse fields below their least value; None is off. SpecError."""
    for name, least in bounds.items():
        value = getattr(step, name)
        if value is not None and value < least:
            raise SpecError(f"{name}: expected at least {least}, got {value}")


def shared(sketches: pa.Table, *names: str) -> pa.Table:
    """Some columns of the rows whose key other rows have too, in order of the key."""
    key = sketches["key"].to_numpy()
    order = np.argsort(key)
    same = key[order[1:]] == key[order[:-1]]
    again = np.zeros(len(key), bool)
    again[1:] |= same
    again[:-1] |= same
    return sketches.select(names).take(pa.array(order[again]))


def places_of(batch: Batch, decision: pa.Table, *names: str) -> tuple[Places, Sequence[Places]]:
    """Where, in columns of a decision in order of row, what it says of each row of the batch stands.

    As (places, columns): of row i from `places[i]` to `places[i + 1]`.
    """
    known = decision["row"].to_numpy()
    rows = batch.column("row").to_numpy()
    starts = np.searchsorted(known, rows, "left")
    sizes = np.searchsorted(known, rows, "right") - starts
    places = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(sizes, out=places[1:])
    picked = np.arange(places[-1]) + np.repeat(starts - places[:-1], sizes)
    return places, [decision[name].to_numpy()[picked].astype(np.int64) for name in names]
