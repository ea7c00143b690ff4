"""The story of one document, and the sum of a run, as text for a terminal."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.pages import report_html
from deploy.wording import bound, count, number, share, size
from pipelines.runs import Run
from pipelines.store import encode

CLIP = 300


def tell(story: list[dict[str, Any]]) -> str:
    """What happened to a document, pass by pass."""
    lines: list[str] = []
    for chapter in story:
        who = f"{chapter['id']}" + (f"  {chapter['url']}" if chapter.get("url") else "")
        steps = " > ".join(chapter["steps"]) or "read"
        lines += [
            clean(who),
            f"  {chapter['flow']}: {steps}  (shard {chapter['shard']}, from {chapter['input']})",
        ]
        for name, measured in chapter["measures"].items():
            lines.append(f"    {name} = {_number(measured['value'])}{_rule(measured.get('rule'))}")
        lines.append(f"    {_verdict(chapter)}")
        if chapter.get("text"):
            text = " ".join(chapter["text"].split())
            lines.append(f"    text: {clean(text[:CLIP])}{'...' if len(text) > CLIP else ''}")
    return "\n".join(lines)


def _verdict(chapter: dict[str, Any]) -> str:
    if chapter["verdict"] == "kept":
        return f"kept, {chapter['bytes']:,} bytes"
    if chapter["verdict"] == "quarantined":
        return f"quarantined at {chapter['stage']}: {clean(chapter.get('fault') or '')}"
    value = f" = {_number(chapter['value'])}" if "value" in chapter else ""
    copy = f"; kept instead: {clean(chapter['copy_of'])}" if "copy_of" in chapter else ""
    return f"dropped at {chapter['stage']} by {chapter['rule']}{value}{copy}"


def _rule(rule: Any) -> str:
    if not rule:
        return ""
    family, low, high = rule
    if low == float("-inf"):
        return f"   ({family}: at most {high:g})"
    return (
        f"   ({family}: {low:g} to {high:g})"
        if high != float("inf")
        else f"   ({family}: at least {low:g})"
    )


def _number(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def clean(text: str) -> str:
    """Text of a document without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def summary(report: dict[str, Any]) -> str:
    """What a run did, as a few lines: each flow's funnel, tokens, scores."""
    run = report["run"]
    lines = [
        f"{run['pipeline']}: {run['state']}; {run['computed']:,} results made, {run['reused']:,} found done"
    ]
    for flow in report["flows"]:
        lines.append(
            f"{flow['name']}  {flow['stages'][0]['in']:,} documents in"
            if flow["stages"]
            else flow["name"]
        )
        for stage in flow["stages"]:
            gone = {
                **stage["dropped"],
                **{f"quarantined: {k}": v for k, v in stage["quarantined"].items()},
            }
            if gone:
                reasons = ", ".join(
                    f"{name} {many:,}"
                    for name, many in sorted(gone.items(), key=lambda e: (-e[1], e[0]))
                )
                lines.append(f"  {stage['stage']:<20} {stage['out']:>9,} stay; {clean(reasons)}")
        if flow["counts"]:
            lines.append(
                "  " + ", ".join(f"{many:,} {name}" for name, many in flow["counts"].items())
            )
    for job in report["jobs"]:
        numbers = ", ".join(
            f"{name} {_number(value)}" for name, value in job.get("numbers", {}).items()
        )
        lines.append(f"{job['flow']}  {job['job']}" + (f": {numbers}" if numbers else ""))
        for score in job.get("scores", []):
            ends = [
                _number(score[side]) for side in ("before", "after") if score.get(side) is not None
            ]
            lines.append(
                f"  {score['name']} {score.get('group') or ''}: {' -> '.join(ends) or _number(score.get('value'))}"
            )
    return "\n".join(lines)


def forecast(flow: str, numbers: Mapping[str, Any]) -> str:
    """What some bounds would keep, for a terminal."""
    now, new, on = numbers["now"], numbers["new"], numbers["goes_on"]
    lines = [
        f"{flow}  {count(numbers['came'])} documents in, {count(numbers['judged'])} to its filters"
    ]
    for name, read in (("documents", count), ("bytes", size), ("tokens", count)):
        if now[name] is not None:
            lines.append(f"  {name:<10} {read(now[name]):>12} kept -> {read(new[name]):>12}")
    if on["documents"]:
        lines.append(
            f"  {count(on['documents'])} more go on to stages that have not judged them; about "
            f"{count(on['estimate'])} stay, if they fare as those did that passed the same filter"
        )
    for filtered in numbers["filters"]:
        unknown = f", {count(filtered['unjudged'])} not judged" if filtered["unjudged"] else ""
        lines.append(
            f"  {filtered['name']:<20} {count(filtered['now']):>9} pass -> {count(filtered['new']):>9}{unknown}"
        )
    for row in numbers["languages"]:
        if row["now"] != row["new"] or row["goes_on"]:
            lines.append(
                f"  {clean(row['name'] or '?'):<6} {count(row['now']):>9} kept -> {count(row['new']):>9} "
                f"({share(row['new'], row['in'])}), {count(row['goes_on'])} go on"
            )
    return "\n".join(lines)


def example(row: Mapping[str, Any]) -> str:
    """A document for a terminal."""
    text = " ".join((row.get("text") or "").split())
    kept = f"kept; {row['measured']}" if "measured" in row else "kept"
    what = row.get("rule") or row.get("fault") or row.get("stage") or kept
    value = f" = {number(row['value'])}" if row.get("value") is not None else ""
    limit = f" (bound: {bound(row['bound'])})" if "bound" in row else ""
    copy = f"; copy of {row['copy_of']}" if row.get("copy_of") else ""
    language = f"  [{row['language']}]" if row.get("language") else ""
    lines = (
        f"{row['id']}  {row.get('url') or ''}{language}",
        f"  {' '.join([row['flow'], row.get('stage') or '']).strip()}: {what}{value}{limit}{copy}",
        f"  {text[:CLIP]}{'...' if len(text) > CLIP else ''}",
    )
    return "\n".join(map(clean, lines)) + "\n"


def write_report(run: Run, report: dict[str, Any], folder: Path | None = None) -> str:
    """Write the report as HTML and JSON beside the run, or to a folder; where the page is."""
    page = report_html(report).encode("utf-8", "replace")
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.html").write_bytes(page)
        (folder / "report.json").write_bytes(encode(report))
        return str(folder / "report.html")
    run.store.overwrite(f"runs/{run.id}/report.json", encode(report))
    run.store.overwrite(f"runs/{run.id}/report.html", page)
    return f"{run.store.home.url}/runs/{run.id}/report.html"
