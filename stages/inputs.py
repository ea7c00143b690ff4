"""Input files: paths, globs and manifests, on local disk or an object store, and their bytes."""

import glob
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any

from stages.errors import DataError

MAGIC = re.compile(r"[*?\[]")
LOCAL_BLOCK = 1 << 20
REMOTE_BLOCK = 8 << 20  # a request costs some 50 ms, whatever its size


@dataclass(frozen=True)
class Input:
    """One file to read."""

    path: str
    name: str  # relative to the fixed root of the pattern that found it
    size: int
    identity: str


def find_inputs(paths: str | tuple[str, ...]) -> list[Input]:
    """Every file that the paths name, once, ordered by name.

    A path is a file, a folder, a glob (`**` for any depth) or a manifest, `@` and the path of a
    list with one path per line. DataError if one matches nothing, or if two files have one name.
    """
    found: dict[str, str] = {}
    for pattern in (paths,) if isinstance(paths, str) else paths:
        for path, name in _expand(pattern):
            found.setdefault(path, name)
    taken: dict[str, str] = {}
    for path, name in found.items():
        if taken.setdefault(name, path) != path:
            raise DataError(
                f"{taken[name]} and {path} would give their documents the same ids ({name}#...); "
                f"name them by one glob, or put them into two sources with different names"
            )
    return sorted((_describe(path, name) for path, name in found.items()), key=lambda i: i.name)


def _expand(pattern: str) -> Iterator[tuple[str, str]]:
    """The (path, name) of the files that one pattern names."""
    if pattern.startswith("@"):
        yield from _read_manifest(pattern[1:])
        return
    listed = list(_list_remote(pattern) if "://" in pattern else _list_local(pattern))
    if not listed:
        raise DataError(f"{pattern} matches no file; {_suggest(pattern)}")
    yield from listed


def _suggest(pattern: str) -> str:
    if "://" in pattern:
        return "look for the bucket, the folder and the ending, and for the credentials"
    root = Path(_fixed_root(pattern))
    while not root.exists():
        root = root.parent
    inside = sorted(path.name + "/" * path.is_dir() for path in root.iterdir())[:5]
    return f"{root.resolve()} holds {', '.join(inside) or 'nothing'}"


def _read_manifest(manifest: str) -> Iterator[tuple[str, str]]:
    """The files that a list names: relative paths as written, others below their common folder."""
    home = manifest.rpartition("/")[0]
    with Bytes(manifest) as content:
        lines = content.read(0, content.size).decode("utf-8", "replace").splitlines()
    entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not entries:
        raise DataError(f"the manifest {manifest} names no file; write one path per line")
    fixed = [e for e in entries if "://" in e or e.startswith("/")]
    common = _common_folder(fixed)
    for entry in entries:
        whole = entry if entry in fixed or not home else f"{home}/{entry}"
        for path, name in _expand(whole):
            if entry not in fixed and home:
                yield path, path.removeprefix(f"{home}/")
            else:
                yield path, path.removeprefix(common).lstrip("/") if common else name


def _common_folder(paths: list[str]) -> str:
    """The folder that all paths are in; of a single path none, so that its name is its last part."""
    folders = [path.split("/")[:-1] for path in paths]
    if len(folders) < 2:
        return ""
    shared = [parts[0] for parts in takewhile(_all_same, zip(*folders, strict=False))]
    return "/".join(shared)


def _all_same(parts: tuple[str, ...]) -> bool:
    return len(set(parts)) == 1


def _fixed_root(pattern: str) -> str:
    """The folder above the first wild part of a pattern, or above the file it names."""
    wild = MAGIC.search(pattern)
    return pattern[: wild.start() if wild else None].rpartition("/")[0] or (
        "/" if pattern.startswith("/") else "."
    )


def _list_local(pattern: str) -> Iterator[tuple[str, str]]:
    if os.path.isfile(pattern):
        yield pattern, _printable(os.path.basename(pattern))
        return
    if os.path.isdir(pattern):
        pattern = f"{glob.escape(pattern.rstrip('/'))}/**"
        root = glob.glob(pattern[:-3])[0]
    else:
        root = _fixed_root(pattern)
    for path in glob.iglob(pattern, recursive=True):
        if os.path.isfile(path):
            yield path, _printable(os.path.relpath(path, root))


