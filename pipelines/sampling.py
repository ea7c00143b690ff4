"""Examples of what a run kept, dropped or quarantined, from its store alone."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.plan import Pass
from pipelines.runs import Run
from pipelines.store import Store
from stages.errors import DataError
from stages.shards import DOCUMENTS, FEATURES, QUARANTINE, REJECTS

FILES = {"kept": DOCUMENTS, "dropped": REJECTS, "quarantined": QUARANTINE}
WANTED = ("id", "url", "stage", "rule", "value", "copy_of", "language")
SHOWN = (*WANTED, "measured")  # measured: of a document kept, the rule that its value is of


@dataclass(frozen=True)
class Wanted:
    """Which documents to show. `near`: those whose value is nearest to it, else by hash of the id."""

    verdict: str = "dropped"  # or kept, to the end of the flow; or quarantined
    flow: str | None = None
    stage: str | None = None
    reason: str | None = None  # of documents kept: the rule by whose measure `near` goes
    language: str | None = None
    near: float | None = None


def sample(run: Run, wanted: Wanted, many: int = 10) -> list[dict[str, Any]]:
    """Some documents, the same ones every time, with text, rule, value and bound.

    DataError if there is no such flow, stage or reason, or nothing to go `near` by.
    """
    walked = [(s, work) for s, work in run.walked() if wanted.flow in (None, s["flow"])]
    _check(run, walked, wanted)
    last = {stretch["flow"]: at for at, (stretch, _) in enumerate(walked)}
    best: list[tuple[float, str, int, str, dict[str, Any]]] = []
    for at, (stretch, work) in enumerate(walked):
        measure = _measure(work, wanted.reason) if wanted.verdict == "kept" else "value"
        if wanted.verdict == "kept" and (
            measure is None if wanted.reason else last[stretch["flow"]] != at
        ):
            continue
        for key in stretch["keys"]:
            rows = _rows(run.store, key, wanted, measure, many)
            best = heapq.nsmallest(
                many, [*best, *((*r[:2], at, key, r[2]) for r in rows)], key=_order
            )
    asked = {"measured": wanted.reason} if wanted.verdict == "kept" and wanted.reason else {}
    return [_whole(run.store, *walked[at], key, row | asked) for _, _, at, key, row in best]


def _order(entry: tuple[Any, ...]) -> tuple[float, str]:
    return entry[0], entry[1]


def _check(run: Run, walked: list[tuple[dict[str, Any], Pass]], wanted: Wanted) -> None:
    """DataError for a flow, stage or reason that the run does not have."""
    if not walked:
        flows = sorted({stretch["flow"] for stretch, _ in run.walked()})
        raise DataError(f"{run.id}: no flow {wanted.flow!r}; there are {', '.join(flows)}")
    stages: set[str] = set()
    reasons: set[str] = set()
    for stretch, work in walked:
        reasons |= {f"{s.family}.{rule}" for _, s, columns in work.filters for rule in columns}
        for key in stretch["keys"]:
            for stage in run.store.get(key).result["stages"]:
                stages.add(stage["stage"])
                reasons |= set(stage["dropped"])
    for kind, value, known in (("stage", wanted.stage, stages), ("reason", wanted.reason, reasons)):
        if value is not None and value not in known:
            there = ", ".join(sorted(known)) or "none"
            raise DataError(f"{run.id}: no {kind} {value!r}; there are {there}")
    if wanted.near is not None and wanted.verdict != "dropped" and not wanted.reason:
        raise DataError(
            "--near: of documents that were kept, say by which rule's measure: --reason"
        )


def _measure(work: Pass, reason: str | None) -> str | None:
    """The column of features that a rule of this pass judges."""
    for _, step, columns in work.filters:
        for rule, column in columns.items():
            if f"{step.family}.{rule}" == reason:
                return column
    return None


def _rows(
    store: Store, key: str, wanted: Wanted, measure: str | None, many: int
) -> Iterator[tuple[float, str, dict[str, Any]]]:
    """The first documents of a shard that are wanted, without text: distance, hash, what is known."""
    path = store.open(key, FEATURES, check=False)
    names = pq.read_schema(path).names
    here = pc.field("verdict") == wanted.verdict
    if wanted.stage:
        here &= pc.field("stage") == wanted.stage
    if wanted.reason and wanted.verdict == "dropped":
        here &= pc.field("rule") == wanted.reason
    if wanted.language:
        if "language" not in names:
            return
        here &= pc.field("language") == wanted.language
    columns = [name for name in (*WANTED, measure) if name in names]
    table = ds.dataset(path, format="parquet").to_table(list(dict.fromkeys(columns)), filter=here)
    if wanted.near is not None and measure in names:
        table = table.filter(pc.is_valid(table[measure]))
        apart = pc.abs(pc.subtract(table[measure].cast(pa.float64()), wanted.near)).to_pylist()
    else:
        apart = [0.0] * table.num_rows
    hashes = [
        hashlib.blake2b(id_.encode(), digest_size=8).hexdigest() for id_ in table["id"].to_pylist()
    ]
    first = heapq.nsmallest(many, range(table.num_rows), key=lambda at: (apart[at], hashes[at]))
    rows = table.take(pa.array(first, pa.int64())).to_pylist()
    for at, row in zip(first, rows, strict=True):
        yield apart[at], hashes[at], {**row, "value": row.get(measure or "value")}


def _whole(
    store: Store, stretch: dict[str, Any], work: Pass, key: str, row: dict[str, Any]
) -> dict[str, Any]:
    """The document with its text, and with the bound that it was judged by."""
    bounds = {
        f"{step.family}.{rule}": [None if abs(end) == float("inf") else end for end in ends]
        for _, step, _ in work.filters
        for rule, *ends in step.rules_by_language.get(row.get("language") or "", step.rules)
    }
    found: dict[str, Any] = {"flow": stretch["flow"], "shard": key}
    found |= {name: row[name] for name in SHOWN if row.get(name) is not None}
    rule = found.get("rule") or found.get("measured")
    if rule in bounds:
        found["bound"] = bounds[rule]
    return found | texts_of(store, key, [row["id"]]).get(row["id"], {})


def texts_of(store: Store, key: str, ids: list[str]) -> dict[str, dict[str, Any]]:
    """Documents of a shard by id, wherever it put them: `text`, `url`, and `fault` if one broke."""
    missing, found = set(ids), dict[str, dict[str, Any]]()
    for name in FILES.values():
        if not missing or name not in store.get(key).files:
            continue
        file = pq.ParquetFile(store.open(key, name, check=False))
        columns = [c for c in ("id", "url", "text", "fault") if c in file.schema_arrow.names]
        for group in range(file.metadata.num_row_groups):
            here = file.read_row_group(group, columns=["id"])["id"]
            rows = pc.indices_nonzero(
                pc.is_in(here, value_set=pa.array(sorted(missing), pa.string()))
            )
            if len(rows):
                for row in file.read_row_group(group, columns=columns).take(rows).to_pylist():
                    found[row["id"]] = {k: v for k, v in row.items() if k != "id" and v is not None}
                    missing.discard(row["id"])
    return found
