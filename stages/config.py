"""Steps to and from plain data: pipeline files in, fingerprints out."""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from stages.base import Step
from stages.errors import SpecError

FLOW = "flow:"  # `flow:tokenizer/tokenizer.json`: the file that the job of that flow leaves
# Pydantic's kinds of mistake in the words of somebody who writes YAML.
EXPECTED = {
    "tuple_type": "expected a list, `[...]`",
    "dict_type": "expected keys and values, `{...}`",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected text",
}
StepType = TypeVar("StepType", bound=Step)
HOMES = ("stages.", "training.", "evaluation.")


def homes(allowed: Sequence[str]) -> tuple[str, ...]:
    """What names of steps may begin with, where a recipe may name those of more packages."""
    return (*HOMES, *(f"{package.rstrip('.')}." for package in allowed))


def load_step(spec: object, where: str, homes: tuple[str, ...] = HOMES) -> Step:
    """Build a step from `stages.quality.GopherQuality` or `{that: {field: value}}`.

    SpecError names the place (`where`), the key and what to write instead.
    """
    values: Any = {}
    if isinstance(spec, str):
        name = spec
    elif isinstance(spec, dict) and len(spec) == 1:
        name, values = next(iter(spec.items()))
    else:
        raise SpecError(f"{where}: expected `module.Step` or `module.Step: {{...}}`, got {spec!r}")
    kind = find_step(name, where, homes)
    if values is not None and not isinstance(values, dict):
        raise SpecError(f"{where}.{kind.__name__}: expected fields and values, got {values!r}")
    return validated(kind, values or {}, where)


def validated(kind: type[StepType], values: dict[str, Any], where: str) -> StepType:
    """A step of that kind with those fields, each of its declared type, `check` passed."""
    try:
        step: StepType = _adapter(kind).validate_python(values)
    except ValidationError as wrong:
        raise SpecError(f"{where}.{kind.__name__}{explain(wrong, kind)}") from None
    try:
        if not references(step):
            step.check()
    except SpecError as wrong:
        raise SpecError(f"{where}.{kind.__name__}.{wrong}") from None
    for field, path in files_of(step).items():
        if not path.startswith(FLOW) and "://" not in path and not Path(path).exists():
            raise SpecError(f"{where}.{kind.__name__}.{field}: {path}: no such file")
    return step


@cache
def _adapter(kind: type[StepType]) -> TypeAdapter[StepType]:
    """What checks the fields of a kind of step; it takes 20 ms to make."""
    return TypeAdapter(kind)


def find_step(name: str, where: str, homes: tuple[str, ...] = HOMES) -> type[Step]:
    """The class behind a dotted name, from the allowed packages only."""
    if not isinstance(name, str) or not name.startswith(homes):
        raise SpecError(f"{where}: {name!r} is not under {', '.join(homes)}")
    module, _, symbol = name.rpartition(".")
    try:
        home = import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name and not module.startswith(missing.name):
            raise SpecError(
                f"{where}: {name} needs the package {missing.name!r}; install bateia with the "
                f"extra that has it"
            ) from None
        raise SpecError(f"{where}: there is no step {name!r}: no module {module!r}") from None
    kind = getattr(home, symbol, None)
    if not (isinstance(kind, type) and issubclass(kind, Step)):
        near = get_close_matches(symbol, vars(home), 1)
        hint = f"; did you mean {module}.{near[0]}?" if near else ""
        raise SpecError(f"{where}: there is no step {name!r}{hint}")
    return kind


