"""Bounds for each language, derived from what a run measured, as FineWeb-2 (arXiv:2506.20920) does."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import ceil, floor, log10
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.plan import passes
from pipelines.runs import Run
from stages.config import dump_step
from stages.errors import DataError, SpecError
from stages.filter import Bound, Filter
from stages.shards import FEATURES

Values: TypeAlias = npt.NDArray[np.float64]
Rules: TypeAlias = tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Proposal:
    """What a filter should ask of documents of one language."""

    language: str
    documents: int  # that came to the filter
    now: float  # share of them that stays
    then: float  # share that would stay with these bounds
    bounds: dict[str, Bound] = field(hash=False)


def thresholds(
    run: Run, like: str = "en", keep: float | None = None, least: int = 300
) -> Iterator[tuple[str, Filter, list[Proposal]]]:
    """For each filter of a run, its flow and what it should ask of each language.

    Each bound is put where as large a share of the language's documents breaks it as breaks the
    recipe's own bound in the language `like`; a bound that nothing breaks there is left as it is. With
    `keep`, each bound is put where this share stays. Only documents that came to the filter are
    looked at, and only languages that have `least` of them. DataError if `like` has not.
    """
    if keep is not None and not 0 < keep < 1:
        raise SpecError(f"--keep: expected a share above 0 and below 1, got {keep:g}")
    for flow, step, features in _filters(run):
        languages = features.column("language")
        counts = {
            count["values"]: count["counts"]
            for count in pc.value_counts(languages).to_pylist()
            if count["values"] is not None
        }
        known = sorted(name for name, count in counts.items() if count >= least)
        if keep is None and like not in known:
            raise DataError(
                f"{run.id}: {counts.get(like, 0):,} documents in {like!r} came to "
                f"{type(step).__name__}, fewer than {least:,}; compare with another language "
                f"({', '.join(known) or 'none has as many'}), or say what share to keep"
            )
        columns = {
            language: _columns(step, features.filter(pc.equal(languages, language)))
            for language in known
        }
        shares = _given(step, keep) if keep else _broken(step.rules, columns[like])
        others = [name for name in known if keep or name != like]
        yield flow, step, [_proposal(step, name, columns[name], shares) for name in others]


def blocks(found: list[tuple[str, Filter, list[Proposal]]]) -> Iterator[str]:
    """The lines to put into a recipe."""
    for flow, step, proposals in found:
        ((name, _),) = dump_step(step).items()
        yield f"# flow {flow}\n- {name}:\n    by_language:" + ("" if proposals else " {}")
        for made in proposals:
            bounds = ", ".join(f"{rule}: {_plain(bound)}" for rule, bound in made.bounds.items())
            yield (
                f"      {made.language}: {{{bounds}}}  "
                f"# {made.documents:,} documents: {made.then:.1%} stay, now {made.now:.1%}"
            )


def _filters(run: Run) -> Iterator[tuple[str, Filter, pa.Table]]:
    """Every filter with measures and languages of the documents that came to it."""
    pipeline = run.pipeline()
    plans = {name: iter(passes(name, flow)) for name, flow in pipeline.flows.items()}
    tongues: dict[
        tuple[str, int], pa.Table
    ] = {}  # of shards, for the passes after the one that says
    for stretch in run.record.get("stretches", []):
        if "pass" not in stretch:
            continue
        flow, job = stretch["flow"], next(plans[stretch["flow"]])
        steps = list(zip(job.names[-len(job.chain) :] if job.chain else [], job.chain, strict=True))
        filters = [(name, step) for name, step in steps if isinstance(step, Filter)]
        parts = []
        for at, key in enumerate(stretch["keys"]):
            table = pq.read_table(run.store.open(key, FEATURES, check=False))
            if "language" in table.column_names:
                tongues[flow, at] = table.select(["id", "language"])
            elif (flow, at) in tongues and filters:
                table = table.join(tongues[flow, at], "id", use_threads=False)
            parts.append(table)
        features = pa.concat_tables(parts, promote_options="default") if filters else None
        for name, step in filters:
            if features is None or "language" not in features.column_names:
                continue
            order = [other for other, _ in steps]
            later = pa.array(order[order.index(name) :], pa.string())
            came = pc.or_(pc.equal(features["verdict"], "kept"), pc.is_in(features["stage"], later))
            yield flow, step, features.filter(came)


def _columns(step: Filter, features: pa.Table) -> dict[str, Values]:
    """What each rule that is on judges, of all documents."""
    return {
        name.removeprefix(step.prefix): features.column(name).to_numpy().astype(np.float64)
        for name in step.measures
    }


def _broken(rules: Rules, columns: dict[str, Values]) -> dict[str, tuple[float, float]]:
    """The shares of documents below and above the bounds of each rule."""
    return {
        name: (float(np.mean(columns[name] < low)), float(np.mean(columns[name] > high)))
        for name, low, high in rules
    }


def _given(step: Filter, keep: float) -> dict[str, tuple[float, float]]:
    """The same shares where each rule should keep a given one."""
    ends = {name: (np.isfinite(low), np.isfinite(high)) for name, low, high in step.rules}
    lost = {name: (1 - keep) / max(1, sum(finite)) for name, finite in ends.items()}
    return {name: (lost[name] * ends[name][0], lost[name] * ends[name][1]) for name in ends}


def _proposal(
    step: Filter, language: str, columns: dict[str, Values], shares: dict[str, tuple[float, float]]
) -> Proposal:
    bounds: dict[str, Bound] = {}
    then = []
    for name, low, high in step.rules:
        below, above = shares[name]
        values = np.sort(columns[name])
        last = len(values) - 1
        if below:
            low = _round(values[min(last, _whole(below * len(values)))], floor)
        if above:
            high = _round(values[max(0, last - _whole(above * len(values)))], ceil)
        then.append((name, low, high))
        if below or above:
            bounds[name] = _bound(step.senses[name], low, high)
    now = step.rules_by_language.get(language, step.rules)
    many = len(next(iter(columns.values()), ()))
    return Proposal(language, many, _stay(now, columns), _stay(tuple(then), columns), bounds)


def _stay(rules: Rules, columns: dict[str, Values]) -> float:
    """The share of documents within all bounds."""
    kept = [(columns[name] >= low) & (columns[name] <= high) for name, low, high in rules]
    return float(np.mean(np.logical_and.reduce(kept))) if kept else 1.0


def _bound(sense: str, low: float, high: float) -> Bound:
    if sense == "between":
        return (low if np.isfinite(low) else None, high if np.isfinite(high) else None)
    return high if sense == "at most" else low


def _whole(many: float) -> int:
    """How many documents may be lost."""
    return floor(many + 1e-6)


def _round(value: float, way: Callable[[float], int]) -> float:
    """Three digits that say something, so that none of the documents at the bound is lost."""
    if value == 0:
        return 0.0
    digits = 2 - floor(log10(abs(value)))
    return way(round(float(value) * 10.0**digits, 6)) / 10.0**digits


def _plain(bound: Bound) -> str:
    if isinstance(bound, tuple):
        return f"[{', '.join('null' if end is None else _plain(end) for end in bound)}]"
    return "null" if bound is None else f"{bound:.12g}"
