"""The few operations that correctness rests on, alike on local disk and object stores."""

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Protocol

CACHE_BYTES = 8 << 30  # of fetched files that a process keeps, at most


class Home(Protocol):
    """The few operations that correctness rests on, alike on local disk and object stores."""

    url: str

    def put(self, path: str, file: Path) -> None: ...  # whole or not at all; consumes the file
    def create(self, path: str, data: bytes) -> bool: ...  # False: it was there before
    def find(self, path: str) -> bytes | None: ...
    def local(self, path: str) -> Path: ...  # a file on this machine with that content, if any
    def list(self, prefix: str) -> Iterator[str]: ...
    def delete(self, path: str) -> None: ...
    def age(self, path: str) -> float: ...  # seconds since it was put, by the store's clock


def crash_point() -> None:
    """Die here if the environment says so: BATEIA_CRASH_AT=n dies at the n-th point passed.

    Lets tests kill a commit between any two of its steps.
    """
    at = os.environ.get("BATEIA_CRASH_AT")
    if at:
        if int(at) <= 1:
            os._exit(137)
        os.environ["BATEIA_CRASH_AT"] = str(int(at) - 1)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class LocalHome:
    """A folder on a POSIX file system."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def put(self, path: str, file: Path) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        crash_point()
        with open(file, "rb+") as handle:
            os.fsync(handle.fileno())
        crash_point()
        if file.stat().st_dev != target.parent.stat().st_dev:
            aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
            shutil.move(file, aside)
            file = aside
        os.replace(file, target)
        crash_point()
        sync_folder(target.parent)
        crash_point()

    def create(self, path: str, data: bytes) -> bool:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        crash_point()
        with open(aside, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        crash_point()
        try:
            os.link(aside, target)  # the atomic put-if-absent of POSIX
            made = True
        except FileExistsError:
            made = False
        crash_point()
        aside.unlink()
        sync_folder(target.parent)
        return made

    def find(self, path: str) -> bytes | None:
        try:
            return (self.root / path).read_bytes()
        except FileNotFoundError:
            return None

    def local(self, path: str) -> Path:
        return self.root / path

    def list(self, prefix: str) -> Iterator[str]:
        for folder, _, names in os.walk(self.root / prefix):
            for name in names:
                yield str((Path(folder) / name).relative_to(self.root))

    def age(self, path: str) -> float:
        return time.time() - (self.root / path).stat().st_mtime

    def delete(self, path: str) -> None:
        (self.root / path).unlink(missing_ok=True)
        for parent in (self.root / path).parents:
            if parent == self.root:
                break
            try:
                parent.rmdir()
            except OSError:
                break


def own_folder() -> tuple[int, Path]:
    """A new temporary folder, locked for as long as this process lives; those of the dead are removed.

    A worker that is killed cannot clean up behind itself, so whoever comes next does.
    """
    for folder in Path(tempfile.gettempdir()).glob("bateia-store-*"):
        with suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
    while True:
        folder = Path(tempfile.mkdtemp(prefix="bateia-store-"))
        with suppress(OSError):  # somebody may take it for a dead one's before it is locked
            lock = os.open(folder, os.O_RDONLY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return lock, folder
            os.close(lock)


class ObjectHome:
    """A prefix of an object store (S3, GCS, Azure, ...), through obstore."""

    def __init__(self, url: str) -> None:
        from obstore.store import from_url

        self.url = url.rstrip("/")
        self.store = from_url(self.url)
        self._lock, folder = own_folder()
        self.cache, self.tmp = folder / "cache", folder / "tmp"

    def put(self, path: str, file: Path) -> None:
        self.store.put(path, file)
        file.unlink()

    def create(self, path: str, data: bytes) -> bool:
        from obstore.exceptions import AlreadyExistsError

        try:
            self.store.put(path, data, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def find(self, path: str) -> bytes | None:
        from obstore.exceptions import NotFoundError

        try:
            return bytes(self.store.get(path).bytes())
        except (NotFoundError, FileNotFoundError):
            return None

    def local(self, path: str) -> Path:
        from obstore.exceptions import NotFoundError

        target = self.cache / path
        if not target.exists():
            try:
                content = self.store.get(path)
            except (NotFoundError, FileNotFoundError):
                return target
            target.parent.mkdir(parents=True, exist_ok=True)
            aside = target.with_name(f".{uuid.uuid4().hex}")
            with open(aside, "wb") as file:
                for chunk in content.stream(min_chunk_size=8 << 20):
                    file.write(chunk)
            aside.rename(target)
            self._forget(target)
        return target

    def _forget(self, newest: Path) -> None:
        """Delete the oldest fetched files until the rest fit; one that is open stays readable."""
        files = sorted(
            (p for p in self.cache.rglob("*") if p.is_file()), key=lambda p: p.stat().st_mtime
        )
        size = sum(path.stat().st_size for path in files)
        for path in files:
            if size <= CACHE_BYTES or path == newest:
                break
            size -= path.stat().st_size
            path.unlink()

    def list(self, prefix: str) -> Iterator[str]:
        for page in self.store.list(prefix):
            yield from (entry["path"] for entry in page)

    def age(self, path: str) -> float:
        return time.time() - self.store.head(path)["last_modified"].timestamp()

    def delete(self, path: str) -> None:
        self.store.delete(path)
        (self.cache / path).unlink(missing_ok=True)


@lru_cache(16)
def home_of(url: str) -> Home:
    """The one connection of this process to a store."""
    if "://" in url and not url.startswith("file://"):
        return ObjectHome(url)
    return LocalHome(Path(url.removeprefix("file://")).absolute())
