"""The end of a crawl's deduplication: what it kept is added to the index that the next one is compared with."""

import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.base import DOCUMENT, REMEMBERED, Batch, Job
from stages.config import digest, load_step
from stages.dedup.clusters import LEADERS
from stages.dedup.index import Crawl, Index, Part, View, serial_of
from stages.dedup.keep import FIRST, Remembering
from stages.dedup.minhash import MinHashDedup
from stages.dedup.segment import Documents, Made, named, write_parts
from stages.errors import DataError, SpecError
from stages.kernels.hashing import Hashes
from stages.measure import Measure
from stages.shards import DOCUMENTS, FEATURES, REJECTS

BATCH = 1024  # documents
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, kw_only=True)
class Remember(Job):
    """Add what a flow kept to an index, under the name of a crawl.

    The flow is one that ends in the barriers that are `against` this index (ExactDedup, MinHashDedup),
    for what is compared with later crawls must be the text that they saw. Its later stages belong in a
    flow of their own. A crawl that is in the index with the same documents is added no second time.
    Later crawls find copies of what this one kept, and of the copies that left for it.
    """

    version = 2

    index: str  # folder or URL, as in `against` of the barriers
    crawl: str  # a name of letters, digits, `.`, `_` and `-`
    steps: tuple[dict[str, Any], ...] = ()  # the barriers, as data; a run fills it in
    pinned: tuple[str, ...] = ()  # the crawls they compared with; a run fills it in

    def check(self) -> None:
        if not _NAME.fullmatch(self.crawl):
            raise SpecError(f"crawl: {self.crawl!r} is not a plain name, such as CC-2026-10")

    @cached_property
    def barriers(self) -> tuple[Remembering, ...]:
        """The barriers at the end of the flow, the last one last."""
        steps = tuple(load_step(step, "Remember.steps", homes=("",)) for step in self.steps)
        return tuple(step for step in steps if isinstance(step, Remembering))

    def stands(self) -> bool:
        """Whether the crawl is in the index."""
        return Index(self.index).manifest().crawl(self.crawl) is not None

    def run(self, inputs: Mapping[str, Sequence[Path]], output: Path, work: Path) -> dict[str, Any]:  # noqa: ARG002
        """Write the crawl's files, bring them in, name them in a new manifest."""
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        folders = [folder for shards in inputs.values() for folder in shards]
        segment = Segment(self, View(self.index, Index(self.index).manifest().version, self.pinned))
        documents = segment.documents(folders, work)
        tables = list(segment.tables(work))
        hashes = (
            file.sha256 for file, _ in [*documents, *(m for _, *both in tables for m in both)]
        )
        name = digest(self.crawl, *hashes)
        files = tuple(named(file, f"crawls/{name}") for file, _ in documents)
        parts = tuple(
            replace(part, rows=named(rows, f"tables/{name}"), bloom=named(few, f"tables/{name}"))
            for part, (rows, _), (few, _) in tables
        )
        crawl = Crawl(self.crawl, name, segment.serial, self.pinned, segment.count, files)
        index = Index(self.index)
        paths = [path for _, path in documents]
        paths += [path for _, *both in tables for _, path in both]
        placed = [*files, *(file for part in parts for file in (part.rows, part.bloom))]
        if not self.stands():
            index.put(zip(placed, paths, strict=True))
        index.add(crawl, parts, {step.table: step.terms for step in self.barriers})
        sizes = Counter(documents_bytes=sum(file.bytes for file in files))
        for part in parts:
            sizes[f"{part.table}_bytes"] += part.rows.bytes
            sizes["bloom_bytes"] += part.bloom.bytes
        numbers = {"documents": segment.count, **sizes}
        return {"numbers": numbers, "series": [], "scores": []}


