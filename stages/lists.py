"""Lists of terms, domains and pages, read from files."""

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.errors import SpecError
from stages.kernels.domains import Numbers, covering, hash_lines, index, leading
from stages.kernels.hashing import Bytes, Hashes, string_buffers

DOMAINS, PAGES = "domains", "urls"  # what UT1 calls the files of a category
# The lists that datatrove 0.10 carries: SHA-256 of its archive, and the names of its files of words.
DATATROVE = "url_filterblacklistsv0_3_0.tar.gz"
DATATROVE_SHA256 = "5c80dc45bbc41983896fd468644b7357ce9d08e4173434574a162e25979bea23"
DATATROVE_WORDS = ("banned_words.txt", "soft_banned_words.txt", "banned_subwords.txt")


def strings(words: Sequence[str]) -> pa.Array:
    """The words as a column."""
    return pa.array(words, pa.large_string())


def lists_of(path: str) -> list[tuple[str, pa.Array]]:
    """The lines that are not blank of a file, or of each file of a folder, by name of the file."""
    lists = []
    for file in files_in(path):
        try:
            content = strings((file.read_text("utf-8-sig"),))
        except UnicodeDecodeError as wrong:
            raise SpecError(f"{file}: expected UTF-8, byte {wrong.start} is not") from None
        lines = pc.utf8_trim_whitespace(pc.split_pattern(content, "\n").flatten())
        lists.append((file.stem, lines.filter(pc.not_equal(lines, ""))))
    if not any(len(lines) for _, lines in lists):
        raise SpecError(f"{path}: there is nothing in it")
    return lists


def files_in(path: str) -> list[Path]:
    """A file, or the files of a folder in order."""
    home = Path(path)
    if not home.exists():
        raise SpecError(f"{path}: no such file")
    if not home.is_dir():
        return [home]
    return sorted(p for p in home.rglob("*") if p.is_file() and not p.name.startswith("."))


@dataclass(frozen=True)
class Addresses:
    """Domains or pages of some categories: 64-bit hashes in order, each with its category."""

    hashes: Hashes
    starts: Numbers  # see `stages.kernels.domains.index`
    categories: npt.NDArray[np.uint8]

    def of_hosts(self, hosts: pa.Array) -> Numbers:
        """The category of the listed domain that covers each host name; -1: none does."""
        return self._categories(covering(*string_buffers(hosts), self.hashes, self.starts))

    def of_urls(self, urls: pa.Array) -> Numbers:
        """The category of the listed page that each URL, in lower case, is or lies under; or -1."""
        return self._categories(leading(*string_buffers(urls), self.hashes, self.starts))

    def _categories(self, places: Numbers) -> Numbers:
        if not len(self.hashes):
            return places
        return np.where(places < 0, -1, self.categories[places].astype(np.int64))


def addresses(contents: Sequence[tuple[int, Bytes]], pages: bool) -> Addresses:
    """The lists of numbered categories as one; what several have is of the first."""
    found = []
    for _, data in contents:
        out = np.empty(int(np.count_nonzero(data == 10)) + 1, np.uint64)
        found.append(out[: hash_lines(data, pages, out)])
    every = np.concatenate([*found, np.zeros(0, np.uint64)])
    hashes, places = np.unique(every, return_index=True)
    numbers = np.repeat([number for number, _ in contents], [len(each) for each in found])
    return Addresses(hashes, index(hashes), numbers.astype(np.uint8)[places])


@dataclass(frozen=True)
class Blocked:
    """Lists of addresses by category: its name and the contents of its files."""

    names: list[str]
    domains: Addresses
    pages: Addresses


def blocked(path: str | None, categories: Sequence[str], datatrove: bool) -> Blocked:
    """The lists under a path, those of some categories if any are named, and those of datatrove."""
    lists = category_files(path, categories) if path else {}
    names = [*lists, *(["datatrove"] if datatrove else [])]
    of_kind: dict[str, list[tuple[int, Bytes]]] = {DOMAINS: [], PAGES: []}
    for number, files in enumerate(lists.values()):
        for kind, file in files.items():
            of_kind[kind].append((number, np.fromfile(file, np.uint8)))
    if datatrove:
        with tarfile.open(datatrove_file(DATATROVE), "r:gz") as archive:
            for kind, contents in of_kind.items():
                member = archive.extractfile(kind)
                assert member is not None, f"{DATATROVE} has no {kind}"
                data = np.frombuffer(bytearray(member.read()), np.uint8)
                contents.append((len(names) - 1, data))
    return Blocked(names, addresses(of_kind[DOMAINS], False), addresses(of_kind[PAGES], True))


def category_files(path: str, categories: Sequence[str] = ()) -> dict[str, dict[str, Path]]:
    """The files of each category: kind (`domains`, `urls`) and place.

    A folder in the format of UT1 has a folder for each category; of another folder each file is a
    category of domains, and a file alone is one without a name.
    """
    home = Path(path)
    if not home.is_dir():
        lists = {"": {DOMAINS: files_in(path)[0]}}
    else:
        places = sorted(p for kind in (DOMAINS, PAGES) for p in home.glob(f"*/{kind}"))
        lists = {}
        for place in places:
            lists.setdefault(place.parent.name, {})[place.name] = place
        lists = lists or {file.stem: {DOMAINS: file} for file in files_in(path)}
    for category in categories:
        if category not in lists:
            near = get_close_matches(category, lists, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(lists)}"
            raise SpecError(f"categories: {path} has no category {category!r}; {hint}")
    chosen = {name: lists[name] for name in categories} if categories else lists
    if not any(file.stat().st_size for files in chosen.values() for file in files.values()):
        raise SpecError(f"{path}: there is nothing in it")
    return chosen


@cache
def datatrove_words() -> tuple[tuple[str, ...], ...]:
    """Words, soft words and parts of words of datatrove, reduced to letters and digits as it does."""
    return tuple(
        tuple(sorted({reduce(line) for line in _lines(name) if line[:1] != "#"} - {""}))
        for name in DATATROVE_WORDS
    )


def _lines(name: str) -> list[str]:
    return datatrove_file(name).read_text("utf-8").splitlines()


def reduce(text: str) -> str:
    """The letters and digits of ASCII of a text, in lower case."""
    return "".join(c for c in text.lower() if c.isascii() and c.isalnum())


def datatrove_file(name: str) -> Path:
    """A file of the installed datatrove, which is not imported."""
    package = find_spec("datatrove")
    if package is None or package.origin is None:
        raise SpecError("datatrove: its lists come with the package datatrove: install it")
    path = Path(package.origin).with_name("assets") / name
    if not path.is_file():
        raise SpecError(f"datatrove: the installed one has no {name}; expected datatrove 0.10")
    return path


def check_datatrove() -> None:
    """Refuse other lists than those that results were fingerprinted with."""
    digest = hashlib.sha256()
    for name in (DATATROVE, *DATATROVE_WORDS):
        digest.update(datatrove_file(name).read_bytes())
    if digest.hexdigest() != DATATROVE_SHA256:
        raise SpecError("datatrove: its lists are not those of datatrove 0.10.1: install that")
