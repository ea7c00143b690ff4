"""What every training run is told: how much, how fast, on how many machines."""

import math
from dataclasses import dataclass
from typing import Literal

from stages.base import Job, Resources
from stages.errors import SpecError


@dataclass(frozen=True, kw_only=True)
class Training(Job):
    """A job that runs `training.loop` over packed shards."""

    tokens: float  # to train on, counted with padding; more than the shards hold: again, reshuffled
    rows: int = 64  # rows of a global batch
    micro_rows: int = 8  # rows in one forward pass of one worker; bounds memory
    learning_rate: float = 3e-3  # of AdamW, at its highest
    # wsd: steady until the last `decay`, then down to 0; cosine: down to a tenth throughout
    schedule: Literal["wsd", "cosine"] = "wsd"
    warmup: float = 0.02  # share of the steps
    decay: float = 0.3  # share of the steps
    weight_decay: float = 0.1  # of matrices
    clip: float = 1.0  # norm of the gradient
    seed: int = 0  # of new weights and of the order of rows
    checkpoint_every: int = 500  # steps
    workers: int = 0  # 0: in this process; else so many of Ray Train, each with the same model
    cpus: int = 2  # threads of each worker
    gpus: Literal[0, 1] = 0  # of each worker

    @property
    def resources(self) -> Resources:
        return Resources() if self.workers else Resources(cpus=self.cpus, gpus=self.gpus)

    def check(self) -> None:
        more = ("tokens", "rows", "micro_rows", "learning_rate", "checkpoint_every", "clip", "cpus")
        for name in more:
            if not getattr(self, name) > 0:
                raise SpecError(f"{name}: expected more than 0, got {getattr(self, name)}")
        if self.rows < self.workers:
            raise SpecError(f"rows: {self.workers} workers need a batch of at least as many rows")

    def steps(self, length: int) -> int:
        """Global batches of rows of this length that make up `tokens`."""
        return math.ceil(self.tokens / (self.rows * length))
