"""A stage that does nothing, to see what the engine costs."""

from dataclasses import dataclass

from stages.base import Batch, Stage


@dataclass(frozen=True, kw_only=True)
class Nothing(Stage):
    """Hand every document on. `number` tells one from another."""

    number: int = 0

    def __call__(self, batch: Batch) -> Batch:
        return batch
