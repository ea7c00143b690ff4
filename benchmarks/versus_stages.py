"""Stage by stage: MB of text per second, and whether the filters judge alike."""

import json
from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Any

from benchmarks.cost import ALONE, cost
from benchmarks.ground import OURS, PACKAGES, THEIRS, Ground, read
from benchmarks.page import circumstances, keep, table, words

STAGES = (  # what the table calls it, theirs, ours
    ("Gopher repetition", "GopherRepetition", "GopherRepetition"),
    ("Gopher quality", "GopherQuality", "GopherQuality"),
    ("C4 quality", "C4Quality", "C4Quality"),
    ("FineWeb quality", "FineWebQuality", "FineWebQuality"),
    ("MinHash signature, 14 x 8, 5 words", "MinhashSignature", "MinHashDedup"),
    ("PII (theirs: 2 kinds; ours: 7)", "PIIFormatter", "ScrubPII"),
    ("Tokenise", "DocumentTokenizer", "Tokenize"),
)
OWN = (
    ("The four families above in one recipe, C4 rewriting between them", "Recipe"),
    ("The same, where no document leaves before the end", "Families"),
    ("RedPajama quality", "RedPajamaQuality"),
    ("Curator quality", "CuratorQuality"),
    ("C4 paragraphs", "C4Paragraphs"),
    ("All measures of these filters and MinHash, taken at once", "Measure"),
    ("Language", "LanguageFilter"),
)
NAMED = {"English": "en", "Portuguese": "pt"}


def compare_stages(ground: Ground) -> None:
    """Each stage alone on the same documents."""
    about = circumstances(*PACKAGES)
    them, us = (run(side, ground, name) for side, name in ((THEIRS, "datatrove"), (OURS, "bateia")))
    texts = read(ground)
    size = sum(len(row["text"].encode()) for row in texts) / 1e6
    speeds = [
        (name, size / them[a]["seconds"], size / us[b]["seconds"], ratio(them[a], us[b]))
        for name, a, b in STAGES
    ]
    speeds += [(name, None, size / us[key]["seconds"], None) for name, key in OWN]
    verdicts = [
        {"filter": f"{name}, {group}", **agreement(them[a], us[b], chosen)}
        for name, a, b in STAGES[:4]
        for group, chosen in groups(us["LanguageFilter"]["languages"]).items()
    ]
    text = f"""
## Stage by stage, against datatrove 0.10.1

`make bench`, {len(texts):,} documents, {size:.1f} MB of text out of the demo crawl, each stage alone on the
same texts, one thread; MB of text per second of CPU, of ours (seconds, not minutes) the best of three
times. Ours take their measures anew for each row of this table; in a pipeline they are taken once.

{table(["stage", "datatrove", "bateia", "times"], speeds)}

### The same verdicts?

Each filter alone, with its default bounds, on the same texts. datatrove judges all languages as
English, as its own recipe does. Where the two differ, it is by a definition changed on purpose:
`stages/measure.py` and `stages/quality.py` say which and why.

{table(HEAD, [tuple(row.values()) for row in verdicts])}

{words(about)}
"""
    keep("stages", {"about": about, "speeds": speeds, "verdicts": verdicts}, text)


HEAD = (
    "filter",
    "documents",
    "same verdict",
    "both drop",
    "only datatrove drops",
    "only bateia drops",
    "where they differ",
)


def run(side: Sequence[str], ground: Ground, name: str) -> dict[str, Any]:
    out = ground.work / f"{name}.json"
    command = [*side, "stages", str(ground.documents), str(ground.tokenizer), str(out)]
    cost(command, ground.work / f"{name}.log", **ALONE)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def ratio(theirs: dict[str, float], ours: dict[str, float]) -> float:
    return theirs["seconds"] / ours["seconds"]


def groups(languages: Sequence[str]) -> dict[str, list[bool]]:
    """Which documents are in which languages."""
    found = {name: [code == mine for mine in languages] for name, code in NAMED.items()}
    return {**found, "others": [code not in NAMED.values() for code in languages]}


def agreement(theirs: dict[str, Any], ours: dict[str, Any], chosen: list[bool]) -> dict[str, Any]:
    """How often two filters say the same of some documents, and by which rules they differ."""
    pairs = list(compress(zip(theirs["verdicts"], ours["verdicts"], strict=True), chosen))
    only_theirs = Counter(a for a, b in pairs if a and not b)
    only_ours = Counter(b for a, b in pairs if b and not a)
    same = sum((a is None) == (b is None) for a, b in pairs)
    rules = [*only_theirs.most_common(2), *only_ours.most_common(2)]
    return {
        "documents": len(pairs),
        "same": f"{same / max(1, len(pairs)):.1%}",
        "both": sum(bool(a and b) for a, b in pairs),
        "only_theirs": only_theirs.total(),
        "only_ours": only_ours.total(),
        "rules": ", ".join(f"{rule} {count}" for rule, count in rules),
    }
