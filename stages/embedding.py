"""Transformers that read a text: classifiers as FineWeb-Edu's, and encoders whose vectors are compared."""

import json
from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Resources, Stage, replace
from stages.errors import SpecError
from stages.scores import check_bounds, judge

STEP = 64  # tokens; texts are filled up to a multiple of it
CHARACTERS = 32  # per token; what is behind them is not looked at
EMBEDDING = pa.large_list(pa.float16())
DIGITS = 4  # of a score behind the point; what batches change lies below
POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_lasttoken": "last",
}


class Filled(NamedTuple):
    """Texts of about one length, filled up to a shape that is always the same for that length."""

    rows: npt.NDArray[np.int64]  # which texts of the batch; the shape may have rows behind them
    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]  # 1 for a token of the text


@dataclass(frozen=True, kw_only=True)
class _Transformer(Stage, ABC):
    """A model as transformers saves it, on the CPU or on a GPU, and texts in shapes that it always sees."""

    model: File  # the folder of the model
    tokens: Annotated[int, Field(ge=2)] = 512  # of the beginning of a text that are looked at
    rows: Annotated[int, Field(ge=1)] = 32  # texts that go through the model at once
    gpus: Annotated[float, Field(ge=0)] = 0  # for each worker; 0: on the CPU

    @property
    def resources(self) -> Resources:
        return Resources(gpus=self.gpus, heavy=True)

    def check(self) -> None:
        home = Path(self.model)
        if not home.exists():
            raise SpecError(f"model: {self.model}: no such file or folder")
        for name in ("config.json", "tokenizer.json", "*.safetensors"):
            if not any(home.glob(name)):
                raise SpecError(f"model: {self.model}: a folder with {name} is expected")

    @cached_property
    def _config(self) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads((Path(self.model) / "config.json").read_bytes())
        return plain

    @cached_property
    def _device(self) -> str:
        return "cuda" if self.gpus else "cpu"

    def _loaded(self, kind: Any) -> Any:
        """The model, of one of transformers' classes; nothing is fetched, no code of its own is run."""
        model = kind.from_pretrained(
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

    def _encoded(self, column: pa.Array, prompt: str = "") -> list[list[int]]:
        """The ids of the tokens of each text, with a prompt in front."""
        begins = pc.utf8_slice_codeunits(column, 0, CHARACTERS * self.tokens)
        texts = [prompt + text for text in begins.to_pylist()] if prompt else begins.to_pylist()
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]

    def _filled(self, encoded: list[list[int]]) -> Iterator[Filled]:
        """Texts of about one length together, always `rows` of them, so that neighbours change nothing."""
        pad = self._config.get("pad_token_id") or 0
        sizes = np.array([-(-max(len(ids), 1) // STEP) * STEP for ids in encoded], np.int64)
        for size in np.unique(sizes):
            group = np.flatnonzero(sizes == size)
            shape = self.rows, min(int(size), self.tokens)
            for start in range(0, len(group), self.rows):
                rows = group[start : start + self.rows]
                ids, mask = np.full(shape, pad, np.int64), np.zeros(shape, np.int64)
                mask[:, 0] = 1  # a row that attends to nothing would be NaN
                for at, row in enumerate(rows.tolist()):
                    ids[at, : len(encoded[row])], mask[at, : len(encoded[row])] = encoded[row], 1
                yield Filled(rows, ids, mask)


@dataclass(frozen=True, kw_only=True)
class EmbeddingClassifier(_Transformer):
    """Score every text by a transformer with a head for classification, and keep those within bounds.

    Adds `NAME_score`: the output of a model with one (FineWeb-Edu's, 0 to 5; Penedo et al. 2024,
    arXiv:2406.17557), else the probability of the label. Reason: `NAME.score`, with the score as
    value. The model is a folder as transformers saves it, with `config.json`, `tokenizer.json` and
    weights as safetensors; nothing is fetched and no code of its own is run. Texts of about one
    length go through it together, always `rows` of them, so that a score does not depend on
    neighbours; it is rounded to 4 digits behind the point. Without bounds it only scores, for
    `stages.rank.KeepTop` or a threshold found later.
    """

    label: str | None = None  # the label that is scored; None: the only output there is
    at_least: float | None = None  # keep documents that score so much
    at_most: float | None = None  # keep documents that score no more
    name: str = "edu"  # of the column and the reason; two classifiers in one flow need two

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field(f"{self.name}_score", pa.float64()),)

    def check(self) -> None:
        check_bounds(self.name, self.at_least, self.at_most)
        super().check()
        if self.label is None and len(self._labels) > 1:
            raise SpecError(f"label: name the one to score: {', '.join(self._labels)}")
        if self.label is not None and self.label not in self._labels:
            raise SpecError(
                f"label: the model has no label {self.label!r}, but {', '.join(self._labels)}"
            )

    @cached_property
    def _labels(self) -> list[str]:
        """The model's outputs by name, in order; transformers writes down all but the usual two."""
        names = self._config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
        return [names[key] for key in sorted(names, key=int)]

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModelForSequenceClassification

        return self._loaded(AutoModelForSequenceClassification)

    def __call__(self, batch: Batch) -> Batch:
        scores = np.zeros(batch.num_rows)
        for some in self._filled(self._encoded(batch.column("text"))):
            scores[some.rows] = self._score(some)[: len(some.rows)]
        column = pa.array(np.round(scores, DIGITS))
        return judge(batch, self.name, column, self.at_least, self.at_most)

    def _score(self, some: Filled) -> npt.NDArray[np.float64]:
        import torch

        with torch.inference_mode():
            logits = self._model(
                input_ids=torch.from_numpy(some.ids).to(self._device),
                attention_mask=torch.from_numpy(some.mask).to(self._device),
            ).logits.float()
            if self.label is not None:
                many = self._config.get("problem_type") == "multi_label_classification"
                logits = logits.sigmoid() if many else logits.softmax(-1)
            at = 0 if self.label is None else self._labels.index(self.label)
            found: npt.NDArray[np.float64] = logits[:, at].double().cpu().numpy()
            return found


@dataclass(frozen=True, kw_only=True)
class Embed(_Transformer):
    """Add `embedding`: the vector of length 1 that a sentence encoder gives a text (float16).

    The encoder is a folder as sentence-transformers saves it (Reimers and Gurevych 2019,
    arXiv:1908.10084) or transformers: without `modules.json` the mean of the last layer's tokens is
    taken. What follows the pooling other than a normalisation is refused. A text without a token, or
    half of whose tokens the encoder does not know, as one in a script that it never saw, has no
    embedding (null): all such would be alike. The pass ends here, since nothing costs more.
    """

    costly = True

    prompt: str = ""  # what the encoder was trained to see before a text, as E5's `query: `

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field("embedding", EMBEDDING),)

    def check(self) -> None:
        super().check()
        if not isinstance(self._config.get("hidden_size"), int):
            raise SpecError(f"model: {self.model}: its config.json has no hidden_size")
        _ = self._pooling

    @cached_property
    def _pooling(self) -> str:
        """Which tokens make the vector: the mean of all, the first, or the last."""
        modules = Path(self.model) / "modules.json"
        chosen = "mean"
        for module in json.loads(modules.read_bytes()) if modules.exists() else ():
            kind = str(module["type"]).rpartition(".")[2]
            if kind == "Pooling":
                plain = json.loads((Path(self.model) / module["path"] / "config.json").read_bytes())
                named = [POOLINGS.get(key, key) for key, on in plain.items() if on is True]
                named = [name for name in named if name != "include_prompt"]
                if len(named) != 1 or named[0] not in POOLINGS.values():
                    raise SpecError(f"model: {self.model}: cannot pool by {', '.join(named)}")
                (chosen,) = named
            elif kind not in ("Transformer", "Normalize"):
                raise SpecError(
                    f"model: {self.model}: there is a module {kind}, which we do not run"
                )
        return chosen

    @cached_property
    def _unknown(self) -> int:
        """The id of what the tokenizer does not know; -1 if it knows every byte."""
        plain = json.loads((Path(self.model) / "tokenizer.json").read_bytes())["model"]
        if isinstance(plain.get("unk_id"), int):
            return int(plain["unk_id"])
        known = self._tokenizer.token_to_id(plain.get("unk_token") or "")
        return -1 if known is None else int(known)

    @cached_property
    def _model(self) -> Any:
        from transformers import AutoModel

        return self._loaded(AutoModel)

    def __call__(self, batch: Batch) -> Batch:
        encoded = self._encoded(batch.column("text"), self.prompt)
        size = int(self._config["hidden_size"])
        vectors = np.zeros((len(encoded), size), np.float16)
        for some in self._filled(encoded):
            vectors[some.rows] = self._vectors(some)[: len(some.rows)]
        own = self._tokenizer.num_special_tokens_to_add(False)
        none = [2 * ids.count(self._unknown) >= len(ids) - own for ids in encoded]
        offsets = pa.array(np.arange(len(encoded) + 1) * size)
        values = pa.array(vectors.ravel())
        column = pa.LargeListArray.from_arrays(offsets, values, mask=pa.array(none, pa.bool_()))
        return replace(batch, "embedding", column)

    def _vectors(self, some: Filled) -> npt.NDArray[np.float32]:
        """The embeddings of the texts, of length 1."""
        import torch

        with torch.inference_mode():
            mask = torch.from_numpy(some.mask).to(self._device)
            states = self._model(
                input_ids=torch.from_numpy(some.ids).to(self._device), attention_mask=mask
            ).last_hidden_state.float()
            if self._pooling == "mean":
                pooled = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            else:
                last = mask.sum(1) - 1 if self._pooling == "last" else torch.zeros_like(mask[:, 0])
                pooled = states[torch.arange(len(states), device=states.device), last]
            found: npt.NDArray[np.float32] = (
                torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
            )
            return found
