"""The training loop of a causal language model, on one process or on each of many."""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from stages.errors import Error
from training import checkpoint, model
from training.settings import Training
from training.stream import IGNORED, Arrays, TokenStream

COLUMNS = ("step", "tokens", "loss", "learning_rate", "gradient_norm")


class DivergedError(Error):
    """The loss or its gradient is not a number any more; the weights before it are in `work`."""


def stream(
    job: Training, shards: Sequence[Path], rank: int = 0, world: int = 1, start: int = 0
) -> TokenStream:
    """The batches of a job from a step on."""
    return TokenStream(shards, rows=job.rows, seed=job.seed, rank=rank, world=world, start=start)


def train(job: Training, shards: Sequence[Path], work: Path, rank: int = 0, world: int = 1) -> None:
    """Train from `work`'s newest checkpoint, or its `base`, to the end; leaves a last checkpoint."""
    torch.set_num_threads(job.cpus)
    device = torch.device("cuda" if job.gpus else "cpu")
    net = model.load(work / "base").to(device).train()
    optimizer = _optimizer(net, job)
    state = checkpoint.load(work)
    lines: list[list[float]] = []
    if state:
        net.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        lines = state["history"].tolist()
    batches = stream(job, shards, rank, world, start=len(lines))
    steps = job.steps(batches.length)
    wrapped = DistributedDataParallel(net) if world > 1 else net
    for step, batch in zip(range(len(lines) + 1, steps + 1), batches, strict=False):
        rate = job.learning_rate * factor(job, step, steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss, norm = _gradients(wrapped, batch, job, device, world)
        if not math.isfinite(loss + norm):
            raise DivergedError(
                f"the loss of step {step} is {loss}, the norm of its gradient {norm}: "
                f"lower learning_rate ({job.learning_rate}), or look at what the shards hold"
            )
        optimizer.step()
        optimizer.zero_grad()
        lines.append([step, step * job.rows * batches.length, loss, rate, norm])
        if rank == 0 and (step % job.checkpoint_every == 0 or step == steps):
            kept = {"model": net.state_dict(), "optimizer": optimizer.state_dict()}
            checkpoint.save(
                work, step, {**kept, "history": torch.tensor(lines, dtype=torch.float64)}
            )
    if world > 1:
        dist.barrier()


def history(work: Path) -> list[dict[str, float]]:
    """Every step of the newest checkpoint."""
    state = checkpoint.load(work)
    lines = state["history"].tolist() if state else []
    return [
        {"step": int(s), "tokens": int(n), **dict(zip(COLUMNS[2:], rest, strict=True))}
        for s, n, *rest in lines
    ]


def factor(job: Training, step: int, steps: int) -> float:
    """The share of the learning rate at a step, of 1 to `steps`."""
    warm = min(1.0, step / max(1.0, job.warmup * steps))
    done = (step - 1) / steps
    if job.schedule == "cosine":
        return warm * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))
    return warm * min(1.0, (1 - done) / max(job.decay, 1 / steps))


def _optimizer(net: torch.nn.Module, job: Training) -> torch.optim.Optimizer:
    matrices = [weights for weights in net.parameters() if weights.dim() > 1]
    others = [weights for weights in net.parameters() if weights.dim() <= 1]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": job.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=job.learning_rate, betas=(0.9, 0.95), fused=True)


def _gradients(
    net: Any, batch: Arrays, job: Training, device: torch.device, world: int
) -> tuple[float, float]:
    """Add up the gradient of a global batch's mean loss, clipped; that loss, and the norm before."""
    tensors = {name: torch.from_numpy(array).to(device) for name, array in batch.items()}
    sums = torch.tensor([0.0, float((batch["labels"][:, 1:] != IGNORED).sum())], device=device)
    tokens = sums[1:].clone()
    if world > 1:
        dist.all_reduce(tokens)
    parts = [
        {k: v[at : at + job.micro_rows] for k, v in tensors.items()}
        for at in range(0, len(batch["labels"]), job.micro_rows)
    ]
    for at, part in enumerate(parts):
        alone = world > 1 and at < len(parts) - 1  # the workers meet once a step
        with net.no_sync() if alone else nullcontext():
            loss = _loss(net, part, device)
            torch.autograd.backward((loss * world / tokens.clamp(min=1)).sum())
        sums[0] += loss.detach()
    if world > 1:
        dist.all_reduce(sums)
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), job.clip)
    return float(sums[0] / tokens.clamp(min=1)), float(norm)


def _loss(net: Any, part: dict[str, torch.Tensor], device: torch.device) -> torch.Tensor:
    """The sum over the tokens of some rows, each seen from its own document only.

    Positions that begin again keep documents apart; with a cache or a two-dimensional attention
    mask transformers would silently let them see each other.
    """
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        logits = net(part["input_ids"], position_ids=part["position_ids"], use_cache=False).logits
    labels = part["labels"][:, 1:].flatten()
    return cross_entropy(
        logits[:, :-1].float().flatten(0, 1), labels, ignore_index=IGNORED, reduction="sum"
    )
