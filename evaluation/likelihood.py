"""How well a causal language model foretells documents, window by window."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stages.errors import DataError
from stages.tokens import encoder, split
from training import model


@dataclass(frozen=True)
class Window:
    """Tokens a model sees at once, and those of them that are scored: from `first` on."""

    document: int
    ids: np.ndarray
    first: int


def context(folder: Path) -> tuple[int, int]:
    """The most tokens a model sees at once, and the id that its documents begin with."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    begin = config.bos_token_id if config.bos_token_id is not None else config.eos_token_id
    if isinstance(begin, list):
        begin = begin[0]
    if begin is None:
        raise DataError(f"{folder}: the model's config has no bos_token_id and no eos_token_id")
    return int(config.max_position_embeddings), int(begin)


def encode(folder: Path, texts: list[str]) -> list[np.ndarray]:
    """The ids of each text by a model's own tokenizer, no special tokens among them."""
    pieces, firsts = split(texts)
    ids, offsets = encoder(str(folder / "tokenizer.json"))(pieces)
    return np.split(ids.astype(np.int64), offsets[firsts][1:-1]) if texts else []


def windows(document: int, ids: np.ndarray, begin: int, window: int, stride: int) -> list[Window]:
    """Windows in which every token of a document is scored once.

    The begin token stands before the document, so its first token is scored too. But in the first
    window, a scored token has at least `window - stride` tokens before it, as far as there are any.
    """
    line = np.concatenate([[begin], ids])
    found, done = [], 1
    for at in range(0, line.size, stride):
        if done >= line.size:
            break
        found.append(Window(document, line[at : at + window], done - at))
        done = min(at + window, line.size)
    return found


def nats(
    folder: Path, documents: list[np.ndarray], *, window: int, stride: int, rows: int, gpu: bool
) -> np.ndarray:
    """The negative log-likelihood of each document, in nats.

    Windows of like length go through the model together, filled up behind their end, where a
    causal model does not look.
    """
    begin = context(folder)[1]
    device = torch.device("cuda" if gpu else "cpu")
    net = model.load(folder).to(device).eval()
    jobs = [w for i, ids in enumerate(documents) for w in windows(i, ids, begin, window, stride)]
    jobs.sort(key=lambda w: w.ids.size)
    total = np.zeros(len(documents))
    for at in range(0, len(jobs), rows):
        some = jobs[at : at + rows]
        np.add.at(total, [w.document for w in some], _score(net, some, device))
    return total


@torch.inference_mode()
def _score(net: Any, some: list[Window], device: torch.device) -> np.ndarray:
    ids = np.zeros((len(some), max(w.ids.size for w in some)), np.int64)
    scored = np.zeros((len(some), ids.shape[1] - 1), bool)
    for i, one in enumerate(some):
        ids[i, : one.ids.size] = one.ids
        scored[i, one.first - 1 : one.ids.size - 1] = True
    line = torch.from_numpy(ids).to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = net(line, use_cache=False).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), line[:, 1:].flatten(), reduction="none"
    )
    found: np.ndarray = (losses.view(scored.shape).double().cpu().numpy() * scored).sum(1)
    return found
