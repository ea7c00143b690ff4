"""What a command costs: CPU seconds of it and of every process it ever started, and peak memory."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
ALONE = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


@dataclass(frozen=True)
class Cost:
    """`cpu` and `wall` in seconds; memory in bytes: of the largest process, and of all together."""

    cpu: float
    wall: float
    worker: int
    tree: int

    def plain(self) -> dict[str, float]:
        return asdict(self)


def cost(command: Sequence[str], log: Path, **environment: str) -> Cost:
    """Run a command to its end; RuntimeError with the end of its log if it fails.

    Orphans (a fork server, daemons) become our children and are waited for, so that none of their
    CPU seconds is lost: `time` on the command alone sees nothing of them.
    """
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.monotonic()
    with open(log, "wb") as out:
        child = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        )
        peaks = [0, 0]
        done = threading.Event()
        watch = threading.Thread(target=_watch, args=(peaks, done), daemon=True)
        watch.start()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - start
        cpu = usage.ru_utime + usage.ru_stime + _orphans()
        done.set()
        watch.join()
    if child.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: exit {child.returncode}\n{log.read_text()[-4000:]}"
        )
    return Cost(cpu, wall, max(peaks[0], usage.ru_maxrss * 1024), max(peaks))


def _orphans(patience: float = 5) -> float:
    """CPU seconds of the processes that outlived the command; those that do not end are ended."""
    cpu, until = 0.0, time.monotonic() + patience
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu
        cpu += (usage.ru_utime + usage.ru_stime) if pid else 0
        if not pid:
            if time.monotonic() > until:
                for left in psutil.Process().children(recursive=True):
                    left.send_signal(signal.SIGKILL)
            time.sleep(0.05)


def _watch(peaks: list[int], done: threading.Event) -> None:
    """Keep the largest resident size of one process, and of all, every tenth of a second."""
    me = psutil.Process()
    while not done.wait(0.1):
        sizes = []
        for process in me.children(recursive=True):
            try:
                sizes.append(process.memory_info().rss)
            except psutil.Error:
                continue
        if sizes:
            peaks[:] = max(peaks[0], *sizes), max(peaks[1], sum(sizes))
