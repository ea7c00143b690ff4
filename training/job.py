"""The pretraining of a causal language model, as a node of a pipeline."""

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stages.base import File
from stages.config import digest_of
from stages.errors import DataError, SpecError
from stages.shards import TOKENS
from training.settings import Training

Preset = Literal["xs", "s", "m", "l", "xl"]


@dataclass(frozen=True, kw_only=True)
class Pretrain(Training):
    """Train a causal language model on the packed shards of the flows in `from`.

    The model is new (`preset`, with the `tokenizer` the shards were made with), or goes on from a
    checkpoint of transformers: the folder `base`, or the model of another flow in `from`. Presets
    are Llamas, without their embeddings: xs 0.1 million parameters (to try a pipeline), s 3 million
    (minutes on a CPU), m 106, l 315 and xl 1,610 million (the shapes of SmolLM2).

    Loss is the mean over all tokens of a global batch that have a token of their own document before
    them; attention stays within a document. Weights and optimiser are float32, computed in bfloat16
    on a GPU. A killed run goes on from its last checkpoint with the same batches; on one process the
    weights it ends with are the same to the bit.

    Leaves `model/` and, as it was before, `base/` (safetensors and tokenizer), and `loss.jsonl`.
    """

    preset: Preset | None = None  # size of a new model
    base: File | None = None  # folder of a checkpoint to go on from
    tokenizer: File | None = None  # tokenizer.json of a new model

    def check(self) -> None:
        if self.preset and self.base:
            raise SpecError("base: a model is new (preset) or goes on (base), not both")
        if self.preset and not self.tokenizer:
            raise SpecError("tokenizer: a new model needs the tokenizer.json of its shards")
        if not self.preset and self.tokenizer:
            raise SpecError("tokenizer: a model that goes on has its own")
        super().check()

    def run(self, inputs: Mapping[str, Sequence[Path]], output: Path, work: Path) -> dict[str, Any]:
        from training import loop, model

        began = time.monotonic()
        folders = [folder for some in inputs.values() for folder in some]
        shards = [folder / TOKENS for folder in folders if (folder / TOKENS).exists()]
        base = self.base or next((f / "model" for f in folders if (f / "model").is_dir()), None)
        start = loop.stream(self, shards)
        if not (work / "base").exists():
            aside = work / "base.part"
            shutil.rmtree(aside, ignore_errors=True)
            self._prepare(base, start.metadata, start.length, aside)
            aside.rename(work / "base")
        if self.workers:
            from training import launch

            launch.train(self, shards, work)
        else:
            loop.train(self, shards, work)
        history = loop.history(work)
        model.save(work, output / "model")
        shutil.copytree(work / "base", output / "base")
        tokens = len(history) * self.rows * start.length
        with open(output / "loss.jsonl", "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in history)
        seconds = time.monotonic() - began
        numbers = {
            "parameters": model.parameters(output / "model"),
            "steps": len(history),
            "tokens": tokens,
            "epochs": len(history) * self.rows / start.total,
            "first_loss": history[0]["loss"],
            "final_loss": _mean(history[-max(1, len(history) // 20) :]),
            "seconds": seconds,
            "tokens_per_second": tokens / seconds,
        }
        return {"numbers": numbers, "series": [_curve(history)], "scores": []}

    def _prepare(
        self, base: str | Path | None, about: dict[str, str], length: int, folder: Path
    ) -> None:
        """Put the model to begin with into a folder. DataError if the shards are not for it."""
        from training import model

        if self.preset and base:
            raise DataError(
                "Pretrain: `preset` is for a new model, but `from` has a model to go on from"
            )
        if not (self.preset or base):
            raise DataError(
                "Pretrain: no model: give `preset` or `base`, or a flow in `from` that trains"
            )
        tokenizer = self.tokenizer or f"{base}/tokenizer.json"
        if not Path(tokenizer).exists():
            raise DataError(f"Pretrain: {tokenizer}: no such file")
        if about.get("tokenizer") != digest_of(tokenizer):
            raise DataError(f"Pretrain: the shards were not made with the tokenizer {tokenizer}")
        if base:
            shutil.copytree(base, folder)
        else:
            assert self.preset
            model.create(self.preset, about, length, self.seed, folder)
            model.add_tokenizer(tokenizer, int(about["end"]), length, folder)


def _mean(lines: Sequence[dict[str, float]]) -> float:
    return sum(line["loss"] for line in lines) / len(lines)


def _curve(history: list[dict[str, float]]) -> dict[str, Any]:
    """The loss by step: at most 500 points, each the mean of some neighbouring steps."""
    width = -(-len(history) // 500)
    parts = [history[at : at + width] for at in range(0, len(history), width)]
    points = [[part[-1]["step"], _mean(part)] for part in parts]
    return {"name": "loss", "x": "step", "y": "loss (nats per token)", "points": points}
