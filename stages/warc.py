"""WARC files as records, one by one, whatever is broken between them.

A record begins where an *anchor* is: a gzip member or zstd frame whose content begins with
`WARC/`, or, in an uncompressed file, headers that do. Whether an offset is one depends on the bytes
that follow it alone, so a reader of bytes `start` to `stop` begins at the first anchor there and ends
at the first behind it, and every record is read exactly once, however a file is cut. After a broken
record a reader goes on at the next anchor; a gap behind a sound record belongs to that record's
reader. (Known limit: a page that itself holds a WARC file, stored uncompressed, may be cut at an
anchor of its own.)

Format: ISO 28500 (WARC 1.1); zstd: the IIPC's "Zstandard compression of WARC files" 1.0.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import suppress
from typing import NamedTuple, Protocol

from isal import isal_zlib as zlib

from stages.inputs import Bytes

HEAD = 1 << 16  # a record's headers are at most so long
AHEAD = 1 << 14  # decoded bytes to look at where a record may begin
BOMB = 200  # a member that inflates by more, beyond the largest document, is not read to its end
FEED = 1 << 14  # compressed bytes decoded at a time
LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
KIND = re.compile(rb"^warc-type:[ \t]*([\w-]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
BLANK = re.compile(rb"\r?\n\r?\n")
VERSION = re.compile(rb"WARC/\d\.\d+[ \t]*\r?\n")
DICTIONARY = b"\x5d\x2a\x4d\x18"  # skippable frame of zstd that holds the dictionary of the file


class Record(NamedTuple):
    """A record, or what stands where one should."""

    place: str  # offset of its member, `+` offset within the member unless it is the first
    kind: bytes  # WARC-Type
    head: bytes  # headers as they came, with the blank line behind them
    body: bytes = b""  # content; nothing if it is too large or broken
    too_large: int = 0  # length of its content, where that is more than the limit
    error: str | None = None


class Broken(Exception):  # noqa: N818 -- not an error of the house: it becomes a row
    """What is wrong with a record."""


class Torn(Exception):  # noqa: N818
    """A member that cannot be decoded to its end."""


class Bomb(Exception):  # noqa: N818
    """A member that is not worth decoding to its end."""


class Decoder(Protocol):
    """Decodes one member."""

    done: bool  # at its end, with its checksum proven

    def feed(self, data: memoryview, room: int) -> tuple[bytes, int]:
        """Decode; return the bytes that came out and how many went in. About `room` come out."""


class Gzip:
    """One gzip member (RFC 1952)."""

    magic = b"\x1f\x8b\x08"

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(31)
        self.done = False

    def feed(self, data: memoryview, room: int) -> tuple[bytes, int]:
        data = data[:FEED]
        try:
            out = self._inflate.decompress(data, room)
        except zlib.error:  # type: ignore[misc]  # its stub does not say that it is a class
            raise Torn from None
        self.done = self._inflate.eof
        left = self._inflate.unused_data if self.done else self._inflate.unconsumed_tail
        return out, len(data) - len(left)


class Zstd:
    """One zstd frame (RFC 8878)."""

    magic = b"\x28\xb5\x2f\xfd"

    def __init__(self, dictionary: bytes = b"") -> None:
        import zstandard

        trained = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        unzstd = zstandard.ZstdDecompressor(dict_data=trained, max_window_size=1 << 27)
        self._frame, self._wrong = unzstd.decompressobj(), zstandard.ZstdError
        self.done = False

    def feed(self, data: memoryview, room: int) -> tuple[bytes, int]:  # noqa: ARG002
        data = data[:512]  # 4 bytes can be a block of 128 KiB, so this bounds what comes out
        try:
            out = self._frame.decompress(data)
        except self._wrong:
            raise Torn from None
        self.done = self._frame.eof
        return out, len(data) - len(self._frame.unused_data)


class Plain:
    """One uncompressed record: what it holds decides where it ends."""

    magic = b"WARC/"
    done = False

    def feed(self, data: memoryview, room: int) -> tuple[bytes, int]:
        out = bytes(data[:room])
        return out, len(out)


class Member:
    """What a member decodes to, as far as it was asked for."""

    def __init__(self, source: Bytes, at: int, decoder: Decoder) -> None:
        self.start, self.end = at, at  # first byte; first byte not decoded yet
        self.passed = 0  # decoded bytes that were let go
        self.data = bytearray()
        self.decoder = decoder
        self._source = source

    def fill(self, size: int) -> bool:
        """Decode until `size` bytes are there or the member ends; whether they are there."""
        while len(self.data) < size and not self.decoder.done:
            view = self._source.view(self.end)
            out, used = self.decoder.feed(view, size - len(self.data))
            self.data += out
            self.end += used
            if not view and not out and not self.decoder.done:
                if isinstance(self.decoder, Plain):
                    break
                raise Torn
        return len(self.data) >= size

    def take(self, size: int) -> bytes:
        """The next bytes, which then are let go."""
        out = bytes(memoryview(self.data)[:size])
        del self.data[:size]
        self.passed += len(out)
        return out

    def skip(self, size: int) -> bool:
        """Let bytes go without holding them; whether they were there."""
        while size:
            self.fill(min(size, 1 << 20))
            gone = len(self.take(size))
            if not gone:
                return False
            size -= gone
            if self.passed > BOMB * (self.end - self.start):
                raise Bomb
        return True


class Records:
    """The records of a WARC file; contents longer than `limit` bytes are not held."""

    def __init__(self, source: Bytes, limit: int, prefix: str = "") -> None:
        self.source, self.limit, self.prefix = source, limit, prefix
        self._dictionary = b""
        self._codec = self._find_codec()

    def _find_codec(self) -> type[Gzip] | type[Zstd] | type[Plain]:
        """By the first bytes; where these are broken, by the ending of the path."""
        head = self.source.read(0, 8)
        if head[:4] == DICTIONARY:
            size = int.from_bytes(head[4:], "little")
            self._dictionary = _unpack_dictionary(self.source.read(8, 8 + size))
            return Zstd
        codecs: tuple[type[Gzip] | type[Zstd] | type[Plain], ...] = (Gzip, Zstd, Plain)
        for codec in codecs:
            if head.startswith(codec.magic):
                return codec
        path = self.source.path
        return Gzip if path.endswith(".gz") else Zstd if path.endswith(".zst") else Plain

    def open(self, at: int) -> Member | None:
        """The member that begins at an offset, if it is an anchor."""
        if self.source.read(at, at + len(self._codec.magic)) != self._codec.magic:
            return None
        if self._codec is Plain:
            head = self.source.read(at, at + 4096)
            if not (VERSION.match(head) and KIND.search(head)):
                return None
        decoder = Zstd(self._dictionary) if self._codec is Zstd else self._codec()
        member = Member(self.source, at, decoder)
        with suppress(Torn):
            member.fill(AHEAD)
        return member if member.data.startswith(Plain.magic) else None

    def find(self, start: int, stop: int) -> int:
        """The first anchor from `start` on, or `stop` if there is none before it."""
        at = self.source.find(self._codec.magic, start, stop)
        while at >= 0:
            if self.open(at):
                return at
            at = self.source.find(self._codec.magic, at + 1, stop)
        return min(stop, self.source.size)

    def read(self, start: int, stop: int) -> Iterator[Record]:
        """The records that begin in a range of bytes, and the faults that belong to it."""
        size = self.source.size
        at = self.find(start, stop) if start else self._skip_frames(0)
        if start and at >= stop:
            return
        while at < size:
            member = self.open(at)
            if member is None:
                end = self.find(at + 1, size)
                yield Record(f"{self.prefix}{at}", b"", b"", error=_gap(at, end, size))
            elif at >= stop:
                return
            else:
                end = yield from self._read_member(member)
            at = self._skip_frames(end)

    def _skip_frames(self, at: int) -> int:
        """Step over the frames of zstd that hold no content."""
        while self._codec is Zstd:
            head = self.source.read(at, at + 8)
            if len(head) < 8 or head[1:4] != DICTIONARY[1:] or head[0] >> 4 != 5:
                break
            at += 8 + int.from_bytes(head[4:], "little")
        return at

    def _read_member(self, member: Member) -> Generator[Record, None, int]:
        """Every record of a member; returns where to go on."""
        at, size, end = member.start, self.source.size, None
        while end is None:
            place = f"{self.prefix}{at}" + f"+{member.passed}" * (member.passed > 0)
            head, kind = b"", b""
            try:
                head = _take_head(member)
                kind = kind_of(head)
                record = self._take_record(member, place, kind, head)
                end = self._after(member)
            except Bomb:
                end = self.find(at + 1, size)
                record = Record(place, kind, head, too_large=length_of(head))
            except Broken as wrong:
                end = self.find(at + 1, size)
                record = Record(place, kind, head, error=f"BadRecord: {wrong}")
            except Torn:
                end = self.find(at + 1, size)
                record = Record(place, kind, head, error=_gap(at, end, size))
            yield record
        return end

    def _take_record(self, member: Member, place: str, kind: bytes, head: bytes) -> Record:
        length = length_of(head)
        if length > self.limit:
            if not member.skip(length):
                raise Broken(f"Content-Length is {length:,}, but the content ends before")
            return Record(place, kind, head, too_large=length)
        member.fill(length + 9)  # with what follows, see `_after`
        if len(member.data) < length:
            raise Broken(f"Content-Length is {length:,}, but {len(member.data):,} bytes came")
        return Record(place, kind, head, member.take(length))

    def _after(self, member: Member) -> int | None:
        """Where the next member begins; None if the next record is in this one."""
        member.fill(
            9
        )  # a blank line and `WARC/`; also proves the checksum, if the member ends here
        near = bytes(memoryview(member.data)[:9])
        closing = len(near) - len(near[:4].lstrip(b"\r\n") + near[4:])
        member.take(closing)
        if self._codec is Plain:
            end = member.start + member.passed
            closed = near.startswith(b"\r\n\r\n") or end >= self.source.size
            if not closed and not self.open(end):
                raise Broken("no record begins behind its content, so its Content-Length is wrong")
            return end
        if near[closing:].startswith(Plain.magic):
            return None
        if near[closing:]:
            raise Broken("there is more content than its Content-Length says")
        return member.end


def _unpack_dictionary(held: bytes) -> bytes:
    """The dictionary of a zstd file, which may be compressed itself."""
    if not held.startswith(Zstd.magic):
        return held
    frame, out = Zstd(), bytearray()
    while held and not frame.done and len(out) <= 1 << 24:
        piece, used = frame.feed(memoryview(held), 0)
        out += piece
        held = held[used:]
    return bytes(out)


def _take_head(member: Member) -> bytes:
    """The headers of a record with the blank line behind them."""
    blank = BLANK.search(member.data)
    if not blank and member.fill(len(member.data) + 1):
        member.fill(HEAD)
        blank = BLANK.search(member.data)
    if not blank or not VERSION.match(member.data):
        raise Broken("its headers are no WARC headers")
    return member.take(blank.end())


def length_of(head: bytes) -> int:
    """The Content-Length that headers give. Broken if they give none."""
    found = LENGTH.search(head)
    if not found:
        raise Broken("it has no Content-Length")
    return int(found[1])


def kind_of(head: bytes) -> bytes:
    """The WARC-Type that headers give."""
    found = KIND.search(head)
    return found[1].lower() if found else b""


def _gap(at: int, end: int, size: int) -> str:
    if end >= size:
        return f"TruncatedMember: the last {end - at:,} bytes hold no whole record"
    return f"CorruptMember: {end - at:,} bytes skipped"
