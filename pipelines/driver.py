"""Run a pipeline: every flow, pass by pass, doing only the work that no earlier run has done."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from pipelines.exchange import SKETCH_BYTES_PER_TASK, SKETCH_ROWS_PER_TASK
from pipelines.graph import Flow, Pipeline
from pipelines.hunt import hunt
from pipelines.plan import ENGINE, Input, Pass, passes, read_inputs
from pipelines.runner import Lost, Runner
from pipelines.store import Commit, Store
from pipelines.tasks import Task
from pipelines.worker import READ
from stages.base import Barrier, Job, Source
from stages.config import StepType, digest, dump_step, fingerprint, references
from stages.errors import DataError, SpecError, StageError
from stages.shards import SKETCH

Watch: TypeAlias = Callable[[str, Any], None]  # told of every event of a run: what, about what


def silent(what: str, about: Any) -> None:
    """Watch without a word."""


@dataclass
class Stretch:
    """A pass, or a job, that was walked: its shards in order, for the report."""

    flow: str
    steps: list[str]
    work: Pass | Job
    keys: list[str] = field(default_factory=list)
    barrier_keys: list[str] = field(default_factory=list)
    computed: int = 0
    barrier_seconds: float = 0.0


@dataclass
class Walk:
    """One run of a pipeline over a store: what it found done, and what it did."""

    store: Store
    runner: Runner
    pipeline: Pipeline
    watch: Watch = silent
    stretches: list[Stretch] = field(default_factory=list)
    faults: dict[str, list[int]] = field(default_factory=dict)  # stage -> [documents, failures]
    found: dict[str, list[list[Input]]] = field(
        default_factory=dict
    )  # flow -> parts of its sources

    def run(self) -> list[Stretch]:
        """Every flow in order. Raises the errors of `stages.errors`."""
        outputs: dict[str, list[Input]] = {}
        for name in self.pipeline.order():  # every input is looked for before any work starts
            self.found[name] = self._listed(name, self.pipeline.flows[name])
        for name in self.pipeline.order():
            flow = self.pipeline.flows[name]
            if isinstance(flow.end, Job):
                outputs[name] = self._job(name, flow, flow.end, outputs)
            else:
                outputs[name] = self._flow(name, flow, outputs)
        return self.stretches

    def _flow(self, name: str, flow: Flow, outputs: dict[str, list[Input]]) -> list[Input]:
        shards = self._inputs(name, flow, outputs)
        decision: str = ""
        slices: dict[str, str] = {}
        steps = [self._resolved(step, outputs) for step in flow.steps]
        for work in passes(name, Flow(flow.inputs, steps), self.pipeline.seconds):
            stretch = Stretch(name, work.names, work)
            self.stretches.append(stretch)
            shards = self._pass(stretch, work, shards, decision, slices)
            decision, slices = "", {}
            if work.exit:
                decision, slices = self._barrier(stretch, work.exit, shards)
        return shards

    def _listed(self, name: str, flow: Flow) -> list[list[Input]]:
        """The parts of each source of a flow. SpecError where there is nothing to read."""
        found = []
        for at, source in enumerate(flow.inputs):
            if isinstance(source, Source):
                self.watch("listing", source)
                try:
                    found.append(read_inputs(source))
                except DataError as missing:
                    place = self.pipeline.place or self.pipeline.name
                    raise SpecError(f"{place}: flows.{name}.from[{at}]: {missing}") from None
        return found

    def _inputs(self, name: str, flow: Flow, outputs: dict[str, list[Input]]) -> list[Input]:
        parts = iter(self.found[name])
        found: list[Input] = []
        for source in flow.inputs:
            found += next(parts) if isinstance(source, Source) else outputs[source]
        return found

    def _pass(
        self,
        stretch: Stretch,
        work: Pass,
        shards: list[Input],
        decision: str,
        slices: dict[str, str],
    ) -> list[Input]:
        tasks = []
        note = self._note(work.dump())
        for number, shard in enumerate(shards):
            said = [slices.get("", ""), slices.get(str(number), "")] if decision else []
            target = digest(work.key, shard.key, *said)
            args = (note, shard, number, decision, self.runner.isolated)
            needs = work.resources
            tasks.append(
                Task(
                    "pass",
                    target,
                    args,
                    shard.bytes,
                    needs.cpus,
                    needs.gpus,
                    needs.memory,
                    needs.heavy,
                )
            )
        stretch.keys = [task.target for task in tasks]
        self.watch("pass", stretch)
        commits = {commit.key: commit for commit in self._perform(tasks, stretch)}
        return [
            Input(task.target, _size(commits[task.target]), shard.name)
            for task, shard in zip(tasks, shards, strict=True)
        ]

    def _perform(
        self, tasks: list[Task], stretch: Stretch, *, anew: bool = False
    ) -> Iterator[Commit]:
        """The commits of all tasks, those found done first; largest first among the others.

        With `anew`, what is found done is done again.
        """
        fresh: dict[str, Task] = {}
        for task in tasks:
            if anew:
                self.store.discard(task.target)
            done = self.store.find(task.target)
            if done is None:
                fresh[task.target] = task
            else:
                yield self._seen(done, stretch, reused=True)
        stretch.computed += len(fresh)
        todo = sorted(fresh.values(), key=lambda task: (-task.bytes, task.target))
        self.watch("todo", todo)
        for attempt in range(1, self.runner.attempts + 1):
            lost: list[tuple[Task, Lost]] = []
            for task, outcome in self.runner.run(self.store, todo):
                if isinstance(outcome, Lost):
                    lost.append((task, outcome))
                else:
                    yield self._seen(outcome, stretch, reused=False)
            todo = [task for task, _ in lost]
            if not todo:
                return
            self.watch("lost", (attempt, lost))
        for task, why in lost:
            yield self._seen(
                hunt(self.store, self.runner, task, why, self.watch), stretch, reused=False
            )

    def _seen(self, commit: Commit, stretch: Stretch, *, reused: bool) -> Commit:
        """Watch a commit go by, and stop the run when a stage fails on too many documents."""
        self.watch("reused" if reused else "commit", commit)
        for counts in commit.result.get("stages", []):
            stage = counts["stage"]
            if stage == READ:
                continue
            seen = self.faults.setdefault(f"{stretch.flow}.{stage}", [0, 0])
            seen[0] += counts["in"]
            seen[1] += sum(counts["quarantined"].values())
            allowed = max(3, self.pipeline.max_errors * max(seen[0], 1_000))
            if seen[1] > allowed:
                kinds = ", ".join(sorted(counts["quarantined"]))
                raise StageError(
                    f"{stretch.flow}.{stage} failed on {seen[1]:,} of {seen[0]:,} documents ({kinds}), the "
                    f"last of them in {commit.result['input']}; max_errors allows {self.pipeline.max_errors:g}"
                )
        return commit

    def _barrier(
        self, stretch: Stretch, barrier: Barrier, shards: list[Input]
    ) -> tuple[str, dict[str, str]]:
        """The rounds of a barrier; the key of its decision and the digest of each shard's slice."""
        began = time.monotonic()
        note = self._note(dump_step(barrier))
        keys = [shard.key for shard in shards]
        listed = self._list(keys)
        parts = _partitions(self.store.get(key) for key in keys)
        base = (str(ENGINE), fingerprint(barrier), listed, str(parts))

        def round_(kind: str, calls: Iterable[tuple[int, tuple[Any, ...]]]) -> list[Commit]:
            tasks = [Task(kind, digest(kind, *base, str(at)), args) for at, args in calls]
            stretch.barrier_keys += [task.target for task in tasks]
            found = {commit.key: commit for commit in self._perform(tasks, stretch)}
            return [found[task.target] for task in tasks]

        made = round_("decide", [(at, (note, listed, at, parts)) for at in range(parts)])
        if barrier.refined:
            proposed = self._list_of(made)
            refined = round_(
                "refine", [(at, (note, listed, proposed, at)) for at in range(len(keys))]
            )
            again, parts = self._list_of(refined), _partitions(refined)
            made = round_("decide_refined", [(at, (note, again, at, parts)) for at in range(parts)])
        if barrier.verified:
            (asked,) = round_("ask", [(0, (note, self._list_of(made)))])
            ask, wanted, pairs = asked.key, asked.result["shards"], asked.result["parts"]
            shown = round_("evidence", [(at, (note, listed, ask, at)) for at in wanted])
            known = self._list_of(shown)
            made = round_("verify", [(at, (note, ask, known, at)) for at in range(pairs)])
        (concluded,) = round_("conclude", [(0, (note, self._list_of(made)))])
        kept = concluded.result["shards"]
        named = round_("names", [(at, (listed, concluded.key, at)) for at in kept])
        (settled,) = round_("settle", [(0, (concluded.key, self._list_of(named)))])
        stretch.barrier_seconds = time.monotonic() - began
        return settled.key, settled.result["slices"]

    def _job(self, name: str, flow: Flow, job: Job, outputs: dict[str, list[Input]]) -> list[Input]:
        inputs = {
            source: self._list([shard.key for shard in outputs[source]])
            for source in flow.inputs
            if isinstance(source, str)
        }
        job = self._resolved(job, outputs)
        # What a job is given is named by what was made, not by the flows' names.
        target = digest("job", str(ENGINE), fingerprint(job), *inputs.values())
        needs = job.resources
        task = Task(
            "job",
            target,
            (self._note(dump_step(job)), inputs),
            0,
            needs.cpus,
            needs.gpus,
            needs.memory,
            heavy=False,
        )
        stretch = Stretch(name, [type(job).__name__], job, [target])
        self.stretches.append(stretch)
        self.watch("job", stretch)
        (commit,) = self._perform([task], stretch, anew=not job.stands())
        return [Input(commit.key, _size(commit), name)]

    def _resolved(self, step: StepType, outputs: dict[str, list[Input]]) -> StepType:
        """The step with the files of other flows' jobs in place of their names."""
        found = {}
        for name, (flow, path) in references(step).items():
            if flow not in outputs:
                raise SpecError(
                    f"{flow}: is not done, and {type(step).__name__}.{name} needs {path}"
                )
            found[name] = self.store.place(outputs[flow][0].key, path)
        resolved = replace(step, **found)
        try:
            if found:
                resolved.check()
        except SpecError as wrong:
            raise SpecError(f"{type(step).__name__}.{wrong}") from None
        return resolved

    def _note(self, about: dict[str, Any]) -> str:
        """Note what a step or pass is, places included, so that tasks are given its name only."""
        name = digest("note", json.dumps(about, sort_keys=True))
        self.store.note(f"passes/{name}.json", about)
        return name

    def _list(self, keys: list[str]) -> str:
        """Note a list of keys, so that tasks are given its name only."""
        name = digest("manifest", *keys)
        self.store.note(f"manifests/{name}.json", keys)
        return name

    def _list_of(self, commits: list[Commit]) -> str:
        return self._list([commit.key for commit in commits])


def _partitions(sketched: Iterable[Commit]) -> int:
    """Into how many ranges of the key the sketches of some shards are parted."""
    files = [commit.files[SKETCH] for commit in sketched]
    rows, size = sum(file.rows for file in files), sum(file.bytes for file in files)
    return max(1, -(-rows // SKETCH_ROWS_PER_TASK), -(-size // SKETCH_BYTES_PER_TASK))


def _size(commit: Commit) -> int:
    return sum(file.bytes for file in commit.files.values())
