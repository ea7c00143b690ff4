"""Indexes of earlier crawls, as a run sees them: one version, from its first barrier to its last."""

from collections.abc import Iterator
from dataclasses import replace

from pipelines.graph import Flow, Pipeline
from stages.base import Step
from stages.config import dump_step
from stages.dedup.index import Index, Manifest
from stages.dedup.keep import Remembering, address
from stages.dedup.remember import Remember
from stages.errors import SpecError


def pinned(pipeline: Pipeline) -> Pipeline:
    """The pipeline with a version of every index, and the crawls in it that each step is to see.

    A flow that is remembered does not see its own crawl, nor any that was added after it: run again, it
    finds itself done. SpecError where an index and the steps that use it do not fit.
    """
    manifests: dict[str, Manifest] = {}
    flows = dict(pipeline.flows)
    jobs = {
        name: flow.end for name, flow in pipeline.flows.items() if isinstance(flow.end, Remember)
    }
    for name, flow in pipeline.flows.items():
        steps: list[Step] = []
        for at, step in enumerate(flow.steps):
            if isinstance(step, Remembering) and step.against:
                place = f"{pipeline.place or pipeline.name}: flows.{name}.stages[{at}]"
                place += f".{type(step).__name__}.against"
                url, version = address(step.against)
                if step.against not in manifests:
                    manifests[step.against] = Index(url).manifest(version)
                manifest = manifests[step.against]
                _fits(step, manifest, place)
                crawl = _crawl(jobs, pipeline, name, url)
                pins = manifest.before(crawl)
                step = replace(step, against=f"{url}@{manifest.version}", pinned=pins)
            steps.append(step)
        flows[name] = Flow(flow.inputs, steps)
    for name, job in jobs.items():
        place = f"{pipeline.place or pipeline.name}: flows.{name}.stages[0].Remember"
        flows[name] = Flow(flows[name].inputs, [_filled(job, flows, name, place)])
    return replace(pipeline, flows=flows) if flows != pipeline.flows else pipeline


def _crawl(jobs: dict[str, Remember], pipeline: Pipeline, flow: str, url: str) -> str | None:
    """The name under which a flow is remembered in an index."""
    return next(
        (
            job.crawl
            for name, job in jobs.items()
            if job.index == url and flow in pipeline.flows[name].inputs
        ),
        None,
    )


def _fits(step: Remembering, manifest: Manifest, place: str) -> None:
    known = manifest.terms.get(step.table, step.terms)
    for name, value in step.terms.items():
        if known[name] != value:
            raise SpecError(
                f"{place}: the index was made with {name}: {known[name]}, not {value}; give the step "
                f"that, or begin another index"
            )


def _filled(job: Remember, flows: dict[str, Flow], name: str, place: str) -> Remember:
    """The job with the barriers of its flow, and what they compare with."""
    sources = [source for source in flows[name].inputs if isinstance(source, str)]
    if len(sources) != 1:
        raise SpecError(f"{place}: remembers one flow, and `from` names {len(sources)}")
    barriers = list(_last(flows[sources[0]], job.index))
    if not barriers:
        raise SpecError(
            f"{place}: the flow {sources[0]!r} must end in the barriers that are `against: {job.index}`; "
            f"give the stages behind them a flow of their own"
        )
    if len({step.table for step in barriers}) < len(barriers):
        raise SpecError(f"{place}: two barriers of {sources[0]!r} compare the same")
    steps = tuple(dump_step(replace(step, against=None, pinned=())) for step in barriers)
    return replace(job, steps=steps, pinned=barriers[-1].pinned)


def _last(flow: Flow, url: str) -> Iterator[Remembering]:
    """The barriers against an index that a flow ends in, in order."""
    found: list[Remembering] = []
    for step in reversed(flow.steps):
        if not isinstance(step, Remembering) or not step.against or address(step.against)[0] != url:
            break
        found.append(step)
    yield from reversed(found)
