"""Prove a run from its store alone, tell the story of one document, and sweep the shelf."""

from collections.abc import Iterator
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipelines.runs import Run, runs
from pipelines.store import Store
from stages.errors import DataError, StoreError
from stages.shards import DOCUMENTS, FEATURES, QUARANTINE, REJECTS


def verify(run: Run, *, repair: bool = False) -> Iterator[str]:
    """Every way in which the run's results are not what their records say; nothing if all holds.

    Checks that each result is there with its checksum, that at every stage of every shard
    in = out + dropped + quarantined, that each stage passes on what the next takes in, that each
    pass takes in what the pass before it left, and that the files hold as many rows as counted.
    With `repair`, results that are torn are taken off the shelf: the next run makes them again.
    """
    left: dict[str, int] = {}
    for stretch in run.record.get("stretches", []):
        came = out = 0
        for key in [*stretch["keys"], *stretch["barrier_keys"]]:
            try:
                commit = run.store.get(key)
                for name in commit.files:
                    run.store.open(key, name)
            except StoreError as torn:
                yield str(torn)
                if repair:
                    run.store.discard(key)
                continue
            stages = commit.result.get("stages")
            if stages:
                yield from (
                    f"{key} ({commit.result['input']}): {w}" for w in _balance(commit.files, stages)
                )
                came, out = came + stages[0]["in"], out + stages[-1]["out"]
        flow = stretch["flow"]
        if "pass" in stretch and flow in left and left[flow] != came:
            yield f"{flow}: {left[flow]} documents left a pass and {came} came to the next"
        left[flow] = out


def _balance(files: dict[str, Any], stages: list[dict[str, Any]]) -> Iterator[str]:
    before = None
    for stage in stages:
        gone = sum(stage["dropped"].values()) + sum(stage["quarantined"].values())
        if stage["in"] != stage["out"] + gone:
            yield f"{stage['stage']}: {stage['in']} in, but {stage['out']} out and {gone} set aside"
        if before is not None and stage["in"] != before:
            yield f"{stage['stage']}: {before} were passed on, {stage['in']} came in"
        before = stage["out"]
    counted = {
        REJECTS: sum(sum(stage["dropped"].values()) for stage in stages),
        QUARANTINE: sum(sum(stage["quarantined"].values()) for stage in stages),
        FEATURES: stages[0]["in"],
        DOCUMENTS: stages[-1]["out"],
    }
    for name, rows in counted.items():
        if name in files and files[name].rows != rows:
            yield f"{name}: {files[name].rows} rows, {rows} counted"


def explain(run: Run, wanted: str) -> list[dict[str, Any]]:
    """The story of a document, by URL or id, pass by pass.

    What was measured, every rule that judged it with its bounds, where it stayed or left, and the
    copy that was kept in its place.

    DataError if the run never saw it.
    """
    story: list[dict[str, Any]] = []
    for stretch, work in run.walked():
        for key in stretch["keys"]:
            for row in _find(run.store, key, wanted):
                bounds = {
                    columns[name]: (step.family, low, high)
                    for _, step, columns in work.filters
                    for name, low, high in step.rules_by_language.get(
                        row.get("language") or "", step.rules
                    )
                }
                story.append(_chapter(run.store, stretch, key, row, bounds))
    if not story:
        raise DataError(f"{run.id}: no document has the id or URL {wanted!r}")
    return story


def _find(store: Store, key: str, wanted: str) -> list[dict[str, Any]]:
    path = store.open(key, FEATURES, check=False)
    here = (pc.field("id") == wanted) | (pc.field("url") == wanted)
    rows: list[dict[str, Any]] = (
        ds.dataset(path, format="parquet").to_table(filter=here).to_pylist()
    )
    return rows


def _chapter(
    store: Store, stretch: dict[str, Any], key: str, row: dict[str, Any], bounds: dict[str, Any]
) -> dict[str, Any]:
    plain = ("id", "source", "url", "bytes", "verdict", "stage", "rule", "value", "copy_of")
    measures = {
        name: value for name, value in row.items() if name not in plain and value is not None
    }
    chapter = {
        "flow": stretch["flow"],
        "steps": stretch["steps"],
        "shard": key,
        "input": store.get(key).result["input"],
        **{name: row[name] for name in plain if row[name] is not None},
        "measures": {
            name: {"value": value, "rule": bounds[name]} if name in bounds else {"value": value}
            for name, value in measures.items()
        },
    }
    if row["verdict"] != "kept":
        name = REJECTS if row["verdict"] == "dropped" else QUARANTINE
        found = pq.read_table(
            store.open(key, name), filters=pc.field("id") == row["id"]
        ).to_pylist()
        chapter |= {k: found[0][k] for k in ("text", "fault") if found and k in found[0]}
    return chapter


def sweep(store: Store, keep: int, *, dry: bool = False) -> dict[str, int]:
    """Delete every result that none of the last `keep` runs names; what was freed, in bytes.

    A run under way is never touched: it is one of the last. Temporary files of dead tasks go too.
    """
    known = runs(store)
    living = {key for run in known[-keep:] for key in run.results()} if keep else set()
    freed = {"results": 0, "bytes": 0, "kept": len(living)}
    for path in list(store.home.list("commits")):
        key = path.rpartition("/")[2].removesuffix(".json")
        if key in living:
            continue
        commit = store.find(key)
        freed["results"] += 1
        freed["bytes"] += sum(file.bytes for file in commit.files.values()) if commit else 0
        if not dry:
            store.discard(key)
    if not dry:
        for run in known[:-keep] if keep else known:
            for path in list(store.home.list(f"runs/{run.id}")):
                store.home.delete(path)
        store.forget_scratch()
    return freed
