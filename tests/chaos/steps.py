"""A step that takes its worker with it."""

import os
from dataclasses import dataclass

from stages.base import Batch, Stage, texts

KILLS, HANGS = "kill-the-worker", "hang-the-worker"  # words on pages


@dataclass(frozen=True, kw_only=True)
class Fatal(Stage):
    """Crash or hang, as native code does on some page or other, where a page holds the word for it."""

    def __call__(self, batch: Batch) -> Batch:
        for text in texts(batch):
            if KILLS in text:
                os._exit(139)
            if HANGS in text:
                while True:
                    pass
        return batch
