"""The evaluation of a model, as a node of a pipeline."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from evaluation.score import Comparison, Ratio
from stages.base import File, Job, Resources
from stages.config import digest_of
from stages.errors import DataError, SpecError
from stages.shards import DOCUMENTS

HELDOUT = pa.schema([("id", pa.string()), ("text", pa.large_string()), ("language", pa.string())])
READABLE = (".parquet", ".jsonl", ".txt")


@dataclass(frozen=True, kw_only=True)
class Evaluate(Job):
    """Measure on held-out text what training gave a model: its likelihood before and after.

    Of the flows in `from`, the one that trained is the model (`model/`, and `base/` as it was
    before); documents are those of the others, or of the file `heldout`: `.parquet` or `.jsonl` with
    `text` (and `id`, `language`), or `.txt`, whose paragraphs are the documents.

    Bits per byte do not depend on the tokenizer; perplexity per token, word (between white space)
    and byte are given too (per word not where a script has no spaces and it grows beyond numbers). Each is exp or log2 of the sum of nats over the sum of units, with a 95 %
    interval by document; the change's interval is paired. A document is seen by itself, behind the
    model's begin token, in windows that overlap: the figure depends on them, so the signature names
    them (one model, one text: 33.0 per token in disjoint windows of 256, 21.2 with a stride of 32).

    Leaves `likelihood.parquet`: one row per document.
    """

    evaluates = True

    heldout: File | None = None  # documents, if not those of a flow
    window: int | None = None  # tokens seen at once; None: what the model can, at most 2,048
    stride: int | None = None  # tokens from window to window; None: half a window
    max_documents: int = 2000  # every n-th, so that there are no more
    max_bytes: int = 50_000  # of a document; the rest of it is left out
    rows: int = 8  # windows in one forward pass; bounds memory
    cpus: int = 2  # threads
    gpus: Literal[0, 1] = 0  # in bfloat16 on a GPU

    @property
    def resources(self) -> Resources:
        return Resources(cpus=self.cpus, gpus=self.gpus)

    def check(self) -> None:
        if self.heldout and Path(self.heldout).suffix not in READABLE:
            raise SpecError(f"heldout: expected {', '.join(READABLE)}, got {self.heldout}")
        for name in ("window", "stride", "max_documents", "max_bytes", "rows", "cpus"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SpecError(f"{name}: expected more than 0, got {value}")
        if self.window and not (self.stride or 1) < self.window:
            raise SpecError(
                f"stride: expected less than the window of {self.window}, got {self.stride}"
            )

    def run(
        self,
        inputs: Mapping[str, Sequence[Path]],
        output: Path,
        work: Path,  # noqa: ARG002
    ) -> dict[str, Any]:
        import torch

        torch.set_num_threads(self.cpus)
        began = time.monotonic()
        folders = [folder for some in inputs.values() for folder in some]
        homes = [folder for folder in folders if (folder / "model").is_dir()]
        if len(homes) != 1:
            raise DataError(
                f"Evaluate: expected one model among the flows in `from`, found {len(homes)}"
            )
        documents = self._documents([f / DOCUMENTS for f in folders if (f / DOCUMENTS).exists()])
        models = [path for path in (homes[0] / "base", homes[0] / "model") if path.is_dir()]
        window, stride = self._window(models)
        texts = documents["text"].to_pylist()
        bytes_ = np.array([len(text.encode()) for text in texts])
        table = documents.drop_columns("text").append_column("bytes", pa.array(bytes_))
        table = table.append_column(
            "words", pa.array([max(1, len(text.split())) for text in texts])
        )
        for path in models:
            for name, column in self._measure(path, texts, window, stride).items():
                table = table.append_column(f"{path.name}_{name}", pa.array(column))
        pq.write_table(table, output / "likelihood.parquet")
        scores = [one.dump() for one in _scores(table, _signature(models, window, stride))]
        numbers = {
            "documents": table.num_rows,
            "bytes": int(bytes_.sum()),
            "tokens": pc.sum(table["model_tokens"]).as_py(),
            "bits_per_byte": scores[0]["after"],
            "seconds": time.monotonic() - began,
        }
        if len(models) == 2:
            numbers["bits_per_byte_before"] = scores[0]["before"]
        return {"numbers": numbers, "series": [], "scores": scores}

    def _documents(self, paths: list[Path]) -> pa.Table:
        """Every n-th document of all that are held out, cut at `max_bytes`."""
        if self.heldout:
            tables = [_read(Path(self.heldout))]
        else:
            tables = [_conform(pq.read_table(path, columns=_columns(path))) for path in paths]
        whole = pa.concat_tables([HELDOUT.empty_table(), *tables])
        whole = whole.filter(
            pc.greater(pc.binary_length(pc.utf8_trim_whitespace(whole["text"])), 0)
        )
        if not whole.num_rows:
            raise DataError(
                "Evaluate: no held-out text: give `heldout`, or a flow of documents in `from`"
            )
        step = -(-whole.num_rows // self.max_documents)
        some = whole.take(pa.array(range(0, whole.num_rows, step)))
        cut = [
            text.encode()[: self.max_bytes].decode(errors="ignore")
            for text in some["text"].to_pylist()
        ]
        return some.set_column(1, HELDOUT.field("text"), pa.array(cut, pa.large_string()))

    def _window(self, models: list[Path]) -> tuple[int, int]:
        from evaluation import likelihood

        most = min(likelihood.context(path)[0] for path in models)
        if self.window and self.window > most:
            raise DataError(
                f"Evaluate: the model sees {most} tokens at once; window is {self.window}"
            )
        window = self.window or min(most, 2048)
        stride = self.stride or max(1, window // 2)
        if stride >= window:
            raise DataError(
                f"Evaluate: stride {stride} leaves gaps between windows of {window} tokens"
            )
        return window, stride

    def _measure(
        self, path: Path, texts: list[str], window: int, stride: int
    ) -> dict[str, np.ndarray]:
        """Tokens and nats of each document, by one model."""
        from evaluation import likelihood

        ids = likelihood.encode(path, texts)
        nats = likelihood.nats(
            path, ids, window=window, stride=stride, rows=self.rows, gpu=bool(self.gpus)
        )
        return {"tokens": np.array([some.size for some in ids]), "nats": nats}


def _columns(path: Path) -> list[str]:
    return [name for name in pq.read_schema(path).names if name in HELDOUT.names]


def _conform(table: pa.Table) -> pa.Table:
    """The columns of HELDOUT; what is not there is null."""
    nulls = {field.name: pa.nulls(table.num_rows, field.type) for field in HELDOUT}
    columns = [table[name] if name in table.column_names else nulls[name] for name in HELDOUT.names]
    return pa.table(columns, HELDOUT.names).cast(HELDOUT)


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path, columns=_columns(path))
        elif path.suffix == ".jsonl":
            table = pyarrow.json.read_json(path)
        else:
            parts = [part.strip() for part in path.read_text(encoding="utf-8").split("\n\n")]
            table = pa.table(
                {"text": pa.array([part for part in parts if part], pa.large_string())}
            )
        if "text" not in table.column_names:
            raise DataError(f"{path}: there is no column `text`")
        return _conform(table)
    except (OSError, ValueError) as wrong:
        raise DataError(f"{path}: cannot be read: {wrong}") from None


def _signature(models: list[Path], window: int, stride: int) -> str:
    """What must be equal for two figures to be comparable, in the manner of sacreBLEU."""
    from evaluation import likelihood

    tokenizer = digest_of(str(models[-1] / "tokenizer.json"))
    begin = likelihood.context(models[-1])[1]
    return f"window:{window}|stride:{stride}|begin:{begin}|tokenizer:{tokenizer}|version:{Evaluate.version}"


BITS = Ratio(name="bits_per_byte", unit="bits per byte", form=lambda x: x / math.log(2))
MEASURES = (
    (BITS, "bytes"),
    (Ratio(name="token_perplexity", unit="perplexity per token", form=np.exp), "tokens"),
    (Ratio(name="word_perplexity", unit="perplexity per word", form=np.exp), "words"),
    (Ratio(name="byte_perplexity", unit="perplexity per byte", form=np.exp), "bytes"),
)


def _scores(table: pa.Table, signature: str) -> list[Comparison]:
    """Every measure over all documents, then bits per byte of each language, the largest first."""
    columns = {n: table[n].to_numpy() for n in table.column_names if n not in ("id", "language")}
    languages = np.array([name or "" for name in table["language"].to_pylist()], dtype=object)
    names, counts = np.unique(languages.astype(str), return_counts=True)
    every = np.ones(languages.size, bool)

    def score(measure: Ratio, unit: str, chosen: np.ndarray, group: str) -> Comparison:
        some = {name: column[chosen] for name, column in columns.items()}
        before = some.get(f"base_{unit}", some.get(unit))
        after = some[f"model_{unit}" if unit == "tokens" else unit]
        return measure.compare(
            some.get("base_nats"), some["model_nats"], (before, after), group, signature
        )

    found = [score(measure, unit, every, "all") for measure, unit in MEASURES]
    found = [one for one in found if math.isfinite(one.after.value)]
    for at in np.argsort(-counts, kind="stable"):
        if names[at]:
            found.append(score(BITS, "bytes", languages == names[at], str(names[at])))
    return found
