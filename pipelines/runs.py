"""A run: one pipeline over one store, its record, its state, and what becomes of it."""

import platform
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipelines.driver import Stretch, Walk, Watch, silent
from pipelines.graph import Pipeline
from pipelines.pins import pinned
from pipelines.plan import Pass, passes
from pipelines.runner import InProcess, Runner
from pipelines.store import Store, encode
from stages.base import Job
from stages.config import dump_step
from stages.errors import DataError, Error

PACKAGES = ("bateia", "pyarrow", "numba", "ray", "fastwarc", "resiliparse", "tokenizers", "torch")


@dataclass
class Run:
    """The record of a run, as it stands in the store."""

    id: str
    store: Store
    record: dict[str, Any]

    @classmethod
    def open(cls, store: Store, name: str) -> "Run":
        """A run by its id, or the latest of a pipeline by the pipeline's name."""
        record = store.read(f"runs/{name}/run.json")
        if record is None:
            found = [
                run for run in runs(store) if run.record["pipeline"] == name or name == "latest"
            ]
            if not found:
                raise DataError(f"{store.url}: there is no run {name!r}")
            return found[-1]
        return cls(name, store, record)

    def save(self, state: str, walk: Walk | None = None, error: str | None = None) -> None:
        """Write the record as it is now."""
        self.record |= {"state": state, "updated": now()}
        if state != "running":
            self.record["ended"] = now()
        if error:
            self.record["error"] = error
        if walk is not None:
            self.record["stretches"] = [plain(stretch) for stretch in walk.stretches]
        self.store.overwrite(f"runs/{self.id}/run.json", encode(self.record))

    def pipeline(self) -> Pipeline:
        """The pipeline as it was run; its steps are trusted, for its author imported them."""
        return Pipeline.loads(self.record["recipe"], self.id, homes=("",))

    def walked(self) -> Iterator[tuple[dict[str, Any], Pass]]:
        """What the record says of every pass over documents, with the pass; in order."""
        pipeline, at = self.pipeline(), dict[str, int]()
        for stretch in self.record.get("stretches", []):
            if "pass" in stretch:
                name = stretch["flow"]
                work = passes(name, pipeline.flows[name])[at.setdefault(name, 0)]
                if work.names != stretch["steps"]:
                    raise DataError(f"{self.id}: was made by another version of bateia; run again")
                at[name] += 1
                yield stretch, work

    def results(self) -> set[str]:
        """Every result that this run made or used."""
        stretches = self.record.get("stretches", [])
        return {key for s in stretches for key in (*s["keys"], *s["barrier_keys"])}


def runs(store: Store) -> list[Run]:
    """All runs of a store, oldest first."""
    names = {path.split("/")[1] for path in store.home.list("runs") if path.endswith("/run.json")}
    found = [Run(name, store, store.read(f"runs/{name}/run.json")) for name in names]
    return sorted(found, key=lambda run: (run.record["started"], run.id))


def run(
    pipeline: Pipeline,
    store: Store | str,
    runner: Runner | None = None,
    *,
    name: str | None = None,
    watch: Watch = silent,
) -> Run:
    """Run a pipeline and keep a record. Raises what stopped it, after noting it in the record."""
    store = Store(store) if isinstance(store, str) else store
    runner = runner or InProcess()
    pipeline = pinned(pipeline)
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    record = {
        "schema": 1,
        "pipeline": pipeline.name,
        "recipe": pipeline.dump(),
        "place": str(Path(pipeline.place).absolute()) if pipeline.place else "",
        "limits": {"max_errors": pipeline.max_errors, "max_quarantine": pipeline.max_quarantine},
        "started": now(),
        "runner": getattr(runner, "name", type(runner).__name__),
        "store": store.url,
        "versions": {"python": platform.python_version(), **versions()},
    }
    found = Run(name or f"{pipeline.name}-{moment}-{secrets.token_hex(2)}", store, record)
    found.save("running")

    def saving(what: str, about: Any) -> None:
        """Note what is about to be made before it is made, so that no sweep takes it away."""
        if what == "todo":
            found.save("running", walk)
        watch(what, about)

    walk = Walk(store, runner, pipeline, saving)
    try:
        walk.run()
    except KeyboardInterrupt:
        found.save("cancelled", walk)
        raise
    except Error as error:
        found.save("failed", walk, str(error))
        raise
    except BaseException as error:
        found.save("failed", walk, f"{type(error).__name__}: {error}")
        raise
    found.save("succeeded", walk)
    return found


def plain(stretch: Stretch) -> dict[str, Any]:
    """A stretch as the record keeps it."""
    work = stretch.work
    job = {"job": dump_step(work)} if isinstance(work, Job) else {"pass": work.key}
    return {
        "flow": stretch.flow,
        "steps": stretch.steps,
        "keys": stretch.keys,
        "barrier_keys": stretch.barrier_keys,
        "computed": stretch.computed,
        "barrier_seconds": round(stretch.barrier_seconds, 3),
        **job,
    }


def versions() -> dict[str, str]:
    """The versions of what shapes the bytes."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The moment, UTC, as people and programs read it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
