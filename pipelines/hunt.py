"""Find the documents that kill or hang their worker, and run the shard without them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pipelines.runner import Lost, Runner
from pipelines.store import Commit, Store
from pipelines.tasks import Task
from pipelines.worker import UNREADABLE, Rows
from stages.errors import RunnerError

FATAL = "this document, even alone, kills its worker or takes longer than it may"
CHUNK = 512  # rows of a probe before halving begins


def hunt(
    store: Store,
    runner: Runner,
    task: Task,
    lost: Lost,
    watch: Callable[[str, Any], None],
) -> Commit:
    """Halve the shard until the rows at fault stand alone, note them, and do the shard without.

    RunnerError if no row is at fault, or if the worker still dies.
    """
    if task.kind != "pass" or not runner.isolated:
        raise RunnerError(f"the worker of a {task.kind} task died: {lost.why}")
    watch("hunt", task)
    poison = find(store, runner, task)
    if poison:
        store.note(f"poison/{task.target}.json", poison)
    # Without poison the batch as a whole was slow or large, no document of it: no clock this time.
    again = replace(task, args=(*task.args[:-1], bool(poison)))
    ((_, outcome),) = runner.run(store, [again])
    if isinstance(outcome, Lost):
        raise RunnerError(
            f"{task.args[1].name}: the worker dies ({outcome.why}) and no single document is at "
            f"fault; give its stages more memory or smaller slices"
        )
    commit: Commit = outcome
    return commit


def find(store: Store, runner: Runner, task: Task) -> list[list[Any]]:
    """The rows that kill their worker even alone, each with how it died; row -1 if reading does."""

    def probe(ranges: list[Rows]) -> list[tuple[Rows, Any]]:
        tasks = [replace(task, kind="probe", args=(*task.args[:-1], rows)) for rows in ranges]
        return [(probed.args[-1], outcome) for probed, outcome in runner.run(store, tasks)]

    ((_, count),) = probe([Rows(0, 0)])
    if isinstance(count, Lost):
        return [[UNREADABLE, "WorkerDied: reading this input kills its worker"]]
    suspects: list[Rows] = []
    ranges = [Rows(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    while ranges:
        guilty = [rows for rows, outcome in probe(ranges) if isinstance(outcome, Lost)]
        ranges = []
        for rows in guilty:
            middle = (rows.start + rows.stop) // 2
            if middle == rows.start:
                suspects.append(rows)
            else:
                ranges += [Rows(rows.start, middle), Rows(middle, rows.stop)]
    # A machine may die on an innocent document; the same document twice is no accident.
    guilty = [rows for rows, outcome in probe(suspects) if isinstance(outcome, Lost)]
    return [[rows.start, f"WorkerDied: {FATAL}"] for rows in sorted(guilty, key=lambda r: r.start)]
