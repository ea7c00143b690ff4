"""Where results live: files named for what made them, visible only once they are whole.

    data/ab/<key>/<file>      what one task made; never changed, never visible before its commit
    commits/ab/<key>.json     the commit record: it exists, therefore the result is complete
    passes/, manifests/       what tasks need to know, by digest, so that task arguments stay small
    poison/<key>.json         documents of a shard that kill or hang their worker
    runs/<run>/               run.json, report.json, report.html, bounds.json
    work/<key>/               checkpoints of jobs under way

Data goes to a temporary name, is synced, and is renamed (an object store puts it whole); then the
commit record appears in one put-if-absent step. Two runs that write the same key write the same
bytes, so whoever comes second loses nothing. Nothing relies on listings for correctness.
"""

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from stages.errors import StoreError
from stages.homes import Home, LocalHome, ObjectHome, home_of


@dataclass(frozen=True)
class File:
    """A committed file: its size in bytes, its SHA-256, its rows where it has rows."""

    bytes: int
    sha256: str
    rows: int = 0


@dataclass(frozen=True)
class Commit:
    """What is known of a finished task. `made` is how it came to be; all else is what it is."""

    key: str
    files: dict[str, File]
    result: dict[str, Any] = field(default_factory=dict)  # counters, numbers; equal on every run
    made: dict[str, Any] = field(default_factory=dict)  # seconds, memory, attempt, host, times


@dataclass(frozen=True)
class Store:
    """A shelf of committed results, shared by every run of every pipeline. Picklable: a URL."""

    url: str

    @property
    def home(self) -> Home:
        return home_of(self.url)

    def scratch(self, key: str) -> Path:
        """A new empty folder for a task's files, on the store's own disk where it has one."""
        folder = self._scratch / f"{key}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        return folder

    @property
    def _scratch(self) -> Path:
        if isinstance(self.home, LocalHome):
            return self.home.root / "tmp"
        assert isinstance(self.home, ObjectHome)
        return self.home.tmp

    def clear_scratch(self, key: str) -> None:
        """Remove what a task of this process that failed left half done, to give its room back."""
        for folder in self._scratch.glob(f"{key}.{os.getpid()}.*"):
            shutil.rmtree(folder, ignore_errors=True)

    def workspace(self, key: str) -> Path:
        """The lasting folder of a job under way: checkpoints. On this machine or a shared disk."""
        local = isinstance(self.home, LocalHome)
        root = self.home.root if isinstance(self.home, LocalHome) else Path(tempfile.gettempdir())
        folder = root / ("work" if local else "bateia-work") / key
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def commit(
        self, key: str, folder: Path, result: dict[str, Any], made: dict[str, Any]
    ) -> Commit:
        """Move a task's files in and make them visible, all at once."""
        files = {}
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            name = str(path.relative_to(folder))
            files[name] = File(path.stat().st_size, sha256_of(path), rows_of(path))
            self.home.put(f"data/{key[:2]}/{key}/{name}", path)
        commit = Commit(key, files, result, made)
        self.home.create(f"commits/{key[:2]}/{key}.json", encode(asdict(commit)))
        shutil.rmtree(folder, ignore_errors=True)
        return commit

    def find(self, key: str) -> Commit | None:
        """The commit of that key, if it is there."""
        data = self.home.find(f"commits/{key[:2]}/{key}.json")
        if data is None:
            return None
        raw = json.loads(data)
        return Commit(
            key, {n: File(**f) for n, f in raw["files"].items()}, raw["result"], raw["made"]
        )

    def get(self, key: str) -> Commit:
        """The commit of that key. StoreError if it is not there."""
        commit = self.find(key)
        if commit is None:
            raise StoreError(f"{self.url}: nothing is committed under {key}")
        return commit

    def open(self, key: str, name: str, *, check: bool = True) -> Path:
        """A local path of a committed file, its checksum verified. StoreError if it is torn."""
        file = self.get(key).files.get(name)
        if file is None:
            raise StoreError(f"{self.url}: {key} has no {name}")
        path = self.home.local(f"data/{key[:2]}/{key}/{name}")
        if not path.exists() or path.stat().st_size != file.bytes:
            raise StoreError(
                f"{path}: missing or torn; `bateia verify --repair` removes its commit"
            )
        if check and sha256_of(path) != file.sha256:
            raise StoreError(
                f"{path}: does not match its checksum; `bateia verify --repair` removes it"
            )
        return path

    def place(self, key: str, name: str) -> str:
        """Where any machine finds a committed file: a path of a shared disk, or a URL."""
        if name not in self.get(key).files:
            raise StoreError(f"{self.url}: {key} has no {name}")
        return f"{self.home.url}/data/{key[:2]}/{key}/{name}"

    def folder(self, key: str) -> Path:
        """A local folder with all committed files of a key, checked."""
        for name in self.get(key).files:
            self.open(key, name)
        return self.home.local(f"data/{key[:2]}/{key}")

    def discard(self, key: str) -> None:
        """Take a result off the shelf: the commit first, so that it is never half visible."""
        commit = self.find(key)
        self.home.delete(f"commits/{key[:2]}/{key}.json")
        for name in commit.files if commit else ():
            self.home.delete(f"data/{key[:2]}/{key}/{name}")

    def note(self, path: str, value: Any) -> bool:
        """Write a small JSON note once; False if there was one already."""
        return self.home.create(path, encode(value))

    def read(self, path: str) -> Any:
        """The JSON note at a path, or None."""
        data = self.home.find(path)
        return None if data is None else json.loads(data)

    def overwrite(self, path: str, data: bytes) -> None:
        """Replace a file that is only for people to read, such as a report."""
        folder = self.scratch("report")
        (folder / "file").write_bytes(data)
        self.home.put(path, folder / "file")
        shutil.rmtree(folder, ignore_errors=True)

    def forget_scratch(self, older: float = 86_400) -> None:
        """Remove what dead tasks left half done, older than some seconds."""
        if isinstance(self.home, LocalHome):
            for folder in (self.home.root / "tmp").glob("*"):
                if time.time() - folder.stat().st_mtime > older:
                    shutil.rmtree(folder, ignore_errors=True)


def encode(value: Any) -> bytes:
    """JSON in one canonical form."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode(
        errors="replace"
    )


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def rows_of(path: Path) -> int:
    """How many rows a Parquet file has; 0 for other files."""
    if path.suffix != ".parquet":
        return 0
    import pyarrow.parquet as pq

    rows: int = pq.read_metadata(path).num_rows
    return rows
