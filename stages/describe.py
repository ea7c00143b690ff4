"""Statistics of a shard that add up: shards merge into passes, passes into runs.

Everything is bounded, whatever the corpus: histograms have fixed edges, tables keep their largest
entries, samples are those with the lowest hash of the id, so that any split into shards gives the
same samples.
"""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import COPY_OF, DROPPED, FAULT, VALUE, Batch

EDGES = np.concatenate([np.linspace(0, 1, 51), 2.0 ** (np.arange(1, 129) / 4)])  # last: 2^32
TABLES = ("language", "domain", "source")
ENTRIES = 1_000  # of a table, per shard
SAMPLES = 4  # of a rule, and of the kept documents of a language
LANGUAGES_SAMPLED = 8
CLIP = 700  # characters of a sample
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/@?#]*@)?(?P<host>[^/:?#]+)"


class Description:
    """What is known of some documents and of what became of them."""

    def __init__(self) -> None:
        self.histograms: dict[str, dict[str, np.ndarray]] = {}
        self.tables: dict[str, dict[str, list[int]]] = {name: {} for name in TABLES}
        self.samples: dict[str, list[list[Any]]] = {}

    def add(self, batch: Batch, verdict: str, stage: str | None, measures: list[str]) -> None:
        """Count a batch of documents that were `kept`, `dropped` (at `stage`) or `quarantined`."""
        if not batch.num_rows:
            return
        names = batch.schema.names
        if verdict == "quarantined":
            self._sample("quarantine", batch, stage, FAULT.name)
            return
        for name in measures:
            if name in names:
                self._count(name, batch.column(name), verdict)
        kept = verdict == "kept"
        for table in TABLES:
            self._tabulate(table, batch, kept)
        if not kept:
            for rule in pc.unique(batch.column(DROPPED.name)).to_pylist():
                rows = batch.filter(pc.equal(batch.column(DROPPED.name), rule))
                self._sample(rule, rows, stage, VALUE.name)
        elif "language" in names:
            for language in pc.unique(batch.column("language")).to_pylist()[:LANGUAGES_SAMPLED]:
                rows = batch.filter(pc.equal(batch.column("language"), language))
                self._sample(f"kept {language}", rows, None, None)
        else:
            self._sample("kept", batch, None, None)

    def _count(self, name: str, column: pa.Array, verdict: str) -> None:
        values = column.drop_null().to_numpy(zero_copy_only=False).astype(np.float64)
        bins = np.clip(np.searchsorted(EDGES, values, "right") - 1, 0, len(EDGES) - 2)
        counts = self.histograms.setdefault(name, {}).setdefault(
            verdict, np.zeros(len(EDGES) - 1, np.int64)
        )
        counts += np.bincount(bins, minlength=len(counts))

    def _tabulate(self, table: str, batch: Batch, kept: bool) -> None:
        column = _column(table, batch)
        if column is None:
            return
        sizes = pc.binary_length(batch.column("text")).cast(pa.int64())
        grouped = pa.table({"name": column, "bytes": sizes}).group_by("name")
        totals = grouped.aggregate([("bytes", "count"), ("bytes", "sum")])
        entries = self.tables[table]
        for name, many, size in zip(
            *(totals[c].to_pylist() for c in totals.column_names), strict=True
        ):
            entry = entries.setdefault(name or "", [0, 0, 0])
            entry[0] += many
            if kept:
                entry[1] += many
                entry[2] += size

    def _sample(self, group: str, batch: Batch, stage: str | None, note: str | None) -> None:
        best = self.samples.setdefault(group, [])
        ids = batch.column("id").to_pylist()
        ranks = [hashlib.blake2b(i.encode(), digest_size=8).hexdigest() for i in ids]
        bar = best[-1][0] if len(best) >= SAMPLES else "g"
        for row in sorted((r for r in range(len(ids)) if ranks[r] < bar), key=ranks.__getitem__)[
            :SAMPLES
        ]:
            best.append([ranks[row], _row(batch, row, group, stage, note)])
        best.sort(key=lambda entry: entry[0])
        del best[SAMPLES:]

    def dump(self) -> dict[str, Any]:
        """Plain data that `merge` takes."""
        tables = {
            name: dict(sorted(entries.items(), key=lambda e: (-e[1][2], -e[1][0], e[0]))[:ENTRIES])
            for name, entries in self.tables.items()
        }
        histograms = {
            name: {verdict: _sparse(counts) for verdict, counts in sides.items()}
            for name, sides in self.histograms.items()
        }
        return {"histograms": histograms, "tables": tables, "samples": self.samples}

    def merge(self, other: dict[str, Any]) -> None:
        """Add what another shard's `dump` says."""
        for name, sides in other["histograms"].items():
            for verdict, pairs in sides.items():
                counts = self.histograms.setdefault(name, {}).setdefault(
                    verdict, np.zeros(len(EDGES) - 1, np.int64)
                )
                for at, many in pairs:
                    counts[at] += many
        for table, entries in other["tables"].items():
            mine = self.tables[table]
            for name, numbers in entries.items():
                mine[name] = [
                    a + b for a, b in zip(mine.get(name, [0, 0, 0]), numbers, strict=True)
                ]
        for group, rows in other["samples"].items():
            best = sorted(self.samples.get(group, []) + rows, key=lambda entry: entry[0])
            self.samples[group] = best[:SAMPLES]


def merge_counts(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Add up two trees of numbers."""
    for key, value in more.items():
        into[key] = (
            merge_counts(into.get(key, {}), value)
            if isinstance(value, dict)
            else into.get(key, 0) + value
        )
    return into


def hosts(urls: pa.Array) -> pa.Array:
    """The host name of each URL, in lower case; null where there is none."""
    return pc.struct_field(pc.extract_regex(pc.utf8_lower(urls), _HOST), "host")


def _column(table: str, batch: Batch) -> pa.Array | None:
    if table == "domain":
        return hosts(batch.column("url"))
    return batch.column(table) if table in batch.schema.names else None


def _sparse(counts: np.ndarray) -> list[list[int]]:
    return [[int(at), int(counts[at])] for at in np.flatnonzero(counts)]


def _row(batch: Batch, row: int, group: str, stage: str | None, note: str | None) -> dict[str, Any]:
    def cell(name: str) -> Any:
        return batch.column(name)[row].as_py() if name in batch.schema.names else None

    text = pc.utf8_slice_codeunits(batch.column("text").slice(row, 1), 0, CLIP)[0].as_py()
    found = {
        "verdict": "kept" if group.startswith("kept") else "dropped",
        "stage": stage,
        "id": cell("id"),
        "url": cell("url"),
        "language": cell("language"),
        "text": text,
        "copy_of": cell(COPY_OF.name),
        "rule": cell(DROPPED.name),
    }
    if note:
        found[note] = cell(note)
    return {key: value for key, value in found.items() if value is not None}


def top(entries: dict[str, list[int]], many: int) -> list[dict[str, Any]]:
    """The largest entries of a table, for people."""
    best = Counter({name: numbers[0] for name, numbers in entries.items()}).most_common(many)
    return [
        {"name": n, "in": entries[n][0], "kept": entries[n][1], "bytes": entries[n][2]}
        for n, _ in sorted(best, key=lambda e: (-e[1], e[0]))
    ]
