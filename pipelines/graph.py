"""A pipeline as its author writes it: named flows of steps that feed one another."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pipelines.recipe import line_of, parse
from stages.base import DOCUMENT, Barrier, Job, Sink, Source, Stage, Step
from stages.config import (
    FLOW,
    HOMES,
    StepType,
    dump_step,
    files_of,
    load_step,
    references,
    validated,
)
from stages.decontaminate import HELDOUT, Decontaminate, HeldOut
from stages.errors import SpecError
from stages.measure import MEASURES

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Flow:
    """Documents from some inputs, taken through stages and barriers, then maybe into a sink.

    Or whole flows, given to a job.
    """

    inputs: tuple[Source | str, ...]
    steps: tuple[Step, ...] = ()

    def __init__(self, inputs: Sequence[Source | str], steps: Sequence[Step] = ()) -> None:
        object.__setattr__(self, "inputs", tuple(inputs))
        object.__setattr__(self, "steps", tuple(steps))

    @property
    def end(self) -> Step | None:
        """The sink or job that the flow ends in, if it does."""
        last = self.steps[-1] if self.steps else None
        return last if isinstance(last, Sink | Job) else None


@dataclass(frozen=True)
class Pipeline:
    """Named flows without a cycle. Building one proves that its steps fit together.

    `max_errors`: share of the documents that a stage may fail on before it stops the run.
    `max_quarantine`: share of quarantined documents above which a run ends with exit code 3.
    `seconds`: CPU time that one document may take in one pass before its worker is killed; by the
    clock, five times that.
    """

    name: str
    flows: dict[str, Flow]
    max_errors: float = 0.01
    max_quarantine: float = 0.001
    seconds: float = 60.0
    place: str = field(default="", compare=False)  # the file it was read from, for messages

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise SpecError(f"{self.place or self.name}: name: {self.name!r} is not a plain name")
        flows = {n: self._validated(n, f) for n, f in with_heldout(self).items()}
        object.__setattr__(self, "flows", flows)
        columns: dict[str, set[str]] = {}
        for name in self.order():
            columns[name] = self._columns(name, columns)

    def _validated(self, name: str, flow: Flow) -> Flow:
        """The flow with every step as a recipe would build it: a step made in Python is no less strict."""

        def again(step: StepType, where: str) -> StepType:
            values = {field.name: getattr(step, field.name) for field in fields(step)}
            try:
                return validated(type(step), values, where)
            except SpecError as wrong:
                raise SpecError(f"{self.place or self.name}: {wrong}") from None

        inputs = [
            i if isinstance(i, str) else again(i, f"flows.{name}.from[{at}]")
            for at, i in enumerate(flow.inputs)
        ]
        steps = [again(step, f"flows.{name}.stages[{at}]") for at, step in enumerate(flow.steps)]
        return Flow(inputs, steps)

    def order(self) -> list[str]:
        """The flows, each after the flows it reads. SpecError if they feed themselves."""
        done: dict[str, None] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                circle = " -> ".join((*path, name))
                raise self._wrong(f"flows.{name}.from", f"flows feed themselves: {circle}")
            for at, source in enumerate(self.flows[name].inputs):
                if isinstance(source, Source):
                    continue
                if source not in self.flows:
                    near = get_close_matches(source, self.flows, 1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise self._wrong(
                        f"flows.{name}.from[{at}]",
                        f"{source!r} is neither a flow nor a source{hint}",
                    )
                visit(source, (*path, name))
            for at, step in enumerate(self.flows[name].steps):
                for key, (flow, _) in references(step).items():
                    where = f"flows.{name}.stages[{at}].{type(step).__name__}.{key}"
                    if flow not in self.flows or not isinstance(self.flows[flow].end, Job):
                        raise self._wrong(where, f"{flow!r} is no flow that ends in a job")
                    visit(flow, (*path, name))
            done[name] = None

        for name in self.flows:
            visit(name, ())
        return list(done)

    def _columns(self, name: str, before: dict[str, set[str]]) -> set[str]:
        """The columns that every document has at the end of a flow; checks each step on the way."""
        flow = self.flows[name]
        self._check_shape(name, flow)
        if isinstance(flow.end, Job):
            inner = [i for i in flow.inputs if isinstance(i, str) and self.flows[i].end is None]
            if inner:
                self._check_needs(name, 0, flow.end, set.intersection(*(before[i] for i in inner)))
            return set()
        sets = [
            set(DOCUMENT.names) | {f.name for f in i.adds} if isinstance(i, Source) else before[i]
            for i in flow.inputs
        ]
        columns = set.intersection(*sets)
        for at, step in enumerate(flow.steps):
            self._check_needs(name, at, step, columns)
            columns |= {added.name for added in step.adds}
        return columns

    def _check_needs(self, name: str, at: int, step: Step, columns: set[str]) -> None:
        where = f"flows.{name}.stages[{at}].{type(step).__name__}"
        for column in step.needs:
            if column not in columns:
                raise self._wrong(
                    where, f"needs the column {column!r}, which no step before it adds"
                )
        for measure in step.measures:
            if measure not in MEASURES:
                raise self._wrong(where, f"needs the measure {measure!r}, which nobody takes")

    def _check_shape(self, name: str, flow: Flow) -> None:
        if not _NAME.fullmatch(name):
            raise self._wrong(f"flows.{name}", "a flow's name is letters, digits, - and _")
        if not flow.inputs:
            raise self._wrong(f"flows.{name}.from", "a flow needs at least one source or flow")
        for at, step in enumerate(flow.steps):
            where = f"flows.{name}.stages[{at}].{type(step).__name__}"
            if isinstance(step, Source):
                raise self._wrong(where, "a source stands under `from`")
            if isinstance(step, Sink | Job) and at < len(flow.steps) - 1:
                raise self._wrong(where, "a sink or job ends its flow; start another flow from it")
            if isinstance(step, Job) and len(flow.steps) > 1:
                raise self._wrong(
                    where, "a job stands alone in its flow; give it a flow of its own"
                )
            if not isinstance(step, Stage | Barrier | Sink | Job):
                raise self._wrong(where, f"{type(step).__name__} is no stage, barrier, sink or job")
        for at, source in enumerate(flow.inputs):
            place = f"flows.{name}.from[{at}]"
            if isinstance(source, Source) and isinstance(flow.end, Job):
                raise self._wrong(place, "a job reads flows; give the source a flow of its own")
            if isinstance(source, str) and self.flows[source].end and not isinstance(flow.end, Job):
                raise self._wrong(place, f"{source!r} ends in no documents; only a job can read it")

    def _wrong(self, path: str, message: str) -> SpecError:
        return SpecError(f"{self.place or self.name}: {path}: {message}")

    @classmethod
    def load(
        cls, path: str | Path, inputs: str | None = None, homes: tuple[str, ...] = HOMES
    ) -> "Pipeline":
        """Read a pipeline file. `inputs` replaces the paths of every source in it.

        Its steps may come from the packages in `homes` only: naming a step runs its module.
        SpecError names the file, the line and the path of the first mistake.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as missing:
            raise SpecError(f"{path}: cannot be read: {missing.strerror}") from None
        except UnicodeDecodeError:
            raise SpecError(f"{path}: is not UTF-8 text; this is no pipeline file") from None
        return cls.loads(text, str(path), inputs, homes)

    @classmethod
    def loads(
        cls, text: str, place: str, inputs: str | None = None, homes: tuple[str, ...] = HOMES
    ) -> "Pipeline":
        """Read a pipeline from text; `place` is what messages call it."""
        raw, lines = parse(text, place)
        try:
            return cls(**_build(raw, inputs, homes), place=place)
        except SpecError as wrong:
            message = str(wrong).removeprefix(f"{place}: ")
            line = line_of(lines, message.split(": ", 1)[0])
            raise SpecError(f"{place}:{line}: {message}") from None

    def dump(self) -> str:
        """The pipeline file that `load` would read back as this pipeline."""
        flows = {
            name: {
                "from": [i if isinstance(i, str) else dump_step(i) for i in flow.inputs],
                "stages": [dump_step(step) for step in flow.steps],
            }
            for name, flow in self.flows.items()
        }
        limits = {key: getattr(self, key) for key in _LIMITS}
        text: str = yaml.dump(
            {"name": self.name, **limits, "flows": flows},
            Dumper=_Dumper,
            sort_keys=False,
            allow_unicode=True,
            default_flow_style=None,
            width=100,
        )
        return text


