"""Bounds of filters by name, `crawl.GopherQuality.words`: read, set, and written into a recipe.

A recipe is amended where its values stand, so that its comments and its layout stay; what comes out
must load as the pipeline that was meant, or nothing is written.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches, unified_diff
from pathlib import Path
from typing import Any

import yaml

from pipelines.graph import Flow, Pipeline
from pipelines.recipe import nodes, parse
from stages.config import HOMES, validated
from stages.errors import SpecError
from stages.filter import Bound, Filter

OWN = "by_language"


@dataclass(frozen=True)
class Place:
    """Where a bound stands: the step of a flow, and the keys below it."""

    flow: str
    at: int  # position in the flow's steps
    keys: tuple[str, ...]  # `words`, or `by_language`, `pt`, `words`


def filters_of(flow: Flow) -> dict[str, int]:
    """The position of each filter of a flow by its name, a repeated one with its number."""
    found: dict[str, int] = {}
    times: dict[str, int] = {}
    for at, step in enumerate(flow.steps):
        name = type(step).__name__
        times[name] = times.get(name, 0) + 1
        if isinstance(step, Filter):
            found[name if times[name] == 1 else f"{name}.{times[name]}"] = at
    return found


def setting(text: str) -> tuple[str, Bound]:
    """`crawl.GopherQuality.words=[40, null]` as a name and a bound. SpecError if it is none."""
    name, equals, value = text.partition("=")
    if not equals:
        raise SpecError(
            f"{text}: expected FLOW.FILTER.RULE=BOUND, as crawl.GopherQuality.words=[40, null]"
        )
    found, _ = parse(value.strip() or "null", text)
    return name.strip(), found


def place_of(pipeline: Pipeline, name: str) -> Place:
    """What a name means in a pipeline. SpecError with what there is instead."""
    flow, _, rest = name.partition(".")
    if flow not in pipeline.flows:
        raise SpecError(f"{name}: there is no flow {flow!r}{_instead(flow, pipeline.flows)}")
    known = filters_of(pipeline.flows[flow])
    step = max((one for one in known if f"{rest}.".startswith(f"{one}.")), key=len, default=None)
    if step is None:
        wanted = rest.partition(".")[0]
        raise SpecError(f"{name}: {flow} has no filter {wanted!r}{_instead(wanted, known)}")
    keys = tuple(rest[len(step) + 1 :].split("."))
    filtered = pipeline.flows[flow].steps[known[step]]
    assert isinstance(filtered, Filter)
    if keys[-1] not in filtered.senses or not (
        len(keys) == 1 or (len(keys) == 3 and keys[0] == OWN)
    ):
        wanted = ".".join(keys)
        raise SpecError(f"{name}: {step} has no rule {wanted!r}{_instead(wanted, filtered.senses)}")
    return Place(flow, known[step], keys)


def _instead(wanted: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(wanted, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known) or 'none'}"


def moved(step: Filter, bounds: Mapping[tuple[str, ...], Bound], where: str) -> Filter:
    """The filter with some bounds in place of its own. SpecError where they make no sense."""
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    own = {language: dict(rules) for language, rules in step.by_language.items()}
    for keys, bound in bounds.items():
        if len(keys) == 1:
            values[keys[0]] = bound
        else:
            own.setdefault(keys[1], {})[keys[2]] = bound
    return validated(type(step), {**values, OWN: own}, where)


def with_bounds(pipeline: Pipeline, settings: Mapping[str, Bound]) -> Pipeline:
    """The pipeline with some bounds in place of its own. SpecError where they make no sense."""
    flows = dict(pipeline.flows)
    for (flow, at), bounds in _by_step(pipeline, settings).items():
        steps = list(flows[flow].steps)
        step = steps[at]
        assert isinstance(step, Filter)
        steps[at] = moved(step, bounds, f"flows.{flow}.stages[{at}]")
        flows[flow] = Flow(flows[flow].inputs, steps)
    return replace(pipeline, flows=flows)


def _by_step(
    pipeline: Pipeline, settings: Mapping[str, Bound]
) -> dict[tuple[str, int], dict[tuple[str, ...], Bound]]:
    found: dict[tuple[str, int], dict[tuple[str, ...], Bound]] = {}
    for name, bound in settings.items():
        place = place_of(pipeline, name)
        found.setdefault((place.flow, place.at), {})[place.keys] = bound
    return found


def amended(
    text: str, name: str, settings: Mapping[str, Bound], homes: tuple[str, ...] = HOMES
) -> str:
    """The text of a recipe with some bounds in place of its own, and nothing else changed.

    SpecError if what comes out would not load as just that.
    """
    before = Pipeline.loads(text, name, homes=homes)
    wanted = with_bounds(before, settings)
    for (flow, at), bounds in _by_step(before, settings).items():
        for keys, bound in bounds.items():
            root = nodes(text, name)
            step = _child(_child(_child(_child(root, "flows"), flow), "stages"), at)
            start, stop, new = next(_edits(text, step, keys, _written(bound)))
            text = text[:start] + new + text[stop:]
    if Pipeline.loads(text, name, homes=homes) != wanted:
        raise SpecError(
            f"{name}: cannot be amended in place; set by hand: "
            + ", ".join(f"{key}={_written(bound)}" for key, bound in settings.items())
        )
    return text


def _child(node: yaml.Node | None, key: str | int) -> yaml.Node | None:
    """What stands under a key or position of a node."""
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int):
        found: yaml.Node = node.value[key]
        return found
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None


def _edits(
    text: str, node: yaml.Node | None, keys: tuple[str, ...], new: str
) -> Iterator[tuple[int, int, str]]:
    """What to put between which characters, so that a step has `new` under the keys."""
    assert node is not None
    if isinstance(node, yaml.ScalarNode):  # a step by its name alone
        yield node.end_mark.index, node.end_mark.index, f": {{{_nested(keys, new)}}}"
        return
    node = node.value[0][1]  # of the one step in the mapping
    for at, key in enumerate(keys):
        child = _child(node, key)
        if child is None or (at < len(keys) - 1 and not isinstance(child, yaml.MappingNode)):
            yield _put(
                text, node if child is None else child, keys[at + (child is not None) :], new
            )
            return
        node = child
    block = isinstance(node, yaml.SequenceNode) and not node.flow_style
    yield node.start_mark.index, _end(node) if block else node.end_mark.index, new


def _put(text: str, node: yaml.Node, keys: tuple[str, ...], new: str) -> tuple[int, int, str]:
    """The edit that adds keys to a mapping, or puts one in the place of nothing."""
    entry = _nested(keys, new)
    if not isinstance(node, yaml.MappingNode):  # `stages.quality.GopherQuality:`, or `null`
        start, stop = node.start_mark.index, node.end_mark.index
        return start, stop, f"{'' if stop > start else ' '}{{{entry}}}"
    if not node.value:
        return node.start_mark.index, node.end_mark.index, f"{{{entry}}}"
    last = _end(node.value[-1][1])
    if node.flow_style:
        return last, last, f", {entry}"
    line = text.find("\n", last)
    at = len(text) if line < 0 else line - (text[line - 1] == "\r")
    end = "\r\n" if "\r\n" in text else "\n"
    return at, at, f"{end}{' ' * node.start_mark.column}{entry}"


def _end(node: yaml.Node) -> int:
    """Where the last value in a node ends; a block's own end lies behind what follows it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    found: int = node.end_mark.index
    return found


def _nested(keys: tuple[str, ...], new: str) -> str:
    return f"{keys[0]}: {new}" if len(keys) == 1 else f"{keys[0]}: {{{_nested(keys[1:], new)}}}"


def _written(bound: Any) -> str:
    """A bound as a recipe has it."""
    if isinstance(bound, list | tuple):
        return f"[{', '.join(map(_written, bound))}]"
    if bound is None:
        return "null"
    return (
        str(int(bound)) if float(bound).is_integer() and abs(bound) < 1e15 else repr(float(bound))
    )


def read_recipe(path: Path) -> str:
    """The text of a recipe as it stands, line ends included. SpecError if it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as missing:
        raise SpecError(f"{path}: cannot be read: {missing.strerror}") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is not UTF-8 text; this is no pipeline file") from None


def write_recipe(path: Path, text: str) -> None:
    """Put a text in the place of a file at once, whole, with the file's own mode."""
    target = path.resolve()
    handle, aside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(aside, target.stat().st_mode)
        os.replace(aside, target)
    except BaseException:
        os.unlink(aside)
        raise


def difference(before: str, after: str, name: str) -> str:
    """What changed, as a unified diff."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(unified_diff(old, new, name, name, n=2))
