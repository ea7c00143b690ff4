"""Values of a report as people read them: hostile text made safe, numbers made short."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

ABSENT = "\N{EN DASH}"  # stands where the report has no value
SPACE = "\N{NO-BREAK SPACE}"
TIMES = "\N{MULTIPLICATION SIGN}"

# What does not print, or turns the text around it: controls, line and paragraph separators,
# bidirectional embeddings, overrides and isolates, lone surrogates, the byte order mark.
UNSEEN = re.compile(
    "([\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff])\\1*"
)


def show(value: Any, limit: int) -> Markup:
    """A document's text, isolated from its neighbours, with what does not print made visible."""
    text = str(value)
    shown = UNSEEN.sub(lambda match: f"<i>{visible(match)}</i>", str(escape(text[:limit])))
    more = len(text) - limit
    tail = Markup(' <b class="cut">… %s more characters</b>') % count(more) if more > 0 else ""
    return Markup('<bdi dir="auto">%s</bdi>%s') % (Markup(shown), tail)  # noqa: S704 - escaped above


def visible(match: re.Match[str]) -> str:
    """A sign for a run of one character that does not print: its code, and how often."""
    code, times = ord(match[1]), len(match[0])
    return f"U+{code:04X}" if times == 1 else f"U+{code:04X}{TIMES}{times}"


def name(value: Any, limit: int = 120) -> str:
    """A name on one line: a rule, a language, a domain, a key; safe for a chart's label too."""
    text = UNSEEN.sub(visible, " ".join(str(value).split()) if value else "")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def given(value: Any) -> bool:
    """Whether this is a number to show."""
    return isinstance(value, int | float) and math.isfinite(value)


def exact(value: Any) -> str:
    """Every digit, for the title."""
    return repr(value) if given(value) else ""


def count(value: Any) -> str:
    """12,345."""
    return f"{round(value):,}" if given(value) else ABSENT


def short(value: Any) -> str:
    """Three digits and a scale: 12.3 M."""
    if not given(value) or abs(value) < 100_000:
        return number(value)
    return scaled(value, ["", "k", "M", "B", "T", "Q"])


def size(value: Any) -> str:
    """Bytes in powers of a thousand: 3.4 MB."""
    return scaled(value, ["B", "kB", "MB", "GB", "TB", "PB", "EB"]) if given(value) else ABSENT


def scaled(value: float, units: list[str]) -> str:
    """A number in the unit that leaves one to three digits before the point."""
    step = 0
    while abs(value) >= 999.5 and step < len(units) - 1:
        value, step = value / 1000, step + 1
    digits = 0 if step == 0 or abs(value) >= 99.95 else 1
    return f"{value:.{digits}f}{SPACE}{units[step]}".strip()


def share(part: Any, whole: Any) -> str:
    """0.65 %; never 0 % or 100 % of what is not."""
    if not given(part) or not given(whole) or not whole:
        return ABSENT
    percent = 100 * part / whole
    if 0 < percent < 0.005:
        return f"<{SPACE}0.01{SPACE}%"
    if 99.95 <= percent < 100:
        return f">{SPACE}99.9{SPACE}%"
    return f"{percent:.{2 if 0 < percent < 1 else 1}f}{SPACE}%"


def ratio(part: Any, whole: Any) -> float | None:
    """The share as a number, for the title and for sorting."""
    return part / whole if given(part) and given(whole) and whole else None


def duration(value: Any) -> str:
    """1 d 2 h, 3 h 20 min, 4 min 5 s, 12.3 s, 45 ms."""
    if not given(value):
        return ABSENT
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.1f} s"
    seconds = round(value)
    for large, small, unit, lesser in ((86400, 3600, "d", "h"), (3600, 60, "h", "min")):
        if seconds >= large:
            return f"{seconds // large} {unit} {seconds % large // small} {lesser}"
    return f"{seconds // 60} min {seconds % 60} s"


def number(value: Any) -> str:
    """Any measured number with four digits that matter; other values as they are."""
    if not given(value):
        return ABSENT if not isinstance(value, str) else name(value)
    if value == round(value) or abs(value) >= 10_000:
        return f"{round(value):,}" if abs(value) < 1e15 else f"{value:.3e}"
    return f"{value:,.4g}"


def bound(value: Any) -> str:
    """The limit a rule compared with: one number, or from and to."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return number(value)
    low, high = value
    if given(low) and given(high):
        return f"{number(low)} to {number(high)}"
    return f"≥ {number(low)}" if given(low) else f"≤ {number(high)}"


def setting(value: Any) -> str:
    """A field's value as the recipe writes it."""
    return name(json.dumps(value, ensure_ascii=False, default=str), 200)


def when(value: Any) -> str:
    """An ISO moment to the minute, in its own time zone."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return name(value)
    return f"{moment:%Y-%m-%d %H:%M} {moment.tzname() or ''}".strip()


FILTERS = {
    made.__name__: made
    for made in (
        bound,
        count,
        duration,
        exact,
        name,
        number,
        ratio,
        setting,
        share,
        short,
        size,
        when,
    )
}
