"""Terms that must not be in a text, and addresses that documents must not come from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, File, Stage, drop
from stages.describe import hosts
from stages.errors import SpecError
from stages.kernels.hashing import hash64, string_buffers
from stages.kernels.terms import Terms, covered


@dataclass(frozen=True, kw_only=True)
class KeywordFilter(Stage):
    """Drop documents in which terms of a list occur too often.

    A term (one or more words) matches whole words, whatever its case, with any white space between
    them: `ass` is not in `class`. In scripts that write no spaces (Han, kana, Thai, Lao, Khmer,
    Burmese) it matches anywhere. Accents count: `coco` is not `cocô`; text should be in composed
    form, as `NormalizeText` leaves it. Of terms that overlap, the first, and of those the longest,
    is one hit. Any number of terms costs the same time.

    Reason: `keywords.` and the list with most hits: the file's name without its ending, or `words`;
    the value is the number of hits of all lists.
    """

    words: tuple[str, ...] = ()  # terms
    lists: File | None = None  # a UTF-8 file of terms, one on a line, or a folder of such files
    at_most: int = 0  # hits that any document may have
    per_thousand_words: float | None = None  # above that, hits it may have per thousand words

    def check(self) -> None:
        if not self.words and not self.lists:
            raise SpecError("words: give terms here or in a file named by `lists`")
        for at, word in enumerate(self.words):
            if not word.strip():
                raise SpecError(f"words[{at}]: expected a term, got {word!r}")
        if self.at_most < 0:
            raise SpecError(f"at_most: expected 0 or more, got {self.at_most}")
        if self.per_thousand_words is not None and self.per_thousand_words < 0:
            raise SpecError(
                f"per_thousand_words: expected 0 or more, got {self.per_thousand_words}"
            )
        if self.lists:
            lists_of(self.lists)

    @cached_property
    def terms(self) -> tuple[list[str], Terms]:
        """The names of the lists, and their terms, compiled."""
        named = [("words", strings(self.words))] if self.words else []
        named += lists_of(self.lists) if self.lists else []
        return [name for name, _ in named], Terms([terms for _, terms in named])

    def __call__(self, batch: Batch) -> Batch:
        names, terms = self.terms
        hits, words = terms.count(batch.column("text"))
        total = hits.sum(axis=1)
        leaves = total > self.at_most
        if self.per_thousand_words is not None:
            leaves &= total * 1000 > self.per_thousand_words * words
        reasons = pa.array([f"keywords.{name}" for name in names], pa.string())
        worst = pa.array(hits.argmax(axis=1), mask=~leaves)
        return drop(batch, reasons.take(worst), values=pa.array(total, mask=~leaves))


@dataclass(frozen=True, kw_only=True)
class UrlFilter(Stage):
    """Drop documents by where they come from: listed domains, words in the URL.

    Case does not matter. A word is a run of letters, digits and what stands on them: `sex` is in
    `/sex-shop`, not in `/essex`. A document without a URL, or with one that has no host, is not
    judged by domain. Reasons: `url.domain`, then `url.word` with the number of words found.
    """

    domains: File | None = None  # one on a line (UT1's format), or a folder of such files
    words: tuple[str, ...] = ()  # one of these is enough
    soft_words: tuple[str, ...] = ()  # `soft_limit` of these are enough
    soft_limit: int = 2  # how many soft words are too many

    needs = ("url",)

    def check(self) -> None:
        if not (self.domains or self.words or self.soft_words):
            raise SpecError("domains: give a file of domains, words or soft_words")
        if self.soft_limit < 1:
            raise SpecError(f"soft_limit: expected at least 1, got {self.soft_limit}")
        for name in ("words", "soft_words"):
            for at, word in enumerate(getattr(self, name)):
                if not word.strip():
                    raise SpecError(f"{name}[{at}]: expected a word, got {word!r}")
        if self.domains:
            lists_of(self.domains)

    @cached_property
    def blocked(self) -> npt.NDArray[np.uint64]:
        """The hashes of the listed domains, sorted: 8 bytes each, and no name kept."""
        lists = lists_of(self.domains) if self.domains else []
        names = pa.concat_arrays([strings(()), *(terms for _, terms in lists)])
        names = pc.utf8_ltrim(pc.utf8_lower(names), "*.")
        return np.unique(hash64(pc.utf8_rtrim(names, ".")))

    @cached_property
    def terms(self) -> Terms:
        """The words and the soft words, compiled."""
        return Terms([strings(self.words), strings(self.soft_words)])

    def __call__(self, batch: Batch) -> Batch:
        urls = batch.column("url")
        hits, _ = self.terms.count(urls)
        banned = covered(*string_buffers(pc.utf8_rtrim(hosts(urls), ".")), self.blocked)
        worded = (hits[:, 0] > 0) | (hits[:, 1] >= self.soft_limit)
        reasons = pa.array(["url.domain", "url.word"]).take(
            pa.array(np.where(banned, 0, 1), mask=~(banned | worded))
        )
        values = np.where(banned, 1, hits.sum(axis=1))
        return drop(batch, reasons, values=pa.array(values, mask=~(banned | worded)))


def strings(words: tuple[str, ...]) -> pa.Array:
    """The words as a column."""
    return pa.array(words, pa.large_string())


def lists_of(path: str) -> list[tuple[str, pa.Array]]:
    """The lines that are not blank of a file, or of each file of a folder, by name of the file."""
    home = Path(path)
    if not home.exists():
        raise SpecError(f"{path}: no such file")
    paths = [home]
    if home.is_dir():
        paths = sorted(p for p in home.rglob("*") if p.is_file() and not p.name.startswith("."))
    lists = []
    for file in paths:
        try:
            content = strings((file.read_text("utf-8-sig"),))
        except UnicodeDecodeError as wrong:
            raise SpecError(f"{file}: expected UTF-8, byte {wrong.start} is not") from None
        lines = pc.utf8_trim_whitespace(pc.split_pattern(content, "\n").flatten())
        lists.append((file.stem, lines.filter(pc.not_equal(lines, ""))))
    if not any(len(lines) for _, lines in lists):
        raise SpecError(f"{path}: there is nothing in it")
    return lists
