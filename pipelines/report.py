"""What a run found and did, as one JSON object of bounded size, from the store alone."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from pipelines.copies import copies
from pipelines.graph import Pipeline
from pipelines.plan import Pass, passes
from pipelines.runs import Run
from pipelines.store import Commit, Store
from pipelines.worker import READ
from stages.base import Source
from stages.config import dump_step
from stages.describe import EDGES, Description, merge_counts, top
from stages.shards import DESCRIBE

SCHEMA = 1
SHARDS = 500  # rows of the table, the slowest first
DOMAINS = 100
QUARANTINED = 50


def report(run: Run) -> dict[str, Any]:
    """The report of a run; every part adds up over shards, passes and flows."""
    record = run.record
    pipeline = run.pipeline()
    flows: dict[str, dict[str, Any]] = {}
    jobs = []
    for stretch in record.get("stretches", []):
        if "job" in stretch:
            jobs.append(_job(run.store, stretch, pipeline))
        else:
            flow = flows.setdefault(stretch["flow"], _flow(pipeline, stretch["flow"]))
            _add_pass(run.store, flow, stretch)
            flow["stretches"].append(stretch)
    for flow in flows.values():
        flow["copies"] = copies(run.store, flow.pop("stretches"), flow["passes"])
    for flow in flows.values():
        _finish(flow, pipeline)
    about = {key: value for key, value in record.items() if key not in ("stretches", "schema")}
    passed = record.get("stretches", [])
    made = sum(s["computed"] for s in passed)
    total = sum(len(s["keys"]) + len(s["barrier_keys"]) for s in passed)
    return {
        "schema": SCHEMA,
        "run": {"id": run.id, **about, "computed": made, "reused": total - made},
        "flows": list(flows.values()),
        "jobs": jobs,
    }


def quarantined(data: dict[str, Any]) -> tuple[int, int]:
    """How many documents came in from outside, and how many of all were quarantined."""
    came = sum(
        flow["stages"][0]["in"] for flow in data["flows"] if flow["reads"] and flow["stages"]
    )
    broken = [
        sum(stage["quarantined"].values()) for flow in data["flows"] for stage in flow["stages"]
    ]
    return came, sum(broken)


def _flow(pipeline: Pipeline, name: str) -> dict[str, Any]:
    inputs = pipeline.flows[name].inputs
    return {
        "name": name,
        "from": [i if isinstance(i, str) else type(i).__name__ for i in inputs],
        "reads": any(isinstance(i, Source) for i in inputs),
        "stages": [],
        "seconds": 0.0,
        "peak_memory": 0,
        "counts": {},
        "shards": {},
        "passes": [],
        "stretches": [],
    }


def _add_pass(store: Store, flow: dict[str, Any], stretch: dict[str, Any]) -> None:
    description = Description()
    stages: dict[str, dict[str, Any]] = {}
    for number, key in enumerate(stretch["keys"]):
        commit = store.get(key)
        described = json.loads(store.open(key, DESCRIBE).read_bytes())
        description.merge(described)
        for counts in commit.result["stages"]:
            name = counts["stage"]
            seconds = {"seconds": commit.made["seconds"].get(name, 0.0)}
            numbers = {k: v for k, v in counts.items() if k != "stage"}
            merge_counts(stages.setdefault(name, {}), {**numbers, **seconds})
        _add_shard(flow, number, commit)
    first = not flow["passes"]
    for name, numbers in stages.items():
        if name != READ or first:
            flow["stages"].append({"stage": name, **numbers})
        elif numbers["quarantined"]:
            flow["stages"].append({"stage": f"{name} again", **numbers})
        else:
            flow["seconds_reading"] = flow.get("seconds_reading", 0.0) + numbers["seconds"]
    if stretch["barrier_keys"]:
        flow.setdefault("barriers", []).append(
            {"after": stretch["steps"], "seconds": stretch["barrier_seconds"]}
        )
    flow["passes"].append(description)


def _add_shard(flow: dict[str, Any], number: int, commit: Commit) -> None:
    stages = commit.result["stages"]
    shard = flow["shards"].setdefault(
        number,
        {"input": commit.result["input"], "in": stages[0]["in"], "dropped": 0, "quarantined": 0},
    )
    shard["key"], shard["kept"] = commit.key, stages[-1]["out"]
    shard["dropped"] += sum(sum(stage["dropped"].values()) for stage in stages)
    shard["quarantined"] += sum(sum(stage["quarantined"].values()) for stage in stages)
    shard["bytes"] = sum(file.bytes for file in commit.files.values())
    shard["seconds"] = round(shard.get("seconds", 0.0) + commit.made["cpu"], 3)
    shard["peak_memory"] = max(shard.get("peak_memory", 0), commit.made["peak_memory"])
    shard["counts"] = commit.result["counts"]
    merge_counts(flow["counts"], commit.result["counts"])


def _finish(flow: dict[str, Any], pipeline: Pipeline) -> None:
    """Turn what was gathered of a flow into what people look at."""
    shards = sorted(
        flow["shards"].values(), key=lambda s: (-s["quarantined"], -s["seconds"], s["key"])
    )
    flow["seconds"] = round(sum(s["seconds"] for s in shards), 3)
    flow["peak_memory"] = max((s["peak_memory"] for s in shards), default=0)
    flow["shards_total"], flow["shards"] = len(shards), shards[:SHARDS]
    steps = pipeline.flows[flow["name"]].steps
    work = passes(flow["name"], pipeline.flows[flow["name"]])
    configs = {type(step).__name__: next(iter(dump_step(step).items())) for step in steps}
    for stage in flow["stages"]:
        if stage["stage"] in configs:
            stage["step"], stage["config"] = configs[stage["stage"]]
    descriptions: list[Description] = flow.pop("passes")
    rules = [list(_rules(each)) for each in work[: len(descriptions)]]
    flow["distributions"] = [
        entry
        for described, judged in zip(descriptions, rules, strict=True)
        for entry in _distributions(described, judged)
    ]
    for table, name in (("language", "languages"), ("domain", "domains"), ("source", "sources")):
        flow[name] = _table(descriptions, table)
    groups = [(g, rows) for d in descriptions for g, rows in d.samples.items()]
    last = descriptions[-1].samples if descriptions else {}
    bounds = {reason: bound for judged in rules for _, reason, bound in judged}
    flow["samples"] = [
        {**row, "bound": bounds.get(row.get("rule", ""))}
        for group, rows in groups
        if group != "quarantine" and (not group.startswith("kept") or group in last)
        for _, row in rows
    ]
    flow["quarantine"] = [row for g, rows in groups if g == "quarantine" for _, row in rows][
        :QUARANTINED
    ]


def _rules(work: Pass) -> Iterator[tuple[str, str, list[float | None]]]:
    """Every rule of a pass: the column it judges, its reason, its bounds."""
    for _, step, columns in work.filters:
        for name, low, high in step.rules:
            yield columns[name], f"{step.family}.{name}", [_finite(low), _finite(high)]


def _finite(value: float) -> float | None:
    return None if np.isinf(value) else value


def _distributions(
    description: Description, rules: list[tuple[str, str, list[float | None]]]
) -> Iterator[dict[str, Any]]:
    """The histograms of a pass, without the empty bins at both ends."""
    for name, sides in sorted(description.histograms.items()):
        total = sum(sides.values())
        used = np.flatnonzero(total)
        if not len(used):
            continue
        low, high = int(used[0]), int(used[-1]) + 1
        empty = np.zeros(len(EDGES) - 1, np.int64)
        lines = [
            {"stage": reason.rpartition(".")[0], "low": bound[0], "high": bound[1]}
            for column, reason, bound in rules
            if column == name
        ]
        yield {
            "measure": name,
            "edges": [round(float(edge), 4) for edge in EDGES[low : high + 1]],
            "kept": sides.get("kept", empty)[low:high].tolist(),
            "dropped": sides.get("dropped", empty)[low:high].tolist(),
            "rules": lines,
        }


def _table(descriptions: list[Description], table: str) -> list[dict[str, Any]]:
    """What came in, from the first pass that knows the table; what stayed, from the last."""
    known = [d.tables[table] for d in descriptions if d.tables[table]]
    if not known:
        return []
    first, last = known[0], known[-1]
    merged = {name: [entry[0], *last.get(name, [0, 0, 0])[1:]] for name, entry in first.items()}
    return top(merged, DOMAINS)


def _job(store: Store, stretch: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    flow = pipeline.flows[stretch["flow"]]
    ((step, config),) = dump_step(flow.steps[-1]).items()
    found: dict[str, Any] = {
        "flow": stretch["flow"],
        "from": list(flow.inputs),
        "job": step.rpartition(".")[2],
        "config": config,
    }
    for key in stretch["keys"]:
        made = store.get(key).made
        found |= {"seconds": made["cpu"], "wall": round(made["ended"] - made["began"], 3)}
        found |= made["job"]
    return found
