"""Crawls made for tests: sound ones, and one with everything broken that a crawl can hold."""

import gzip
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DATE = "2026-05-04T03:02:01Z"
HTML = "text/html; charset=utf-8"


def page(title: str, *paragraphs: str) -> str:
    """An HTML page with some prose, or with the given paragraphs."""
    prose = paragraphs or (
        f"{title}: o rato roeu a roupa do rei de Roma, e ninguém disse nada. " * 5,
    )
    body = "".join(f"<p>{text}</p>" for text in prose)
    return (
        f"<!DOCTYPE html><html><head><title>{title}</title></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )


def http(
    body: bytes, kind: str | None = HTML, status: str = "200 OK", extra: Sequence[str] = ()
) -> bytes:
    """An HTTP response."""
    lines = [f"HTTP/1.1 {status}", *([f"Content-Type: {kind}"] if kind else []), *extra]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def record(
    url: str,
    content: bytes,
    kind: str = "response",
    *,
    length: int | str | None = -1,
    form: str = "application/http; msgtype=response",
) -> bytes:
    """A WARC record; `length` is what its Content-Length says: -1 the truth, None nothing."""
    lines = [
        "WARC/1.0",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, url)}>",
        f"WARC-Date: {DATE}",
        f"WARC-Target-URI: {url}",
        f"Content-Type: {form}",
    ]
    if length is not None:
        lines.append(f"Content-Length: {len(content) if length == -1 else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n\r\n"


def member(content: bytes, level: int = 6) -> bytes:
    """A gzip member, the same bytes every time."""
    return gzip.compress(content, level, mtime=0)


def response(url: str, html: str | bytes, **about: object) -> bytes:
    """A gzip member with the record of a page."""
    body = html if isinstance(html, bytes) else html.encode()
    return member(record(url, http(body, **about)))  # type: ignore[arg-type]


def write_crawl(path: Path, pages: Iterable[tuple[str, str]]) -> Path:
    """Write (url, html) pages as a WARC file, a gzip member per record, `warcinfo` first."""
    info = record("urn:info", b"software: tests\r\n", "warcinfo", form="application/warc-fields")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join([member(info), *(response(url, html) for url, html in pages)]))
    return path


@dataclass
class Faulty:
    """A faulty crawl, and what a reader must report of it."""

    folder: Path
    good: list[str] = field(default_factory=list)  # urls of the pages that must come through
    hostile: list[str] = field(default_factory=list)  # urls of strange pages that are documents too
    dropped: dict[str, str] = field(default_factory=dict)  # url: reason
    faults: list[str] = field(default_factory=list)  # the class of each fault, file by file

    @property
    def paths(self) -> str:
        return str(self.folder / "*.warc.gz")

    @property
    def rows(self) -> int:
        """Rows that come out of a reader: documents, drops and faults."""
        return len(self.good) + len(self.hostile) + len(self.dropped) + len(self.faults)


