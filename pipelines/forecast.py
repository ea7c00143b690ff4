"""What running a pipeline would do: passes, shards, what is done already, and how long it may take."""

import time
from collections.abc import Iterator

from pipelines.driver import Stretch, Walk
from pipelines.graph import Flow, Pipeline, unguarded
from pipelines.pins import pinned
from pipelines.plan import Input, Pass, passes
from pipelines.runner import InProcess
from pipelines.store import Commit, Store
from pipelines.tasks import Task
from pipelines.worker import Journey, read, text_bytes
from stages.base import Job
from stages.config import references

SAMPLE_SECONDS = 5.0


class _Unmade(Exception):  # noqa: N818 -- not an error: the end of what can be foreseen
    """A result that what comes next depends on is not there yet."""


class _Foresight(Walk):
    """Walks as far as results are there, and takes note of what is not."""

    def __init__(self, store: Store, pipeline: Pipeline) -> None:
        super().__init__(store, InProcess(), pipeline)
        self.missing: dict[int, list[Task]] = {}
        self.first_inputs: dict[str, list[Input]] = {}

    def _perform(
        self, tasks: list[Task], stretch: Stretch, *, anew: bool = False
    ) -> Iterator[Commit]:
        found = {task.target: None if anew else self.store.find(task.target) for task in tasks}
        missing = [task for task in tasks if found[task.target] is None]
        if missing:
            self.missing.setdefault(id(stretch), []).extend(missing)
            raise _Unmade
        return iter([commit for commit in found.values() if commit])

    def _inputs(self, name: str, flow: Flow, outputs: dict[str, list[Input]]) -> list[Input]:
        needed = {source for source in flow.inputs if isinstance(source, str)}
        needed |= {made for step in flow.steps for made, _ in references(step).values()}
        if not needed <= outputs.keys():
            raise _Unmade
        return super()._inputs(name, flow, outputs)

    def flow_lines(self, name: str, outputs: dict[str, list[Input]]) -> Iterator[str]:
        """The lines about one flow; fills `outputs` if all of it is done."""
        flow = self.pipeline.flows[name]
        before = len(self.stretches)
        known = True
        try:
            if not isinstance(flow.end, Job):
                self.found[name] = self._listed(name, flow)
                self.first_inputs[name] = self._inputs(name, flow, outputs)
                outputs[name] = self._flow(name, flow, outputs)
            else:
                self.found[name] = []
                self._inputs(name, flow, outputs)
                outputs[name] = self._job(name, flow, flow.end, outputs)
        except _Unmade:
            known = False
        walked = self.stretches[before:]
        for stretch in walked:
            missing = self.missing.get(id(stretch), [])
            yield _line(stretch, missing)
            if isinstance(stretch.work, Pass):
                yield from _promises(stretch.work)
        if isinstance(flow.end, Job):
            if not walked:
                yield f"  {type(flow.end).__name__}: waits for {', '.join(map(str, flow.inputs))}"
        elif not known:
            for work in passes(name, flow)[len(walked) :]:
                yield f"  {_title(work)}: waits for what is before it"
                yield from _promises(work)


def forecast(pipeline: Pipeline, store: Store) -> Iterator[str]:
    """The plan of a pipeline, line by line."""
    pipeline = pinned(pipeline)
    foresight = _Foresight(store, pipeline)
    outputs: dict[str, list[Input]] = {}
    yield f"{pipeline.name}: the recipe is sound; results go to {store.url}"
    for name in pipeline.order():
        inputs = [
            i if isinstance(i, str) else type(i).__name__ for i in pipeline.flows[name].inputs
        ]
        yield f"{name} (from {', '.join(inputs)})"
        yield from foresight.flow_lines(name, outputs)
    yield from _times(foresight)
    for warning in unguarded(pipeline):
        yield f"warning: {warning}"


def _line(stretch: Stretch, missing: list[Task]) -> str:
    title = _title(stretch.work) if isinstance(stretch.work, Pass) else stretch.steps[0]
    if not missing:
        return f"  {title}: done ({len(stretch.keys):,} shards)"
    kinds = {task.kind for task in missing}
    if kinds - {"pass", "job"}:
        return f"  {title}: shards done; {', '.join(sorted(kinds))} of the barrier to do"
    size = sum(task.bytes for task in missing)
    return f"  {title}: {len(missing):,} of {len(stretch.keys) or 1:,} shards to do, {size / 1e6:,.1f} MB to read"


def _title(work: Pass) -> str:
    parts = [*work.names]
    if work.exit:
        parts.append(f"sketch of {type(work.exit).__name__}")
    if work.sink:
        parts.append(type(work.sink).__name__)
    return " > ".join(parts) or "read"


def _promises(work: Pass) -> Iterator[str]:
    """What the barrier behind a pass foretells of itself."""
    if work.exit:
        for line in work.exit.forecast():
            yield f"    {type(work.exit).__name__}: {line}"


def _times(foresight: _Foresight) -> Iterator[str]:
    """CPU time of the flows that read from outside and are not done, from a sample of each."""
    for name, inputs in foresight.first_inputs.items():
        todo = {
            task.args[1].key
            for tasks in foresight.missing.values()
            for task in tasks
            if task.kind == "pass"
        }
        slices = [i for i in inputs if i.slice is not None and i.key in todo]
        if slices:
            pick = min(slices, key=lambda i: (i.bytes, i.key))
            seconds = _sample(foresight.store, passes(name, foresight.pipeline.flows[name]), pick)
            total = seconds / max(pick.bytes, 1) * sum(i.bytes for i in slices)
            yield f"{name}: about {_span(total)} of one core, from a sample of {pick.name}"


def _sample(store: Store, plan: list[Pass], source: Input) -> float:
    """CPU seconds that all stages of a flow would need for an input, judged from its beginning."""
    whole = sum(text_bytes(batch) for batch in read(store, source))
    journeys = [Journey(work, None, {}, False) for work in plan]
    for warm in (True, False):  # the first batch compiles kernels and loads models
        seen, began = 0, time.process_time()
        for batch in read(store, source):
            seen += text_bytes(batch)
            flowing = iter([batch])
            for journey in journeys:
                flowing = journey.through(flowing)
            for _ in flowing:
                pass
            if warm or time.process_time() - began > SAMPLE_SECONDS:
                break
    return (time.process_time() - began) * whole / max(seen, 1)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