def held_out(pipeline: Pipeline) -> dict[str, tuple[list[str], list[str]]]:
    """Of each flow whose job evaluates: the flows of documents that it reads, the files that it names."""
    found = {}
    for name, flow in pipeline.flows.items():
        if isinstance(flow.end, Job) and flow.end.evaluates:
            inner = [i for i in flow.inputs if isinstance(i, str) and i in pipeline.flows]
            documents = [i for i in inner if pipeline.flows[i].end is None]
            found[name] = documents, sorted(files_of(flow.end).values())
    return found


def with_heldout(pipeline: Pipeline) -> dict[str, Flow]:
    """The flows, with what a Decontaminate that names no benchmark is against.

    That is the flow `decontamination`, of the documents that evaluations read, added if it is not
    there; for each file that they name, a Decontaminate of its own is put behind.
    """
    home = HELDOUT.removeprefix(FLOW).partition("/")[0]
    known = held_out(pipeline).values()
    documents = list(dict.fromkeys(name for names, _ in known for name in names))
    files = list(dict.fromkeys(path for _, paths in known for path in paths))
    flows, asked = {}, False
    for name, flow in pipeline.flows.items():
        steps: list[Step] = []
        for at, step in enumerate(flow.steps):
            if (
                not isinstance(step, Decontaminate)
                or step.against != HELDOUT
                or home in pipeline.flows
            ):
                steps.append(step)
                continue
            asked = True
            steps += [step] if documents else []
            steps += [replace(step, against=path) for path in files]
            if not documents and not files:
                place = (
                    f"{pipeline.place or pipeline.name}: flows.{name}.stages[{at}].Decontaminate"
                )
                raise SpecError(
                    f"{place}.against: name benchmarks; no evaluation of this pipeline names any"
                )
        flows[name] = Flow(flow.inputs, steps)
    if asked and documents:
        flows[home] = Flow(documents, [HeldOut()])
    return flows


