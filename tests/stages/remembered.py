"""Crawls deduplicated one after another against an index, without an engine."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from stages.base import DOCUMENT
from stages.config import dump_step
from stages.dedup import Remember
from stages.dedup.index import Index
from stages.shards import DOCUMENTS, FEATURES, REJECTS
from tests.stages.barriers import drive, shards


def pinned(url, name, steps):
    """The steps as a run would pin them for this crawl."""
    manifest = Index(url).manifest()
    pins = manifest.before(name)
    return [replace(step, against=f"{url}@{manifest.version}", pinned=pins) for step in steps]


def through(steps, batch, cuts=(), partitions=1):
    """The documents that stay, and the shards (came, rejects) of the last step."""
    for step in steps[:-1]:
        kept, _, _ = drive(step, shards(batch, cuts), partitions)
        batch = of(batch, kept)
        cuts = [cut for cut in cuts if cut <= batch.num_rows]
    parts = shards(batch, cuts)
    kept, rejects, _ = drive(steps[-1], parts, partitions, shuffle=partitions)
    return kept, rejects, parts


def of(batch, ids):
    wanted = set(ids)
    return batch.filter(pa.array([one in wanted for one in batch["id"].to_pylist()], pa.bool_()))


def write_shards(folder, kept, rejects, parts, stage):
    """What an engine would leave of a flow whose last pass applies the last step."""
    left = {row["id"]: row for row in rejects}
    for number, part in enumerate(parts):
        place = folder / f"{number}"
        place.mkdir(parents=True)
        rows = part.select(DOCUMENT.names).to_pylist()
        verdicts = [
            {"id": row["id"], "verdict": "dropped" if row["id"] in left else "kept",
             "stage": stage if row["id"] in left else None,
             "copy_of": left.get(row["id"], {}).get("copy_of")}
            for row in rows
        ]  # fmt: skip
        text = [pa.field(name, pa.string()) for name in ("id", "verdict", "stage", "copy_of")]
        pq.write_table(pa.Table.from_pylist(verdicts, pa.schema(text)), place / FEATURES)
        stay = pa.Table.from_batches([of(part.select(DOCUMENT.names), kept)])
        pq.write_table(stay, place / DOCUMENTS)
        gone = [{**row, "stage": stage, "copy_of": left[row["id"]]["copy_of"]}
                for row in rows if row["id"] in left]  # fmt: skip
        schema = pa.schema(
            [*DOCUMENT, pa.field("stage", pa.string()), pa.field("copy_of", pa.string())]
        )
        pq.write_table(pa.Table.from_pylist(gone, schema), place / REJECTS)
    return [folder / f"{number}" for number in range(len(parts))]


def job(url, name, steps):
    """The job that adds the crawl, as a run would fill it in."""
    plain = tuple(dump_step(replace(step, against=None, pinned=())) for step in steps)
    return Remember(index=url, crawl=name, steps=plain, pinned=steps[-1].pinned)


def crawl(url, name, steps, batch, cuts=(), partitions=1):
    """Deduplicate a crawl against the index and add what it kept: ids that stay, and the rejects."""
    steps = pinned(url, name, steps)
    kept, rejects, parts = through(steps, batch, cuts, partitions)
    folder = Path(tempfile.mkdtemp())
    made = write_shards(folder / "in", kept, rejects, parts, type(steps[-1]).__name__)
    job(url, name, steps).run({"flow": made}, folder / "out", folder / "work")
    shutil.rmtree(folder)
    return kept, rejects
