"""A corpus that gives every round of every barrier over copies work, and runs that die in each of them."""

import os
import random
import signal
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines import Flow, InProcess, Pipeline, Store, driver, exchange, run
from pipelines.runner import Runner
from pipelines.store import Commit
from pipelines.tasks import Task, perform
from stages.dedup import MinHashDedup, SpanDedup, SubstringDedup
from tests.steps import Lines

POINTS = (
    6  # steps of the commit of one file before it is there: four of the file, two of the record
)
SMALL = (  # rounds of many tasks for few documents
    (driver, "SKETCH_ROWS_PER_TASK", 300),
    (exchange, "PAIRS_PER_TASK", 5),
)


def write(folder: Path, files: int = 3, lines: int = 40) -> Path:
    """Documents of which some are near copies, some share a sentence, some a passage of 30 words."""
    chance = random.Random(5)
    folder.mkdir(parents=True)
    made = [" ".join(sentence(chance) for _ in range(9)) for _ in range(lines)]
    shared, passage = sentence(chance), sentence(chance, 30)
    for at in range(0, lines, 4):
        made[at] += f" {shared}"
    for at in range(1, lines, 4):
        made[at] = f"{made[at][:6]} {passage} {made[at]}"  # its sentence is nobody else's
    made += [f"{text} Fim." for text in made[: lines // 4]]
    chance.shuffle(made)
    edges = [len(made) * number // files for number in range(files + 1)]
    for number in range(files):
        (folder / f"{number:02}.txt").write_text("\n".join(made[edges[number] : edges[number + 1]]))
    return folder


def sentence(chance: random.Random, words: int = 12) -> str:
    letters = "abcdefghilmnoprstuvz"
    return " ".join("".join(chance.choices(letters, k=6)) for _ in range(words)).capitalize() + "."


def pipeline(folder: Path) -> Pipeline:
    """Copies of whole documents, of sentences and of passages leave, one after the other."""
    left = {"words": 5, "sentences": None}
    steps = [MinHashDedup(), SpanDedup(window=1, span_words=3, **left), SubstringDedup(length=20, **left)]  # fmt: skip
    return Pipeline("rounds", {"lines": Flow([Lines(paths=str(folder))], steps)})


@dataclass
class Dying(InProcess):
    """Die at the given step of the commit of the first task that is not done; 0: right behind it."""

    at: int

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, Commit]]:
        for task in tasks:
            print(task.kind, task.target, self.at, flush=True)
            if self.at:
                os.environ["BATEIA_CRASH_AT"] = str(self.at)
            yield task, perform(store, task)
            os._exit(137)


@dataclass
class Shuffled(InProcess):
    """Perform the tasks of every round in an order by chance."""

    seed: int

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, Commit]]:
        some = sorted(tasks, key=lambda task: task.target)
        random.Random(self.seed).shuffle(some)
        yield from super().run(store, some)


@dataclass(frozen=True)
class Deadly(Store):
    """A store that kills, by SIGKILL, the first worker that commits to it what `mark` stands for."""

    mark: str = ""

    def commit(self, key: str, folder: Path, result: dict, made: dict) -> Commit:  # type: ignore[type-arg]
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return super().commit(key, folder, result, made)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass
class Struck:
    """A runner that loses a worker in the first round of some kinds."""

    inner: Runner
    marks: Path  # an empty folder: a file for each worker that was killed
    kinds: Collection[str]  # of rounds

    isolated = True
    name = "struck"

    @property
    def attempts(self) -> int:
        return self.inner.attempts

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, object]]:
        some = list(tasks)
        if some and some[0].kind in self.kinds:  # all are of one
            store = Deadly(store.url, str(self.marks / some[0].kind))
        yield from self.inner.run(store, some)

    def close(self) -> None:
        self.inner.close()


def main(corpus: str, calm: str, store: str) -> None:
    """Run once in peace; then until the end in processes that die one after the other, each elsewhere.

    They are forked from the one that ran in peace, which has every kernel at hand.
    """
    for module, name, value in SMALL:
        setattr(module, name, value)
    run(pipeline(Path(corpus)), calm)
    deaths, there = 0, dict[Path, int]()
    while True:
        child = os.fork()
        if not child:
            at = 0 if deaths % 2 else 1 + deaths // 2 % POINTS
            run(pipeline(Path(corpus)), store, Dying(at))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 137:
            sys.exit(code)
        deaths += 1
        now = committed(Path(store))
        if not there.items() <= now.items():
            sys.exit(f"made again: {[path for path in there if now.get(path) != there[path]]}")
        there = now


def committed(store: Path) -> dict[Path, int]:
    """Every file of a committed result, and the inode that it has until it is written again."""
    records = list((store / "commits").glob("*/*.json"))
    folders = [store / "data" / record.parent.name / record.stem for record in records]
    files = [*records, *(path for folder in folders for path in folder.iterdir())]
    return {path: path.stat().st_ino for path in files}


if __name__ == "__main__":
    main(*sys.argv[1:])
