"""Turn flows into passes: each one reading of the text, cut behind barriers and costly stages."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipelines.graph import Flow, Pipeline
from stages.base import Barrier, Resources, Sink, Slice, Source, Stage, Step
from stages.config import digest, dump_step, fingerprint, load_step, localize
from stages.filter import Filter
from stages.measure import Measure

ENGINE = 4  # raise it when the engine writes other bytes for the same steps


@dataclass(frozen=True)
class Pass:
    """One reading of every shard: apply the last decision, run the chain, sketch the next one."""

    flow: str
    first: int  # position in the flow of the first step, for reports
    entry: Barrier | None
    chain: tuple[Stage, ...]
    exit: Barrier | None
    sink: Sink | None
    seconds: float = field(default=60.0, compare=False)  # for one document

    @cached_property
    def key(self) -> str:
        """Names everything of this pass that shapes what comes out of it, its sketch included."""
        steps = [fingerprint(step) for step in (self.entry, *self.chain, self.sink) if step]
        sketch = [fingerprint(self.exit, without=self.exit.late)] if self.exit else []
        kinds = f"{bool(self.entry)}{bool(self.exit)}{bool(self.sink)}"
        return digest(str(ENGINE), kinds, *steps, *sketch)

    @property
    def names(self) -> list[str]:
        """The names of its steps as reports show them, a repeated one with its number."""
        names: list[str] = []
        for step in (self.entry, *self.chain):
            if step is not None:
                name = type(step).__name__
                names.append(name if name not in names else f"{name}.{names.count(name) + 1}")
        return names

    @cached_property
    def columns(self) -> list[dict[str, str]]:
        """For each step of the chain, where `features` hold the columns added up to it, it included.

        A column that is added again, such as a measure taken anew of rewritten text, is `name.2`:
        each of them is one reading of one text, whatever became of the document later. Measures of
        a text that was rewritten since are no longer there.
        """
        times: dict[str, int] = {}
        void: set[str] = set()
        found: list[dict[str, str]] = []
        for at, step in enumerate(self.chain):
            if step.rewrites:
                measured = (one for one in self.chain[:at] if isinstance(one, Measure))
                void |= {column.name for one in measured for column in one.adds}
            for column in step.adds:
                times[column.name] = times.get(column.name, 0) + 1
                void.discard(column.name)
            found.append(
                {n: n if k == 1 else f"{n}.{k}" for n, k in times.items() if n not in void}
            )
        return found

    @property
    def filters(self) -> Iterator[tuple[int, Filter, dict[str, str]]]:
        """Its filters: position in the chain, the step, and the column of features of each rule."""
        for at, step in enumerate(self.chain):
            if isinstance(step, Filter):
                known = ((rule, step.prefix + rule) for rule in step.senses)
                yield at, step, {r: self.columns[at][n] for r, n in known if n in self.columns[at]}

    @property
    def resources(self) -> Resources:
        """What a worker needs to run all of it."""
        parts = [s.resources for s in (self.entry, *self.chain, self.exit, self.sink) if s]
        return Resources(
            cpus=max([1.0, *(part.cpus for part in parts)]),
            gpus=max([0.0, *(part.gpus for part in parts)]),
            memory=max([0, *(part.memory for part in parts)]),
            heavy=any(part.heavy for part in parts),
        )

    def dump(self) -> dict[str, Any]:
        """Plain data that `load_pass` turns back into this pass."""
        return {
            "flow": self.flow,
            "first": self.first,
            "entry": dump_step(self.entry) if self.entry else None,
            "chain": [dump_step(step) for step in self.chain],
            "exit": dump_step(self.exit) if self.exit else None,
            "sink": dump_step(self.sink) if self.sink else None,
            "seconds": self.seconds,
        }


def load_pass(raw: dict[str, Any]) -> Pass:
    """The pass that `Pass.dump` wrote down; its steps may be of any module the author imported."""

    def step(spec: Any) -> Any:
        return localize(load_step(spec, raw["flow"], homes=("",))) if spec else None

    chain = tuple(step(spec) for spec in raw["chain"])
    entry, leave, sink = step(raw["entry"]), step(raw["exit"]), step(raw["sink"])
    return Pass(raw["flow"], raw["first"], entry, chain, leave, sink, raw["seconds"])


def passes(name: str, flow: Flow, seconds: float = 60.0) -> list[Pass]:
    """Cut a flow's chain behind every barrier and every costly stage, and place its measures.

    A flow without steps is one empty pass per source: it only brings the documents in.
    """
    plan: list[Pass] = []
    entry: Barrier | None = None
    chain: list[Stage] = []
    first = 0

    def cut(leave: Barrier | None, sink: Sink | None, upto: int) -> None:
        nonlocal entry, chain, first
        measured = with_measures(chain, leave)
        plan.append(Pass(name, first, entry, measured, leave, sink, seconds))
        entry, chain, first = leave, [], upto

    for at, step in enumerate(flow.steps):
        if isinstance(step, Barrier):
            cut(step, None, at)
        elif isinstance(step, Sink):
            cut(None, step, at)
        elif isinstance(step, Stage):
            chain.append(step)
            if step.costly:
                cut(None, None, at + 1)
    reads = any(isinstance(source, Source) for source in flow.inputs)
    if chain or entry or (not plan and reads):
        cut(None, None, len(flow.steps))
    return plan


def with_measures(chain: list[Stage], leave: Barrier | None) -> tuple[Stage, ...]:
    """The chain with a Measure in front of the first step that needs any, and again after rewriting.

    Each takes all that is needed until the text is rewritten next.
    """
    steps: list[Step] = [*chain, leave] if leave else list(chain)
    placed: list[Stage] = []
    have: set[str] = set()
    for at, step in enumerate(steps):
        missing = [name for name in step.measures if name not in have]
        if missing:
            wanted = _needed(steps[at:])
            placed.append(Measure(names=wanted))
            have |= set(wanted)
        if isinstance(step, Stage):
            placed.append(step)
            have = set() if step.rewrites else have
    return tuple(placed)


def _needed(steps: list[Step]) -> tuple[str, ...]:
    """The measures that steps need before the text is rewritten, each once, in order."""
    names: dict[str, None] = {}
    for step in steps:
        names |= dict.fromkeys(step.measures)
        if step.rewrites:
            break
    return tuple(names)


@dataclass(frozen=True)
class Input:
    """What one worker takes through a pass: a slice of a source, or a committed shard."""

    key: str  # identity: content and name, never place
    bytes: int
    name: str  # for people
    source: Source | None = None
    slice: Slice | None = None


def read_inputs(source: Source) -> list[Input]:
    """Every part of a source as an input, in the order of its slices."""
    shape = fingerprint(source, without=("paths",))
    found = []
    for part in source.slices():
        key = digest(shape, part.name, str(part.start), str(part.stop), part.identity)
        label = part.name if part.start == 0 else f"{part.name}@{part.start}"
        found.append(Input(key, part.size, label, source, part))
    return found


def plan(pipeline: Pipeline) -> dict[str, list[Pass]]:
    """The passes of every flow that has any, in order of execution."""
    return {name: passes(name, pipeline.flows[name], pipeline.seconds) for name in pipeline.order()}
