"""One line that says how a run is getting on, and a line for everything that needs attention."""

import sys
import time
from typing import Any, TextIO

from pipelines.driver import Stretch
from pipelines.store import Commit
from stages.base import Source

EVERY = 10.0  # seconds between lines where the screen cannot be redrawn


class Progress:
    """Watches a run and tells a person: documents/s, MB/s, kept share, time left."""

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = out or sys.stderr
        self.live = self.out.isatty()
        self.began = self.last = time.monotonic()
        self.stretch: Stretch | None = None
        self._reset()

    def _reset(self) -> None:
        self.todo = self.done = self.reused = self.bytes_todo = self.bytes_done = 0
        self.documents = self.kept = self.text = 0
        self.sizes: dict[str, int] = {}
        self.start = time.monotonic()

    def __call__(self, what: str, about: Any) -> None:
        """Take note of an event; the driver calls this."""
        if what in ("pass", "job"):
            self._close()
            self._reset()
            self.stretch = about
            if what == "job":
                self._say(f"{about.flow}: {', '.join(about.steps)} ...")
        elif what == "listing":
            self._say(f"{_name(about)}: listing inputs")
        elif what == "todo" and not {task.kind for task in about} - {"pass", "job"}:
            self.sizes = {task.target: task.bytes for task in about}
            self.todo += len(about)
            self.bytes_todo += sum(self.sizes.values())
        elif what in ("commit", "reused"):
            self._count(about, what == "reused")
        elif what == "lost":
            attempt, lost = about
            for task, why in lost:
                self._say(f"a worker was lost on {_input(task)} (attempt {attempt}): {why.why}")
        elif what == "hunt":
            self._say(f"{_input(about)}: looking for the document that kills its worker")

    def _count(self, commit: Commit, reused: bool) -> None:
        stages = commit.result.get("stages")
        if stages is None:
            return  # a round of a barrier, or a job
        if reused:
            self.reused += 1
        else:
            self.done += 1
            self.bytes_done += self.sizes.get(commit.key, 0)
        self.documents += stages[0]["in"]
        self.kept += stages[-1]["out"]
        self.text += 0 if reused else stages[0]["bytes_out"]
        now = time.monotonic()
        if self.live or now - self.last > EVERY:
            self.last = now
            self._draw()

    def _line(self) -> str:
        assert self.stretch is not None
        seconds = max(1e-3, time.monotonic() - self.start)
        share = f", kept {self.kept / self.documents:.1%}" if self.documents else ""
        left = ""
        if self.bytes_done and self.done < self.todo:
            left = f", {_clock(seconds * (self.bytes_todo / self.bytes_done - 1))} left"
        speed = ""
        if self.done and self.documents:
            speed = f", {self.documents / seconds:,.0f} documents/s, {self.text / seconds / 1e6:,.1f} MB/s"
        counted = f"{self.done}/{self.todo} shards" + (
            f" + {self.reused} found done" if self.reused else ""
        )
        return f"{self.stretch.flow}: {' > '.join(self.stretch.steps) or 'read'}: {counted}{speed}{share}{left}"

    def _draw(self) -> None:
        if self.live:
            self.out.write(f"\r\x1b[2K{self._line()[:160]}")
            self.out.flush()
        else:
            print(self._line(), file=self.out, flush=True)

    def _close(self) -> None:
        if self.stretch is not None and (self.done or self.reused):
            self._draw()
            if self.live:
                self.out.write("\n")
        self.stretch = None

    def _say(self, line: str) -> None:
        clear = "\r\x1b[2K" if self.live else ""
        print(f"{clear}{line}", file=self.out, flush=True)

    def close(self) -> None:
        """Finish the line of the last pass."""
        self._close()


def _name(source: Source) -> str:
    return f"{type(source).__name__} {getattr(source, 'paths', '')}".strip()


def _input(task: Any) -> str:
    return str(task.args[1].name) if task.kind in ("pass", "probe") else task.kind


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
