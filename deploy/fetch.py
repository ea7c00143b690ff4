"""Crawls to work on: a demo written from documentation packages, or files of Common Crawl."""

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from stages.errors import DataError

Tier = Literal["xs", "s", "demo", "m"]
Kind = Literal["warc", "wet"]

REFERENCES = tuple(
    f"debian-reference-{language}"
    for language in ("de", "en", "es", "fr", "it", "ja", "pt", "pt-br", "zh-cn")
)
TIERS: dict[Tier, tuple[str, ...]] = {
    # 3 books, 45 long pages
    "xs": ("debian-reference-en", "debian-reference-pt", "debian-reference-pt-br"),
    # one site in 5 languages, 12,800 pages
    "s": tuple(
        f"libreoffice-help-{language}" for language in ("en-gb", "en-us", "es", "pt", "pt-br")
    ),
    # 30 languages in prose and manuals, with the copies and near copies that real sites have
    "demo": (
        "anarchism",
        "apache2-doc",
        "debian-handbook",
        *REFERENCES,
        "installation-guide-amd64",
        "libreoffice-help-en-us",
        "libreoffice-help-pt-br",
        "postgresql-doc-15",
    ),
    # 33 languages, 36,500 pages, 484 MB of HTML
    "m": (
        "anarchism",
        "apache2-doc",
        "debian-handbook",
        *REFERENCES,
        "installation-guide-amd64",
        "installation-guide-arm64",
        "installation-guide-i386",
        *(
            f"libreoffice-help-{language}"
            for language in ("de", "en-us", "es", "fr", "it", "ja", "pt", "pt-br", "ru", "zh-cn")
        ),
        "lilypond-doc-html-es",
        "postgresql-doc-15",
    ),
}
FILES = 8  # WARC files of a demo crawl
PAGE = re.compile(r"\.x?html?(\.[\w.-]+)?$", re.IGNORECASE)
ELSEWHERE = "pass your own files with --input, or fetch files of Common Crawl by the crawl's id"

COMMON_CRAWL = "https://data.commoncrawl.org"
AGENT = "bateia (reads a few archive files; one connection)"
ATTEMPTS = 6
PAUSE = 1.0  # seconds before the second attempt; twice as many before each further one


def fetch_demo(folder: Path, tier: Tier = "demo", workers: int | None = None) -> Path:
    """Write the demo crawl of a tier as WARC files into a folder; return the manifest's path.

    The pages come from documentation packages, downloaded and unpacked with the distribution's own
    tools, nothing installed, no root needed. The files depend on the packages alone; their
    checksums are in the manifest. A crawl that is complete is left as it is.
    """
    manifest = folder / "manifest.json"
    packages = TIERS[tier]
    if _is_complete(manifest, packages):
        return manifest
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise DataError(f"the demo crawl needs {program}, which is not here; {ELSEWHERE}")
    folder.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix=".unpack-", dir=folder) as scratch,
        ProcessPoolExecutor(min(FILES, workers or os.cpu_count() or 1)) as pool,
    ):
        archives = download_packages(packages, Path(scratch))
        trees = [Path(scratch) / "trees" / name for name in packages]
        checksums = list(pool.map(_unpack, archives, trees))
        pages = sorted(_pages(Path(scratch) / "trees"))
        names = [f"pages-{at:05d}.warc.gz" for at in range(FILES)]
        parts = [pages[at::FILES] for at in range(FILES)]
        written = list(pool.map(_write_file, [folder / name for name in names], parts))
    body = {
        "tier": tier,
        "packages": dict(zip(packages, checksums, strict=True)),
        "files": dict(zip(names, written, strict=True)),
        "pages": len(pages),
    }
    aside = manifest.with_suffix(".tmp")
    aside.write_text(json.dumps(body, indent=1) + "\n")
    aside.replace(manifest)
    return manifest


def _is_complete(manifest: Path, packages: tuple[str, ...]) -> bool:
    """Whether the manifest is of these packages and its files are there in their full size."""
    try:
        body = json.loads(manifest.read_text())
        sizes = {name: (manifest.parent / name).stat().st_size for name in body["files"]}
        return list(body["packages"]) == list(packages) and sizes == body["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def download_packages(packages: tuple[str, ...], scratch: Path) -> list[Path]:
    """The archives of some packages, in order. DataError where the package client has none."""
    home = scratch / "archives"
    home.mkdir()
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *packages]
    first = subprocess.run(command, cwd=home, capture_output=True, text=True)
    if first.returncode:
        state = _private_lists(scratch)
        again = subprocess.run(
            [*command[:1], *state, *command[1:]], cwd=home, capture_output=True, text=True
        )
        if again.returncode:
            said = (again.stderr or first.stderr).strip().splitlines()
            raise DataError(
                f"apt-get cannot download the demo's packages: {said[0] if said else 'no reason'}; "
                f"{ELSEWHERE}"
            )
    found = {path.name.split("_")[0]: path for path in home.glob("*.deb")}
    if missing := [name for name in packages if name not in found]:
        raise DataError(f"apt-get downloaded no {', '.join(missing)}; {ELSEWHERE}")
    return [found[name] for name in packages]


