"""Every step there is, with its fields, their defaults and what they mean: from the code itself."""

import ast
import inspect
import pkgutil
from dataclasses import MISSING, fields
from importlib import import_module
from itertools import takewhile
from typing import Any

from pydantic import TypeAdapter

from stages.base import Barrier, Job, Sink, Source, Stage, Step
from stages.filter import Filter
from stages.measure import ABOUT

HOMES = ("stages", "training", "evaluation")
BASES = ("stages.base", "stages.filter")  # the kinds themselves are no steps
KINDS = (Source, Filter, Stage, Barrier, Sink, Job)


def steps() -> dict[str, type[Step]]:
    """Every concrete step by the shortest name a recipe may call it by."""
    found: dict[type[Step], str] = {}
    for home in HOMES:
        package = import_module(home)
        names = [m.name for m in pkgutil.walk_packages(package.__path__, f"{home}.")]
        for module in sorted([home, *names], key=lambda name: (name.count("."), name)):
            for symbol, kind in vars(import_module(module)).items():
                if (
                    isinstance(kind, type)
                    and issubclass(kind, Step)
                    and not inspect.isabstract(kind)
                ):
                    found.setdefault(kind, f"{module}.{symbol}")
    return {
        name: kind
        for kind, name in sorted(found.items(), key=lambda e: e[1])
        if issubclass(kind, KINDS) and kind.__module__ not in BASES
    }


def sort(kind: type[Step]) -> str:
    """The kind of a step, in a word."""
    return next(base.__name__ for base in KINDS if issubclass(kind, base)).lower()


def catalogue(part: str | None = None) -> str:
    """The steps as text, those whose name contains `part`."""
    lines: list[str] = []
    for name, kind in steps().items():
        if part and part.lower() not in name.lower():
            continue
        lines += [f"{name}  ({sort(kind)})", *_indented(inspect.getdoc(kind) or "")]
        notes = meanings(kind)
        for name, default in defaults(kind).items():
            value = "required" if default is MISSING else _yaml(default)
            lines.append(f"    {name}: {value}{'  # ' + notes[name] if name in notes else ''}")
        lines.append("")
    return "\n".join(lines).rstrip() or f"no step's name contains {part!r}"


def defaults(kind: type[Step]) -> dict[str, Any]:
    """The default of each field, MISSING if it has none: a step's own fields, then those of its kind."""
    shared = {field.name for base in KINDS if base is not kind for field in fields(base)}
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in sorted(fields(kind), key=lambda field: field.name in shared)
    }


def schema(part: str | None = None) -> dict[str, Any]:
    """The JSON schema of every step's fields."""
    return {
        name: TypeAdapter(kind).json_schema()
        for name, kind in steps().items()
        if not part or part.lower() in name.lower()
    }


def meanings(kind: type[Step]) -> dict[str, str]:
    """What each field means: the comment beside or above it, or the measure that a rule is named for."""
    notes: dict[str, str] = dict(ABOUT) if issubclass(kind, Filter) else {}
    for base in reversed(kind.__mro__):
        if base.__module__.split(".")[0] not in HOMES:
            continue
        source = inspect.cleandoc("\n" + inspect.getsource(base))
        lines = source.splitlines()
        body = ast.parse(source).body[0]
        assert isinstance(body, ast.ClassDef)
        for node in body.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                _, mark, note = lines[(node.end_lineno or 1) - 1].partition("  # ")
                above = takewhile(
                    lambda line: line.startswith("    # "), lines[node.lineno - 2 :: -1]
                )
                note = note if mark else " ".join(line.strip(" #") for line in [*above][::-1])
                if note:
                    notes[node.target.id] = note.strip()
    return {field.name: notes[field.name] for field in fields(kind) if field.name in notes}


def _yaml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_yaml(item) for item in value)}]"
    if isinstance(value, bool) or value is None:
        return str(value).lower().replace("none", "null")
    return repr(value) if isinstance(value, str) else f"{value}"


def _indented(text: str) -> list[str]:
    return [f"  {line}".rstrip() for line in text.splitlines()]