def _printable(name: str) -> str:
    """A file name as text, also one that is no UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _list_remote(pattern: str) -> Iterator[tuple[str, str]]:
    store, key = open_store(pattern)
    if not MAGIC.search(key) and not key.endswith("/") and key:
        yield pattern, key.rpartition("/")[2]
        return
    root = (
        _fixed_root(f"{key}*").strip("/.")
        if not MAGIC.search(key)
        else _fixed_root(key).strip("/.")
    )
    wanted = _glob_expression(key if MAGIC.search(key) else f"{key}**")
    base = pattern[: len(pattern) - len(key)]
    try:
        for page in store.list(prefix=root or None):
            for item in page:
                if wanted.fullmatch(item["path"]):
                    yield base + item["path"], item["path"].removeprefix(root).lstrip("/")
    except Exception as broken:
        raise DataError(f"{pattern} cannot be listed: {_first_line(broken)}") from None


def _glob_expression(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression over keys: `**` crosses folders, `*` and `?` do not."""
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]+\])", pattern)
    return re.compile(
        "".join(
            words.get(part, part.replace("[!", "[^") if part[:1] == "[" else re.escape(part))
            for part in parts
        )
    )


def open_store(url: str) -> tuple[Any, str]:
    """The object store of a URL, and the key within it."""
    scheme, _, rest = url.partition("://")
    host, _, key = rest.partition("/")
    return _store(f"{scheme}://{host}" + "/" * (not host)), key


@lru_cache(64)
def _store(base: str) -> Any:
    import obstore.store

    try:
        if base.startswith("http://"):
            return obstore.store.from_url(base, client_options={"allow_http": True})
        return obstore.store.from_url(base)
    except Exception as wrong:
        raise DataError(f"{base} cannot be opened: {_first_line(wrong)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _describe(path: str, name: str) -> Input:
    if "://" not in path:
        with _open_local(path) as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            return Input(path, name, file.tell(), checksum)
    store, key = open_store(path)
    try:
        about = store.head(key)
    except Exception as missing:
        raise DataError(f"{path} cannot be read: {_first_line(missing)}") from None
    mark = about["e_tag"] or about["last_modified"].isoformat()
    return Input(path, name, about["size"], f"{mark}-{about['size']}")


def _open_local(path: str) -> Any:
    try:
        return open(path, "rb")
    except OSError as wrong:
        raise DataError(f"{path} cannot be read: {wrong.strerror}") from None


class Bytes(AbstractContextManager["Bytes"]):
    """The bytes of a file, by offset. Holds one block of them, so memory does not grow with it."""

    def __init__(self, path: str, size: int | None = None) -> None:
        self.path = path
        self._file = None if "://" in path else _open_local(path)
        if self._file is None:
            self._store, self._key = open_store(path)
        self._step = REMOTE_BLOCK if self._file is None else LOCAL_BLOCK
        self._from, self._block = 0, b""
        self.size = _describe(path, "").size if size is None else size

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def _fetch(self, start: int, stop: int) -> bytes:
        stop = min(stop, self.size)
        if start >= stop:
            return b""
        if self._file is not None:
            return os.pread(self._file.fileno(), stop - start, start)
        try:
            return bytes(self._store.get_range(self._key, start=start, end=stop))
        except Exception as broken:
            raise DataError(f"{self.path} cannot be read: {_first_line(broken)}") from None

    def view(self, at: int) -> memoryview:
        """The bytes from an offset to the end of a block; empty at the end of the file."""
        if not self._from <= at < self._from + len(self._block):
            self._from, self._block = at, self._fetch(at, at + self._step)
        return memoryview(self._block)[at - self._from :]

    def read(self, start: int, stop: int) -> bytes:
        """The bytes of a range; fewer at the end of the file."""
        here = self.view(start)[: stop - start]
        if len(here) == stop - start:
            return bytes(here)
        return bytes(here) + self._fetch(start + len(here), stop)

    def find(self, word: bytes, start: int, stop: int) -> int:
        """Where a word next begins, from `start` on and before `stop`; -1 if it does not."""
        at = start
        while at < min(stop, self.size):
            if not self.view(at):
                return -1
            found = self._block.find(word, at - self._from)
            if found < 0:  # it may lie across the end of the block
                edge = max(at, self._from + len(self._block) - len(word) + 1)
                at = self._from + len(self._block)
                found = self.read(edge, edge + 2 * len(word) - 2).find(word)
                if found < 0:
                    continue
                return edge + found if edge + found < stop else -1
            return self._from + found if self._from + found < stop else -1
        return -1