def unguarded(pipeline: Pipeline) -> Iterator[str]:
    """A warning for all that an evaluation names and no Decontaminate kept out of what was trained on."""
    for name, (documents, files) in held_out(pipeline).items():
        flow = pipeline.flows[name]
        trained = [i for i in flow.inputs if isinstance(i, str) and i not in documents]
        steps = [step for one in _behind(pipeline, trained) for step in pipeline.flows[one].steps]
        against = {step.against for step in steps if isinstance(step, Decontaminate)}
        made = {path.removeprefix(FLOW).partition("/")[0] for path in against if FLOW in path}
        covered = {i for one in made if one in pipeline.flows for i in pipeline.flows[one].inputs}
        for missing in [
            *(d for d in documents if d not in covered),
            *(f for f in files if f not in against),
        ]:
            yield (
                f"{name}: nothing keeps copies of {missing} out of {', '.join(trained)}; put "
                f"stages.decontaminate.Decontaminate into the flow that is trained on"
            )


def _behind(pipeline: Pipeline, names: Sequence[str]) -> list[str]:
    """The flows, and those that they read, and so on."""
    found: dict[str, None] = {}
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found[name] = None
            todo += [i for i in pipeline.flows[name].inputs if isinstance(i, str)]
    return list(found)


_LIMITS = ("max_errors", "max_quarantine", "seconds")


class _Dumper(yaml.SafeDumper):
    """Writes no anchors, and quotes whatever our strict reader would take for a number."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 -- the signature is PyYAML's
        return True


def _build(raw: Any, inputs: str | None, homes: tuple[str, ...]) -> dict[str, Any]:
    """The arguments of a Pipeline from plain data. Messages begin with the path in the file."""
    if not isinstance(raw, dict):
        raise SpecError("name: a pipeline file holds `name` and `flows`")
    _known(raw, ("name", "flows", *_LIMITS), "")
    for key in ("name", "flows"):
        if not raw.get(key):
            raise SpecError(f"{key}: this key is required")
    if not isinstance(raw["flows"], dict):
        raise SpecError("flows: expected names of flows, each with `from` and `stages`")
    for key in _LIMITS:
        if key in raw and (isinstance(raw[key], bool) or not isinstance(raw[key], int | float)):
            raise SpecError(f"{key}: expected a number, got {raw[key]!r}")
    flows = {name: _flow(name, flow, inputs, homes) for name, flow in raw["flows"].items()}
    return {"name": str(raw["name"]), "flows": flows} | {k: raw[k] for k in _LIMITS if k in raw}


def _flow(name: str, raw: Any, inputs: str | None, homes: tuple[str, ...]) -> Flow:
    where = f"flows.{name}"
    if not isinstance(raw, dict):
        raise SpecError(f"{where}: expected `from` and `stages`, got {raw!r}")
    _known(raw, ("from", "stages"), f"{where}.")
    parts = {"from": raw.get("from") or [], "stages": raw.get("stages") or []}
    for key, value in parts.items():
        if not isinstance(value, list):
            raise SpecError(f"{where}.{key}: expected a list, got {value!r}")
    sources: list[Source | str] = []
    for at, spec in enumerate(parts["from"]):
        if isinstance(spec, str) and "." not in spec:
            sources.append(spec)
            continue
        if inputs and isinstance(spec, dict) and len(spec) == 1:
            ((key, values),) = spec.items()
            spec = {key: {**(values or {}), "paths": inputs}}
        step = load_step(spec, f"{where}.from[{at}]", homes)
        if not isinstance(step, Source):
            raise SpecError(f"{where}.from[{at}]: {type(step).__name__} is not a source")
        sources.append(step)
    steps = [
        load_step(spec, f"{where}.stages[{at}]", homes) for at, spec in enumerate(parts["stages"])
    ]
    return Flow(sources, steps)


def _known(raw: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in raw:
        if key not in known:
            near = get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise SpecError(f"{where}{key}: unknown key; {hint}")
