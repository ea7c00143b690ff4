"""What a run found of copies: clusters, the largest with their members, shares by domain and source."""

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.exchange import documents_of
from pipelines.store import Store
from stages.describe import Description, hosts
from stages.shards import REJECTS

Data = dict[str, Any]

GROUPS = 50  # domains and sources named, those with most copies
CLIP, LEAD = 1_200, 200  # characters shown of a text, and of them before the first difference
TOKENS = 250  # of them that are compared: what is compared costs their square


def copies(store: Store, stretches: list[Data], passes: list[Description]) -> list[Data]:
    """What each barrier of a flow that keeps one of several copies says, and where they were."""
    found = []
    for at, stretch in enumerate(stretches[:-1]):
        about = _about(store, stretch["barrier_keys"])
        if about:
            after, stage = stretches[at + 1], stretches[at + 1]["steps"][0]
            largest = about.pop("largest")
            found.append(
                {
                    "stage": stage,
                    **about,
                    "largest": _members(store, stretch["keys"], largest),
                    **_shares(store, after["keys"], stage, passes[at + 1]),
                }
            )
    return found


def _about(store: Store, keys: list[str]) -> Data:
    """What the barrier whose rounds these are says of its decision; empty if it keeps no copies."""
    for key in reversed(keys):
        result = store.get(key).result
        if "about" in result:
            return dict(result["about"])
    return {}


def _members(store: Store, shards: list[str], largest: list[Data]) -> list[Data]:
    """The largest clusters with the documents themselves in place of their numbers."""
    named = [doc for one in largest for doc in (one["kept"], *(doc for doc, _ in one["copies"]))]
    known: dict[int, Data] = {}
    for number in sorted({doc >> 32 for doc in named}):
        here = sorted({doc & 0xFFFFFFFF for doc in named if doc >> 32 == number})
        rows = np.array(here, np.uint64)
        for batch, picked in documents_of(store, shards[number], rows, ["id", "url", "text"]):
            for row, document in zip(picked.tolist(), batch.to_pylist(), strict=True):
                known[(number << 32) + row] = document
    return [
        {
            "size": one["size"],
            "id": known[one["kept"]]["id"],
            "url": known[one["kept"]]["url"],
            "copies": [
                {
                    "id": known[doc]["id"],
                    "url": known[doc]["url"],
                    "similarity": similarity,
                    **difference(known[one["kept"]]["text"], known[doc]["text"]),
                }
                for doc, similarity in one["copies"]
            ],
        }
        for one in largest
    ]


def difference(kept: str, copy: str) -> Data:
    """Where two texts differ, word by word, from shortly before the first difference on.

    `segments` are [kept, copy]: equal where both have the same. `skipped` characters are before them,
    and `more` says that the texts go on.
    """
    common = next(
        (at for at, (a, b) in enumerate(zip(kept, copy, strict=False)) if a != b),
        min(len(kept), len(copy)),
    )
    start = max(0, common - LEAD) if kept != copy else 0
    start = kept.rfind(" ", 0, start) + 1 if start else 0
    token = re.compile(r"\s*\w+|\s*[^\w\s]|\s+")
    sides: list[list[str]] = [
        token.findall(text[start : start + CLIP])[:TOKENS] for text in (kept, copy)
    ]
    matcher = SequenceMatcher(None, sides[0], sides[1], autojunk=False)
    segments = [
        ["".join(sides[0][a:b]), "".join(sides[1][c:d])] for _, a, b, c, d in matcher.get_opcodes()
    ]
    return {
        "segments": segments,
        "skipped": start,
        "more": any(
            len(text) > start + len("".join(side))
            for text, side in zip((kept, copy), sides, strict=True)
        ),
    }


def _shares(store: Store, shards: list[str], stage: str, description: Description) -> Data:
    """Of the domains and sources with most copies, how many documents came and how many were copies.

    Of those of a source, `elsewhere` are copies of a document of another source, such as an earlier crawl.
    """
    counts: dict[str, Counter[str]] = {"domain": Counter(), "source": Counter()}
    elsewhere: Counter[str] = Counter()
    for key in shards:
        columns = ["url", "source", "stage", "copy_of"]
        rows = pq.read_table(store.open(key, REJECTS, check=False), columns=columns)
        rows = rows.filter(pc.equal(rows["stage"], stage)).combine_chunks()
        for batch in rows.to_batches():
            for table, column in (("domain", hosts(batch["url"])), ("source", batch["source"])):
                for entry in pc.value_counts(column).to_pylist():
                    counts[table][entry["values"] or ""] += entry["counts"]
            for name in batch["source"].unique().to_pylist():
                ours = batch.filter(pc.equal(batch["source"], name))["copy_of"]
                elsewhere[name] += pc.sum(pc.invert(pc.starts_with(ours, f"{name}/"))).as_py() or 0
    found: Data = {
        f"{table}s": [
            {
                "name": name,
                "in": max(many, description.tables[table].get(name, [0])[0]),
                "copies": many,
            }
            for name, many in sorted(counter.items(), key=lambda e: (-e[1], e[0]))[:GROUPS]
        ]
        for table, counter in counts.items()
    }
    for row in found["sources"]:
        row["elsewhere"] = elsewhere[row["name"]]
    return found
