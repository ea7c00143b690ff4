"""Pages of a web crawl: which records are documents, and their bytes as text."""

import codecs
import re
from struct import pack

import pyarrow as pa

from stages import http
from stages.rows import Rows, seconds
from stages.warc import Record

HTML = frozenset({"text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"})
MAYBE_HTML = frozenset({"", "text/xml", "application/xml", "application/octet-stream", "unknown"})
PLAIN = "text/plain"
TAGS = re.compile(rb"<(!doctype\s+html|html|head|body)\b", re.IGNORECASE)
META = re.compile(rb"<meta[^>]{0,500}?charset\s*=\s*[\"']?\s*([\w:.-]+)", re.IGNORECASE)
XML = re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w:.-]+)", re.IGNORECASE)
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
ESCAPE = b"\x1b"
KEPT = {"language": "warc-identified-content-language", "truncated": "warc-truncated"}


def add_page(rows: Rows, record: Record, kinds: frozenset[bytes], limit: int) -> None:
    """Add the row of a record of some kinds; other records are no documents and add none.

    Broken ones are added as faults, and pages that are none with the reason: `read.revisit`,
    `read.status` (HTTP status), `read.content_type`, `read.empty`, `read.too_large` (bytes).
    """
    about = http.parse_headers(record.head)
    url = about.get("warc-target-uri", "").strip("<>") or None
    if record.error:
        rows.add(record.place, url=url, error=record.error)
    elif record.kind == b"revisit" and b"response" in kinds:
        rows.add(record.place, url=url, reason="read.revisit")
    elif record.kind in kinds and record.too_large:
        rows.add(record.place, url=url, reason="read.too_large", value=record.too_large)
    elif record.kind in kinds:
        _add_content(rows, record, about, url, limit)


def _add_content(
    rows: Rows, record: Record, about: dict[str, str], url: str | None, limit: int
) -> None:
    body, date = record.body, seconds(about.get("warc-date"))
    served, meta = about, []
    if record.kind == b"response":
        if not about.get("content-type", "application/http").startswith("application/http"):
            rows.add(record.place, url=url, date=date, reason="read.content_type")  # a look-up, say
            return
        response = http.parse_response(body)
        if response is None:
            rows.add(record.place, url=url, error="BadRecord: there is no HTTP status line")
            return
        if response.status != 200:
            value = response.status
            rows.add(record.place, url=url, date=date, reason="read.status", value=value)
            return
        try:
            body = http.decode_body(response, limit)
        except http.BadEncoding as wrong:
            rows.add(record.place, url=url, error=f"BadEncoding: {wrong}")
            return
        served = response.headers
        meta.append(("status", str(response.status)))
    form = _page_kind(http.media_type(served), body)
    if not body or not form or len(body) > limit:
        reason = "empty" if not body else "content_type" if not form else "too_large"
        size = len(body) if reason == "too_large" else None
        rows.add(record.place, url=url, date=date, reason=f"read.{reason}", value=size)
        return
    text, charset = decode(body, http.charset(served), html=form != PLAIN)
    meta += [("content_type", form), ("charset", charset)]
    for key, header in KEPT.items():
        if header in about:
            meta.append((key, about[header]))
    rows.add(record.place, text, url, date, meta)


def _page_kind(declared: str, body: bytes) -> str | None:
    """What a body is: its type if that is HTML or plain text, sniffed if it does not say."""
    if declared in HTML or declared == PLAIN:
        return declared
    if declared in MAYBE_HTML and TAGS.search(body[:4096].replace(b"\0", b"")):
        return declared or "text/html"
    return None


def decode(body: bytes, declared: str | None = None, *, html: bool = True) -> tuple[bytes, str]:
    """Bytes of some charset as valid UTF-8 without byte order mark, and the charset's name.

    In order: byte order mark; UTF-8 if the bytes are valid UTF-8, which text in another charset
    practically never is; the charset declared by the server, in XML or in HTML; detection. Names as in
    the WHATWG's Encoding standard. What is invalid in the charset becomes U+FFFD.
    """
    for bom, charset in BOMS:
        if body.startswith(bom):
            return _recode(body[len(bom) :], charset), charset
    if wide := _wide(body[:512]):
        return _recode(body, wide), wide
    if ESCAPE not in body and is_utf8(body):  # with it, ISO-2022-JP looks like ASCII
        return body, "utf-8"
    named = _named(declared) or (_declared_inside(body) if html else None)
    charset = named if named and not named.startswith("utf-16") else _detect(body)
    return _recode(body, charset), charset


def is_utf8(body: bytes) -> bool:
    """Whether bytes are valid UTF-8 (4 times faster than decoding them)."""
    if body.isascii():
        return True
    offsets = pa.py_buffer(pack("qq", 0, len(body)))
    text = pa.Array.from_buffers(pa.large_string(), 1, [None, offsets, pa.py_buffer(body)])
    try:
        text.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _recode(body: bytes, charset: str) -> bytes:
    try:
        return body.decode(charset, "replace").encode("utf-8", "replace")
    except (LookupError, UnicodeError):
        return body.decode("utf-8", "replace").encode()


def _named(label: str | None) -> str | None:
    """A label as the name of the charset that the web means by it."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    name = map_encoding_to_html5(label, fallback_utf8=False) if label else None
    return name.lower() if name else None


def _declared_inside(body: bytes) -> str | None:
    found = XML.search(body[:1024]) or META.search(body[:2048])
    return _named(found[1].decode()) if found else None


def _wide(head: bytes) -> str | None:
    """UTF-16 without a byte order mark: every other byte of its markup is zero."""
    if head.count(0) * 3 < len(head) or len(head) < 4:
        return None
    return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"


def _detect(body: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding

    return detect_encoding(body) or "utf-8"
