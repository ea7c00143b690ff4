"""Classifiers that judge a text by a transformer: FineWeb-Edu's, or any other of that make."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Resources, Stage
from stages.errors import SpecError
from stages.scores import check_bounds, judge

STEP = 64  # tokens; texts are filled up to a multiple of it
CHARACTERS = 32  # per token; what is behind them is not looked at
DIGITS = 4  # of a score behind the point; what batches change lies below


@dataclass(frozen=True, kw_only=True)
class EmbeddingClassifier(Stage):
    """Score every text by a transformer with a head for classification, and keep those within bounds.

    Adds `NAME_score`: the output of a model with one (FineWeb-Edu's, 0 to 5; Penedo et al. 2024,
    arXiv:2406.17557), else the probability of the label. Reason: `NAME.score`, with the score as
    value. The model is a folder as transformers saves it, with `config.json`, `tokenizer.json` and
    weights as safetensors; nothing is fetched and no code of its own is run. Texts of about one
    length go through it together, always `rows` of them, so that a score does not depend on
    neighbours; it is rounded to 4 digits behind the point. Without bounds it only scores, for
    `stages.rank.KeepTop` or a threshold found later.
    """

    model: File  # the folder of the model
    label: str | None = None  # the label that is scored; None: the only output there is
    at_least: float | None = None  # keep documents that score so much
    at_most: float | None = None  # keep documents that score no more
    name: str = "edu"  # of the column and the reason; two classifiers in one flow need two
    tokens: Annotated[int, Field(ge=2)] = 512  # of the beginning of a text that are looked at
    rows: Annotated[int, Field(ge=1)] = 32  # texts that go through the model at once
    gpus: Annotated[float, Field(ge=0)] = 0  # for each worker; 0: on the CPU

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field(f"{self.name}_score", pa.float64()),)

    @property
    def resources(self) -> Resources:
        return Resources(gpus=self.gpus, heavy=True)

    def check(self) -> None:
        check_bounds(self.name, self.at_least, self.at_most)
        home = Path(self.model)
        for name in ("config.json", "tokenizer.json", "*.safetensors"):
            if not any(home.glob(name)):
                raise SpecError(f"model: {self.model}: a folder with {name} is expected")
        if self.label is None and len(self._labels) > 1:
            raise SpecError(f"label: name the one to score: {', '.join(self._labels)}")
        if self.label is not None and self.label not in self._labels:
            raise SpecError(
                f"label: the model has no label {self.label!r}, but {', '.join(self._labels)}"
            )

    @cached_property
    def _config(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads((Path(self.model) / "config.json").read_bytes())
        return plain

    @cached_property
    def _labels(self) -> list[str]:
        """The model's outputs by name, in order; transformers writes down all but the usual two."""
        names = self._config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        return [names[key] for key in sorted(names, key=int)]

    @cached_property
    def _device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        model = AutoModelForSequenceClassification.from_pretrained(
            self.model, local_files_only=True, use_safetensors=True, dtype="float32"
        )
        return model.eval().to(self._device)

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(Path(self.model) / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.tokens)
        return tokenizer

    def __call__(self, batch: Batch) -> Batch:
        begins = pc.utf8_slice_codeunits(batch.column("text"), 0, CHARACTERS * self.tokens)
        encoded = [e.ids for e in self._tokenizer.encode_batch(begins.to_pylist())]
        sizes = np.array([-(-max(len(ids), 1) // STEP) * STEP for ids in encoded], np.int64)
        scores = np.zeros(len(encoded))
        for size in np.unique(sizes):
            group = np.flatnonzero(sizes == size)
            for start in range(0, len(group), self.rows):
                rows = group[start : start + self.rows]
                found = self._score([encoded[row] for row in rows], min(int(size), self.tokens))
                scores[rows] = found[: len(rows)]
        column = pa.array(np.round(scores, DIGITS))
        return judge(batch, self.name, column, self.at_least, self.at_most)

    def _score(self, some: list[list[int]], size: int) -> npt.NDArray[np.float64]:
        """The scores of a few texts, filled up to `rows` texts of `size` tokens."""
        import torch

        pad = self._config.get("pad_token_id") or 0
        ids = np.full((self.rows, size), pad, np.int64)
        mask = np.zeros((self.rows, size), np.int64)
        mask[:, 0] = 1  # a row that attends to nothing would be NaN
        for row, tokens in enumerate(some):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.from_numpy(ids).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
            ).logits.float()
            if self.label is not None:
                many = self._config.get("problem_type") == "multi_label_classification"
                logits = logits.sigmoid() if many else logits.softmax(-1)
            at = 0 if self.label is None else self._labels.index(self.label)
            found: npt.NDArray[np.float64] = logits[:, at].double().cpu().numpy()
            return found
