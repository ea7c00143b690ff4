"""The state of a training run on disk: one file per checkpoint, there whole or not at all."""

import os
from pathlib import Path
from typing import Any

import torch

KEPT = 2  # the newest, and the one before it should a disk have lied


def save(work: Path, step: int, state: dict[str, Any]) -> None:
    """Write aside, flush to the disk, rename: a run killed at any moment leaves no torn file."""
    name = f"step-{step:09d}.pt"
    aside = work / f"{name}.part"
    with open(aside, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    aside.rename(work / name)
    folder = os.open(work, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    for old in found(work)[:-KEPT]:
        old.unlink()


def found(work: Path) -> list[Path]:
    """Every checkpoint that is complete, oldest first."""
    return sorted(work.glob("step-*.pt"))


def load(work: Path) -> dict[str, Any] | None:
    """The newest state, on the CPU; tensors and numbers only, nothing that could run."""
    paths = found(work)
    if not paths:
        return None
    state: dict[str, Any] = torch.load(paths[-1], map_location="cpu", weights_only=True)
    return state
