"""Corpora that give every round of every barrier over copies work, and runs that die in each of them."""

import os
import random
import shutil
import signal
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines import Flow, InProcess, Pipeline, Store, driver, exchange, run
from pipelines.runner import Runner
from pipelines.store import Commit
from pipelines.tasks import Task, perform
from stages.dedup import ExactDedup, MinHashDedup, Remember, SpanDedup, SubstringDedup
from tests.steps import Lines

POINTS = (
    6  # steps of the commit of one file before it is there: four of the file, two of the record
)
SMALL = (  # rounds of many tasks for few documents
    (driver, "SKETCH_ROWS_PER_TASK", 300),
    (exchange, "ASKED_PER_TASK", 5),
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


def crawls(folder: Path, files: int = 3, lines: int = 15) -> Path:
    """Two crawls, a folder each: some documents of the second are copies of the first, exact and near."""
    chance = random.Random(6)
    made = [" ".join(sentence(chance) for _ in range(9)) for _ in range(2 * lines)]
    first, second = made[:lines], made[lines:]
    first += [f"{first[0]} Fim.", first[1], f"{first[2]} Fim."]
    second += [first[3], *(f"{text} Fim." for text in first[4:9]), f"Era. {second[0]}", second[1]]
    for name, texts in (("first", first), ("second", second)):
        (folder / name).mkdir(parents=True)
        for number in range(files):
            (folder / name / f"{number:02}.txt").write_text("\n".join(texts[number::files]))
    return folder


def remembering(folder: Path, index: str) -> Pipeline:
    """What is in the index leaves, and what is left of a crawl is added to it."""
    steps = [ExactDedup(against=index), MinHashDedup(against=index)]
    flows = {"lines": Flow([Lines(paths=str(folder))], steps)}
    flows["kept"] = Flow(["lines"], [Remember(index=index, crawl=folder.name)])
    return Pipeline("remembering", flows)


def second(corpus: Path, folder: Path) -> Pipeline:
    """The second crawl, against an index of the first; a run in peace is in `calm`, its index beside it.

    Both runs see the index at one place: it is part of what names a job.
    """
    index, before = folder / "index", folder / "before"
    run(remembering(corpus / "first", str(index)), str(folder / "first"))
    shutil.copytree(index, before)
    made = remembering(corpus / "second", str(index))
    run(made, str(folder / "calm"))
    index.rename(folder / "calm-index")
    before.rename(index)
    return made


@dataclass
class Dying(InProcess):
    """Die at the given step of the commit of the first task that is not done; 0: right behind it.

    A job dies at each of its steps: at the first, if nothing died in it yet, and so on.
    """

    at: int
    died: int  # how often something did since the last commit or manifest

    def run(self, store: Store, tasks: Iterable[Task]) -> Iterator[tuple[Task, Commit]]:
        for task in tasks:
            at = self.died + 1 if task.kind == "job" else self.at
            print(task.kind, task.target, at, flush=True)
            if at:
                os.environ["BATEIA_CRASH_AT"] = str(at)
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


def main(what: str, corpus: str, calm: str, store: str) -> None:
    """Run once in peace; then until the end in processes that die one after the other, each elsewhere.

    They are forked from the one that ran in peace, which has every kernel at hand.
    """
    for module, name, value in SMALL:
        setattr(module, name, value)
    if what == "index":
        made = second(Path(corpus), Path(store).parent)
    else:
        made = pipeline(Path(corpus))
        run(made, calm)
    die(made, store)


def die(made: Pipeline, store: str) -> None:
    """Run in one process after the other until one lives to the end."""
    deaths, died, there = 0, 0, dict[Path, int]()
    while True:
        child = os.fork()
        if not child:
            at = 0 if deaths % 2 else 1 + deaths // 2 % POINTS
            run(made, store, Dying(at, died))
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 137:
            sys.exit(code)
        now = committed(Path(store))
        if not there.items() <= now.items():
            sys.exit(f"made again: {[path for path in there if now.get(path) != there[path]]}")
        deaths, died = deaths + 1, died + 1 if now == there else 0
        there = now


def committed(store: Path) -> dict[Path, int]:
    """Every file of a committed result, and the inode that it has until it is written again.

    And every manifest of the index beside the store: a crawl that one names is not brought in again.
    """
    manifests = (store.parent / "index" / "manifests").glob("[0-9]*")
    records = list((store / "commits").glob("*/*.json"))
    folders = [store / "data" / record.parent.name / record.stem for record in records]
    files = [*manifests, *records, *(path for folder in folders for path in folder.glob("*"))]
    return {path: path.stat().st_ino for path in files}


if __name__ == "__main__":
    main(*sys.argv[1:])
