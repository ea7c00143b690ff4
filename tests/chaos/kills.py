"""Kill the processes of a run at random moments, and see what is left of it."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipelines import Store

SIGNALS = {"cancel": signal.SIGTERM}  # all others are killed
EXITS = {"driver": -signal.SIGKILL, "raylet": 5, "cancel": 130}  # how the driver ends by it
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Strike:
    """Who was struck, how many results there were, how the driver ended and how long that took."""

    whom: str
    commits: int
    code: int | None = None  # None where the driver went on
    seconds: float = 0.0
    orphans: int = 0  # workers that were still at work ten seconds later


@dataclass
class Chaos:
    """A recipe run again and again over one store, while its processes are killed."""

    recipe: Path
    store: Path
    log: Path
    where: Sequence[str] = ("--ray", "--workers", "2")
    strikes: list[Strike] = field(default_factory=list)
    settled: dict[Path, int] = field(default_factory=dict)  # data files, by inode, at each start
    before: list[set[str]] = field(default_factory=list)  # results there when each run began

    def start(self, where: Sequence[str] | None = None) -> subprocess.Popen[bytes]:
        """A run in a session of its own."""
        there = {path.stem for path in self.commits()}
        self.before.append(there)
        for path in (self.store / "data").glob("*/*/*"):
            if path.parent.name in there:
                self.settled.setdefault(path, path.stat().st_ino)
        command = [sys.executable, "-m", "deploy.cli", "run", str(self.recipe)]
        command += [*(where or self.where), "--store", str(self.store), "--allow", "tests"]
        command += ["--name", f"run-{len(self.before)}"]
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
            )  # fmt: skip

    def commits(self) -> list[Path]:
        return list((self.store / "commits").glob("*/*.json"))

    def survive(self, whom: Sequence[str], seed: int, results: int) -> None:
        """Strike one after another, spread by chance over so many results; then go to the end.

        The end is a pool's, if the last strike ended the driver.
        """
        chance = random.Random(seed)
        goals = sorted(chance.sample(range(1, results * 9 // 10), len(whom)))
        driver = self.start()
        for victim, goal in zip(whom, goals, strict=True):
            if driver.poll() is not None:
                driver = self.start()
            while len(self.commits()) < goal and driver.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.random() / 10)
            struck: list[Strike] = []
            while driver.poll() is None and not struck:
                struck = list(self.strike(driver, victim))
            self.strikes += struck
        if driver.wait(300) and self.start(["--workers", "2"]).wait(300):
            raise AssertionError(self.log.read_text()[-4000:])

    def strike(self, driver: subprocess.Popen[bytes], whom: str) -> Iterator[Strike]:
        """Kill a process of that kind, if there is one, and wait for what the driver makes of it."""
        family = relatives(driver.pid)
        chosen = [process for process in family if is_a(process, whom, driver.pid)]
        if not chosen:
            return
        commits, began = len(self.commits()), time.monotonic()
        chosen[-1].send_signal(SIGNALS.get(whom, signal.SIGKILL))
        if whom == "worker":
            yield Strike(whom, commits)
            return
        code = driver.wait(90)
        seconds = time.monotonic() - began
        until = time.monotonic() + 10
        while (
            left := [m for m in family if is_a(m, "worker", driver.pid)]
        ) and time.monotonic() < until:
            time.sleep(0.1)
        yield Strike(whom, commits, code, seconds, len(left))
        for member in family:  # Ray's own agents, which do no work, take minutes to notice
            with suppress(psutil.NoSuchProcess):
                member.kill()

    def redone(self) -> tuple[int, int]:
        """Over all runs: results that were there when the run began, and how many of them it redid."""
        store = Store(str(self.store))
        reused = redone = 0
        for number, before in enumerate(self.before, 1):
            record = store.read(f"runs/run-{number}/run.json") or {}  # struck before it began
            for stretch in record.get("stretches", []):
                keys = {*stretch["keys"], *stretch["barrier_keys"]}
                reused += len(keys & before)
                redone += max(0, stretch["computed"] - len(keys - before))
        return reused, redone

    def rewritten(self) -> list[Path]:
        """Files that were committed when some run began, and that a later one wrote again."""
        return [path for path, inode in self.settled.items() if path.stat().st_ino != inode]


def relatives(pid: int) -> list[psutil.Process]:
    """A process and all it started, itself first."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def is_a(process: psutil.Process, whom: str, driver: int) -> bool:
    """Whether a process of a run is of a kind: driver, raylet, gcs_server, or a worker at work."""
    if whom in ("driver", "cancel"):
        return process.pid == driver
    try:
        name = process.name()
    except psutil.NoSuchProcess:
        return False
    if whom == "worker":  # Ray calls a worker by the kind of its task
        return name.startswith("ray::") and name.removeprefix("ray::").islower()
    return name == whom
