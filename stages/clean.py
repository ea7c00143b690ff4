# ruff: noqa: RUF001 -- confusable characters are what is made plain
"""Bring text to one form before anything judges it."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, Stage, drop, replace
from stages.errors import SpecError
from stages.kernels.hashing import string_buffers
from stages.kernels.normalize import Form, squeeze
from stages.repair import EMOJI, MARKED, decode_again, mojibake, unmark

Repair: TypeAlias = Callable[[pa.Array], pa.Array]

ROUNDS = 8  # repairs of repairs: what was encoded more often than that was no accident
# Apostrophes and quotation marks of all kinds, hyphens and dashes; not primes and the minus sign.
ASCII = {"[‘’‚‛‹›]": "'", "[“”„‟«»]": '"', "[‐‑‒–]": "-", "[—―]": "--"}


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


@dataclass(frozen=True, kw_only=True)
class CleanText(Stage):
    """Undo what careless extraction and wrong decoding did to a text; put it before NormalizeText.

    NormalizeText removes characters that broken text is repaired from. Whatever is no accident stays:
    code, formulas, tables, texts about HTML (see `stages.repair`). A text that was cleaned once stays
    as it is; one that is still not at rest after eight rounds of repair was made to be so, and is left
    as it came.

    `html`: tags of prose that were left in it (`fim.<br>Outro`) become line ends or nothing, entities
    with a semicolon (`&nbsp;`, `&#39;`, `&amp;quot;`) their characters. `mojibake`: UTF-8 that was read
    as Windows-1252, Latin-1 or Windows-1251 (`informaÃ§Ã£o`, `itâ€™s`) is repaired by ftfy, only in
    documents in which a scan finds such pairs of characters. `punctuation`: `ascii` makes curly and
    angle quotation marks and dashes plain ones. `emoji`: `remove` takes out what is shown as a picture;
    signs such as ✔ and ™ stay. `lower`: all letters in lower case.
    """

    rewrites = True

    html: bool = True
    mojibake: bool = True
    punctuation: Literal["keep", "ascii"] = "keep"
    emoji: Literal["keep", "remove"] = "keep"
    lower: bool = False

    def __call__(self, batch: Batch) -> Batch:
        return replace(batch, "text", settle(batch.column("text"), self._once))

    def _once(self, column: pa.Array) -> pa.Array:
        """One round over the texts."""
        if self.lower:
            column = pc.utf8_lower(column)
        if self.emoji == "remove":
            column = _substituted(column, {EMOJI: ""})
        if self.punctuation == "ascii":
            column = _substituted(column, ASCII)
        if self.html:
            column = _repaired(column, MARKED, unmark)
        if self.mojibake:
            column = _repaired(column, mojibake(), decode_again)
        return column


@dataclass(frozen=True, kw_only=True)
class CleanLines(Stage):
    """Cut lines that are no text, and drop documents of little else. Lines end at `\\n`.

    Phrases are known in 28 languages, whatever their case and accents, and only in lines of at most
    300 characters: whole lines (`Leia mais`), fields of menus (`Home | Über uns | Kontakt`), and
    sentences that only a notice has (`este site usa cookies`), not words: a text on cookies keeps its
    lines. `stages/kernels/boilerplate_phrases.txt` lists them. Lines that look like code stay. A line that is cut takes the empty line
    behind it along; texts without one stay as they are, and so does a text that was cleaned once.

    Column `cut`: the share of characters that was in lines cut. Reasons: `lines.empty` (nothing is
    left), `lines.max_cut`, with that share; a dropped document keeps the text it came with.
    """

    rewrites = True

    policy: bool = True  # notices on cookies; names of policies and terms alone on a line
    javascript: bool = True  # `please enable JavaScript`, `your browser is not supported`
    lorem_ipsum: bool = True  # the filler text itself, not its name
    navigation: bool = True  # menus, paths (`Home > News`), `skip to content`, `back to top`
    social: bool = True  # sharing, following, subscribing, logging in, comments, `read more`
    copyright: bool = True  # `© 2024`, `all rights reserved`, `powered by`
    symbols: bool = True  # four symbols or more to a letter in ten; not code, formulas, underlining
    max_cut: float | None = 0.5  # share of characters cut above which a document leaves

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """The share of characters that was cut."""
        return (pa.field("cut", pa.float64(), nullable=False),)

    def check(self) -> None:
        """Refuse a share that is none."""
        if self.max_cut is not None and not 0 <= self.max_cut <= 1:
            raise SpecError(f"max_cut: expected 0 to 1, or null for off, got {self.max_cut}")

    @cached_property
    def kinds(self) -> int:
        """The kinds of lines to cut, as the kernel takes them."""
        from stages.kernels.cut import KINDS

        return sum(bit for name, bit in KINDS.items() if getattr(self, name))

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.characters import table
        from stages.kernels.cut import cut, plan

        offsets, data = string_buffers(batch.column("text"))
        rows = batch.num_rows
        out = np.empty(offsets[-1] - offsets[0], np.uint8)
        ends = np.zeros(rows + 1, np.int64)
        gone, total = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        cut(data, offsets, table(), plan(self.kinds), out, ends, gone, total)
        left = pa.py_buffer(out[: ends[-1]])
        texts = pa.LargeStringArray.from_buffers(rows, pa.py_buffer(ends), left)
        share = gone / np.maximum(total, 1)
        empty = (gone > 0) & (np.diff(ends) == 0)
        over = share > (1 if self.max_cut is None else self.max_cut)
        leaves = empty | over
        if leaves.any():
            texts = pc.if_else(pa.array(leaves), batch.column("text"), texts)
        batch = replace(replace(batch, "text", texts), "cut", pa.array(share))
        reasons = pa.array(["lines.empty", "lines.max_cut"])
        why = reasons.take(pa.array(np.where(empty, 0, 1), mask=~leaves))
        return drop(batch, why, values=pa.array(share, mask=~leaves))


def settle(column: pa.Array, repair: Repair) -> pa.Array:
    """The texts, repaired until nothing changes; those that never come to rest as they were."""
    first, rows = column, np.arange(len(column))
    for _ in range(ROUNDS):
        before = column.take(pa.array(rows)) if len(rows) < len(column) else column
        after = repair(before)
        moved = pc.not_equal(before, after).to_numpy(zero_copy_only=False)
        rows = rows[moved]
        if not len(rows):
            return column
        column = _put(column, rows, after.filter(pa.array(moved)))
    return _put(column, rows, first.take(pa.array(rows)))


def _put(column: pa.Array, rows: np.ndarray, texts: pa.Array) -> pa.Array:
    """The column with some rows replaced."""
    mask = np.zeros(len(column), np.bool_)
    mask[rows] = True
    return pc.replace_with_mask(column, pa.array(mask), texts)


def _repaired(column: pa.Array, pattern: str, repair: Callable[[str], str]) -> pa.Array:
    """The texts, those in which the pattern is found repaired one by one."""
    found = pc.match_substring_regex(column, pattern)
    if not pc.any(found).as_py():
        return column
    texts = [repair(text) for text in column.filter(found).to_pylist()]
    return pc.replace_with_mask(column, found, pa.array(texts, column.type))


def _substituted(column: pa.Array, table: dict[str, str]) -> pa.Array:
    """The texts with what each pattern finds replaced."""
    found = pc.match_substring_regex(column, "|".join(table))
    if not pc.any(found).as_py():
        return column
    texts = column.filter(found)
    for pattern, by in table.items():
        texts = pc.replace_substring_regex(texts, pattern, by)
    return pc.replace_with_mask(column, found, texts)
