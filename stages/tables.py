"""Lines and tables: JSON Lines and Parquet, each broken part of them a fault of its own."""

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import DOCUMENT, DROPPED, FAULT, Batch, Slice, drop, fault
from stages.inputs import Bytes, Input
from stages.rows import BATCH_BYTES, BATCH_ROWS, Rows, seconds, sound
from stages.warc import Gzip, Member, Torn, Zstd

STRINGS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
Fields = tuple[str, str, str]  # the names of text, url and date


class Line(NamedTuple):
    """A line: where it begins, its bytes (none if it is too long), how many it has."""

    place: str
    content: bytes
    size: int
    error: str | None = None


def is_packed(path: str) -> bool:
    """Whether a file is compressed, by its name."""
    return path.endswith((".gz", ".zst"))


def unpack(file: Bytes) -> Iterator[bytes]:
    """The content of a file in pieces, decompressed if its name says so. Torn if it is broken."""
    at = 0
    while at < file.size:
        if is_packed(file.path):
            member = Member(file, at, Gzip() if file.path.endswith(".gz") else Zstd())
            while member.fill(1):
                member.fill(1 << 20)
                yield member.take(len(member.data))
            at = member.end
        else:
            piece = bytes(file.view(at))
            yield piece
            at += len(piece) or file.size


def read_whole(file: Bytes, limit: int) -> bytes:
    """A file's content, not much more of it than `limit` bytes. Torn if it is broken."""
    pieces, size = [], 0
    for piece in unpack(file):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            break
    return b"".join(pieces)


def read_lines(part: Slice, limit: int) -> Iterator[Line]:
    """The lines that begin in a slice: by offset, in compressed files by number, from 1."""
    with Bytes(part.path) as file:
        if is_packed(part.path):
            number = 0
            try:
                for number, (_, line, size) in enumerate(split_lines(unpack(file), limit), 1):
                    yield Line(str(number), line, size)
            except Torn:
                yield Line(
                    str(number + 1), b"", 0, "CorruptFile: it cannot be unpacked from here on"
                )
            return
        begin = 0
        if part.start:
            begin = file.find(b"\n", part.start - 1, file.size) + 1 or file.size
        for at, line, size in split_lines(_pieces(file, begin), limit):
            if begin + at >= part.stop:
                return
            yield Line(str(begin + at), line, size)


def _pieces(file: Bytes, at: int) -> Iterator[bytes]:
    while view := file.view(at):
        yield bytes(view)
        at += len(view)


def split_lines(pieces: Iterator[bytes], limit: int) -> Iterator[tuple[int, bytes, int]]:
    """Each line's offset, bytes and size; of a line longer than `limit` not all bytes are held."""
    at, size = 0, 0
    held: list[bytes] = []
    for piece in pieces:
        *ended, begun = piece.split(b"\n")
        for line in ended:
            size += len(line)
            yield at, b"".join([*held, line]) if held else line, size
            at, size = at + size + 1, 0
            held.clear()
        size += len(begun)
        held.append(begun)
        if size > limit:
            held.clear()
    if size:
        yield at, b"".join(held), size


def add_line(rows: Rows, where: str, line: Line, fields: Fields, limit: int) -> None:
    """Add the row of a line: its object, or what is wrong with it. A blank line adds none."""
    if line.error:
        rows.add(where, error=line.error)
    elif line.size > limit:
        rows.add(where, reason="read.too_large", value=line.size)
    elif line.content.strip():
        try:
            _add_object(rows, where, parse(line.content), fields)
        except (ValueError, RecursionError) as wrong:
            rows.add(where, error=f"BadLine: {sound(str(wrong)) or 'nested too deeply'}")


def parse(line: bytes) -> dict[str, Any]:
    """The object of a line. ValueError if it is none.

    Invalid UTF-8 is read as U+FFFD, and NaN and lone surrogates are let pass, as many writers
    leave them.
    """
    import orjson

    try:
        found = orjson.loads(line)
    except ValueError:
        found = json.loads(line.decode("utf-8-sig", "replace"))
    if not isinstance(found, dict):
        raise ValueError(f"expected an object, got {type(found).__name__}")
    return found


