"""Make few files of an index's many, and give back the room of those that nobody needs."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.config import digest
from stages.dedup.index import Index, Manifest, Part
from stages.dedup.segment import ROWS_PER_FILE, Made, named, write_parts

ROWS_AT_ONCE = 8 * ROWS_PER_FILE  # about, of a table in memory


def compact(index: Index) -> tuple[Manifest, int]:
    """Merge the tables of all crawls into files sorted as one, and collect; the bytes that were freed.

    What a removed crawl left in them goes. Crawls that are added meanwhile stay as they are.
    """
    before = index.manifest()
    merged = before.parts
    with tempfile.TemporaryDirectory(prefix="bateia-index-") as folder:
        tables = list(dict.fromkeys(part.table for part in before.parts))
        made = [one for table in tables for one in _merged(index, before, table, Path(folder))]
        hashes = [file.sha256 for _, *both in made for file, _ in both]
        place = f"tables/{digest('compact', *hashes)}"
        parts = tuple(
            replace(part, rows=named(rows, place), bloom=named(bloom, place))
            for part, (rows, _), (bloom, _) in made
        )
        files = [file for part in parts for file in (part.rows, part.bloom)]
        paths = [path for _, *both in made for _, path in both]

        def change(manifest: Manifest) -> Manifest:
            if parts == merged or not set(merged) <= set(manifest.parts):
                return manifest  # nothing to do, or somebody else did it
            others = tuple(part for part in manifest.parts if part not in merged)
            return replace(manifest, parts=(*parts, *others))

        if parts != merged:
            index.put(zip(files, paths, strict=True))
        after = index.publish(change)
    return after, index.collect()


def _merged(
    index: Index, manifest: Manifest, table: str, work: Path
) -> Iterator[tuple[Part, Made, Made]]:
    """The rows of a table that are of and about crawls that are there, range by range of the key."""
    parts = [part for part in manifest.parts if part.table == table]
    serials = np.array([crawl.serial for crawl in manifest.crawls], np.uint64)
    ranges = -(-sum(part.rows.rows for part in parts) // ROWS_AT_ONCE)
    number = 0
    for at in range(ranges):
        low, high = (edge * (1 << 64) // ranges for edge in (at, at + 1))
        found = list(_between(index, parts, low, high - 1))
        if not found:
            continue
        rows = pa.concat_tables(found)
        living = np.isin(rows["doc"].to_numpy() >> np.uint64(32), serials)
        rows = rows.filter(pa.array(living & np.isin(rows["by"].to_numpy(), serials)))
        columns = {name: rows[name].to_numpy() for name in rows.column_names}
        made = list(write_parts(table, columns, work, number))
        number += len(made)
        yield from made


def _between(index: Index, parts: Sequence[Part], low: int, high: int) -> Iterator[pa.Table]:
    """The rows of some parts with keys from low to high."""
    for part in parts:
        if part.low <= high and part.high >= low:
            rows = pq.read_table(index.open(part.rows))
            key = rows["key"].to_numpy()
            first = np.searchsorted(key, np.uint64(low))
            yield rows.slice(first, np.searchsorted(key, np.uint64(high), "right") - first)
