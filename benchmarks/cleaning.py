"""Cleaning: speed of each option, what it changes, and broken text made whole, beside datatrove.

    python -m benchmarks.cleaning DOCUMENTS.parquet

The file has columns `text` and `language`, as `bateia run` leaves them.
"""

import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import ftfy.bad_codecs  # noqa: F401 -- registers the codecs that leave no byte out
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from datatrove.pipeline.formatters import FTFYFormatter, SymbolLinesFormatter

from benchmarks.page import circumstances, keep, table, words
from stages.base import Batch, Stage
from stages.clean import CleanLines, CleanText, NormalizeText
from stages.repair import mojibake
from tests.documents import ENGLISH, documents

PEER_SAMPLE = 2_000  # documents, for datatrove is slow
BROKEN_SAMPLE = 200  # documents per language
NO_TEXT: dict[str, Any] = {"html": False, "mojibake": False}
KINDS = ("policy", "javascript", "lorem_ipsum", "navigation", "social", "copyright", "symbols")


def only(kind: str) -> dict[str, Any]:
    """The fields of CleanLines with one kind of lines on."""
    return {name: name == kind for name in KINDS}


OPTIONS: dict[str, Stage] = {
    "NormalizeText": NormalizeText(),
    "CleanText": CleanText(),
    "CleanText, html alone": CleanText(mojibake=False),
    "CleanText, mojibake alone": CleanText(html=False),
    "CleanText, punctuation: ascii alone": CleanText(**NO_TEXT, punctuation="ascii"),
    "CleanText, emoji: remove alone": CleanText(**NO_TEXT, emoji="remove"),
    "CleanText, lower alone": CleanText(**NO_TEXT, lower=True),
    "CleanLines": CleanLines(),
    **{f"CleanLines, {kind} alone": CleanLines(**only(kind)) for kind in KINDS},
}
PEERS: tuple[tuple[str, Any, str, Stage], ...] = (
    ("FTFYFormatter", FTFYFormatter(), "CleanText", CleanText()),
    (
        "SymbolLinesFormatter",
        SymbolLinesFormatter(),
        "CleanLines, symbols alone",
        OPTIONS["CleanLines, symbols alone"],
    ),
)
LANGUAGES = ("pt", "es", "fr", "de", "it", "ru", "cs", "ja", "zh")


def main(path: str) -> None:
    about = circumstances("bateia", "pyarrow", "numba", "ftfy", "datatrove")
    rows = pq.read_table(path, columns=["text", "language"])
    texts = rows["text"].cast(pa.large_string()).combine_chunks()
    options = [option(name, stage, texts) for name, stage in OPTIONS.items()]
    few = texts.take(pa.array(range(0, len(texts), max(1, len(texts) // PEER_SAMPLE))))
    peers = [beside(*peer, few) for peer in PEERS]
    broken = [mended(rows, language) for language in LANGUAGES]
    sound = pc.sum(pc.match_substring_regex(texts, mojibake())).as_py()
    text = f"""
## Cleaning

`python -m benchmarks.cleaning`, {len(texts):,} documents of documentation in 20 languages, \
{size(texts):.0f} MB, already normalised; one thread, MB of text per second of CPU.

{table(["stage", "MB/s", "documents changed", "dropped"], options)}

Beside datatrove, on {len(few):,} of them in the same process:

{table(["datatrove", "MB/s", "bateia", "MB/s", "times", "both change", "only datatrove", "only bateia", "same text"], peers)}

What only datatrove changes are terminal escapes and controls (`NormalizeText` removes those), \
entities where a text speaks of them, and lines of symbols that are code, tables or underlining.

Broken on purpose: UTF-8 read as Windows-1252, up to {BROKEN_SAMPLE} documents per language, and one line of \
each alone; what `CleanText` looks at, and what is whole again afterwards. Of the {len(texts):,} documents \
as they are, it looks at {sound}.

{table(["language", "documents", "looked at", "whole again", "by FTFYFormatter", "lines", "looked at", "whole again", "by FTFYFormatter"], broken)}

{words(about)}
"""
    results = {"about": about, "options": options, "peers": peers, "broken": broken, "sound": sound}
    keep("cleaning", results, text)


def size(texts: pa.Array) -> float:
    """MB of text."""
    return float(pc.sum(pc.binary_length(texts)).as_py()) / 1e6


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def batch_of(texts: pa.Array) -> Batch:
    return pa.record_batch({"text": texts})


def option(name: str, stage: Stage, texts: pa.Array) -> tuple[object, ...]:
    """Speed of a stage, and how many documents it changes and drops."""
    stage(documents(ENGLISH))
    seconds, after = timed(lambda: stage(batch_of(texts)))
    changed = pc.sum(pc.not_equal(texts, after.column("text"))).as_py()
    left = after.column("dropped") if "dropped" in after.schema.names else None
    return (
        name,
        size(texts) / seconds,
        changed,
        None if left is None else len(left) - left.null_count,
    )


def beside(
    theirs: str, formatter: Any, ours: str, stage: Stage, texts: pa.Array
) -> tuple[object, ...]:
    """Both sides on the same texts."""
    before = texts.to_pylist()
    formatter.format(ENGLISH)
    slow, a = timed(lambda: [formatter.format(text) for text in before])
    fast, after = timed(lambda: stage(batch_of(texts)))
    b = after.column("text").to_pylist()
    changes = [(x != text, y != text) for text, x, y in zip(before, a, b, strict=True)]
    same = sum(x == y for x, y in zip(a, b, strict=True)) / len(before)
    counts = [changes.count(pair) for pair in ((True, True), (True, False), (False, True))]
    return theirs, size(texts) / slow, ours, size(texts) / fast, slow / fast, *counts, f"{same:.1%}"


def mended(rows: pa.Table, language: str) -> tuple[object, ...]:
    """Documents of a language and single lines of them, broken, and how many are whole again."""
    own = rows.filter(pc.equal(rows["language"], language))["text"].to_pylist()
    whole = list(islice((text for text in own if not text.isascii()), BROKEN_SAMPLE))
    lines = [next(accented(text)) for text in whole]
    return language, *shares(whole), *shares(lines)


def accented(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if not line.isascii())


def shares(whole: list[str]) -> tuple[object, ...]:
    """How many texts; shares that are looked at, whole again by CleanText, by FTFYFormatter."""
    broken = [text.encode().decode("sloppy-windows-1252") for text in whole]
    column = pa.array(broken, pa.large_string())
    seen = pc.sum(pc.match_substring_regex(column, mojibake())).as_py()
    again = CleanText()(batch_of(column)).column("text").to_pylist()
    theirs = [FTFYFormatter().format(text) for text in broken]
    ours = sum(x == y for x, y in zip(again, whole, strict=True))
    peer = sum(x == y for x, y in zip(theirs, whole, strict=True))
    many = max(1, len(whole))
    return (len(whole), *(f"{count / many:.1%}" for count in (seen, ours, peer)))


if __name__ == "__main__":
    main(sys.argv[1])
