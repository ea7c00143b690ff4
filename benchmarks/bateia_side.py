"""Our stages, each alone on the same documents, as `datatrove_side.py stages` runs theirs.

python -m benchmarks.bateia_side DOCUMENTS.jsonl TOKENIZER OUT.json
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from pipelines import Flow, Pipeline, Pool, run
from pipelines.plan import with_measures
from pipelines.report import report
from stages.base import DOCUMENT, DROPPED, VALUE, Batch, Stage, Step, part
from stages.dedup.minhash import MinHashDedup
from stages.extract import HtmlToText
from stages.language import LanguageFilter
from stages.measure import Measure
from stages.pack import Pack
from stages.pii import ScrubPII
from stages.quality import (
    C4Paragraphs,
    C4Quality,
    CuratorQuality,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
    RedPajamaQuality,
)
from stages.read import Warc
from stages.tokens import Tokenize

ROWS = 256  # documents of a batch
Result = TypeVar("Result")


def pipeline(crawl: str, out: str, tokenizer: str, extractor: str) -> None:
    """Crawl to packed shards by one worker; leaves the report in out/report.json."""
    runner = Pool(1)
    recipe = Pipeline(
        "versus-datatrove",
        {
            "crawl": Flow(
                [Warc(paths=f"{crawl}/*.warc.gz")],
                [
                    HtmlToText(engine=extractor),
                    GopherRepetition(),
                    GopherQuality(),
                    C4Quality(no_terminal_punctuation=False),
                    FineWebQuality(),
                    MinHashDedup(bands=14, rows=8, words=5),
                    ScrubPII(),
                    Tokenize(tokenizer=tokenizer),
                    Pack(),
                ],
            )
        },
    )
    try:
        done = run(recipe, f"{out}/store", runner)
    finally:
        runner.close()
    Path(out, "report.json").write_text(json.dumps(report(done)), encoding="utf-8")


def stages(documents: str, tokenizer: str, out: str) -> None:
    """Each stage alone on the same documents: CPU seconds, and of each filter its verdicts."""
    batches = read(documents)
    filters: list[Stage] = [
        GopherRepetition(),
        GopherQuality(),
        C4Quality(no_terminal_punctuation=False),
        FineWebQuality(),
    ]
    found: dict[str, dict[str, object]] = {}
    for step in filters:
        seconds, marked = timed(batches, measured(step, step))
        verdicts = [reason for batch in marked for reason in column(batch, DROPPED.name)]
        found[type(step).__name__] = {"seconds": seconds, "verdicts": verdicts}
    language, minhash = LanguageFilter(), MinHashDedup()
    for step in (RedPajamaQuality(), CuratorQuality(), C4Paragraphs()):
        found[type(step).__name__] = {"seconds": timed(batches, measured(step, step))[0]}
    for name, work in (
        ("Measure", measure(*filters, minhash)),
        ("Families", together(filters, leave=False)),
        ("Recipe", together(filters, leave=True)),
        ("MinHashDedup", measured(minhash, minhash.sketch)),
        ("ScrubPII", ScrubPII()),
        ("Tokenize", Tokenize(tokenizer=tokenizer)),
    ):
        found[name] = {"seconds": timed(batches, work)[0]}
    seconds, labelled = timed(batches, language)
    languages = [code for batch in labelled for code in column(batch, "language")]
    found["LanguageFilter"] = {"seconds": seconds, "languages": languages}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def read(documents: str) -> list[Batch]:
    rows = [
        json.loads(line) for line in Path(documents).read_text(encoding="utf-8").split("\n") if line
    ]
    table = pa.Table.from_pylist([{**row, "source": "bench"} for row in rows], DOCUMENT)
    return table.combine_chunks().to_batches(max_chunksize=ROWS)


def measure(*steps: Step) -> Measure:
    """All measures that some steps judge by."""
    return Measure(names=tuple(dict.fromkeys(name for step in steps for name in step.measures)))


def together(filters: list[Stage], *, leave: bool) -> Callable[[Batch], Batch]:
    """The filters as a recipe has them, measures placed by the planner; `leave`: documents do."""
    chain = with_measures(filters, None)

    def work(batch: Batch) -> Batch:
        for step in chain:
            batch = step(batch)
            if leave:
                batch = part(batch)[0]
            marks = [mark.name for mark in (DROPPED, VALUE) if mark.name in batch.schema.names]
            batch = batch.drop_columns(marks)
        return batch

    return work


def measured(step: Step, work: Callable[[Batch], Result]) -> Callable[[Batch], Result]:
    """The work of a step behind the measures that it judges by."""
    if not step.measures:
        return work
    measure = Measure(names=step.measures)
    return lambda batch: work(measure(batch))


def timed(batches: list[Batch], work: Callable[[Batch], Result]) -> tuple[float, list[Result]]:
    """CPU seconds of this process, models loaded and kernels compiled before; the least of three times."""
    work(batches[0])
    spent = []
    for _ in range(3):
        start = time.process_time()
        found = [work(batch) for batch in batches]
        spent.append(time.process_time() - start)
    return min(spent), found


def column(batch: Batch, name: str) -> list[str | None]:
    if name not in batch.schema.names:
        return [None] * batch.num_rows
    return batch.column(name).to_pylist()


if __name__ == "__main__":
    {"pipeline": pipeline, "stages": stages}[sys.argv[1]](*sys.argv[2:])
