"""Keeping what a model will be examined on out of what it learns from."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.base import Batch, File, Job, Stage, drop, replace
from stages.config import fetch, references
from stages.dedup.cutting import _Cutting, at_least
from stages.errors import DataError, SpecError
from stages.kernels.hashing import string_buffers
from stages.shards import DOCUMENTS

if TYPE_CHECKING:
    from stages.kernels.contamination import NGrams

HELDOUT = "flow:decontamination/heldout.parquet"  # the pipeline makes this flow where it is named
READABLE = (".jsonl", ".json", ".parquet", ".txt")
SHOWN = 3  # items told of each document


@dataclass(frozen=True, kw_only=True)
class Decontaminate(_Cutting, Stage):
    """Drop documents, or cut passages, that share runs of words with benchmarks.

    As it stands, with all that the evaluations of the same pipeline name: flows of held-out documents
    and files. `against` names other benchmarks: a file (`.jsonl`, `.json`, `.parquet`, or `.txt` with
    paragraphs as items; `.gz` is unpacked) or a folder of them. A benchmark is called as its file is, and is the reason:
    `decontaminate.mmlu`; the value is the share of the document's words that are in common runs. The
    column `contamination` says which items were hit by how many runs, and the first.

    Runs of 13 words are GPT-3's (Brown et al. 2020, arXiv:2005.14165, appendix C), compared without
    case, accents and punctuation, but with the values of numbers. Texts of an item are joined in
    order, so that question and answer make runs too; items of fewer words are not looked for.
    """

    against: File = HELDOUT  # benchmarks: a file or a folder of them
    columns: tuple[str, ...] = ()  # of an item, what is looked for; (): all text in it
    ngram: int = 13  # words of a run
    hits: int = 1  # least runs that a document shares
    share: float = 0.0  # least share of its words that are in them
    remove: Literal["document", "span"] = "document"  # span: only the common runs are cut
    context: int = 0  # words cut before and behind each, too

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        """What was hit, and the characters that were cut."""
        return (
            pa.field("contamination", pa.string()),
            pa.field("decontaminate_cut", pa.int64(), nullable=False),
        )

    def check(self) -> None:
        super().check()
        at_least(self, {"ngram": 2, "hits": 1, "context": 0})
        if not 0 <= self.share <= 1:
            raise SpecError(f"share: expected 0 to 1, got {self.share}")
        if not references(self) and not len(self._known[1]):
            raise SpecError(f"against: {self.against} has no item of {self.ngram} words or more")

    @cached_property
    def _known(self) -> tuple[list[str], np.ndarray, "NGrams"]:
        """The names of all items, the hashes of their runs, and those to look up in."""
        from stages.kernels.characters import table
        from stages.kernels.contamination import build, ngrams_of

        names, texts = [], []
        for name, text in items(self.against, self.columns):
            names.append(name)
            texts.append(text)
        offsets, data = string_buffers(pa.array(texts, pa.large_string()))
        hashes, owners = ngrams_of(data, offsets, table(), self.ngram)
        return names, hashes, build(hashes, owners)

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.characters import table
        from stages.kernels.contamination import look_up
        from stages.kernels.units import NUMBERED, WORD

        names, _, known = self._known
        offsets, data = string_buffers(batch.column("text"))
        judged = np.zeros((batch.num_rows, 2), np.int64)
        places, words, owners, starts, stops = look_up(
            data, offsets, table(), self.ngram, known, judged
        )
        shares = judged[:, 1] / np.maximum(1, judged[:, 0])
        found = (np.diff(places) >= self.hits) & (shares >= self.share)
        reasons: list[str | None] = [None] * batch.num_rows
        told: list[str | None] = [None] * batch.num_rows
        for row in np.flatnonzero(found).tolist():
            here = slice(places[row], places[row + 1])
            first = bytes(data[starts[here.start] : stops[here.start]]).decode(errors="replace")
            reasons[row], told[row] = verdict([names[at] for at in owners[here].tolist()], first)
        batch = replace(batch, "contamination", pa.array(told, pa.string()))
        if self.remove == "document":
            none = pa.array(np.zeros(batch.num_rows, np.int64))
            batch = replace(batch, "decontaminate_cut", none)
            return drop(batch, reasons, values=pa.array(shares, mask=~found))
        hit = np.repeat(found, np.diff(places))
        kept = np.concatenate([[0], np.cumsum(hit)])[places]
        froms = np.maximum(0, words[hit] - self.context)
        tos = words[hit] + self.ngram + self.context
        return self._cut(batch, "decontaminate", (WORD, NUMBERED), kept, froms, tos)


def verdict(items: list[str], first: str) -> tuple[str, str]:
    """The reason, for the benchmark hit most, and which items were hit by how many runs, and the first."""
    most = Counter(item.rpartition("#")[0] for item in items).most_common(1)[0][0]
    shown = ", ".join(f"{item} {many}" for item, many in Counter(items).most_common(SHOWN))
    return f"decontaminate.{most}", f"{shown}: {' '.join(first.split())[:200]}"


def items(path: str, columns: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The items of benchmarks: `name#number` and text, in order of name. SpecError where there are none."""
    home = fetch(path) if "://" in path else Path(path)
    paths = sorted(p for p in home.rglob("*") if p.is_file()) if home.is_dir() else [home]
    paths = [file for file in paths if plain(file).suffix in READABLE]
    if not paths:
        raise SpecError(f"against: {path}: expected {', '.join(READABLE)}, or a folder of them")
    for file in paths:
        inner = plain(file).relative_to(home if home.is_dir() else home.parent).with_suffix("")
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", str(inner))
        try:
            rows = list(_rows(file))
        except (OSError, ValueError, pa.ArrowInvalid) as wrong:
            raise SpecError(f"against: {file}: cannot be read: {wrong}") from None
        for column in columns:
            if not any(isinstance(row, Mapping) and column in row for row in rows):
                raise SpecError(f"columns: {file}: no item has {column!r}")
        for at, row in enumerate(rows):
            of = name
            if isinstance(row, Mapping):
                of = row.get("benchmark", name) if file.suffix == ".parquet" else name
                row = [row.get(column) for column in columns or row if column != "benchmark"]
            yield f"{of}#{at}", "\n".join(_texts(row))


