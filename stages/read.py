"""Where documents come from: files of a crawl, tables, lines and plain text, on any store.

An id is the source's name, the file's name within the input, and where in it the document begins:
`warc/segment-7/file.warc.gz#5183`. It stays when the input is moved as a whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from stages import pages, tables
from stages.base import Batch, Slice, Source
from stages.errors import SpecError
from stages.inputs import Bytes, Input, find_inputs
from stages.rows import Rows
from stages.warc import Records, Torn


@dataclass(frozen=True, kw_only=True)
class Files(Source):
    """What the sources below share: which files, and how they are cut."""

    paths: (
        str | tuple[str, ...]
    )  # files, folders, globs (`**`), or `@list.txt` with a path per line
    slice_bytes: int = 64 << 20  # about so much of a file is one worker's
    max_document_bytes: int = 32 << 20  # a larger document leaves as `read.too_large`

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def check(self) -> None:
        if not self.paths:
            raise SpecError("paths: expected a path, a glob or a manifest, got nothing")
        for field in ("slice_bytes", "max_document_bytes"):
            if getattr(self, field) < 1:
                raise SpecError(f"{field}: expected at least 1, got {getattr(self, field)}")

    def slices(self) -> list[Slice]:
        return [part for file in find_inputs(self.paths) for part in self.cut(file)]

    def cut(self, file: Input) -> Iterator[Slice]:
        """The slices of one file: equal ranges of bytes, at least one."""
        count = max(1, -(-file.size // self.slice_bytes))
        edges = [file.size * at // count for at in range(count + 1)]
        for start, stop in pairwise(edges):
            yield Slice(file.path, file.name, start, stop, stop - start, file.identity)

    def whole(self, file: Input) -> Iterator[Slice]:
        """One slice: for files that can only be read from their beginning."""
        yield Slice(file.path, file.name, 0, file.size, file.size, file.identity)


@dataclass(frozen=True, kw_only=True)
class Warc(Files):
    """Pages of WARC files: `response` and `resource` records that hold HTML or plain text.

    The text is the page as it was served, its markup with it, in UTF-8; `meta` holds its
    content type, charset and status. gzip, zstd or uncompressed.
    """

    name: str = "warc"  # what `source` and the ids begin with

    def read(self, part: Slice) -> Iterator[Batch]:
        kinds = frozenset({b"response", b"resource"})
        yield from read_records(self, part, self.name, kinds)


@dataclass(frozen=True, kw_only=True)
class Wet(Files):
    """Texts of WET files: the `conversion` records of a crawl whose pages are extracted already."""

    name: str = "wet"  # what `source` and the ids begin with

    def read(self, part: Slice) -> Iterator[Batch]:
        yield from read_records(self, part, self.name, frozenset({b"conversion"}))


def read_records(source: Files, part: Slice, name: str, kinds: frozenset[bytes]) -> Iterator[Batch]:
    """The documents of a part of a WARC file."""
    rows = Rows(name)
    limit = source.max_document_bytes
    with Bytes(part.path) as file:
        for record in Records(file, limit, f"{part.name}#").read(part.start, part.stop):
            pages.add_page(rows, record, kinds, limit)
            yield from rows.ready()
    yield from rows.rest()


@dataclass(frozen=True, kw_only=True)
class Jsonl(Files):
    """Objects of JSON Lines files. Compressed files (`.gz`, `.zst`) are one slice each.

    Fields that are not named here go to `meta`, as strings. A line that is no object with a text is
    a fault of its own.
    """

    name: str = "jsonl"  # what `source` and the ids begin with
    text_field: str = "text"  # where the text is
    url_field: str = "url"  # where the address is, if there is one
    date_field: str = "date"  # where the date is: ISO 8601, or seconds since 1970

    def cut(self, file: Input) -> Iterator[Slice]:
        yield from self.whole(file) if tables.is_packed(file.path) else super().cut(file)

    def read(self, part: Slice) -> Iterator[Batch]:
        rows = Rows(self.name)
        fields = (self.text_field, self.url_field, self.date_field)
        for line in tables.read_lines(part, self.max_document_bytes):
            where = f"{part.name}#{line.place}"
            tables.add_line(rows, where, line, fields, self.max_document_bytes)
            yield from rows.ready()
        yield from rows.rest()


@dataclass(frozen=True, kw_only=True)
class Parquet(Files):
    """Rows of Parquet files, cut by row groups; columns are mapped as the fields of `Jsonl` are."""

    name: str = "parquet"  # what `source` and the ids begin with
    text_field: str = "text"  # where the text is
    url_field: str = "url"  # where the address is, if there is one
    date_field: str = "date"  # where the date is: ISO 8601, or seconds since 1970

    def cut(self, file: Input) -> Iterator[Slice]:
        yield from tables.cut_row_groups(file, self.slice_bytes)

    def read(self, part: Slice) -> Iterator[Batch]:
        fields = (self.text_field, self.url_field, self.date_field)
        yield from tables.read_row_groups(part, self.name, fields, self.max_document_bytes)


@dataclass(frozen=True, kw_only=True)
class Text(Files):
    """Plain text, one document per file; `.gz` and `.zst` are unpacked, any charset is decoded.

    For many small documents use `Jsonl`: a file is a slice, and a slice a task.
    """

    name: str = "text"  # what `source` and the ids begin with

    def cut(self, file: Input) -> Iterator[Slice]:
        yield from self.whole(file)

    def read(self, part: Slice) -> Iterator[Batch]:
        rows = Rows(self.name)
        where = f"{part.name}#0"
        with Bytes(part.path) as file:
            try:
                body = tables.read_whole(file, self.max_document_bytes)
            except Torn:
                rows.add(where, error="CorruptFile: it cannot be unpacked")
            else:
                if len(body) > self.max_document_bytes:
                    size = max(len(body), file.size)
                    rows.add(where, reason="read.too_large", value=size)
                elif body:
                    text, charset = pages.decode(body, html=False)
                    rows.add(where, text, meta=[("charset", charset)])
        yield from rows.rest()
