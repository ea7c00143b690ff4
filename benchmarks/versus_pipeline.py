"""The whole recipe, from WARC files to tokens: CPU seconds per page, peak memory."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.cost import ALONE, Cost, cost
from benchmarks.ground import OURS, PACKAGES, THEIRS, Ground
from benchmarks.page import circumstances, earlier, keep, table, words

EXTRACTORS = ("resiliparse", "trafilatura")
Counts = dict[str, int]
HEAD = (
    "",
    "pages read",
    "documents kept",
    "tokens",
    "CPU s",
    "CPU ms per page",
    "times less",
    "wall s",
    "MB, largest process",
    "commit",
)


def compare_pipelines(ground: Ground, extractors: Sequence[str] = EXTRACTORS) -> None:
    """Each side in one process at a time, one after the other."""
    about = circumstances(*PACKAGES)
    first = run(ground, "bateia", EXTRACTORS[0], "first")["cpu"]
    runs = {
        extractor: {side: run(ground, side, extractor) for side in SIDES}
        for extractor in extractors
    }
    for both in runs.values():
        for found in both.values():
            found["commit"] = about["commit"]
    runs = {**earlier("pipeline").get("runs", {}), **runs}  # an extractor not run now, as it was
    rows = [
        (
            f"{side}, {extractor}",
            *(int(found[name]) for name in ("pages", "documents", "tokens")),
            round(found["cpu"], 1),
            each(found),
            each(both["datatrove"]) / each(found) if side == "bateia" else None,
            round(found["wall"], 1),
            round(found["worker"] / 1e6),
            found["commit"],
        )
        for extractor, both in runs.items()
        for side, found in both.items()
    ]
    sizes = [path.stat().st_size for path in ground.crawl.glob("*.warc.gz")]
    text = f"""
## The whole pipeline, against datatrove 0.10.1

`make bench`, {len(sizes)} WARC files, {sum(sizes) / 1e6:.0f} MB: extract, Gopher repetition and quality, C4, FineWeb,
MinHash, PII, tokenise; one worker; the same extractor on both sides, with the same options. CPU of
the whole process tree, from start to end, loading included. A page that a side did not read is not
counted for it: datatrove loses XHTML without a word. Each side runs in an environment of what its
user installs. Our kernels are compiled by the first run on a machine and kept: a run before these took
{first:.0f} CPU s.

{table(HEAD, rows)}

{words(about)}
"""
    keep("pipeline", {"about": about, "runs": runs}, text)


def run(ground: Ground, side: str, extractor: str, name: str = "") -> dict[str, float]:
    """What a side costs and what it made."""
    command, count = SIDES[side]
    home = ground.work / f"{side}-{extractor}{name}"
    home.mkdir()
    where = [str(ground.crawl), str(home), str(ground.tokenizer), extractor]
    spent: Cost = cost([*command, "pipeline", *where], home / "log.txt", **ALONE)
    return {**spent.plain(), **count(home)}


def each(found: dict[str, float]) -> float:
    """CPU milliseconds per page that was read."""
    return 1000 * found["cpu"] / found["pages"]


def count_theirs(home: Path) -> Counts:
    def total(step: str, at: int, name: str) -> int:
        stats = json.loads((home / "log" / step / "stats.json").read_text())[at]["stats"]
        value = stats[name]
        return int(value["total"] if isinstance(value, dict) else value)

    tokens = sum(path.stat().st_size // 2 for path in (home / "tokens").glob("*.ds"))
    kept = total("tokens", 1, "forwarded")
    return {"pages": total("filter", 0, "documents"), "documents": kept, "tokens": tokens}


def count_ours(home: Path) -> Counts:
    flow = json.loads((home / "report.json").read_text())["flows"][0]
    pages = next(stage["in"] for stage in flow["stages"] if stage["stage"] == "HtmlToText")
    counts = flow["counts"]
    return {"pages": pages, "documents": counts["documents"], "tokens": counts["tokens"]}


SIDES: dict[str, tuple[Sequence[str], Callable[[Path], Counts]]] = {
    "datatrove": (THEIRS, count_theirs),
    "bateia": (OURS, count_ours),
}