def _add_object(rows: Rows, where: str, found: dict[str, Any], fields: Fields) -> None:
    names = ", ".join(found)
    text, url, date = (found.pop(field, None) for field in fields)
    if not isinstance(text, str):
        what = "null" if text is None else type(text).__name__
        raise ValueError(
            f"its text, {fields[0]!r}, is {what}; its fields are {names[:200] or 'none'}"
        )
    meta = [(sound(key), as_text(value)) for key, value in found.items() if value is not None]
    reason = None if text else "read.empty"
    address = None if url is None else as_text(url)
    rows.add(where, sound(text).encode(), address, seconds(date), meta, reason=reason)


def as_text(value: object) -> str:
    """A value of JSON as a string: strings as they are, others as JSON."""
    if isinstance(value, str):
        return sound(value)
    return sound(json.dumps(value, ensure_ascii=False, default=str))


class Stream(io.RawIOBase):
    """The bytes of a file as Python's kind of file, which pyarrow reads."""

    def __init__(self, source: Bytes) -> None:
        self._source, self._at = source, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = (0, self._at, self._source.size)[whence] + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        stop = self._source.size if size is None or size < 0 else self._at + size
        out = self._source.read(self._at, stop)
        self._at += len(out)
        return out


def _open_table(file: Bytes) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetFile(Stream(file), page_checksum_verification=True)


def cut_row_groups(file: Input, slice_bytes: int) -> Iterator[Slice]:
    """Slices of whole row groups; a file whose footer is broken is one, and says so when read."""
    sizes: list[int] = []
    with Bytes(file.path, file.size) as content:
        try:
            footer = _open_table(content).metadata
            sizes = [footer.row_group(at).total_byte_size for at in range(footer.num_row_groups)]
        except (pa.ArrowException, OSError):
            pass
    start, weight = 0, 0
    for at, size in enumerate(sizes):
        weight += size
        if weight >= slice_bytes or at == len(sizes) - 1:
            yield Slice(file.path, file.name, start, at + 1, weight, file.identity)
            start, weight = at + 1, 0
    if not sizes:
        yield Slice(file.path, file.name, 0, 0, file.size, file.identity)


def read_row_groups(part: Slice, source: str, fields: Fields, limit: int) -> Iterator[Batch]:
    """The documents of some row groups. A group that is broken costs its own rows only."""
    with ExitStack() as stack:
        file = stack.enter_context(Bytes(part.path))
        rows = Rows(source)
        try:
            table = _open_table(file) if file.size else None
        except (pa.ArrowException, OSError) as broken:
            rows.add(f"{part.name}#0", error=f"CorruptFile: {broken}")
            table = None
        given = False
        for group in range(part.start, part.stop if table else 0):
            for batch in _read_group(table, group, part.name, source, fields, limit):
                given = True
                yield batch
        if not given:
            yield from rows.rest()


