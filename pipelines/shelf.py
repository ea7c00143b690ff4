"""Write what comes out of a pass over one shard, in row groups bounded in bytes."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.base import COPY_OF, DROPPED, FAULT, VALUE, Batch
from stages.describe import Description
from stages.shards import DESCRIBE, DOCUMENTS, FEATURES, QUARANTINE, REJECTS, SKETCH

GROUP_BYTES = 8 << 20
GROUP_ROWS = 8_192
SKETCH_ROWS = 1 << 16

_WHO = [
    pa.field("id", pa.string()),
    pa.field("source", pa.string()),
    pa.field("url", pa.string()),
]
_TEXT = pa.field("text", pa.large_string())
_STAGE = pa.field("stage", pa.string())
_RULE = pa.field("rule", pa.string())
REJECT = pa.schema([*_WHO, _TEXT, _STAGE, _RULE, VALUE, COPY_OF])
BROKEN = pa.schema([*_WHO, _TEXT, _STAGE, FAULT])
_VERDICT = [
    *_WHO,
    pa.field("bytes", pa.int64()),
    pa.field("verdict", pa.string()),  # kept, dropped or quarantined
    _STAGE,
    _RULE,
    VALUE,
    COPY_OF,
]


class RowGroups:
    """A Parquet file written in groups: batches are gathered until a group is worth writing."""

    def __init__(self, path: Path, schema: pa.Schema | None = None) -> None:
        self.path, self.schema = path, schema
        self.file: pq.ParquetWriter | None = None
        self.waiting: list[Batch] = []
        self.bytes = self.rows = 0

    def add(self, batch: Batch) -> None:
        self.schema = self.schema or batch.schema
        self.waiting.append(batch)
        self.bytes += batch.get_total_buffer_size() if batch.num_rows else 0
        self.rows += batch.num_rows
        if self.bytes >= GROUP_BYTES or self.rows >= GROUP_ROWS:
            self._write()

    def _write(self) -> None:
        assert self.schema is not None
        if self.file is None:
            self.file = pq.ParquetWriter(
                self.path, self.schema, compression="zstd", compression_level=1,
                use_dictionary=["source", "stage", "rule", "language", "verdict"],
                write_statistics=False,  # nobody prunes by them, and on texts they cost a third
            )  # fmt: skip
        if self.rows:
            table = pa.Table.from_batches(self.waiting, self.schema)
            self.file.write_table(table, row_group_size=GROUP_ROWS)
        self.waiting, self.bytes, self.rows = [], 0, 0

    def close(self) -> None:
        """Finish the file; it exists, with its columns, even if nothing came."""
        if self.schema is not None:
            self._write()
        if self.file:
            self.file.close()


class ShardWriter:
    """The files of one shard: what stayed, what left and why, what broke, measures, statistics.

    Features are the columns that documents `brought` and that steps `added`; only the latter are
    described. `measures` do not travel on with the documents. `marks` name, for each step, the columns that
    are added twice and where the batch holds what this very step put there, as `column@`.
    """

    def __init__(
        self,
        folder: Path,
        brought: dict[str, pa.DataType],
        added: dict[str, pa.DataType],
        measures: set[str],
        marks: Sequence[dict[str, str]] = (),
    ) -> None:
        self.twice = {name for noted in marks for name in noted}
        self.marks = {mark for noted in marks for mark in noted.values()}
        self.left_out = {*measures, *self.marks, "row"}
        columns = [pa.field(name, kind) for name, kind in {**brought, **added}.items()]
        self.numeric = [
            name
            for name, kind in added.items()
            if pa.types.is_integer(kind) or pa.types.is_floating(kind)
        ]
        self.folder = folder
        self.documents = RowGroups(folder / DOCUMENTS)
        self.rejects = RowGroups(folder / REJECTS, REJECT)
        self.quarantine = RowGroups(folder / QUARANTINE, BROKEN)
        self.features = RowGroups(folder / FEATURES, pa.schema([*_VERDICT, *columns]))
        self.description = Description()

    def follow(self, kept: Iterable[Batch], left: list[tuple[str, Batch, bool]]) -> Iterator[Batch]:
        """Write down what left on the way and the features of what stayed; pass the latter on."""
        for batch in kept:
            self._leave(left)
            self._feature(batch, "kept", None)
            yield batch.drop_columns([n for n in batch.schema.names if n in self.left_out])
        self._leave(left)

    def keep(self, batches: Iterable[Batch]) -> dict[str, int]:
        """Write the batches as the documents of the shard."""
        for batch in batches:
            self.documents.add(batch)
        return {}

    def _leave(self, left: list[tuple[str, Batch, bool]]) -> None:
        for stage, batch, broken in left:
            (self.quarantine if broken else self.rejects).add(
                shaped(batch, BROKEN if broken else REJECT, stage)
            )
            self._feature(batch, "quarantined" if broken else "dropped", stage)
        left.clear()

    def _feature(self, batch: Batch, verdict: str, stage: str | None) -> None:
        batch = self._unmarked(batch)
        self.description.add(batch, verdict, stage, self.numeric)
        sizes = pc.binary_length(batch.column("text")).cast(pa.int64())
        known = batch.append_column("bytes", sizes).append_column(
            "verdict", pa.repeat(pa.scalar(verdict), batch.num_rows)
        )
        assert self.features.schema is not None
        self.features.add(shaped(known, self.features.schema, stage))

    def _unmarked(self, batch: Batch) -> Batch:
        """The batch with every reading of a column that is added twice under a name of its own."""
        if not self.twice:
            return batch
        batch = batch.drop_columns([n for n in batch.schema.names if n in self.twice])
        names = [n.removesuffix("@") if n in self.marks else n for n in batch.schema.names]
        return pa.RecordBatch.from_arrays(batch.columns, names=names)

    def close(self, sketches: list[pa.Table] | None) -> None:
        """Finish every file."""
        for file in (self.documents, self.rejects, self.quarantine, self.features):
            file.close()
        (self.folder / DESCRIBE).write_text(
            json.dumps(self.description.dump(), ensure_ascii=False, sort_keys=True),
            encoding="utf-8",
        )
        if sketches is not None:
            write_sketch(self.folder, sketches)


def write_sketch(folder: Path, sketches: list[pa.Table]) -> None:
    """Write the sketch of a shard, sorted by key, so that a partition is a range of it."""
    whole = pa.concat_tables(sketches).combine_chunks()
    whole = whole.take(pc.sort_indices(whole, [("key", "ascending"), ("row", "ascending")]))
    pq.write_table(
        whole, folder / SKETCH, row_group_size=SKETCH_ROWS, compression="zstd",
        compression_level=1, use_dictionary=False,
    )  # fmt: skip


def shaped(batch: Batch, schema: pa.Schema, stage: str | None) -> Batch:
    """The batch with exactly these columns: `stage` as given, `rule` from the verdict, else null."""
    names = batch.schema.names
    columns = []
    for column in schema:
        source = DROPPED.name if column.name == "rule" else column.name
        if column.name == "stage":
            columns.append(pa.repeat(pa.scalar(stage, pa.string()), batch.num_rows))
        elif source in names:
            columns.append(batch.column(source))
        else:
            columns.append(pa.nulls(batch.num_rows, column.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
