import gzip
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy import fetch
from stages.base import part
from stages.errors import DataError
from stages.read import Warc

CRAWL = "CC-MAIN-2026-40"


class Archive:
    """A web server of archive files that breaks as told."""

    def __init__(self):
        self.files = {}
        self.asked = []
        self.cuts = 0  # answers that end half-way
        self.busy = 0  # answers that ask to come back later

    def serve(self, request):
        self.asked.append((request.path, request.headers.get("Range")))
        content = self.files.get(request.path)
        if content is None:
            return request.send_error(404)
        if self.busy:
            self.busy -= 1
            return request.send_error(503)
        start = int((request.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        sent = content[start:]
        if self.cuts:
            self.cuts -= 1
            sent = sent[: len(sent) // 2]
        return request.wfile.write(sent)


@pytest.fixture
def archive(monkeypatch):
    held = Archive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            held.serve(self)

        def log_message(self, *words):
            pass

    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        held.url = f"http://127.0.0.1:{server.server_port}"
        paths = [f"crawl-data/{CRAWL}/segments/{n}/warc/{n}.warc.gz" for n in range(3)]
        held.files[f"/crawl-data/{CRAWL}/warc.paths.gz"] = gzip.compress("\n".join(paths).encode())
        held.files |= {f"/{path}": os.urandom(10_000) for path in paths}
        yield held
        server.shutdown()


def test_the_first_files_of_a_crawl_are_downloaded_once(archive, tmp_path):
    first = fetch.fetch_crawl(CRAWL, "warc", 2, tmp_path, archive.url)
    asked = len(archive.asked)
    again = fetch.fetch_crawl(CRAWL, "warc", 2, tmp_path, archive.url)

    assert [path.name for path in first] == ["0.warc.gz", "1.warc.gz"]
    assert [path.read_bytes() for path in first] == list(archive.files.values())[1:3]
    assert again == first
    assert len(archive.asked) == asked == 3


def test_a_broken_download_goes_on_where_it_stopped(archive, tmp_path):
    fetch.fetch_crawl(CRAWL, "warc", 0, tmp_path, archive.url)
    archive.cuts, archive.busy = 2, 1
    (path,) = fetch.fetch_crawl(CRAWL, "warc", 1, tmp_path, archive.url)

    assert path.read_bytes() == archive.files["/" + archive.asked[-1][0][1:]]
    assert [asked for _, asked in archive.asked[1:]] == [None, None, "bytes=5000-", "bytes=7500-"]
    assert list(tmp_path.glob("*.part")) == []


def test_a_crawl_that_is_not_there_is_named(archive, tmp_path):
    with pytest.raises(DataError, match="CC-MAIN-1999-01.*404"):
        fetch.fetch_crawl("CC-MAIN-1999-01", "warc", 1, tmp_path, archive.url)
    with pytest.raises(DataError, match="no id of a crawl"):
        fetch.fetch_crawl("../etc", "warc", 1, tmp_path, archive.url)


def test_an_archive_that_never_answers_is_given_up(archive, tmp_path):
    archive.busy = 99
    with pytest.raises(DataError, match="503.*run it again"):
        fetch.fetch_crawl(CRAWL, "warc", 1, tmp_path, archive.url)
    assert len(archive.asked) == fetch.ATTEMPTS


def build_package(home, name, pages):
    """A documentation package as the distribution's own tools make it."""
    tree = home / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n"
    )
    for place, content in pages.items():
        path = tree / "usr/share/doc" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    target = home / f"{name}_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", tree, target], check=True, capture_output=True)
    return target


@pytest.fixture
def packages(monkeypatch, tmp_path):
    """A package client that hands out packages made here instead of downloading them."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("needs dpkg-deb")
    home = tmp_path / "packages"
    pages = {f"a/{n}.html": f"<html><p>página {n}".encode() for n in range(40)}
    pages |= {
        "a/z.html.gz": gzip.compress(b"<html><p>packed"),
        "a/x.html.pt": b"<html>",
        "a/b.txt": b"",
    }
    made = [
        build_package(home, "one-doc", pages),
        build_package(home, "two-doc", {"i.xhtml": b"<html>"}),
    ]
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "apt-get").write_text(
        f"#!/bin/sh\necho called >> {tmp_path}/calls\ncp {' '.join(map(str, made))} .\n"
    )
    (tools / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setitem(fetch.TIERS, "xs", ("one-doc", "two-doc"))
    return tmp_path / "calls"


def test_a_demo_crawl_is_written_once_from_packages(packages, tmp_path):
    manifest = fetch.fetch_demo(tmp_path / "crawl", "xs")
    body = json.loads(manifest.read_text())
    source = Warc(paths=str(tmp_path / "crawl" / "*.warc.gz"))
    kept = [part(batch)[0] for piece in source.slices() for batch in source.read(piece)]
    rows = [row for batch in kept for row in batch.to_pylist()]
    texts = {row["url"]: row["text"] for row in rows}

    assert body["pages"] == len(rows) == 43
    assert len(body["files"]) == 8
    assert all(len(checksum) == 64 for checksum in body["packages"].values())
    assert texts["http://one-doc.crawl.test/usr/share/doc/a/7.html"] == "<html><p>página 7"
    assert texts["http://one-doc.crawl.test/usr/share/doc/a/z.html"] == "<html><p>packed"
    assert {row["date"].isoformat() for row in rows} == {"2023-11-14T22:13:20"}

    assert fetch.fetch_demo(tmp_path / "crawl", "xs") == manifest
    assert packages.read_text() == "called\n"
    assert [p.name for p in (tmp_path / "crawl").iterdir() if "unpack" in p.name] == []


def test_the_same_packages_give_the_same_bytes(packages, tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        fetch.fetch_demo(tmp_path / name, "xs", workers)

    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 9
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_demo_crawl_that_lost_a_file_is_written_again(packages, tmp_path):
    fetch.fetch_demo(tmp_path / "crawl", "xs")
    lost = tmp_path / "crawl" / "pages-00003.warc.gz"
    content = lost.read_bytes()
    lost.unlink()
    fetch.fetch_demo(tmp_path / "crawl", "xs")

    assert lost.read_bytes() == content


def test_without_the_package_client_another_way_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(
        DataError, match="apt-get, which is not here; pass your own files with --input"
    ):
        fetch.fetch_demo(tmp_path / "crawl", "xs")


def test_a_package_client_that_cannot_download_says_why(packages, monkeypatch, tmp_path):
    broken = tmp_path / "bin" / "apt-get"
    broken.write_text("#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")

    with pytest.raises(DataError, match="E: no network; pass your own files"):
        fetch.fetch_demo(tmp_path / "crawl", "xs")
    assert not (tmp_path / "crawl" / "manifest.json").exists()
