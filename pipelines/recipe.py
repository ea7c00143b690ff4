"""Pipeline files: strict YAML, in which every value knows its line.

Strict means: one key once, no anchors or aliases, no tags, and no YAML 1.1 surprises: `no` is the
language Norwegian, not False, and 12:30:45 is a string.
"""

import re
from typing import Any

import yaml

from stages.errors import SpecError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
_TAGS = {
    f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")
}


class _Loader(yaml.SafeLoader):
    """Safe loading with YAML 1.2's core types only."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("bool", r"^(?:true|false)$", ["t", "f"]),
    ("int", r"^[-+]?(?:0|[1-9][0-9_]*)$", list("-+0123456789")),
    (
        "float",
        r"^[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$|^[-+]?\.inf$",
        list("-+.0123456789"),
    ),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)


def parse(text: str, name: str) -> tuple[Any, dict[str, int]]:
    """The plain data of a pipeline file and the line (from 1) of every path in it.

    SpecError with the line of whatever is not strict YAML.
    """
    node = nodes(text, name)
    lines: dict[str, int] = {}
    if node is None:
        return None, lines
    _walk(node, "", name, lines, set())
    return _Loader("").construct_document(node), lines


def nodes(text: str, name: str) -> yaml.Node | None:
    """The values of a pipeline file with the places where they stand; None if it is empty."""
    if len(text) > MAX_BYTES:
        raise SpecError(f"{name}: larger than {MAX_BYTES:,} bytes; this is no pipeline file")
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as wrong:
        line = wrong.problem_mark.line + 1 if wrong.problem_mark else 1
        raise SpecError(f"{name}:{line}: {wrong.problem or wrong}") from None
    except yaml.YAMLError as wrong:
        raise SpecError(f"{name}: {wrong}") from None


def _walk(node: yaml.Node, path: str, name: str, lines: dict[str, int], seen: set[int]) -> None:
    line = node.start_mark.line + 1
    if id(node) in seen:
        raise SpecError(f"{name}:{line}: {path or 'the file'}: anchors and aliases are not allowed")
    seen.add(id(node))
    if len(seen) > MAX_NODES:
        raise SpecError(f"{name}:{line}: more than {MAX_NODES:,} values; this is no pipeline file")
    if node.tag not in _TAGS:
        raise SpecError(f"{name}:{line}: {path}: the tag {node.tag!r} is not allowed")
    lines[path] = line
    if isinstance(node, yaml.SequenceNode):
        for at, item in enumerate(node.value):
            _walk(item, f"{path}[{at}]", name, lines, seen)
    elif isinstance(node, yaml.MappingNode):
        keys: set[str] = set()
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            if not isinstance(key, yaml.ScalarNode) or key.value in keys:
                raise SpecError(f"{name}:{key.start_mark.line + 1}: {inner}: this key stands twice")
            keys.add(key.value)
            _walk(value, inner, name, lines, seen)
            lines[inner] = key.start_mark.line + 1


def line_of(lines: dict[str, int], path: str) -> int:
    """The line of the longest known prefix of a path such as `flows.crawl.stages[2].Foo.words[1]`."""
    while path and path not in lines:
        path = re.sub(r"(\.[^.\[\]]*|\[\d+\])$", "", path) if re.search(r"[.\[]", path) else ""
    return lines.get(path, 1)
