"""How likely a pair is found by bands of rows of a signature, and the split that suits a threshold.

Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, 3.4.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Curve = npt.NDArray[np.float64]
STEPS = 1_000  # of the integrals
MISSED, REFUSED = 0.95, 0.05  # weights: a missed copy stays, a false candidate is only compared


def recall(similarity: Any, bands: Any, rows: int) -> Any:
    """The share of pairs of this similarity of which some band agrees."""
    return 1 - (1 - similarity**rows) ** bands


@cache
def split(permutations: int, threshold: float) -> tuple[int, int]:
    """Bands and rows, `permutations` of them at most, that suit a threshold best.

    They have the least sum of what is missed (the integral of 1 - recall above the threshold) and
    what is compared in vain (that of recall below it), weighted as MISSED to REFUSED.
    """
    below, above = _middles(0, threshold), _middles(threshold, 1)
    found: list[tuple[float, int, int]] = []
    for rows in range(1, permutations + 1):
        bands = np.arange(1, permutations // rows + 1)[:, None]
        refused = recall(below, bands, rows).mean(axis=1) * threshold
        missed = (1 - recall(above, bands, rows)).mean(axis=1) * (1 - threshold)
        cost = REFUSED * refused + MISSED * missed
        best = int(np.argmin(cost))
        found.append((float(cost[best]), best + 1, rows))
    _, best_bands, best_rows = min(found)
    return best_bands, best_rows


def _middles(low: float, high: float) -> Curve:
    return low + (np.arange(STEPS) + 0.5) * (high - low) / STEPS
