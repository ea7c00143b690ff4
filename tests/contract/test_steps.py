"""What every step must keep, whatever it does. A new step is tested here without a line of test."""

import ast
import dataclasses
import hashlib
import inspect
import pickle
import re
import shutil
import textwrap
import types
import zlib
from itertools import chain, pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import DOCUMENT, DROPPED, VALUE, Batch, Stage, Step, part
from stages.config import dump_step, files_of, fingerprint, load_step
from stages.embedding import EMBEDDING
from stages.filter import Filter
from stages.measure import ABOUT, MEASURES, Measure
from tests.contract.steps import dotted, example, kinds, modules
from tests.documents import ENGLISH, PORTUGUESE, documents

EVERY = pytest.mark.parametrize("kind", kinds(), ids=dotted)
STAGES = pytest.mark.parametrize("kind", kinds(Stage), ids=dotted)
FILTERS = pytest.mark.parametrize("kind", kinds(Filter), ids=dotted)

NASTY = [
    "",
    " \n\t\r\n ",
    "\x00",
    "a\x00b\x1b[31m\x7f",
    "\ufeff\u202eabc\u202c\u2066\u200b\u200d",  # marks that hide, join or turn text around
    "\u0301\u0301\u0327",  # combining marks with nothing to combine with
    "e\u0301" * 40,
    "😀👩‍👩‍👧🏳️‍🌈" * 3,
    "中文字符測試。" * 9,
    "ภาษาไทยไม่มีช่องว่าง",
    "אבג مرحبا بالعالم",
    "\U000e0041\uffff\ufffd\ud7ff",
    "…" * 50,
    "#" * 9,
    "- a\n- b\n\n\n- a\n- b",
    "<|endoftext|><s></s>",
    "<html><body><p>a<script>x()</script>&amp;&#0;&#x110000;<p>b",
    "A" * 5_000,
    "a b " * 2_000,
    "\n" * 3_000,
    "joao.silva@example.com 111.444.777-35 192.168.0.1 4111 1111 1111 1111 +55 11 98765-4321",
    ENGLISH,
    PORTUGUESE,
    "\n".join([ENGLISH, PORTUGUESE, ENGLISH]),
]
TEXTS = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=80)), max_size=6)

# Columns that stages may need beside those of every document: made of the text, so that the same
# document has the same value in any batch.
COLUMNS = {
    "language": lambda text: ("pt", "en", "zh", None)[zlib.crc32(text.encode()) % 4],
    "language_score": lambda text: zlib.crc32(text.encode()) % 1000 / 1000,
    "embedding": lambda text: [*np.float16([*hashlib.md5(text.encode()).digest()[:4]])],
    "cluster": lambda text: (0, 0, 1, None)[len(text) % 4],
}
TYPES = {
    "language": pa.string(),
    "language_score": pa.float64(),
    "embedding": EMBEDDING,
    "cluster": pa.int32(),
}


def batch_for(step: Step, texts: list[str]) -> Batch:
    """Documents with every column the step declares that it needs."""
    urls = [f"https://{len(text) % 3}.example.org/{zlib.crc32(text.encode())}" for text in texts]
    batch = documents(*texts, url=urls)
    for name in step.needs:
        if name in DOCUMENT.names:
            continue
        assert name in COLUMNS, f"needs {name!r}: give the contract suite a way to make it"
        values = pa.array([COLUMNS[name](text) for text in texts], TYPES[name])
        batch = batch.append_column(name, values)
    return Measure(names=step.measures)(batch) if step.measures else batch


def parts(step: Stage, batch: Batch) -> list[list[str]]:
    """What stays, what leaves and what broke, comparable (NaN is NaN)."""
    return [
        [] if rows is None else [repr(row) for row in rows.to_pylist()]
        for rows in part(step(batch))
    ]


def test_every_module_of_steps_can_be_imported():
    assert modules()[1] == {}


@EVERY
def test_says_what_it_is_and_what_each_field_means(kind):
    """Recipes, `bateia stages` and the docs are made from these words."""
    words = kind.__dict__.get("__doc__") or ""
    assert words, "no docstring"
    assert not words.startswith(f"{kind.__name__}("), "no docstring: dataclass wrote one"
    silent = []
    for field in dataclasses.fields(kind):
        owner = next(base for base in kind.__mro__ if field.name in vars(base)["__annotations__"])
        told = field.name in commented(owner) or (issubclass(kind, Filter) and field.name in ABOUT)
        if not told and not re.search(rf"\b{field.name}\b", inspect.getdoc(owner) or ""):
            silent.append(field.name)

    assert silent == [], "neither in the docstring nor commented"


