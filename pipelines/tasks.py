"""Every kind of work a runner can be given, by name: what travels to a worker is this and no more."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipelines import exchange, jobs, worker
from pipelines.store import Store
from stages.errors import StoreError

KINDS: dict[str, Callable[..., Any]] = {
    "pass": worker.run_pass,
    "probe": worker.probe,
    "decide": exchange.decide,
    "refine": exchange.refine,
    "decide_refined": exchange.decide_refined,
    "ask": exchange.ask,
    "evidence": exchange.evidence,
    "verify": exchange.verify,
    "conclude": exchange.conclude,
    "names": exchange.names,
    "settle": exchange.settle,
    "job": jobs.run_job,
}


@dataclass(frozen=True)
class Task:
    """Work for one worker: what to do, the key it commits under, arguments, bytes it will read."""

    kind: str
    target: str
    args: tuple[Any, ...]
    bytes: int = 0
    cpus: float = 1
    gpus: float = 0
    memory: int = 0
    heavy: bool = False


def perform(store: Store, task: Task) -> Any:
    """Do the work, unless somebody has done it. A commit is the same, whoever made it."""
    if task.kind != "probe":
        done = store.find(task.target)
        if done is not None:
            return done
    try:
        return KINDS[task.kind](store, task.target, *task.args)
    except BaseException as wrong:
        store.clear_scratch(task.target)
        if isinstance(
            wrong, OSError
        ):  # a full disk, a lost mount, no permission: nobody's document
            raise StoreError(
                f"{store.url}: {wrong}; mend that and run the same command again"
            ) from None
        raise
