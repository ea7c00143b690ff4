"""Where the work happens: one method, three homes, byte-identical stores.

`run` takes any number of tasks and yields each with its outcome, in any order. A task that raises
ends the run with its error; a task whose *worker* died or hung comes back as `Lost`, for the driver
to try again or to hunt for the document at fault.
"""

import gc
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from threading import Thread, current_thread, main_thread
from typing import Any, Protocol

from pipelines.store import Store
from pipelines.tasks import Task, perform
from stages.errors import Error, RunnerError

WINDOW_BYTES = 4 << 30  # bytes of input in flight, whatever the number of workers


@dataclass(frozen=True)
class Lost:
    """The worker died before it could answer."""

    why: str


Outcome = tuple[Task, Any]


class Runner(Protocol):
    """Perform tasks, anywhere, in any order."""

    name: str
    isolated: bool  # whether a task may die without taking the driver with it
    attempts: int  # of a task whose worker dies, before the document at fault is hunted

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[Outcome]: ...
    def close(self) -> None: ...


class InProcess:
    """In this process, one after another: for debugging and tests. Nothing is isolated."""

    isolated = False
    attempts = 1
    name = "in-process"

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            yield task, perform(store, task)

    def close(self) -> None:
        """Nothing was started."""


class Pool:
    """As many processes as there are cores, on one machine, without Ray.

    Workers are forked from a server that has loaded the stages once, so they start at once.
    """

    isolated = True
    attempts = 2

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers or len(os.sched_getaffinity(0))
        self.name = f"process pool, {self.workers} workers"
        self._pool: Any = None

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[Outcome]:
        from pebble import ProcessExpired

        waiting: dict[Any, Task] = {}
        for task in bounded(tasks, self.workers * 2, waiting):
            if task is not None:
                waiting[self._start().schedule(perform, args=(store, task))] = task
                continue
            done, _ = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                finished = waiting.pop(future)
                try:
                    yield finished, future.result()
                except ProcessExpired as dead:
                    yield finished, Lost(died(dead.exitcode))
                except BrokenProcessPool:
                    raise RunnerError(
                        "no worker process can start; a script that runs a Pool must do so under "
                        "`if __name__ == '__main__':`, because every worker imports the script"
                    ) from None

    def _start(self) -> Any:
        from pebble import ProcessPool

        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload(["pipelines.tasks"])
            self._pool = ProcessPool(
                self.workers,
                initializer=begin_worker,
                initargs=(dict(os.environ),),
                context=context,
            )
        return self._pool

    def close(self) -> None:
        """End the workers, whatever they are doing."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None


class OnRay:
    """As Ray core tasks, a bounded number in flight; stages with heavy models as actors.

    Ray moves no documents: a worker reads its shard from the store and writes it there. A worker
    that dies is retried by Ray; if it dies again and again, the task comes back as `Lost`.
    """

    isolated = True
    attempts = 1
    retries = 2  # by Ray itself

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        import ray

        self.ray = ray
        self.mine = not ray.is_initialized()
        if self.mine:
            on_terminate = signal.getsignal(signal.SIGTERM)
            ray.init(
                address=address,
                num_cpus=None if address else workers,
                log_to_driver=False,
                include_dashboard=None if address else False,
                runtime_env={"env_vars": {"OMP_NUM_THREADS": "1"}},
            )
            if on_terminate and current_thread() is main_thread():  # only there can Ray replace it
                signal.signal(signal.SIGTERM, on_terminate)
        self.cpus = int(self._have().get("CPU", 1))
        self.name = f"Ray, {self.cpus} CPUs"
        self._task = ray.remote(max_retries=self.retries)(on_worker)
        self._crews: dict[tuple[float, float, int], Crew] = {}

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[Outcome]:
        errors = self.ray.exceptions
        try:
            yield from self._outcomes(store, tasks)
        except errors.RayTaskError as wrong:
            raise (wrong.cause if isinstance(wrong.cause, Exception) else wrong) from None
        except errors.RayError as broken:
            raise RunnerError(
                f"Ray itself failed ({type(broken).__name__}): {str(broken).strip().splitlines()[0]} "
                "What is done is kept: run the same command again to go on."
            ) from None

    def _outcomes(self, store: Store, tasks: Iterable[Task]) -> Iterator[Outcome]:
        errors = self.ray.exceptions
        waiting: dict[Any, Task] = {}
        asked: set[tuple[float, float, int]] = set()
        for task in bounded(tasks, self.cpus * 4, waiting):
            if task is not None:
                needs = (task.cpus, task.gpus, task.memory)
                if needs not in asked:
                    self._feasible(task)
                    asked.add(needs)
                waiting[self._submit(store, task)] = task
                continue
            (ready,), _ = self.ray.wait(list(waiting), num_returns=1)
            finished = waiting.pop(ready)
            try:
                yield finished, self.ray.get(ready)
            except (
                errors.WorkerCrashedError,
                errors.OutOfMemoryError,
                errors.NodeDiedError,
                errors.ActorDiedError,
                errors.ActorUnavailableError,
            ) as dead:
                yield finished, Lost(f"WorkerDied: {type(dead).__name__}")

    def _have(self) -> dict[str, float]:
        found: dict[str, float] = dict(self.ray.cluster_resources())  # type: ignore[no-untyped-call]
        return found

    def _submit(self, store: Store, task: Task) -> Any:
        options = {"num_cpus": task.cpus, "num_gpus": task.gpus, "memory": task.memory or None}
        if not task.heavy:
            retries = 0 if task.kind == "probe" else self.retries
            return self._task.options(name=task.kind, max_retries=retries, **options).remote(
                store, task
            )
        return self._crew(options).submit(store, task)

    def _crew(self, options: dict[str, Any]) -> "Crew":
        shape = (options["num_cpus"], options["num_gpus"], options["memory"] or 0)
        if shape not in self._crews:
            have = self._have()
            places = [have.get("CPU", 1) // max(shape[0], 1)]
            places += [have.get("GPU", 0) // shape[1]] if shape[1] else []
            actor = self.ray.remote(max_restarts=-1, max_task_retries=self.retries, **options)(
                Keeper
            )
            self._crews[shape] = Crew([actor.remote() for _ in range(max(1, int(min(places))))])
        return self._crews[shape]

    def _feasible(self, task: Task) -> None:
        """RunnerError at once where Ray would wait for ever for a resource that nobody has."""
        have = self._have()
        for name, wanted in (("CPU", task.cpus), ("GPU", task.gpus), ("memory", task.memory)):
            if wanted > have.get(name, 0):
                raise RunnerError(
                    f"a {task.kind} task needs {wanted:g} {name}; the cluster has {have.get(name, 0):g}"
                )

    def close(self) -> None:
        """Leave the cluster, or end it if it was started here."""
        if self.mine:
            self.ray.shutdown()


class Keeper:
    """A lasting worker: models stay loaded from task to task."""

    def perform(self, store: Store, task: Task) -> Any:
        return perform(store, task)


class Crew:
    """Some keepers; the one with the least to do gets the next task."""

    def __init__(self, actors: list[Any]) -> None:
        self.turns = deque(actors)

    def submit(self, store: Store, task: Task) -> Any:
        self.turns.rotate(-1)
        return self.turns[0].perform.remote(store, task)


def on_worker(store: Store, task: Task) -> Any:
    """The one Ray task: a name of its own, so that the dashboard shows one kind of work."""
    single_threaded()
    return perform(store, task)


def begin_worker(surroundings: dict[str, str]) -> None:
    """What every process of a pool does first: it was forked from a server with an older environment."""
    os.environ.clear()
    os.environ.update(surroundings)
    single_threaded()
    gc.freeze()  # what the server loaded stays: to look through it for garbage costs 1 % of a run
    gc.set_threshold(20_000)
    Thread(target=end_with_driver, daemon=True).start()


def end_with_driver() -> None:
    """Wait for the driver to end, however it does, and end with it: its workers would work on."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        driver.join()
        os._exit(1)


def single_threaded() -> None:
    """One task, one core: parallelism is the runner's business."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(2)
    os.environ["OMP_NUM_THREADS"] = os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def bounded(tasks: Iterable[Task], most: int, waiting: dict[Any, Task]) -> Iterator[Task | None]:
    """The tasks, with a None wherever one in flight must be waited for first.

    In flight are at most `most` tasks and WINDOW_BYTES of input, but always at least one task.
    """
    for task in tasks:
        while waiting and (
            len(waiting) >= most
            or sum(t.bytes for t in waiting.values()) + task.bytes > WINDOW_BYTES
        ):
            yield None
        yield task
    while waiting:
        yield None


def died(code: int | None) -> str:
    """In words, how a worker process ended."""
    if code is not None and code < 0:
        return f"WorkerDied: killed by signal {-code}"
    return f"WorkerDied: ended with code {code}"


__all__ = ["Error", "InProcess", "Lost", "OnRay", "Outcome", "Pool", "Runner"]
