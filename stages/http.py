"""HTTP responses as archives hold them (RFC 9110, RFC 9112): status, headers, decoded body."""

import re
import zlib
from typing import NamedTuple

BLANK = re.compile(rb"\r?\n\r?\n")
STATUS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})\b")
CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)


class BadEncoding(Exception):  # noqa: N818 -- not an error of the house: it becomes a row
    """A body that is not in the encoding its headers name."""


class Response(NamedTuple):
    """A response; its body as it came."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes


def parse_response(block: bytes) -> Response | None:
    """The response in a record, or None if it has no status line."""
    status = STATUS.match(block)
    if not status:
        return None
    blank = BLANK.search(block)
    end = blank.end() if blank else len(block)
    return Response(int(status[1]), parse_headers(block[:end]), block[end:])


def parse_headers(head: bytes) -> dict[str, str]:
    """Headers by name in lower case; of one that comes twice, the first."""
    found: dict[str, str] = {}
    for line in head.decode("utf-8", "replace").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip().lower(), value.strip())
    return found


def media_type(headers: dict[str, str]) -> str:
    """The declared type without its parameters, in lower case; empty if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def charset(headers: dict[str, str]) -> str | None:
    """The charset that the headers declare."""
    found = CHARSET.search(headers.get("content-type", ""))
    return found[1] if found else None


def decode_body(response: Response, limit: int) -> bytes:
    """The body without its transfer and content encodings, no more than a byte beyond the limit.

    Crawlers often store the decoded body under the headers of the encoded one: what does not look
    encoded is taken as it is. BadEncoding if it looks so and cannot be decoded.
    """
    headers, body = response.headers, response.body
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        body = _join_chunks(body)
    codings = headers.get("content-encoding", "").lower().split(",")
    for coding in reversed([coding.strip() for coding in codings]):
        body = _decode(body, coding, limit)
    return body


def _join_chunks(body: bytes) -> bytes:
    chunk = CHUNK.match(body)
    if not chunk:
        return body
    parts: list[bytes] = []
    while chunk:
        size = int(chunk[1], 16)
        start = chunk.end()
        if size == 0:
            return b"".join(parts)
        if start + size > len(body):
            break
        parts.append(body[start : start + size])
        at = start + size
        at += 2 if body[at : at + 2] == b"\r\n" else body[at : at + 1] == b"\n"
        chunk = CHUNK.match(body, at)
    raise BadEncoding("its chunks end early")


def _decode(body: bytes, coding: str, limit: int) -> bytes:
    if coding in ("gzip", "x-gzip"):
        return _inflate(body, 31, limit) if body.startswith(b"\x1f\x8b") else body
    if coding == "deflate":
        zlib_header = body[:1] == b"\x78" and int.from_bytes(body[:2], "big") % 31 == 0
        return _inflate(body, 15, limit) if zlib_header else body
    if coding == "zstd":
        return _unzstd(body, limit) if body.startswith(b"\x28\xb5\x2f\xfd") else body
    if coding == "br":
        return _unbrotli(body, limit)
    return body


def _inflate(body: bytes, bits: int, limit: int) -> bytes:
    inflate = zlib.decompressobj(bits)
    try:
        out = inflate.decompress(body, limit + 1)
    except zlib.error:
        raise BadEncoding("its compressed body is broken") from None
    if not inflate.eof and len(out) <= limit:
        raise BadEncoding("its compressed body ends early")
    return out


def _unzstd(body: bytes, limit: int) -> bytes:
    import zstandard

    try:
        reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(body)
        out: bytes = reader.read(limit + 1)
    except zstandard.ZstdError:
        raise BadEncoding("its compressed body is broken") from None
    return out


def _unbrotli(body: bytes, limit: int) -> bytes:
    from io import BytesIO

    from fastwarc.stream_io import BrotliReader

    if b"<" in body[:64]:  # markup: decoded already
        return body
    try:
        out: bytes = BrotliReader(BytesIO(body)).read(limit + 1)
    except OSError:
        raise BadEncoding("its compressed body is broken") from None
    return out
