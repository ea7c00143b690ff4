"""Documents that benchmarks of single stages are measured on: the demo's larger crawl as text."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.page import CACHE
from deploy.fetch import fetch_demo
from stages.base import DOCUMENT, Batch, part
from stages.clean import NormalizeText
from stages.extract import HtmlToText
from stages.read import Warc


def corpus(path: Path | None, share: int = 1) -> Batch:
    """One batch of documents, every n-th of a Parquet file; without one, of a crawl fetched once."""
    path = path or CACHE / "documents.parquet"
    if not path.exists():
        pq.write_table(extracted(), path)
    names = [name for name in DOCUMENT.names if name in pq.read_schema(path).names]
    table = pq.read_table(path, columns=names)
    for name in ("text", "url"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(DOCUMENT.field(name).type))
    rows = table.take(pa.array(range(0, table.num_rows, share))).combine_chunks()
    return rows.to_batches()[0]


def extracted() -> pa.Table:
    """The crawl's pages as the first stages of a pipeline leave them."""
    source, steps = (
        Warc(paths=f"{fetch_demo(CACHE / 'm', 'm').parent}/*.warc.gz"),
        (HtmlToText(), NormalizeText()),
    )
    batches = []
    for piece in source.slices():
        for batch in source.read(piece):
            for step in (None, *steps):
                batch = part(step(batch) if step else batch)[0]
            batches.append(batch.select(["id", "text", "source", "url"]))
    return pa.Table.from_batches(batches)