def commented(kind: type) -> set[str]:
    """The fields with a comment on their own lines or the line before."""
    source = textwrap.dedent(inspect.getsource(kind))
    lines = source.splitlines()
    return {
        node.target.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if any("# " in line for line in lines[node.lineno - 1 : node.end_lineno])
        or lines[node.lineno - 2].lstrip().startswith("# ")
    }


@EVERY
def test_survives_a_trip_through_yaml_and_pickle(kind, home):
    step = example(kind, home)
    written = yaml.safe_dump(dump_step(step), allow_unicode=True)

    assert load_step(yaml.safe_load(written), "here") == step
    assert pickle.loads(pickle.dumps(step)) == step
    assert fingerprint(pickle.loads(pickle.dumps(step))) == fingerprint(step)


@EVERY
def test_fingerprint_moves_with_every_field_but_places_and_with_what_came_before(kind, home):
    step = example(kind, home)
    seen = {fingerprint(step), fingerprint(step, "after this")}
    names = [field.name for field in dataclasses.fields(kind) if field.name not in step.places]
    for name in names:
        seen.add(fingerprint(varied(step, name, home)))

    assert len(seen) == len(names) + 2
    for name in step.places:
        assert fingerprint(varied(step, name, home)) == fingerprint(step)


@EVERY
def test_a_file_is_its_content_not_its_place(kind, home, tmp_path):
    step = example(kind, home)
    for name, path in files_of(step).items():
        moved, changed = tmp_path / Path(path).name, tmp_path / "changed"
        for copy in (moved, changed):
            shutil.copytree(path, copy) if Path(path).is_dir() else shutil.copy(path, copy)
        there = dataclasses.replace(step, **{name: str(moved)})
        inside = next(changed.iterdir()) if changed.is_dir() else changed
        inside.write_bytes(inside.read_bytes() + b"\n")
        other = dataclasses.replace(step, **{name: str(changed)})

        assert fingerprint(there) == fingerprint(step)
        assert fingerprint(other) != fingerprint(step)


def varied(step: Step, name: str, home: Path) -> Step:
    """The step with another value in one field; not always a sensible one."""
    value = getattr(step, name)
    if name in files_of(step):
        other: Any = str(home / "more.txt")
    else:
        other = another(value, get_type_hints(type(step), include_extras=True)[name])
    return dataclasses.replace(step, **{name: other})


def another(value: Any, hint: Any) -> Any:
    """A plain value unlike the given one, of the hinted type."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, tuple) and value:
        return value[:-1] if len(value) > 2 else (another(value[0], Any), *value[1:])
    if isinstance(value, dict) and value:
        first = next(iter(value))
        return {**value, first: another(value[first], Any)}
    choices = literals(hint)
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, str):
        return f"{value}x"
    return {tuple: (1,), dict: {"x": 1}}.get(type(value), 7)


def literals(hint: Any) -> tuple[Any, ...]:
    """The values of a Literal, wherever it is in a hint."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) in (Union, types.UnionType, Annotated):
        return tuple(value for inner in get_args(hint) for value in literals(inner))
    return ()


@STAGES
def test_an_empty_batch_keeps_its_columns(kind, home):
    step = example(kind, home)
    before = batch_for(step, [])
    after, dropped, broken = part(step(before))

    assert after.num_rows == 0
    assert dropped is None
    assert broken is None
    assert set(after.schema.names) == {*before.schema.names, *(field.name for field in step.adds)}


@STAGES
@given(texts=TEXTS, cuts=st.lists(st.integers(0, 6), max_size=3))
@settings(max_examples=20)
def test_result_does_not_depend_on_how_documents_are_batched(kind, home, texts, cuts):
    """Fusing stages and choosing batch sizes is the planner's business only if this holds."""
    step = example(kind, home)
    whole = batch_for(step, texts)
    edges = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    pieces = [parts(step, whole.slice(start, stop - start)) for start, stop in pairwise(edges)]

    assert [list(chain(*rows)) for rows in zip(*pieces, strict=True)] == parts(step, whole)