def _private_lists(scratch: Path) -> list[str]:
    """Options that make apt use package lists of our own, fetched now; the system's stay as are."""
    for name in ("lists/partial", "cache/archives/partial"):
        (scratch / name).mkdir(parents=True)
    options = {
        "Dir::State::lists": scratch / "lists",
        "Dir::Cache": scratch / "cache",
        "APT::Sandbox::User": "root",
    }
    state = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    subprocess.run(["apt-get", "-q", *state, "update"], capture_output=True, check=False)
    return state


def _unpack(archive: Path, tree: Path) -> str:
    """Unpack an archive, running none of its scripts; return its checksum."""
    tree.parent.mkdir(exist_ok=True)
    done = subprocess.run(["dpkg-deb", "-x", archive, tree], capture_output=True, text=True)
    if done.returncode:
        raise DataError(f"{archive.name} cannot be unpacked: {done.stderr.strip()}")
    with open(archive, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pages(trees: Path) -> Iterator[tuple[str, str, str]]:
    """Every page as (hash of its place, url, path): sorted, they are mixed as in a crawl."""
    for path in trees.rglob("*"):
        place = path.relative_to(trees).as_posix().removesuffix(".gz")
        if PAGE.search(place) and path.is_file() and not path.is_symlink():
            package, _, page = place.partition("/")
            url = f"http://{package}.crawl.test/{quote(page)}"
            yield hashlib.sha1(place.encode(), usedforsecurity=False).hexdigest(), url, str(path)


def _write_file(target: Path, pages: list[tuple[str, str, str]]) -> int:
    """Write pages as one WARC file, a gzip member per record; return its size."""
    aside = target.with_suffix(".tmp")
    about = b"software: bateia\r\nformat: WARC File Format 1.0\r\n"
    with open(aside, "wb") as file:
        file.write(record("warcinfo", f"urn:{target.name}", about, 0))
        for _, url, path in pages:
            page = Path(path).read_bytes()
            page = gzip.decompress(page) if path.endswith(".gz") else page
            file.write(record("response", url, page, Path(path).stat().st_mtime))
    aside.replace(target)
    return target.stat().st_size


def record(kind: str, url: str, body: bytes, seconds: float) -> bytes:
    """One WARC record as a gzip member; a response gets the headers a web server would send."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>",
        f"WARC-Date: {datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}",
    ]
    if kind == "response":
        digest = hashlib.sha1(body, usedforsecurity=False).digest()
        served = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        body = served.encode() + body
        lines += [
            f"WARC-Target-URI: {url}",
            f"WARC-Payload-Digest: sha1:{base64.b32encode(digest).decode()}",
            "Content-Type: application/http; msgtype=response",
        ]
    else:
        lines.append("Content-Type: application/warc-fields")
    lines.append(f"Content-Length: {len(body)}")
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body + b"\r\n\r\n"
    return gzip.compress(whole, 5, mtime=0)


def fetch_crawl(
    crawl: str, kind: Kind, count: int, folder: Path, base: str = COMMON_CRAWL
) -> list[Path]:
    """Download the first files of a crawl of Common Crawl, such as `CC-MAIN-2026-40`.

    One connection at a time; a broken download goes on where it stopped, also in the next call;
    a file that is complete is not asked for again. DataError if the crawl or the network is not
    there.
    """
    if not re.fullmatch(r"[\w-]+", crawl):
        raise DataError(f"{crawl!r} is no id of a crawl; they look like CC-MAIN-2026-40")
    folder.mkdir(parents=True, exist_ok=True)
    listing = folder / f"{crawl}.{kind}.paths.gz"
    download(f"{base}/crawl-data/{crawl}/{kind}.paths.gz", listing)
    paths = gzip.decompress(listing.read_bytes()).decode().split()[:count]
    targets = [folder / Path(path).name for path in paths]
    for path, target in zip(paths, targets, strict=True):
        download(f"{base}/{path}", target)
    return targets


def download(url: str, target: Path) -> None:
    """Download to a file, going on where an earlier attempt stopped; backs off when told to."""
    if target.exists():
        return
    aside = target.with_name(target.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            if _download_rest(url, aside):
                aside.replace(target)
                return
        except HTTPError as refused:
            if refused.code < 500 and refused.code != 429:
                raise DataError(f"{url}: {refused.code} {refused.reason}") from None
            reason: object = refused
        except (URLError, HTTPException, OSError) as broken:
            reason = broken
        else:
            reason = "the connection ended early"
        time.sleep(PAUSE * 2**attempt)
    raise DataError(f"{url}: {reason}, {ATTEMPTS} times; run it again to go on where it stopped")


def _download_rest(url: str, aside: Path) -> bool:
    """Append what is still missing; whether the file is complete now."""
    if urlsplit(url).scheme not in {"http", "https"}:
        raise DataError(f"{url}: only http and https can be fetched")
    have = aside.stat().st_size if aside.exists() else 0
    headers = {"User-Agent": AGENT, **({"Range": f"bytes={have}-"} if have else {})}
    request = Request(url, headers=headers)  # noqa: S310 -- the scheme was checked
    try:
        answer = urlopen(request, timeout=60)  # noqa: S310
    except HTTPError as refused:
        if refused.code == 416 and refused.headers.get("Content-Range") == f"bytes */{have}":
            return True
        if refused.code == 416:
            aside.unlink()
        raise
    with answer, open(aside, "ab" if answer.status == 206 else "wb") as file:
        expected = answer.headers.get("Content-Length")
        shutil.copyfileobj(answer, file, 1 << 20)
        had = have if answer.status == 206 else 0
        return expected is None or file.tell() == had + int(expected)
