"""An index of what earlier crawls kept: what a new one is compared with, without reading old text.

A folder or object-store URL holds files that are never changed, and manifests, numbered, each put if
absent: who finds the number taken looks at the new manifest and tries the next one.

    manifests/00000007.json                what there is, oldest crawl first
    crawls/<digest>/documents-00000.parquet  id and shingles of the documents that a crawl kept
    tables/<digest>/near-00000.parquet     key -> document, sorted by key; one set of files per crawl,
    tables/<digest>/near-00000.bloom       until `compact` merges them; which keys a file may hold

A document is called by the serial of its crawl << 32 | its number among those that the crawl kept; by a
View, which sees some crawls, REMEMBERED | the crawl's place in the view << 32 | number.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.base import REMEMBERED
from stages.config import digest
from stages.errors import DataError, StoreError
from stages.homes import Home, home_of
from stages.kernels.bloom import may_hold
from stages.kernels.hashing import Hashes

KEPT_MANIFESTS = 16  # the newest; what they name is not collected
OLD = 86_400  # seconds after which a file that none of them names is nobody's work under way
DOCUMENTS_PER_FILE = 4096
LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class File:
    """A file of the index, by its path in it."""

    path: str
    bytes: int
    sha256: str
    rows: int = 0


@dataclass(frozen=True)
class Part:
    """The rows of a table whose keys are from `low` to `high`, of the crawls with these serials."""

    table: str
    low: int
    high: int
    crawls: tuple[int, ...]
    rows: File
    bloom: File


@dataclass(frozen=True)
class Crawl:
    """What a crawl kept. `base`: the digests of the crawls that it was deduplicated against."""

    name: str
    digest: str
    serial: int  # 31 bits of what names its documents
    base: tuple[str, ...]
    documents: int
    files: tuple[File, ...]


@dataclass(frozen=True)
class Manifest:
    """What is in an index. `terms`: of each table, what its steps must have in common with later ones."""

    version: int = 0
    terms: dict[str, Any] = field(default_factory=dict)
    crawls: tuple[Crawl, ...] = ()
    parts: tuple[Part, ...] = ()

    def crawl(self, name: str) -> Crawl | None:
        """The crawl of that name, if it is there."""
        return next((crawl for crawl in self.crawls if crawl.name == name), None)

    def before(self, name: str | None) -> tuple[str, ...]:
        """The digests of the crawls that this one is to be, or was, deduplicated against."""
        here = [crawl.digest for crawl in self.crawls]
        own = self.crawl(name) if name else None
        return tuple(one for one in (own.base if own else here) if one in here)

    def files(self) -> Iterator[File]:
        """Every file that there is."""
        for crawl in self.crawls:
            yield from crawl.files
        for part in self.parts:
            yield from (part.rows, part.bloom)


@dataclass(frozen=True)
class Index:
    """An index at a folder or URL. Picklable: a URL."""

    url: str

    @property
    def home(self) -> Home:
        return home_of(self.url)

    def manifest(self, version: int | None = None) -> Manifest:
        """What there is in a version, or in the newest; nothing in one that was never written."""
        if version is None:
            version = max([0, *self.versions()])
            while self.home.find(_manifest(version + 1)) is not None:  # a listing may be behind
                version += 1
        if not version:
            return Manifest()
        data = self.home.find(_manifest(version))
        if data is None:
            raise StoreError(f"{self.url}: has no version {version}, or no longer; run again")
        raw = json.loads(data)
        crawls = tuple(
            Crawl(**{**c, "base": tuple(c["base"]), "files": tuple(File(**f) for f in c["files"])})
            for c in raw["crawls"]
        )
        parts = tuple(
            Part(**{**p, "crawls": tuple(p["crawls"]),
                    "rows": File(**p["rows"]), "bloom": File(**p["bloom"])})
            for p in raw["parts"]
        )  # fmt: skip
        return Manifest(raw["version"], raw["terms"], crawls, parts)

    def versions(self) -> list[int]:
        """The manifests that a listing shows, oldest first."""
        names = (Path(path) for path in self.home.list("manifests"))
        return sorted(int(path.stem) for path in names if path.suffix == ".json")

    def publish(self, change: Callable[[Manifest], Manifest]) -> Manifest:
        """Write what `change` makes of the newest manifest; again, if somebody else was faster."""
        while True:
            before = self.manifest()
            after = change(before)
            if after is before:
                return before
            after = replace(after, version=before.version + 1)
            data = json.dumps(asdict(after), sort_keys=True).encode()
            if self.home.create(_manifest(after.version), data):
                return after

    def put(self, made: Iterable[tuple[File, Path]]) -> None:
        """Bring files in; they are there, but nobody sees them before a manifest names them."""
        for file, path in made:
            self.home.put(file.path, path)

    def add(self, crawl: Crawl, parts: tuple[Part, ...], terms: dict[str, Any]) -> Manifest:
        """Name a crawl whose files are there. Nothing changes if it is named already."""

        def change(manifest: Manifest) -> Manifest:
            known = manifest.crawl(crawl.name)
            if known and known.digest == crawl.digest:
                return manifest
            if known:
                raise DataError(
                    f"{self.url}: another {crawl.name} is in the index; `bateia index {self.url} "
                    f"--remove {crawl.name}` first, or give this one another name"
                )
            if any(one.serial == crawl.serial for one in manifest.crawls):
                raise DataError(f"{self.url}: {crawl.name} holds what another crawl does")
            for table, these in terms.items():
                if manifest.terms.get(table, these) != these:
                    raise DataError(f"{self.url}: was made with other {table}: run again")
            return replace(
                manifest,
                terms={**manifest.terms, **terms},
                crawls=(*manifest.crawls, crawl),
                parts=(*manifest.parts, *parts),
            )

        return self.publish(change)

    def remove(self, name: str) -> Manifest:
        """Forget a crawl. What others left for it stays gone."""

        def change(manifest: Manifest) -> Manifest:
            gone = manifest.crawl(name)
            if gone is None:
                known = ", ".join(crawl.name for crawl in manifest.crawls) or "empty"
                raise DataError(f"{self.url}: there is no crawl {name!r} in the index: {known}")
            crawls = tuple(crawl for crawl in manifest.crawls if crawl is not gone)
            living = {crawl.serial for crawl in crawls}
            parts = tuple(part for part in manifest.parts if living & set(part.crawls))
            return replace(
                manifest, terms=manifest.terms if crawls else {}, crawls=crawls, parts=parts
            )

        return self.publish(change)

    def collect(self) -> int:
        """Delete what none of the newest manifests names and nobody may be about to name; bytes freed."""
        versions = self.versions()
        named = {f.path for v in versions[-KEPT_MANIFESTS:] for f in self.manifest(v).files()}
        for version in versions[:-KEPT_MANIFESTS]:
            self.home.delete(_manifest(version))
        freed = 0
        for folder in ("crawls", "tables"):
            for path in list(self.home.list(folder)):
                if path not in named and self.home.age(path) > OLD:
                    freed += len(self.home.find(path) or b"")
                    self.home.delete(path)
        return freed

    def open(self, file: File) -> Path:
        """A local path of a file, its checksum verified. StoreError if it is torn or missing."""
        return _checked(self.url, file)


def _manifest(version: int) -> str:
    return f"manifests/{version:08}.json"


@lru_cache(4096)
def _checked(url: str, file: File) -> Path:
    path = home_of(url).local(file.path)
    wrong = "is missing" if not path.exists() else None
    if wrong is None and sha256_of(path) != file.sha256:
        wrong = "does not match its checksum"
    if wrong:
        raise StoreError(
            f"{url}/{file.path}: {wrong}; put it back from a copy, or `bateia index {url} --remove` "
            f"the crawl and add it again"
        )
    return path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serial_of(name: str, files: Iterable[File]) -> int:
    """31 bits that name the documents of a crawl: another number for other documents."""
    return int(digest(name, *(file.sha256 for file in files))[:8], 16) & 0x7FFFFFFF


@dataclass(frozen=True)
class View:
    """Some crawls of one version of an index, by their digests, oldest first."""

    url: str
    version: int
    pinned: tuple[str, ...]

    @cached_property
    def manifest(self) -> Manifest:
        return Index(self.url).manifest(self.version) if self.pinned else Manifest()

    @cached_property
    def crawls(self) -> list[Crawl]:
        """The crawls, in the order of their places. StoreError if one is not in this version."""
        known = {crawl.digest: crawl for crawl in self.manifest.crawls}
        if missing := [one for one in self.pinned if one not in known]:
            raise StoreError(f"{self.url}@{self.version}: holds no crawl {missing[0]}")
        return [known[one] for one in self.pinned]

    @cached_property
    def _places(self) -> tuple[Hashes, Hashes]:
        """Serials, sorted, and the place of each in the view."""
        serials = np.array([crawl.serial for crawl in self.crawls], np.uint64)
        order = np.argsort(serials)
        return serials[order], order.astype(np.uint64)

    def lookup(self, table: str, keys: Hashes) -> pa.Table:
        """The rows of some keys (sorted, each once): `at`, which of them, `doc`, and what else there is.

        Sorted by key, then document. Only files that may hold one of the keys are read.
        """
        found = []
        serials = set(self._places[0].tolist())
        for part in self.manifest.parts:
            low = np.searchsorted(keys, np.uint64(part.low))
            high = np.searchsorted(keys, np.uint64(part.high), "right")
            if part.table != table or not serials & set(part.crawls) or low == high:
                continue
            words = np.fromfile(Index(self.url).open(part.bloom), np.uint64)
            may = low + np.flatnonzero(may_hold(words, keys[low:high]))
            if len(may):
                found.append(self._rows(part, keys, may))
        if not found:
            empty = {name: pa.array([], pa.uint64()) for name in ("at", "doc", "check")}
            return pa.table(empty)
        return pa.concat_tables(found, promote_options="default").sort_by(
            [("at", "ascending"), ("doc", "ascending")]
        )

    def _rows(self, part: Part, keys: Hashes, may: np.ndarray) -> pa.Table:
        table = pq.read_table(Index(self.url).open(part.rows))
        sorted_keys = table["key"].to_numpy()
        first, last = (np.searchsorted(sorted_keys, keys[may], side) for side in ("left", "right"))
        many = last - first
        rows = np.repeat(first - np.cumsum(many) + many, many) + np.arange(many.sum())
        docs, seen = self.places(table["doc"].to_numpy()[rows])
        _, by = self.places(table["by"].to_numpy()[rows].astype(np.uint64) << np.uint64(32))
        columns = {"at": np.repeat(may, many).astype(np.uint64), "doc": docs}
        if "check" in table.column_names:
            columns["check"] = table["check"].to_numpy()[rows]
        return pa.table(columns).filter(pa.array(seen & by))

    def places(self, docs: Hashes) -> tuple[Hashes, np.ndarray]:
        """Documents as the view calls them, in place of serials; and whether it sees them."""
        serials, places = self._places
        of = docs >> np.uint64(32)
        if not len(serials):
            return docs, np.zeros(len(docs), bool)
        at = np.minimum(np.searchsorted(serials, of), len(serials) - 1)
        named = np.uint64(REMEMBERED) | places[at] << np.uint64(32) | docs & LOW
        return named, serials[at] == of

    def serials(self, docs: Hashes) -> Hashes:
        """`places` undone."""
        serials = np.array([crawl.serial for crawl in self.crawls], np.uint64)
        of = (docs & np.uint64(REMEMBERED - 1)) >> np.uint64(32)
        named: Hashes = serials[of] << np.uint64(32) | docs & LOW
        return named

    def shingles(self, docs: Hashes) -> Iterator[pa.Table]:
        """The shingles of some documents (sorted, each once): tables of `doc` and `evidence`."""
        for table, some in self._documents(docs, "shingles"):
            lists = table["shingles"].combine_chunks()
            values, offsets = undone(lists.values.to_numpy(), lists.offsets.to_numpy())
            shown = pa.LargeListArray.from_arrays(offsets.astype(np.int64), values)
            yield pa.table({"doc": some, "evidence": shown})

    def names(self, docs: Hashes) -> dict[int, str]:
        """What reports call documents (sorted, each once): `crawl:number:id`."""
        found: dict[int, str] = {}
        for table, some in self._documents(docs, "id"):
            for doc, name in zip(some.tolist(), table["id"].to_pylist(), strict=True):
                crawl = self.crawls[(doc - REMEMBERED) >> 32]
                found[doc] = f"{crawl.name}:{doc & 0xFFFFFFFF}:{name}"
        return found

    def called(self, name: str) -> int | None:
        """The document that has this name, if it is one of `names`."""
        crawl, _, rest = name.partition(":")
        number, colon, _ = rest.partition(":")
        for place, one in enumerate(self.crawls):
            if one.name == crawl and colon and number.isdigit():
                return REMEMBERED | place << 32 | int(number)
        return None

    def _documents(self, docs: Hashes, column: str) -> Iterator[tuple[pa.Table, Hashes]]:
        """A column of some documents, row group by row group, with the documents."""
        for place, crawl in enumerate(self.crawls):
            first = REMEMBERED | place << 32
            for file in crawl.files:
                low, high = np.searchsorted(docs, np.array([first, first + file.rows], np.uint64))
                if low == high:
                    first += file.rows
                    continue
                parquet = pq.ParquetFile(Index(self.url).open(file))
                for group in range(parquet.metadata.num_row_groups):
                    rows = parquet.metadata.row_group(group).num_rows
                    low, high = np.searchsorted(docs, np.array([first, first + rows], np.uint64))
                    if low < high:
                        table = parquet.read_row_group(group, columns=[column])
                        at = pa.array(docs[low:high] - np.uint64(first))
                        yield table.take(at).combine_chunks(), docs[low:high]
                    first += rows


def deltas(values: Hashes, offsets: np.ndarray) -> Hashes:
    """Sorted lists as the steps from each value to the next; the first of a list as it is."""
    out = np.diff(values, prepend=np.uint64(0))
    starts = offsets[:-1][np.diff(offsets) > 0]
    out[starts - offsets[0]] = values[starts - offsets[0]]
    return out


def undone(steps: Hashes, offsets: np.ndarray) -> tuple[Hashes, np.ndarray]:
    """`deltas` undone; the offsets from 0 on."""
    steps, offsets = steps[offsets[0] : offsets[-1]], offsets - offsets[0]
    run = np.cumsum(steps, dtype=np.uint64)
    before = np.concatenate([np.zeros(1, np.uint64), run])[offsets[:-1]]
    return run - np.repeat(before, np.diff(offsets)), offsets
