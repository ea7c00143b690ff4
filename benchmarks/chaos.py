"""Thirty kills of whatever a run on Ray is made of, and what the next run makes of it.

    python -m benchmarks.chaos [kills] [seed]

A run over a corpus of small files is struck again and again, each time by SIGKILL of a process
chosen by chance, at a moment chosen by chance, and started again whenever its driver ended. At the
end its store must hold the bytes of a run that nobody disturbed, and nothing may have been redone
that was committed when some run began.
"""

import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.page import CACHE, circumstances, keep, table, words
from pipelines import Pipeline, Pool, Run, Store, run
from pipelines.audit import verify
from tests.chaos.corpus import write
from tests.chaos.kills import EXITS, Chaos
from tests.pipelines.conftest import shelf

# How often each is chosen: every other kind costs a new start of Ray.
KINDS = {"worker": 4, "driver": 3, "raylet": 2, "cancel": 1}
NAMES = {
    "worker": "SIGKILL of a worker at work",
    "raylet": "SIGKILL of the raylet",
    "driver": "SIGKILL of the driver",
    "cancel": "SIGTERM to the driver",
}


def main(kills: int = 30, seed: int = 1) -> None:
    """Strike, compare, and rewrite the section of docs/benchmarks.md."""
    work = CACHE / "chaos"
    shutil.rmtree(work, ignore_errors=True)
    about = circumstances("bateia", "ray", "pyarrow")
    recipe = write(work, files=3 * kills)
    calm = Pool()
    try:
        once = run(Pipeline.load(recipe, homes=("tests.", "stages.")), str(work / "calm"), calm)
    finally:
        calm.close()
    chaos = Chaos(recipe, work / "store", work / "log.txt")
    chance = random.Random(seed)
    began = time.monotonic()
    whom = chance.choices([*KINDS], [*KINDS.values()], k=kills)
    chaos.survive(whom, seed, len(once.results()))
    seconds = time.monotonic() - began
    wrong = judge(chaos, work)
    write_down(about, chaos, seconds, len(shelf(work / "store")), wrong)
    if wrong:
        sys.exit("\n".join(wrong))


def judge(chaos: Chaos, work: Path) -> list[str]:
    """Every promise that was broken."""
    wrong = [
        f"{strike.whom}: the driver ended with {strike.code}, {strike.orphans} workers went on"
        for strike in chaos.strikes
        if strike.code != EXITS.get(strike.whom) or strike.orphans
    ]
    if shelf(work / "store") != shelf(work / "calm"):
        wrong.append("the store is not what a calm run leaves")
    if redone := chaos.redone()[1]:
        wrong.append(f"{redone} results were redone")
    wrong += [f"{path} was written twice" for path in chaos.rewritten()]
    return wrong + list(verify(Run.open(Store(str(chaos.store)), "latest")))


def write_down(
    about: dict[str, object], chaos: Chaos, seconds: float, files: int, wrong: list[str]
) -> None:
    counts = Counter(strike.whom for strike in chaos.strikes)
    rows = []
    for whom, name in NAMES.items():
        struck = [strike for strike in chaos.strikes if strike.whom == whom]
        ended = [strike.seconds for strike in struck if strike.code is not None]
        code = EXITS.get(whom, "goes on")
        slowest = round(max(ended), 1) if ended else None
        rows.append((name, counts[whom], code, slowest, sum(s.orphans for s in struck)))
    head = [
        "what was done",
        "times",
        "exit code of the driver",
        "s until it ended, at most",
        "workers left",
    ]
    said = "; ".join(wrong) or (
        f"All {files:,} files are those of a calm run, byte for byte. {len(chaos.before) - 1} times the run "
        f"was started again; {chaos.redone()[0]:,} results were found done, and none was made again"
    )
    text = f"""
## Kills

`python -m benchmarks.chaos`: {len(chaos.strikes)} strikes at random moments of a run on Ray, {seconds / 60:.0f} minutes with all
restarts. {said}.

{table(head, rows)}

{words(about)}
"""
    strikes = [vars(strike) for strike in chaos.strikes]
    keep("chaos", {"about": about, "seconds": seconds, "strikes": strikes, "wrong": wrong}, text)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