def faulty_crawl(folder: Path, large: int = 40 << 20, depth: int = 200_000) -> Faulty:
    """Write a crawl with every planted fault, each between good pages.

    `large` is the size of the page that is too large (at the default limit of 32 MiB), `depth` how
    deeply one page nests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    crawl = Faulty(folder)
    members = _broken_members(crawl, large) + _strange_pages(crawl, depth) + _no_pages(crawl)
    mixed = [member(record("urn:info", b"", "warcinfo"))]
    for at, part in enumerate(members):
        mixed += [part, _good(crawl, f"http://good.test/{at}")]
    (folder / "a-mixed.warc.gz").write_bytes(b"".join(mixed))
    last = _good(crawl, "http://good.test/last")
    cut = response("http://bad.test/cut", page("cut"))
    (folder / "b-truncated.warc.gz").write_bytes(last + cut[: len(cut) * 2 // 3])
    crawl.faults.append("TruncatedMember")
    (folder / "c-empty.warc.gz").write_bytes(b"")
    return crawl


def _good(crawl: Faulty, url: str) -> bytes:
    crawl.good.append(url)
    return response(url, page(url))


def _broken_members(crawl: Faulty, large: int) -> list[bytes]:
    """Members and records that are broken, and pages too large to hold."""
    whole = response("http://bad.test/corrupt", page("corrupt"))
    middle = len(whole) // 2
    corrupt = (
        whole[:middle] + bytes(b ^ 0x5A for b in whole[middle : middle + 40]) + whole[middle + 40 :]
    )
    checksum = response("http://bad.test/checksum", page("checksum"))
    checksum = checksum[:-8] + bytes(4) + checksum[-4:]
    content = http(page("length").encode())
    lengths = {
        "absent": None,
        "negative": -7,
        "words": "many",
        "short": 60,
        "long": len(content) + 999,
    }
    members = [corrupt, b"\0" * 500, checksum]
    crawl.faults += ["CorruptMember"] * 3
    for name, length in lengths.items():
        members.append(member(record(f"http://bad.test/{name}", content, length=length)))
        crawl.faults.append("BadRecord")
    members.append(member(b"WARC/1.0 this is no record"))
    members.append(member(record("http://bad.test/http", b"no status line\r\n\r\nnothing")))
    crawl.faults += ["BadRecord"] * 2
    coded = http(b"\x1f\x8b\x08\0 no gzip", extra=["Content-Encoding: gzip"])
    members.append(member(record("http://bad.test/encoding", coded)))
    crawl.faults.append("BadEncoding")
    bombs = {
        "http://large.test/page": http(b"<p>" + b"some words to fill it. " * (large // 23)),
        "http://large.test/bomb": http(b"<p>" + bytes(large * 4)),
        "http://large.test/inner": http(
            gzip.compress(bytes(large)), extra=["Content-Encoding: gzip"]
        ),
    }
    for url, bomb in bombs.items():
        members.append(member(record(url, bomb), level=1))
        crawl.dropped[url] = "read.too_large"
    return members


def _strange_pages(crawl: Faulty, depth: int) -> list[bytes]:
    """Pages that are documents, however strange."""
    prose = page("acentuação")
    pages: dict[str, tuple[bytes, dict[str, object]]] = {
        "invalid-utf8": (prose.encode() + b"<p>\xff\xfe\xc3</p>", {}),
        "surrogates": (prose.encode() + b"<p>\xed\xa0\xbd</p>", {}),
        "nul": (prose.replace("rato", "ra\0to").encode(), {}),
        "deep": (b"<html>" + b"<div>" * depth + b"deep down</html>", {}),
        "xhtml": (prose.encode(), {"kind": "application/xhtml+xml"}),
        "xml": (prose.encode(), {"kind": "text/xml"}),
        "untyped": (prose.encode(), {"kind": None}),
        "latin1": (prose.encode("latin-1"), {"kind": "text/html; charset=ISO-8859-1"}),
        "utf16": (prose.encode("utf-16"), {"kind": "text/html"}),
        "utf16-bare": (prose.encode("utf-16-be"), {"kind": "text/html"}),
        "plain": ("só texto".encode(), {"kind": "text/plain"}),
        "unknown-charset": (prose.encode(), {"kind": "text/html; charset=x-nothing"}),
        "chunked": (
            f"{len(prose.encode()):x}\r\n".encode() + prose.encode() + b"\r\n0\r\n\r\n",
            {"extra": ["Transfer-Encoding: chunked"]},
        ),
        "gzipped": (gzip.compress(prose.encode()), {"extra": ["Content-Encoding: gzip"]}),
    }
    crawl.hostile += [f"http://odd.test/{name}" for name in pages]
    members = [
        response(f"http://odd.test/{name}", body, **about) for name, (body, about) in pages.items()
    ]
    twice = "http://odd.test/twice"  # the same url and record id twice: our ids differ
    crawl.hostile += [twice, twice]
    return [*members, response(twice, prose), response(twice, prose)]


def _no_pages(crawl: Faulty) -> list[bytes]:
    """Records that are no documents, and responses that are no page."""
    prose = page("no page").encode()
    gone = {
        "missing": ("read.status", http(prose, status="404 Not Found")),
        "moved": ("read.status", http(b"", status="301 Moved Permanently")),
        "image": ("read.content_type", http(b"\x89PNG\r\n", "image/png")),
        "data": ("read.content_type", http(b"<rss></rss>", "application/xml")),
        "empty": ("read.empty", http(b"")),
    }
    members = []
    for name, (reason, content) in gone.items():
        url = f"http://none.test/{name}"
        crawl.dropped[url] = reason
        members.append(member(record(url, content)))
    again, name = "http://none.test/again", "http://none.test/name"
    crawl.dropped |= {again: "read.revisit", name: "read.content_type"}
    members.append(member(record(again, http(b""), "revisit")))
    members.append(member(record(name, b"93.184.216.34", form="text/dns")))
    asked = b"GET / HTTP/1.1\r\n\r\n"
    members.append(member(record("http://none.test/", asked, "request")))
    members.append(member(record("http://none.test/", b"fetchTimeMs: 1\r\n", "metadata")))
    return members


def broken_parquet(path: Path) -> Path:
    """A Parquet file without its footer, as a writer that was killed leaves it."""
    pq.write_table(pa.table({"text": ["a text", "another"]}), path)
    path.write_bytes(path.read_bytes()[:-12])
    return path
