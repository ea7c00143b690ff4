"""Write the pages that are made from the code: docs/stages.md and docs/cli.md.

python docs/make.py
"""

import argparse
import inspect
import json
import os
import types
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

HERE = Path(__file__).parent
MADE = "Made from the code by `make docs`; edit the code."


def pages() -> dict[str, str]:
    """Every page made from the code, by the name of its file."""
    return {"stages.md": "\n".join(stages()), "cli.md": "\n".join(commands())}


def stages() -> Iterator[str]:
    """Every step with its fields, their defaults and what they mean."""
    from deploy.catalogue import defaults, sort, steps
    from stages.measure import ABOUT

    yield f"# Stages\n\nEvery step that a recipe can name, also printed by `bateia stages`. {MADE}\n"
    yield "| step | kind | |\n| --- | --- | --- |"
    for name, kind in steps().items():
        first = (inspect.getdoc(kind) or "").partition("\n")[0]
        yield f"| [{name}](#{anchor(name)}) | {sort(kind)} | {cell(first)} |"
    yield "\nHow they make up a recipe: [recipes.md](recipes.md). Rules of filters judge by [measures](#measures).\n"
    for name, kind in steps().items():
        yield f"## {name}\n\n*{sort(kind)}*\n\n{inspect.getdoc(kind)}\n"
        if defaults(kind):
            yield "| field | takes | default | |\n| --- | --- | --- | --- |"
            yield from (row(kind, *each) for each in defaults(kind).items())
            yield ""
        if kind.adds is not getattr(kind.__mro__[1], "adds", None) and columns(kind):
            yield f"Adds the columns {columns(kind)}.\n"
    yield "## Measures\n\nWhat filters judge by (`stages.measure`); all are columns of `features.parquet`.\n"
    yield "| measure | |\n| --- | --- |"
    yield from (f"| `{name}` | {cell(about)} |" for name, about in ABOUT.items())
    yield ""


def anchor(heading: str) -> str:
    """What a heading is linked by."""
    return heading.lower().replace(".", "")


def row(kind: Any, name: str, default: Any) -> str:
    """A field as a row: name, what it takes, default, meaning."""
    from deploy.catalogue import meanings

    told = "see above" if f"`{name}`" in (inspect.getdoc(kind) or "") else ""
    note = meanings(kind).get(name, told)
    shown = "required" if default is MISSING else f"`{json.dumps(default)}`"
    hint = get_type_hints(kind, include_extras=True)[name]
    return f"| `{name}` | {cell(takes(hint))} | {shown} | {cell(note)} |"


def takes(hint: Any) -> str:
    """What may be given for an annotation, in words."""
    words = {str: "string", int: "integer", float: "number", bool: "true or false", Any: "anything"}
    if get_origin(hint) is Annotated:
        said = {"file": "path", "between": "`[least, most]`"}
        marks = [mark for mark in hint.__metadata__ if isinstance(mark, str)]
        return said.get(marks[0], marks[0]) if marks else takes(get_args(hint)[0])
    if get_origin(hint) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        some = [takes(part) for part in get_args(hint) if part is not type(None)]
        return " or ".join(some) + (" or `null`" if type(None) in get_args(hint) else "")
    if get_origin(hint) is tuple:
        first, *rest = get_args(hint)
        return f"list of {takes(first)}" if rest == [...] else f"{1 + len(rest)} of: {takes(first)}"
    if get_origin(hint) is dict:
        return f"{takes(get_args(hint)[0])}: {takes(get_args(hint)[1])}"
    return words[hint]


def columns(kind: type) -> str:
    """The columns that a step adds whatever its fields are; nothing if they depend on the fields."""
    try:
        return ", ".join(f"`{column.name}`" for column in kind().adds)  # type: ignore[attr-defined]
    except TypeError:
        return ""


def commands() -> Iterator[str]:
    """Every command with its arguments."""
    os.environ.pop("BATEIA_STORE", None)  # the defaults as they are, not as this shell has them
    from deploy.cli import EPILOG, parser

    yield f"# The command `bateia`\n\n{EPILOG[0].upper()}{EPILOG[1:]}. {MADE}\n"
    yield "`--store` is `$BATEIA_STORE` if that is set.\n"
    top = parser()
    found = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    for name, command in found.choices.items():
        arguments = [action for action in command._actions if action.dest != "help"]
        yield f"## bateia {name}\n\n{command.description}\n"
        yield f"```\n{usage(name, arguments)}\n```\n"
        yield "| argument | |\n| --- | --- |"
        for action in arguments:
            said = ", ".join(action.option_strings) or (action.metavar or action.dest)
            choices = f" ({', '.join(map(str, action.choices))})" if action.choices else ""
            about = (action.help or "") % {"default": action.default, "prog": "bateia"}
            yield f"| `{said}`{choices} | {cell(about)} |"
        yield ""


def usage(name: str, arguments: list[argparse.Action]) -> str:
    """What must be typed at least."""
    needed = [action for action in arguments if action.required]
    words = [" ".join([*a.option_strings[:1], (a.metavar or a.dest).upper()]) for a in needed]
    return " ".join(["bateia", name, *words])


def cell(text: str) -> str:
    """Text as one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    for name, page in pages().items():
        (HERE / name).write_text(page, encoding="utf-8")
