"""Results as they are kept: JSON beside the scripts, tables in docs/benchmarks.md."""

import json
import platform
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
CACHE = Path("~/.cache/bateia-bench").expanduser()  # what benchmarks fetch, install and scratch on
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Made by `make bench`; every number is the last run of the script named above it. CPU seconds are
those of the whole process tree, pages and documents those that a side really processed.
"""


def circumstances(*packages: str) -> dict[str, object]:
    """Machine, versions, date and commit."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": commit or "unknown",
        "cpu": model.group(1) if model else platform.processor(),
        "cores": psutil.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "load_before": round(psutil.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def words(about: Mapping[str, object]) -> str:
    """The circumstances in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in dict(about["versions"]).items())
    return (
        f"{about['date']}, commit {about['commit']}, {about['cores']} cores of {about['cpu']}, "
        f"{about['memory_gb']} GB, load before {about['load_before']}, Python {about['python']}; "
        f"{versions}."
    )


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers to the right."""
    body = [[_cell(value) for value in row] for row in rows]
    right = [
        all(isinstance(row[at], int | float | None) for row in rows) for at in range(len(head))
    ]
    rule = ["---:" if numbers else "---" for numbers in right]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(head), rule, *body])


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def earlier(name: str) -> dict[str, object]:
    """The results as they were kept last; empty if there are none."""
    home = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(home.read_text(encoding="utf-8")) if home.exists() else {}


def keep(name: str, results: Mapping[str, object], text: str) -> None:
    """Write benchmarks/results/NAME.json and the section of that name of the page."""
    home = ROOT / "benchmarks" / "results"
    home.mkdir(exist_ok=True)
    plain = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    (home / f"{name}.json").write_text(plain, encoding="utf-8")
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else HEAD
    if begin in page:
        before, rest = page.split(begin, 1)
        page = before + section + rest.split(end, 1)[1]
    else:
        page = f"{page.rstrip()}\n\n{section}\n"
    PAGE.write_text(page, encoding="utf-8")
