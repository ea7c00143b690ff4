"""The report of a run as one HTML page that needs nothing but itself.

`report_html` takes the report as plain data (schema 1, see `pipelines/report.py`; every key may be
missing) and returns a page of at most `LIMIT` bytes. Its content security policy names the hashes
of its own scripts and styles and forbids everything else, so a page that holds whatever the crawl
brought in runs none of it and asks the network for nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import ChainableUndefined, Environment, FileSystemLoader
from markupsafe import Markup

from deploy import drawing, wording
from deploy.wording import count, given, name, show

Data = dict[str, Any]

LIMIT = 3_000_000  # bytes of the page, whatever the corpus
TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Bounds:
    """How much of each kind the page holds."""

    rows: int = 500
    groups: int = 100  # languages, domains, sources
    clusters: int = 6  # of copies, of each deduplication
    samples: int = 200  # of each flow; as many again for the quarantine
    characters: int = 4000  # of each text of a document
    bins: int = 64
    points: int = 400

    def halved(self) -> Bounds:
        """The next smaller bounds: first only texts and clusters, then everything, each to its floor."""
        if self.characters > 1000:
            characters = self.characters // 2
            return replace(self, characters=characters, clusters=max(self.clusters // 2, 1))
        return Bounds(
            rows=max(self.rows // 2, 10),
            groups=max(self.groups // 2, 10),
            clusters=max(self.clusters // 2, 1),
            samples=max(self.samples // 2, 5),
            characters=max(self.characters // 2, 100),
            bins=max(self.bins // 2, 8),
            points=max(self.points // 2, 25),
        )


def report_html(report: Data) -> str:
    """The whole page; the larger the report, the less of its samples and long tables is shown."""
    bounds = Bounds()
    while True:
        page = render(report, bounds)
        smaller = bounds.halved()
        if len(page.encode()) <= LIMIT or smaller == bounds:
            return page
        bounds = smaller


def render(report: Data, bounds: Bounds) -> str:
    """The page within these bounds."""
    flows = [flow_view(flow, bounds) for flow in report.get("flows") or []]
    jobs = [job_view(job, bounds) for job in report.get("jobs") or []]
    style, *scripts = (read(name) for name in ("report.css", "echarts.min.js", "report.js"))
    charts: list[Data] = []

    def chart(kind: str, **data: Any) -> int:
        """Keep what a chart draws for the data block, and say which one it is."""
        charts.append({"kind": kind, **data})
        return len(charts) - 1

    return (
        environment()
        .get_template("report.html")
        .render(
            run=run_view(report.get("run") or {}),
            flows=flows,
            jobs=jobs,
            total=totals(flows),
            graphs=[drawing.graph(flows, jobs, down=down) for down in (False, True)],
            bounds=bounds,
            chart=chart,
            data=lambda: script_json(charts),
            policy=policy(style, scripts),
            style=Markup(style),  # noqa: S704 - our own files
            scripts=[Markup(script) for script in scripts],  # noqa: S704
            show=lambda value, limit=bounds.characters: show(value, limit),
        )
    )


@cache
def read(name: str) -> str:
    """A file beside the template."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def environment() -> Environment:
    """Templates that escape everything and take a missing key for nothing."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= wording.FILTERS
    return made


def policy(style: str, scripts: Iterable[str]) -> str:
    """The content security policy: these very scripts, this style, images from data, no more."""
    hashes = " ".join(map(digest, scripts))
    return (
        f"default-src 'none'; script-src {hashes}; style-src {digest(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    """A text's hash as a source of a content security policy."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def script_json(value: Any) -> Markup:
    """JSON that cannot leave its script block: ASCII without `<`, `>`, `&`; no NaN."""
    text = json.dumps(finite(value), allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - escaped above


def finite(value: Any) -> Any:
    """Plain data for a script: what is no number becomes null, names show what does not print."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return name(value) if isinstance(value, str) else value


def run_view(run: Data) -> Data:
    """The run with how long it took."""
    view = dict(run)
    if not given(run.get("seconds")) and run.get("started") and run.get("ended"):
        ended, started = (datetime.fromisoformat(run[key]) for key in ("ended", "started"))
        view["seconds"] = (ended - started).total_seconds()
    return view


def flow_view(flow: Data, bounds: Bounds) -> Data:
    """A flow with its sums, its checks, its reasons sorted, and everything long cut to bounds."""
    stages = [stage_view(stage) for stage in flow.get("stages") or []]
    first = stages[0]["in"] if stages else 0
    reasons = sorted(
        ({"rule": rule, "stage": s["stage"], "n": n} for s in stages for rule, n in s["rules"]),
        key=lambda row: -row["n"],
    )
    view = {
        **flow,
        "stages": stages,
        "in": first,
        "kept": stages[-1]["out"] if stages else 0,
        "gone": sum(stage["gone"] for stage in stages),
        "broken": sum(stage["broken"] for stage in stages),
        "faults": faults(stages),
        "reasons": reasons[: bounds.rows],
        "reasons_total": len(reasons),
        "shards": (flow.get("shards") or [])[: bounds.rows],
        "samples": (flow.get("samples") or [])[: bounds.samples],
        "quarantine": (flow.get("quarantine") or [])[: bounds.samples],
        "distributions": [rebin(one, bounds.bins) for one in histograms(flow)],
    }
    view["copies"] = [copies_view(one, bounds) for one in flow.get("copies") or []]
    view["stages_drawn"] = [drawing.bars(stage) for stage in stages if judges(stage)]
    view["sampled"] = {sample.get("rule") for sample in view["samples"]}
    view["timed"] = sum(stage.get("seconds") or 0 for stage in stages)
    for key in ("languages", "domains", "sources"):
        rows = sorted(flow.get(key) or [], key=lambda row: -(row.get("in") or 0))
        view[key] = rows[: bounds.groups]
        view[f"{key}_total"] = len(rows)
    return view


def copies_view(found: Data, bounds: Bounds) -> Data:
    """What a deduplication found, with the share of pairs of each similarity that were likely missed."""
    pairs, recall = found.get("by_similarity") or [], found.get("recall") or []
    width = 1 / len(pairs) if pairs else 0
    alike = [
        {
            "low": at * width,
            "high": (at + 1) * width,
            "pairs": many,
            "recall": chance,
            "missed": many / chance - many,
            "counts": at * width >= (found.get("similarity") or 0) - 1e-9,
        }
        for at, (many, chance) in enumerate(zip(pairs, recall or [1] * len(pairs), strict=False))
        if many
    ]
    sizes = {
        key: [(int(low), many) for low, many in (found.get(key) or {}).items()]
        for key in ("sizes", "candidates")
    }
    return {
        **found,
        **{key: sorted(rows) for key, rows in sizes.items()},
        "by_similarity": alike,
        "curved": bool(recall),
        "largest": (found.get("largest") or [])[: bounds.clusters],
        "domains": (found.get("domains") or [])[: bounds.groups],
        "sources": (found.get("sources") or [])[: bounds.groups],
    }


def judges(stage: Data) -> bool:
    """Whether a document can leave at a stage; one that measures or sketches is in the table only."""
    silent = str(stage.get("stage")).startswith("Measure") or str(stage.get("stage")).endswith(
        ".sketch"
    )
    return bool(not silent or stage["gone"] or stage["broken"])


def stage_view(stage: Data) -> Data:
    """A stage with its drops sorted, its sums and its speed."""
    rules = sorted((stage.get("dropped") or {}).items(), key=lambda item: -item[1])
    seconds = stage.get("seconds")
    speed = (
        {f"{key}_s": (stage.get(key) or 0) / seconds for key in ("in", "bytes_in")}
        if seconds
        else {}
    )
    broken = stage.get("quarantined") or {}
    return {
        "in": 0,
        "out": 0,
        **stage,
        **speed,
        "rules": rules,
        "gone": sum(n for _, n in rules),
        "broken": sum(broken.values()),
        "broken_by": sorted(broken.items(), key=lambda item: -item[1]),
    }


def faults(stages: list[Data]) -> list[str]:
    """Where the numbers do not add up: within a stage, and from one stage to the next."""
    wrong = [
        f"{stage.get('stage')}: {count(stage['in'])} in, but {count(stage['out'])} kept + "
        f"{count(stage['gone'])} dropped + {count(stage['broken'])} quarantined"
        for stage in stages
        if stage["in"] != stage["out"] + stage["gone"] + stage["broken"]
    ]
    return wrong + [
        f"{before.get('stage')} let {count(before['out'])} through, but "
        f"{after.get('stage')} got {count(after['in'])}"
        for before, after in pairwise(stages)
        if before["out"] != after["in"]
    ]


def totals(flows: list[Data]) -> Data:
    """The run as a whole: what came from outside, what the last flows kept, what left between."""
    chains = {flow.get("name"): flow for flow in flows if flow["stages"]}
    fed = {source for flow in chains.values() for source in flow.get("from") or []}
    inner = sum(
        chains[source]["kept"]
        for flow in chains.values()
        for source in flow.get("from") or []
        if source in chains
    )
    reasons: dict[str, int] = {}
    for row in (row for flow in flows for stage in flow["stages"] for row in stage["rules"]):
        reasons[row[0]] = reasons.get(row[0], 0) + row[1]
    counts: dict[str, float] = {}
    for key, n in ((k, n) for flow in flows for k, n in (flow.get("counts") or {}).items()):
        counts[key] = counts.get(key, 0) + n
    came = max(sum(flow["in"] for flow in chains.values()) - inner, 0)
    kept = sum(flow["kept"] for key, flow in chains.items() if key not in fed)
    broken = sum(flow["broken"] for flow in flows)
    return {
        "in": came,
        "kept": kept,
        "gone": max(
            came - kept - broken, 0
        ),  # a document that one branch leaves out, another keeps
        "broken": broken,
        "worst": max(reasons.items(), key=lambda item: item[1], default=None),
        "counts": counts,
    }


def histograms(flow: Data) -> list[Data]:
    """Every distribution of a flow, those that a rule judges by first."""
    found = flow.get("distributions") or []
    return sorted(found, key=lambda one: not one.get("rules"))


def rebin(one: Data, most: int) -> Data:
    """A histogram of at most so many bins; neighbours are added, so that no document is lost.

    A measure that counts has nothing between 0 and 1: the empty bins there become one.
    """
    edges = [*(one.get("edges") or [])]
    bins = max(len(edges) - 1, 0)
    sides = [[*(one.get(key) or [0] * bins)] for key in ("kept", "dropped")]
    cuts = list(range(bins + 1))
    if bins and edges[-1] > 1:
        empty = [not any(side[at] for side in sides) for at in range(bins)]
        cuts = [
            c for c in cuts if not (0 < c < bins and edges[c] < 1 and empty[c - 1] and empty[c])
        ]
    step = max(1, math.ceil((len(cuts) - 1) / most))
    cuts = [*cuts[:-1:step], cuts[-1]]
    kept, dropped = ([sum(side[a:b]) for a, b in pairwise(cuts)] for side in sides)
    return {**one, "edges": [edges[at] for at in cuts if edges], "kept": kept, "dropped": dropped}


def job_view(job: Data, bounds: Bounds) -> Data:
    """A job with its curves thinned and the scale of each unit of its scores."""
    series = [
        {
            **one,
            "points": thin(one.get("points") or [], bounds.points),
            "of": len(one.get("points") or []),
        }
        for one in job.get("series") or []
    ]
    scores = [*(job.get("scores") or [])][: bounds.rows]
    return {**job, "series": series, "scores": drawing.intervals(scores)}


def thin(points: list[list[float]], most: int) -> list[list[float]]:
    """At most so many points: the lowest and highest of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return points
    stretch = math.ceil(len(points) / ((most - 2) // 2))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), stretch):
        indices = range(start, min(start + stretch, len(points)))
        kept |= {min(indices, key=lambda i: points[i][1]), max(indices, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]
