"""A measured value, how sure it is, and what was done to get it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

RESAMPLES = 1000
INTERVAL = (2.5, 97.5)  # percentiles: 95 %


@dataclass(frozen=True, kw_only=True)
class Score:
    """A value with its 95 % interval (None where there are too few documents for one)."""

    name: str
    value: float
    low: float | None
    high: float | None
    unit: str
    signature: str  # key:value|key:value; two scores compare only if theirs are equal


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One score of the same documents before and after, and the change with its paired interval."""

    group: str  # `all`, or a language
    documents: int
    before: Score | None
    after: Score
    change: Score | None  # after - before; its interval is that of the paired difference

    def dump(self) -> dict[str, Any]:
        """A flat row of a report."""
        after = asdict(self.after)
        row = {
            "group": self.group,
            "documents": self.documents,
            "after": after.pop("value"),
            **after,
        }
        for name, score in (("before", self.before), ("change", self.change)):
            row[name] = score.value if score else None
            row[f"{name}_low"] = score.low if score else None
            row[f"{name}_high"] = score.high if score else None
        return row


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """A score that is a function of a ratio of sums over documents, as every perplexity is.

    The interval is a percentile bootstrap over documents, not tokens: the tokens of a document
    depend on each other. Both sides of a comparison are resampled alike, which pairs them.
    """

    name: str
    unit: str
    form: Callable[[np.ndarray], np.ndarray]  # of sum(nats) / sum(units); rising

    def compare(
        self,
        before: np.ndarray | None,  # nats of each document
        after: np.ndarray,
        units: tuple[np.ndarray | None, np.ndarray],  # what they are shared among, before and after
        group: str,
        signature: str,
    ) -> Comparison:
        """Score the documents of a group; beyond numbers, the value is infinite."""
        draws = _draws(after.size)
        new = self._values(after, units[1], draws)
        old = None if before is None or units[0] is None else self._values(before, units[0], draws)
        return Comparison(
            group=group,
            documents=after.size,
            before=None if old is None else self._score(old, signature),
            after=self._score(new, signature),
            change=None if old is None else self._score(_less(new, old), signature),
        )

    def _values(self, nats: np.ndarray, units: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """The value over all documents, and then over each draw of them."""
        with np.errstate(over="ignore"):
            return self.form((draws @ nats) / np.maximum(draws @ units, 1e-300))

    def _score(self, values: np.ndarray, signature: str) -> Score:
        sure = values.size > 1 and np.isfinite(values).all()
        low, high = np.percentile(values[1:], INTERVAL) if sure else (None, None)
        return Score(
            name=self.name,
            value=float(values[0]),
            low=None if low is None else float(low),
            high=None if high is None else float(high),
            unit=self.unit,
            signature=f"{self.name}|{signature}|interval:bootstrap{RESAMPLES}",
        )


def _less(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        change: np.ndarray = new - old
    return change


def _draws(documents: int) -> np.ndarray:
    """How often each document counts: once, and then as 1,000 draws with replacement have it."""
    once = np.ones((1, documents))
    if documents < 2:
        return once
    shares = np.full(documents, 1 / documents)
    return np.concatenate(
        [once, np.random.default_rng(0).multinomial(documents, shares, RESAMPLES)]
    )