@dataclass
class Segment:
    """What one crawl adds, while it is made.

    Documents are numbered as they stand in the shards; a row of a table is of one that came by, at its
    place among them, and points at the one that stays: a number of this crawl, or one of the view.
    """

    job: Remember
    view: View
    serial: int = 0
    count: int = 0
    rows: dict[str, list[dict[str, Hashes]]] = field(default_factory=dict)

    @cached_property
    def near(self) -> MinHashDedup | None:
        return next((step for step in self.job.barriers if isinstance(step, MinHashDedup)), None)

    def documents(self, folders: Sequence[Path], work: Path) -> list[Made]:
        """Write id and shingles of every document; take note of the keys of all that came by."""
        came, wanted = 0, self._wanted(folders)
        numbers = np.full(len(wanted), -1, np.int64)
        out = Documents(work)
        late: list[tuple[str, Hashes, dict[str, Hashes]]] = []
        for folder in folders:
            verdicts = pq.read_table(folder / FEATURES, columns=["verdict", "stage", "copy_of"])
            places = came + np.arange(len(verdicts), dtype=np.uint64)
            came += len(verdicts)
            stays = places[pc.equal(verdicts["verdict"], "kept").to_numpy()]
            for batch in pq.ParquetFile(folder / DOCUMENTS).iter_batches(BATCH):
                found = pc.index_in(batch["id"], value_set=wanted)
                here = np.flatnonzero(found.is_valid().to_numpy(zero_copy_only=False))
                at = found.drop_null().to_numpy()
                new = numbers[at] < 0
                numbers[at[new]] = self.count + here[new]
                owners = self.count + np.arange(batch.num_rows, dtype=np.uint64)
                self._note(batch, stays[: batch.num_rows], owners)
                stays = stays[batch.num_rows :]
                out.add(batch["id"], self.near.evidence(_bare(batch)) if self.near else None)
                self.count += batch.num_rows
            if self.near:
                late += self._copies(folder, verdicts, places)
        made = out.close()
        self.serial = serial_of(self.job.crawl, [file for file, _ in made])
        docs = self._resolved(wanted, numbers)
        for table, copy_of, columns in late:
            at = pc.index_in(copy_of, value_set=wanted).to_numpy()
            self.rows.setdefault(table, []).append(columns | {"doc": docs[at]})
        return made

    def _wanted(self, folders: Sequence[Path]) -> pa.Array:
        """The ids of the documents that others left for, each once."""
        names = [
            pq.read_table(folder / FEATURES, columns=["copy_of"])["copy_of"] for folder in folders
        ]
        chunks = [chunk for column in names for chunk in column.chunks]
        return pc.unique(pa.chunked_array(chunks, pa.string()).drop_null())

    def _note(self, batch: Batch, places: Hashes, owners: Hashes) -> None:
        for table, columns in self._keys(batch):
            row = columns.pop("row").astype(np.int64)
            noted = columns | {"place": places[row], "doc": owners[row]}
            self.rows.setdefault(table, []).append(noted)

    def _keys(self, batch: Batch) -> Iterator[tuple[str, dict[str, Hashes]]]:
        """The keys of some documents, by table."""
        for step in self.job.barriers:
            first = replace(step, keep=FIRST)
            measured = Measure(names=first.measures)(_bare(batch)) if first.measures else batch
            sketch = first.sketch(measured)
            yield step.table, {name: sketch[name].to_numpy() for name in sketch.column_names}

    def _copies(
        self, folder: Path, verdicts: pa.Table, places: Hashes
    ) -> Iterator[tuple[str, pa.Array, dict[str, Hashes]]]:
        """The keys of the near copies that left, and what they left for."""
        name = type(self.near).__name__
        left = pc.and_(pc.equal(verdicts["verdict"], "dropped"), pc.equal(verdicts["stage"], name))
        places = places[left.fill_null(False).to_numpy()]
        rejects = pq.read_table(folder / REJECTS, filters=pc.field("stage") == name)
        for batch in rejects.combine_chunks().to_batches(BATCH):
            for table, columns in self._keys(batch):
                row = columns.pop("row").astype(np.int64)
                yield table, batch["copy_of"].take(pa.array(row)), columns | {"place": places[row]}
            places = places[batch.num_rows :]

    def _resolved(self, names: pa.Array, numbers: np.ndarray) -> Hashes:
        """The documents of these names: numbers of this crawl and, where -1, those of the view."""
        docs = numbers.astype(np.uint64)
        for at in np.flatnonzero(numbers < 0).tolist():
            found = self.view.called(names[at].as_py())
            if found is None:
                raise DataError(
                    f"{self.job.crawl}: {names[at]}, which a copy left for, is not there"
                )
            docs[at] = found
        return docs

    def tables(self, work: Path) -> Iterator[tuple[Part, Made, Made]]:
        """Write the tables."""
        for table, noted in self.rows.items():
            columns = {name: np.concatenate([some[name] for some in noted]) for name in noted[0]}
            columns = self._new(table, columns)
            columns["doc"] = np.where(
                columns["doc"] < REMEMBERED,
                np.uint64(self.serial << 32) | columns["doc"],
                self.view.serials(columns["doc"]) if len(self.view.crawls) else columns["doc"],
            )
            by = np.full(len(columns["doc"]), self.serial, np.uint32)
            yield from write_parts(table, columns | {"by": by}, work, 0)

    def _new(self, table: str, columns: dict[str, Hashes]) -> dict[str, Hashes]:
        """The rows that are new: of each bucket those that it holds and did not hold before.

        In tables of exact copies a key and its check are such a bucket, and hold one document.
        """
        place = columns.pop("place")
        keys = np.unique(columns["key"])
        known = self.view.lookup(table, keys)
        old = {name: known[name].to_numpy() for name in columns if name != "key"}
        old["key"] = keys[known["at"].to_numpy()]
        both = {name: np.concatenate([old[name], columns[name]]) for name in columns}
        place = np.concatenate([np.zeros(len(known), np.uint64), place + np.uint64(1)])
        check = both.get("check", np.zeros(len(place), np.uint64))
        order = np.lexsort((place, both["doc"], check, both["key"]))
        order = order[_starts(both["key"][order], check[order], both["doc"][order])]
        order = order[
            np.lexsort((both["doc"][order], place[order], check[order], both["key"][order]))
        ]
        starts = np.flatnonzero(_starts(both["key"][order], check[order]))
        inside = np.arange(len(order)) - np.repeat(starts, np.diff([*starts, len(order)]))
        most = 1 if "check" in both else LEADERS
        new = order[(inside < most) & (place[order] > 0)]
        return {name: column[new] for name, column in both.items()}


def _starts(*columns: Hashes) -> np.ndarray:
    """Where a row differs from the one before."""
    out = np.zeros(len(columns[0]), bool)
    out[:1] = True
    for column in columns:
        out[1:] |= column[1:] != column[:-1]
    return out


def _bare(batch: Batch) -> Batch:
    """The columns that every document has, of those that are there."""
    return batch.select([name for name in DOCUMENT.names if name in batch.schema.names])
