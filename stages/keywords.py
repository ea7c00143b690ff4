"""Terms that must not be in a text, and addresses that documents must not come from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, File, Stage, drop, replace
from stages.describe import hosts
from stages.errors import SpecError
from stages.kernels.terms import Terms
from stages.lists import (
    DATATROVE_SHA256,
    Blocked,
    blocked,
    category_files,
    check_datatrove,
    datatrove_words,
    files_in,
    lists_of,
    reduce,
    strings,
)


@dataclass(frozen=True, kw_only=True)
class KeywordFilter(Stage):
    """Drop documents with a term of a list, or with too many soft terms for their length.

    A term (one or more words) matches whole words, whatever its case, with any white space between
    them: `ass` is not in `class`. In scripts that write no spaces (Han, kana, Thai, Lao, Khmer,
    Burmese) it matches anywhere; in Arabic also behind the article and one-letter words written with
    it, and without its vowel points; in Korean also with particles behind it. Accents count: `coco`
    is not `cocô`; text should be in composed form, as `NormalizeText` leaves it. Inflected forms are
    terms of their own. Of terms that overlap, the first, and of those the longest, is one hit. Any
    number of terms costs the same time.

    Adds the hits of each list as `keywords_` and the name of the list (that of its file in a folder,
    without the ending; `list` for a file alone, `words` for terms given here, `soft_list` and
    `soft_words`), and if there are soft terms `soft_keywords_per_thousand`.

    Reasons: `keywords.` and the list with most hits, with the number of hits; then the same of soft
    lists, with the number per thousand words.
    """

    words: tuple[str, ...] = ()  # terms
    lists: File | None = None  # a UTF-8 file of terms, one on a line, or a folder of such files
    at_most: int = 0  # hits of those that any document may have
    soft_words: tuple[str, ...] = ()  # terms that only drop a document together
    soft_lists: File | None = None  # a file or folder of such
    soft_at_most: int = 2  # hits of those that any document may have
    per_thousand: float = 5.0  # above that, soft hits that it may have per thousand words

    def check(self) -> None:
        if not (self.words or self.lists or self.soft_words or self.soft_lists):
            raise SpecError("words: give terms here or in a file named by `lists`")
        _check_words(self, "words", "soft_words")
        for name in ("at_most", "soft_at_most", "per_thousand"):
            if getattr(self, name) < 0:
                raise SpecError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        for path in (self.lists, self.soft_lists):
            if path:
                lists_of(path)
        names = [name for name, _ in self.names]
        for name in names:
            if names.count(name) > 1:
                raise SpecError(f"lists: two lists are called {name!r}; rename one of the files")

    @cached_property
    def names(self) -> list[tuple[str, bool]]:
        """The name of each list, and whether it is a soft one."""
        found = []
        for soft, words, path in self._given:
            kind = "soft_" if soft else ""
            found += [(f"{kind}words", soft)] if words else []
            if path and Path(path).is_dir():
                found += [(_plain(file.stem), soft) for file in files_in(path)]
            elif path:
                found.append((f"{kind}list", soft))
        return found

    @property
    def _given(self) -> tuple[tuple[bool, tuple[str, ...], str | None], ...]:
        return (False, self.words, self.lists), (True, self.soft_words, self.soft_lists)

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        columns = [pa.field(f"keywords_{name}", pa.int64()) for name, _ in self.names]
        if any(soft for _, soft in self.names):
            columns.append(pa.field("soft_keywords_per_thousand", pa.float64()))
        return tuple(columns)

    @cached_property
    def terms(self) -> Terms:
        """The terms of all lists, compiled."""
        lists = []
        for _, words, path in self._given:
            lists += [strings(words)] if words else []
            lists += [terms for _, terms in lists_of(path)] if path else []
        return Terms(lists)

    def __call__(self, batch: Batch) -> Batch:
        hits, words = self.terms.count(batch.column("text"))
        soft = np.array([soft for _, soft in self.names])
        hard = hits[:, ~soft].sum(axis=1)
        softly = hits[:, soft].sum(axis=1)
        density = softly * 1000 / np.maximum(words, 1)
        for at, (name, _) in enumerate(self.names):
            batch = replace(batch, f"keywords_{name}", pa.array(hits[:, at].copy()))
        if soft.any():
            batch = replace(batch, "soft_keywords_per_thousand", pa.array(density))
        outright = hard > self.at_most
        leaves = outright | ((softly > self.soft_at_most) & (density > self.per_thousand))
        reasons = pa.array([f"keywords.{name}" for name, _ in self.names], pa.string())
        worst = np.where(soft[None, :] != outright[:, None], hits, -1).argmax(axis=1)
        return drop(
            batch,
            reasons.take(pa.array(worst, mask=~leaves)),
            values=pa.array(np.where(outright, hard, density), mask=~leaves),
        )


@dataclass(frozen=True, kw_only=True)
class UrlFilter(Stage):
    """Drop documents by where they come from: listed domains and pages, words in the URL.

    Case does not matter. A domain covers its subdomains, a page what lies under it. A word is a run
    of letters, digits and what stands on them: `sex` is in `/sex-shop`, not in `/essex`; a part of a
    word is looked for in the letters and digits of the URL alone. A document without a URL, or with
    one that has no host, is not judged by domain. Ten bytes of memory per listed address.

    Reasons, in this order: `url.domain` and `url.page` with the category behind it
    (`url.domain.gambling`; of a file without categories none), `url.word` with the number of words,
    `url.soft_word` with the number of different ones, `url.subword`.
    """

    domains: File | None = (
        None  # one on a line, or a folder of such, or UT1's: `adult/domains`, ...
    )
    categories: tuple[str, ...] = ()  # of a folder, those to take; empty: all
    words: tuple[str, ...] = ()  # one of these is enough
    soft_words: tuple[str, ...] = ()  # `soft_limit` different ones of these are enough
    soft_limit: int = 2  # how many soft words are too many
    subwords: tuple[str, ...] = ()  # one of these within words, or across what parts them
    datatrove: bool = (
        False  # also the 4.6 million domains, and the words, of the installed datatrove
    )

    version = int(DATATROVE_SHA256[:8], 16)  # those lists are part of the fingerprint
    needs = ("url",)

    def check(self) -> None:
        if not (self.domains or self.words or self.soft_words or self.subwords or self.datatrove):
            raise SpecError("domains: give a file of domains, words or soft_words")
        if self.soft_limit < 1:
            raise SpecError(f"soft_limit: expected at least 1, got {self.soft_limit}")
        _check_words(self, "words", "soft_words")
        for at, word in enumerate(self.subwords):
            if not reduce(word):
                raise SpecError(
                    f"subwords[{at}]: expected letters or digits of ASCII, got {word!r}"
                )
        if self.categories and not self.domains:
            raise SpecError("categories: they are those of `domains`, which is not given")
        if self.domains:
            category_files(self.domains, self.categories)
        if self.datatrove:
            check_datatrove()

    @cached_property
    def blocked(self) -> Blocked:
        """The listed addresses by category, as hashes."""
        return blocked(self.domains, self.categories, self.datatrove)

    @cached_property
    def lists(self) -> tuple[tuple[str, ...], ...]:
        """Words, soft words and parts of words, datatrove's included."""
        own = (self.words, self.soft_words, tuple(map(reduce, self.subwords)))
        theirs = datatrove_words() if self.datatrove else ((), (), ())
        return tuple(tuple(dict.fromkeys([*a, *b])) for a, b in zip(own, theirs, strict=True))

    @cached_property
    def terms(self) -> Terms:
        """The words as one list, and each soft word as one, compiled."""
        words, soft_words, _ = self.lists
        return Terms([strings(words), *(strings((word,)) for word in soft_words)])

    def __call__(self, batch: Batch) -> Batch:
        urls = pc.utf8_lower(batch.column("url"))
        hits, _ = self.terms.count(urls)
        soft = (hits[:, 1:] > 0).sum(axis=1)
        found = self.blocked.domains.of_hosts(pc.utf8_rtrim(hosts(urls), "."))
        pages = self.blocked.pages.of_urls(urls)
        names = [f".{_plain(name)}" if name else "" for name in self.blocked.names]
        none, one = np.zeros(batch.num_rows, np.int64), np.ones(batch.num_rows)
        rules = [
            (found >= 0, found, [f"url.domain{name}" for name in names], one),
            (pages >= 0, pages, [f"url.page{name}" for name in names], one),
            (hits[:, 0] > 0, none, ["url.word"], hits[:, 0]),
            (soft >= self.soft_limit, none, ["url.soft_word"], soft),
            (self._subwords(urls), none, ["url.subword"], one),
        ]
        reasons: list[str] = []
        reason, value = np.full(batch.num_rows, -1), np.zeros(batch.num_rows)
        for broken, which, own, measured in rules:
            reason = np.where(broken & (reason < 0), which + len(reasons), reason)
            value = np.where(reason >= len(reasons), measured, value)
            reasons += own
        stays = reason < 0
        return drop(
            batch,
            pa.array(reasons, pa.string()).take(pa.array(reason, mask=stays)),
            values=pa.array(value, mask=stays),
        )

    def _subwords(self, urls: pa.Array) -> np.ndarray:
        subwords = self.lists[2]
        if not subwords:
            return np.zeros(len(urls), np.bool_)
        bare = pc.replace_substring_regex(urls, "[^a-z0-9]+", "")
        found = pc.fill_null(pc.match_substring_regex(bare, "|".join(subwords)), False)
        return np.asarray(found.to_numpy(zero_copy_only=False))


def _check_words(step: Stage, *names: str) -> None:
    for name in names:
        words: Sequence[str] = getattr(step, name)
        for at, word in enumerate(words):
            if not word.strip():
                raise SpecError(f"{name}[{at}]: expected a word, got {word!r}")


def _plain(name: str) -> str:
    """A name as reasons and columns have them."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)
