"""datatrove 0.10.1 doing the work that we compare with; runs in an environment of its own.

    python datatrove_side.py pipeline CRAWL OUT TOKENIZER resiliparse|trafilatura
    python datatrove_side.py stages DOCUMENTS.jsonl TOKENIZER OUT.json
    python datatrove_side.py dedup FOLDER SIZE OUT
    python datatrove_side.py sign DOCUMENTS.parquet OUT.json

Everything as in datatrove's own examples/fineweb.py, in this one process (`workers=1`).
"""

import json
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.extractors.base import BaseExtractor
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter


class Resiliparse(BaseExtractor):
    """The extractor that datatrove does not have."""

    name = "resiliparse"

    def __init__(self) -> None:
        super().__init__(timeout=10)

    def extract(self, text: str) -> str:
        from resiliparse.extract.html2text import extract_plain_text

        return extract_plain_text(text, main_content=True, preserve_formatting=True)


# The options of `HtmlToText`, so that both sides judge the same texts.
EXTRACTORS = {
    "resiliparse": Resiliparse,
    "trafilatura": lambda: Trafilatura(favour_precision=False, deduplicate=False, timeout=10),
}


def filters() -> list[BaseFilter]:
    return [
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
    ]


def pipeline(crawl: str, out: str, tokenizer: str, extractor: str) -> None:
    """Crawl to token files; leaves stats.json of every step in out/log."""
    tasks = len(list(Path(crawl).glob("*.warc.gz")))
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)

    def run(name: str, tasks: int, *steps: object) -> None:
        log = f"{out}/log/{name}"
        LocalPipelineExecutor(list(steps), tasks=tasks, workers=1, logging_dir=log).run()

    kept, signatures = f"{out}/kept", f"{out}/signatures"
    buckets, remove = f"{out}/buckets", f"{out}/remove"
    read = WarcReader(crawl, glob_pattern="*.warc.gz")
    run("filter", tasks, read, EXTRACTORS[extractor](), *filters(), JsonlWriter(kept))
    run("sign", tasks, JsonlReader(kept), MinhashDedupSignature(signatures, config))
    run("buckets", 14, MinhashDedupBuckets(signatures, buckets, config=config))
    run("cluster", 1, MinhashDedupCluster(buckets, remove, config=config))
    run(
        "tokens",
        tasks,
        JsonlReader(kept),
        MinhashDedupFilter(remove),
        PIIFormatter(),
        DocumentTokenizer(f"{out}/tokens", tokenizer, eos_token="<|endoftext|>", seed=0),
    )


def stages(documents: str, tokenizer: str, out: str) -> None:
    """Each stage alone on the same documents: CPU seconds, and of each filter its verdicts."""
    rows = [
        json.loads(line) for line in Path(documents).read_text(encoding="utf-8").split("\n") if line
    ]
    warm = Document(text=rows[0]["text"], id="warm")
    found: dict[str, dict[str, object]] = {}
    for step in filters():
        step.filter(Document(text=warm.text, id="warm"))
        seconds, verdicts = timed(rows, lambda document, step=step: verdict(step, document))
        found[type(step).__name__.removesuffix("Filter")] = {
            "seconds": seconds,
            "verdicts": verdicts,
        }
    signer = MinhashDedupSignature("/tmp", MinhashConfig(5, 14, 8))
    signer.get_shingles(warm.text)
    formatter = PIIFormatter()
    encode = DocumentTokenizer("/tmp", tokenizer, eos_token="<|endoftext|>").tokenizer.encode_batch
    for name, work in (
        ("MinhashSignature", lambda d: signer.get_signature(signer.get_shingles(d.text))),
        ("PIIFormatter", lambda d: formatter.format(d.text)),
    ):
        found[name] = {"seconds": timed(rows, work)[0]}
    start = time.process_time()
    encode([row["text"] for row in rows])
    found["DocumentTokenizer"] = {"seconds": time.process_time() - start}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


def dedup(folder: str, size: str, out: str) -> None:
    """The four steps of MinHash over folder/*.jsonl.gz, of `size` documents; leaves out/found.json.

    CPU seconds of each step, spaCy loaded before, and of each document in order its cluster (-1:
    none) and whether it was removed.
    """
    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    signer = MinhashDedupSignature(f"{out}/signatures", config)
    signer.get_shingles("warm")
    seconds: dict[str, float] = {}

    def run(name: str, *steps: object, tasks: int = 1) -> None:
        start = time.process_time()
        LocalPipelineExecutor(
            list(steps), tasks=tasks, workers=1, logging_dir=f"{out}/log/{name}"
        ).run()
        seconds[name] = time.process_time() - start

    buckets, remove = f"{out}/buckets", f"{out}/remove"
    cluster = MinhashDedupCluster(buckets, remove, config=config, save_cluster_id=True)
    run("sign", JsonlReader(folder), signer)
    run("buckets", MinhashDedupBuckets(f"{out}/signatures", buckets, config=config), tasks=14)
    run("cluster", cluster)
    run("filter", JsonlReader(folder), MinhashDedupFilter(remove), JsonlWriter(f"{out}/kept"))
    clusters = [-1] * int(size)
    data = Path(remove, "000000.clusters").read_bytes()
    for document, number in struct.iter_unpack("<2I", data):
        clusters[document] = number
    gone = [at for (at,) in struct.iter_unpack("<I", Path(remove, "000000.remove").read_bytes())]
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of who started us
    peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024
    found = {"seconds": seconds, "peak": peak, "clusters": clusters, "removed": gone}
    Path(out, "found.json").write_text(json.dumps(found), encoding="utf-8")


def sign(documents: str, out: str) -> None:
    """CPU seconds from texts to signatures."""
    import pyarrow.parquet as pq  # the environment of the other comparisons has none

    rows = pq.read_table(documents, columns=["id", "text"]).to_pylist()
    signer = MinhashDedupSignature("/tmp", MinhashConfig(5, 14, 8))
    signer.get_shingles("warm")
    work = lambda d: signer.get_signature(signer.get_shingles(d.text))  # noqa: E731
    Path(out).write_text(json.dumps({"seconds": timed(rows, work)[0]}), encoding="utf-8")


def timed(
    rows: list[dict[str, str]], work: Callable[[Document], object]
) -> tuple[float, list[object]]:
    """CPU seconds of this process, and what came of each document."""

    def each() -> Iterator[object]:
        for document in documents:
            try:
                yield work(document)
            except ValueError as wrong:  # no shingles in a short text
                yield type(wrong).__name__

    documents = [Document(text=row["text"], id=row["id"]) for row in rows]
    start = time.process_time()
    found = list(each())
    return time.process_time() - start, found


def verdict(step: BaseFilter, document: Document) -> str | None:
    """Why the filter drops the document, or None."""
    answer = step.filter(document)
    return None if answer is True else str(answer[1]) if isinstance(answer, tuple) else "dropped"


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    {"pipeline": pipeline, "stages": stages, "dedup": dedup, "sign": sign}[sys.argv[1]](
        *sys.argv[2:]
    )