def _read_group(
    table: Any, group: int, name: str, source: str, fields: Fields, limit: int
) -> Iterator[Batch]:
    footer = table.metadata
    row = sum(footer.row_group(at).num_rows for at in range(group))
    end = row + footer.row_group(group).num_rows
    wrong = _wrong_schema(table.schema_arrow, fields[0])
    if not wrong:
        size = max(1, footer.row_group(group).total_byte_size // max(1, end - row))
        count = max(1, min(BATCH_ROWS, BATCH_BYTES // size))
        batches = table.iter_batches(count, row_groups=[group], use_threads=False)
        while row < end:
            try:
                batch = next(batches)
            except (pa.ArrowException, OSError) as broken:
                wrong = f"CorruptRowGroup: {broken}"
                break
            yield from bounded(_convert(batch, row, name, source, fields, limit))
            row += batch.num_rows
    if wrong and row < end:
        rows = Rows(source)
        rows.add(f"{name}#{row}", error=f"{wrong} ({end - row:,} rows)")
        yield from rows.rest()


def _wrong_schema(schema: pa.Schema, text: str) -> str | None:
    at = schema.get_field_index(text)
    if at < 0:
        return f"BadSchema: there is no column {text!r}; there are {', '.join(schema.names)[:200]}"
    kind = schema.field(at).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if not any(test(kind) for test in (*STRINGS, *BYTES)):
        return f"BadSchema: column {text!r} is {kind}, not text"
    return None


def bounded(batch: Batch) -> Iterator[Batch]:
    """A batch in slices of about `BATCH_BYTES` of text."""
    sizes = pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False)
    bucket = np.cumsum(sizes) // BATCH_BYTES
    edges = [0, *(np.flatnonzero(np.diff(bucket)) + 1).tolist(), batch.num_rows]
    for start, stop in pairwise(edges):
        yield batch.slice(start, stop - start)


def _convert(batch: Batch, row: int, name: str, source: str, fields: Fields, limit: int) -> Batch:
    """Rows of a table as documents."""
    count = batch.num_rows
    column = dict(zip(batch.schema.names, batch.columns, strict=False))
    text, url, date = (column.pop(field, None) for field in fields)
    text = sound_text(text)
    size = pc.binary_length(text).cast(pa.float64())
    large = pc.fill_null(pc.greater(size, limit), False)
    empty = pc.fill_null(pc.equal(size, 0), False)
    numbers = pa.array(np.arange(row, row + count)).cast(pa.string())
    columns = [
        pc.binary_join_element_wise(f"{source}/{name}", numbers, "#"),
        pc.fill_null(pc.if_else(large, "", text), ""),
        pa.array([source] * count, pa.string()),
        pa.nulls(count, pa.string()) if url is None else strings(url),
        pa.nulls(count, pa.timestamp("s")) if date is None else dates(date),
        metas({key: strings(held) for key, held in column.items() if not _is_bytes(held)}, count),
    ]
    out = pa.RecordBatch.from_arrays(columns, schema=DOCUMENT)
    if pc.any(pc.or_(large, empty)).as_py():
        none = pa.scalar(None, DROPPED.type)
        reasons = pc.if_else(large, "read.too_large", pc.if_else(empty, "read.empty", none))
        out = drop(out, reasons, values=pc.if_else(large, size, pa.scalar(None, pa.float64())))
    if text.null_count:
        lost = pa.scalar("BadRow: its text is null", FAULT.type)
        out = fault(out, pc.if_else(text.is_null(), lost, pa.scalar(None, FAULT.type)))
    return out


def _is_bytes(column: pa.Array) -> bool:
    return any(test(column.type) for test in BYTES)


def sound_text(column: pa.Array) -> pa.Array:
    """Any column of text or bytes as valid UTF-8, `large_string`; invalid bytes are U+FFFD."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    raw = column.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [v if v is None else v.decode("utf-8", "replace") for v in raw.to_pylist()]
        return pa.array(texts, pa.large_string())


def strings(column: pa.Array) -> pa.Array:
    """Any column as `string`: text as it is, scalars as Arrow prints them, nested ones as JSON."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if any(test(kind) for test in (*STRINGS, *BYTES)):
        return sound_text(column).cast(pa.string())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        values = column.to_pylist()
        return pa.array([None if v is None else as_text(v) for v in values], pa.string())


def dates(column: pa.Array) -> pa.Array:
    """Any column of dates as seconds in UTC; null where it is no date."""
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        utc = pa.timestamp("s", getattr(kind, "tz", None))
        return column.cast(utc, safe=False).cast(pa.timestamp("s"))
    found = [None if value is None else seconds(value) for value in column.to_pylist()]
    return pa.array(found, pa.timestamp("s"))


def metas(columns: dict[str, pa.Array], count: int) -> pa.Array:
    """Columns of strings as one map per row, without the nulls."""
    kind = DOCUMENT.field("meta").type
    if not columns:
        empty = pa.array([], pa.string())
        return pa.MapArray.from_arrays(pa.array([0] * (count + 1), pa.int32()), empty, empty).cast(
            kind
        )
    width = len(columns)
    values = pa.concat_arrays(list(columns.values()))
    order = (np.arange(count)[:, None] + np.arange(width)[None, :] * count).ravel()
    valid = values.is_valid().to_numpy(zero_copy_only=False)[order]
    offsets = np.concatenate([[0], np.cumsum(valid.reshape(count, width).sum(axis=1))])
    keys = pa.array(list(columns), pa.string()).take(
        pa.array(np.tile(np.arange(width), count)[valid])
    )
    items = values.take(pa.array(order[valid]))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), keys, items).cast(kind)