def _rows(file: Path) -> Iterator[Any]:
    if file.suffix == ".parquet":
        yield from pq.read_table(file).to_pylist()
        return
    raw = file.read_bytes()
    text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
    if plain(file).suffix == ".txt":
        yield from re.split(r"\n\s*\n", text)
        return
    try:
        whole = json.loads(text)
    except ValueError:  # not one value but one a line; some such files are called .json too
        whole = [json.loads(line) for line in text.split("\n") if line.strip()]
    yield from whole if isinstance(whole, list) else [whole]


def plain(file: Path) -> Path:
    """The name of a file as it is called unpacked."""
    return file.with_suffix("") if file.suffix == ".gz" else file


def _texts(value: Any) -> Iterator[str]:
    """All text in a value, in order."""
    if isinstance(value, str):
        yield value.encode(errors="replace").decode()
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


@dataclass(frozen=True, kw_only=True)
class HeldOut(Job):
    """Gather the documents of the flows in `from`, each flow a benchmark of its name, in one file.

    Leaves `heldout.parquet` for `Decontaminate`. A pipeline with a Decontaminate that names nothing
    has a flow `decontamination` with this, over the documents that its evaluations read.
    """

    def run(
        self,
        inputs: Mapping[str, Sequence[Path]],
        output: Path,
        work: Path,  # noqa: ARG002
    ) -> dict[str, Any]:
        schema = pa.schema([("benchmark", pa.string()), ("text", pa.large_string())])
        rows = size = 0
        with pq.ParquetWriter(output / "heldout.parquet", schema) as out:
            for name, folders in inputs.items():
                for folder in folders:
                    text = pq.read_table(folder / DOCUMENTS, columns=["text"])["text"]
                    named = pa.repeat(pa.scalar(name), len(text))
                    out.write_table(pa.table([named, text.cast(pa.large_string())], schema))
                    rows, size = rows + len(text), size + text.nbytes
        if not rows:
            raise DataError(f"HeldOut: there is no document in {', '.join(inputs)}")
        return {"numbers": {"documents": rows, "bytes": size}, "series": [], "scores": []}