@STAGES
@given(texts=TEXTS)
@settings(max_examples=20)
def test_every_document_stays_leaves_or_breaks_in_order_and_nothing_else_changes(kind, home, texts):
    """`adds` and `rewrites` tell the truth, and no row is lost, made or moved."""
    step = example(kind, home)
    before = batch_for(step, texts)
    kept, dropped, broken = part(step(before))
    added = {field.name: field.type for field in step.adds}
    ids = before.column("id").to_pylist()
    found = {
        name: rows.column("id").to_pylist() if rows is not None else []
        for name, rows in (("kept", kept), ("dropped", dropped), ("broken", broken))
    }

    assert sorted(chain(*found.values())) == sorted(ids)
    for some in found.values():
        assert some == [each for each in ids if each in set(some)]
    assert set(kept.schema.names) == {*before.schema.names, *added}
    assert {name: kept.schema.field(name).type for name in added} == added
    untouched = set(before.schema.names) - set(added) - ({"text"} if step.rewrites else set())
    rows = pa.array([ids.index(each) for each in found["kept"]], pa.int64())
    for name in sorted(untouched):
        assert kept.column(name).to_pylist() == before.column(name).take(rows).to_pylist(), name


@STAGES
def test_needs_no_more_than_it_says(kind, home):
    step = example(kind, home)
    batch = batch_for(step, NASTY)
    narrow = batch.select(list(dict.fromkeys(["id", *step.needs, *step.measures])))
    after = [rows.column("id").to_pylist() if rows else [] for rows in part(step(narrow))]

    assert after == [rows.column("id").to_pylist() if rows else [] for rows in part(step(batch))]


@STAGES
def test_hostile_text_does_not_stop_it_and_gives_the_same_twice(kind, home):
    step = example(kind, home)
    texts = [*NASTY, "x" * 1_000_000, "word " * 200_000, "\u0301" * 300_000]
    before = batch_for(step, texts)
    again = pickle.loads(pickle.dumps(step))

    after = step(before)

    after.validate(full=True)
    assert parts(step, before) == parts(again, before)


@STAGES
def test_a_row_that_leaves_says_why(kind, home):
    step = example(kind, home)
    _, dropped, broken = part(step(batch_for(step, NASTY)))
    for reason in dropped.column("dropped").to_pylist() if dropped else []:
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-zA-Z0-9_\-]+)+", reason)
    for error in broken.column("fault").to_pylist() if broken else []:
        assert re.match(r"[A-Z]\w+: .", error)


@FILTERS
def test_bounds_are_inclusive_and_the_reason_is_the_rule(kind, home):
    step = example(kind, home)
    assert step.rules, "a filter without a rule that is on"
    middle = {name: inside(name, low, high) for name, low, high in step.rules}
    for name, low, high in step.rules:
        within = [bound for bound in (low, high) if np.isfinite(bound)]
        beyond = [next_to(name, bound, up=bound == high) for bound in within]
        values = [*within, *beyond]
        rows = [{**middle, name: value} for value in values]
        out = step(measured(rows))

        assert out.column(DROPPED.name).to_pylist() == (
            [None] * len(within) + [f"{kind.family}.{name}"] * len(beyond)
        )
        assert out.column(VALUE.name).to_pylist()[len(within) :] == beyond


@FILTERS
def test_a_rule_set_to_none_is_off(kind, home):
    step = example(kind, home)
    for name, _, _ in step.rules:
        assert name not in dataclasses.replace(step, **{name: None}).measures


def measured(rows: list[dict[str, float]]) -> Batch:
    batch = documents(*["text"] * len(rows))
    for name in rows[0]:
        kind = MEASURES.get(name, pa.float64())
        batch = batch.append_column(name, pa.array([row[name] for row in rows], kind))
    return batch


def whole(name: str) -> bool:
    return pa.types.is_integer(MEASURES.get(name, pa.float64()))


def inside(name: str, low: float, high: float) -> float:
    bounds = [bound for bound in (low, high) if np.isfinite(bound)]
    return int(bounds[0]) if whole(name) else bounds[0]


def next_to(name: str, bound: float, *, up: bool) -> float:
    if whole(name):
        return int(bound) + (1 if up else -1)
    return float(np.nextafter(bound, np.inf if up else -np.inf))