def explain(wrong: ValidationError, kind: type[Step]) -> str:
    """The first mistake of a validation: `.field: expected ..., got ...`."""
    first = wrong.errors(include_url=False)[0]
    path = [part for part in first["loc"] if not _is_schema_word(part)]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path)
    if first["type"] == "unexpected_keyword_argument":
        known = [f.name for f in fields(kind)]
        near = get_close_matches(str(path[-1]), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
        return f"{field}: unknown key; {hint}"
    if first["type"] == "missing" and isinstance(path[-1], int):
        return f"{field}: a value is missing here, in {list(first['input'])!r}"
    if first["type"] == "missing":
        return f"{field}: this key is required"
    message = EXPECTED.get(first["type"]) or first["msg"][0].lower() + first["msg"][1:]
    return f"{field}: {message}, got {first['input']!r}"


def _is_schema_word(part: object) -> bool:
    """Pydantic names the branch of a union in an error's location; an author never wrote it."""
    return isinstance(part, str) and ("[" in part or part in {"tuple", "float", "int", "str"})


def dump_step(step: Step) -> dict[str, dict[str, Any]]:
    """The mapping that `load_step` turns back into this step. SpecError if it has no plain form."""
    name = f"{type(step).__module__}.{type(step).__qualname__}"
    values = {field.name: getattr(step, field.name) for field in fields(step)}
    return {name: {key: _plain(value, f"{name}.{key}") for key, value in values.items()}}


def _plain(value: object, where: str) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, tuple | list):
        return [_plain(item, where) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, where) for key, item in value.items()}
    raise SpecError(f"{where}: {value!r} has no stable plain form")


def files_of(step: Step) -> dict[str, str]:
    """The paths in the fields annotated `File`, by field."""
    found = {}
    for name, hint in get_type_hints(type(step), include_extras=True).items():
        metadata = [getattr(kind, "__metadata__", ()) for kind in (hint, *get_args(hint))]
        value = getattr(step, name, None)
        if any("file" in words for words in metadata) and isinstance(value, str) and value:
            found[name] = value
    return found


def references(step: Step) -> dict[str, tuple[str, str]]:
    """The fields that name a file which another flow's job makes: field -> (flow, file)."""
    found = {}
    for name, value in files_of(step).items():
        if value.startswith(FLOW):
            flow, _, path = value.removeprefix(FLOW).partition("/")
            found[name] = (flow, path)
    return found


def localize(step: StepType) -> StepType:
    """The step with every file it names on this machine: what lies on an object store is fetched."""
    away = {name: path for name, path in files_of(step).items() if "://" in path}
    return replace(step, **{name: str(fetch(path)) for name, path in away.items()})


@cache
def _fetched() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with the process."""
    return tempfile.TemporaryDirectory(prefix="bateia-files-", ignore_cleanup_errors=True)


@lru_cache(256)
def fetch(url: str) -> Path:
    """A file of an object store as a local one, fetched once per process. SpecError if it is not there."""
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    folder, _, name = url.rpartition("/")
    try:
        data = from_url(folder).get(name).bytes()
    except (BaseError, FileNotFoundError) as wrong:
        raise SpecError(f"{url}: cannot be read: {str(wrong).splitlines()[0]}") from None
    target = Path(tempfile.mkdtemp(dir=_fetched().name)) / name
    target.write_bytes(data)
    return target


def fingerprint(step: Step, *before: str, without: tuple[str, ...] = ()) -> str:
    """A name for what this step does, after whatever came before it.

    Covers its fields (but those in `without`), its version and the content of the files it names,
    but no place (`Step.places`): a model that was moved is the same model.
    """
    ((name, values),) = dump_step(step).items()
    contents = {field: digest_of(path) for field, path in files_of(step).items()}
    left_out = (*without, *step.places)
    shape = {k: v for k, v in {**values, **contents}.items() if k not in left_out}
    body = [name, shape, step.version, *before]
    return digest(json.dumps(body, sort_keys=True, allow_nan=False))


def digest(*parts: str) -> str:
    """A short name for some strings: 80 bits of BLAKE2b, in hexadecimal."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=10).hexdigest()


def digest_of(path: str) -> str:
    """The digest of what a file, or every file of a folder, holds. SpecError if it is not there."""
    home = fetch(path) if "://" in path else Path(path)
    if not home.exists():
        raise SpecError(f"{path}: no such file")
    paths = sorted(p for p in home.rglob("*") if p.is_file()) if home.is_dir() else [home]
    return digest(*(part for p in paths for part in (str(p.relative_to(home)), _digest_file(p))))


def _digest_file(path: Path) -> str:
    about = path.stat()
    return _digest_content(str(path), about.st_size, about.st_mtime_ns)


@lru_cache(4096)
def _digest_content(path: str, size: int, modified: int) -> str:  # noqa: ARG001 -- cache key
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
