"""The same loop on the workers of Ray Train: one process each, gradients averaged (DDP)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.config import dump_step, load_step
from training.settings import Training


def train(job: Training, shards: Sequence[Path], work: Path) -> None:
    """Train on `job.workers` workers; `work` must be seen by all of them.

    A dead worker restarts all of them, three times at most. They go on from the newest checkpoint
    in `work`, not from Ray's: it forgets the last one if a worker dies soon after.
    """
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    if not ray.is_initialized():
        home = str(Path(__file__).parents[1])
        path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
        ray.init(include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": path}})
    config = {"job": dump_step(job), "shards": list(map(str, shards)), "work": str(work)}
    scaling = ScalingConfig(
        num_workers=job.workers,
        use_gpu=bool(job.gpus),
        resources_per_worker={"CPU": job.cpus, **({"GPU": 1} if job.gpus else {})},
    )
    TorchTrainer(
        _worker,
        train_loop_config=config,
        torch_config=TorchConfig(backend="nccl" if job.gpus else "gloo"),
        scaling_config=scaling,
        run_config=RunConfig(
            name="train",
            storage_path=str(work / "ray"),
            failure_config=FailureConfig(max_failures=3),
        ),
    ).fit()


def _worker(config: dict[str, Any]) -> None:
    from ray import train as ray_train

    from training import loop

    job = load_step(config["job"], "train")
    assert isinstance(job, Training)
    context = ray_train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    loop.train(job, list(map(Path, config["shards"])), Path(config["work"]), rank, world)
