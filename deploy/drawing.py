"""What the report draws without a script: the graph of flows, the intervals of scores."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

ACROSS, DOWN = (196, 74), (150, 88)  # a box of the wide and of the narrow drawing, in its own units
APART, BESIDE = 84, 20  # between a box and the next, and between neighbours


def graph(flows: list[Data], jobs: list[Data], *, down: bool) -> Data:
    """Boxes and arrows of the flows, from left to right, or downwards for a narrow page."""
    wide, high = DOWN if down else ACROSS
    boxes = {flow.get("name"): flow_box(flow) for flow in flows}
    for job in jobs:
        boxes.setdefault(job.get("flow"), {"name": job.get("flow")})
        boxes[job.get("flow")] |= {
            "kind": "job",
            "job": job.get("job"),
            "seconds": job.get("seconds"),
        }
    links = []
    ends = [(flow.get("name"), flow.get("from") or []) for flow in flows]
    ends += [(job.get("flow"), job["from"]) for job in jobs if job.get("from")]
    for target, sources in dict(ends).items():
        for number, source in enumerate(sources):
            key = source if source in boxes else (target, number)
            boxes.setdefault(key, {"name": source, "kind": "source"})
            links.append((key, target))
    ranks = depths(list(boxes), links)
    last = max(ranks.values(), default=0) + 1
    fed = {target for _, target in links}
    ranks |= {key: last for key in boxes if boxes[key].get("kind") == "job" and key not in fed}
    place(boxes, ranks, down)
    edges = [arrow(boxes[a], boxes[b], carried(boxes[a], b, flows), down) for a, b in links]
    return {
        "boxes": list(boxes.values()),
        "edges": edges,
        "width": max((box["x"] for box in boxes.values()), default=0) + wide + 2,
        "height": max((box["y"] for box in boxes.values()), default=0) + high + 2,
        "wide": wide,
        "high": high,
        "down": down,
    }


def flow_box(flow: Data) -> Data:
    """What a flow's box says."""
    box = {"name": flow.get("name"), "kind": "flow"}
    if flow["stages"]:
        box |= {"in": flow["in"], "kept": flow["kept"]}
    return box


def depths(names: list[Any], links: list[tuple[Any, Any]]) -> dict[Any, int]:
    """How many arrows lead to each box at most (a circle, which no pipeline has, ends the search)."""
    ranks = dict.fromkeys(names, 0)
    for _ in names:
        for source, target in links:
            ranks[target] = max(ranks[target], min(ranks[source] + 1, len(names)))
    return ranks


def place(boxes: dict[Any, Data], ranks: dict[Any, int], down: bool) -> None:
    """Give each box its corner: one rank behind the other, each rank in the middle."""
    levels: dict[int, list[Any]] = {}
    for key in boxes:
        levels.setdefault(ranks[key], []).append(key)
    most = max(map(len, levels.values()), default=0)
    wide, high = DOWN if down else ACROSS
    broad, along = (wide, high + APART // 2) if down else (high, wide + APART)
    for position, rank in enumerate(sorted(levels)):
        free = (most - len(levels[rank])) * (broad + BESIDE) / 2
        for index, key in enumerate(levels[rank]):
            across = 1 + free + index * (broad + BESIDE)
            x, y = (across, 1 + position * along) if down else (1 + position * along, across)
            boxes[key] |= {"x": x, "y": y}


def arrow(start: Data, end: Data, documents: int | None, down: bool) -> Data:
    """A curve from a box to another, and where its number stands."""
    wide, high = DOWN if down else ACROSS
    if down:
        ax, ay = start["x"] + wide / 2, start["y"] + high
        bx, by = end["x"] + wide / 2, end["y"]
        bend = (by - ay) / 2
        path = f"M{ax} {ay}C{ax} {ay + bend} {bx} {by - bend} {bx} {by - 6}"
        head = f"M{bx - 4} {by - 8}L{bx} {by}L{bx + 4} {by - 8}Z"
    else:
        ax, ay = start["x"] + wide, start["y"] + high / 2
        bx, by = end["x"], end["y"] + high / 2
        bend = (bx - ax) / 2
        path = f"M{ax} {ay}C{ax + bend} {ay} {bx - bend} {by} {bx - 6} {by}"
        head = f"M{bx - 8} {by - 4}L{bx} {by}L{bx - 8} {by + 4}Z"
    return {"path": path, "head": head, "n": documents, "x": (ax + bx) / 2, "y": (ay + by) / 2}


def carried(start: Data, target: Any, flows: list[Data]) -> int | None:
    """How many documents an arrow carries, where the report says so."""
    if "kept" in start:
        kept: int = start["kept"]
        return kept
    flow = next((flow for flow in flows if flow.get("name") == target and flow["stages"]), None)
    if not flow:
        return None
    outside = {row.get("name"): row.get("in") for row in flow.get("sources") or []}
    return outside.get(start["name"], flow["in"] if flow.get("from") == [start["name"]] else None)


def bars(stage: Data, most: int = 8) -> Data:
    """A stage as the funnel draws it: its largest rules by name, the others as one."""
    rules = stage["rules"][:most]
    if len(stage["rules"]) > most:
        others = stage["rules"][most - 1 :]
        rules = [*rules[:-1], (f"{len(others)} other rules", sum(n for _, n in others))]
    numbers = {key: stage[key] for key in ("in", "out", "gone", "broken")}
    return {"name": stage.get("stage") or "", "rules": rules, **numbers}


def change(score: Data) -> Any:
    """What the report says of the change, or else the difference."""
    before, after = score.get("before"), score.get("after")
    if score.get("change") is not None or before is None or after is None:
        return score.get("change")
    return after - before


def intervals(scores: list[Data]) -> list[Data]:
    """Each score with its marks as percents of the scale that all scores of its unit share."""
    keys = ("before", "after", "low", "high")
    scales: dict[Any, list[float]] = {}
    for score in scores:
        values = (score.get(key) for key in keys)
        scales.setdefault(score.get("unit"), []).extend(v for v in values if v is not None)
    return [
        {
            **score,
            "change": change(score),
            "marks": {
                key: 4 + 92 * (score[key] - min(scale)) / ((max(scale) - min(scale)) or 1)
                for key in keys
                if score.get(key) is not None
            },
        }
        for score in scores
        for scale in [scales[score.get("unit")]]
    ]
