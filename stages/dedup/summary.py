"""What reports say of a decision about copies: clusters by size, the largest, pairs by similarity."""

from typing import Any

import numpy as np
import pyarrow as pa

from stages.base import REMEMBERED
from stages.dedup.clusters import distinct, union_find
from stages.kernels.hashing import Hashes

LARGEST, MEMBERS = 8, 3  # clusters named, and copies of each
BINS = 20  # of similarity, from 0 to 1


def clusters(decision: pa.Table) -> dict[str, Any]:
    """How many clusters there are of each size (a power of two and up), and the largest.

    A cluster is a document that stays with the copies that leave for it; `copies` are [doc, value],
    the least alike first, of equals the first; value is null where none was measured. `remembered` is
    how many leave for a document of the index: these have no text here, and are not among the largest.
    """
    doc, kept = decision["doc"].to_numpy(), decision["kept"].to_numpy()
    value = np.full(len(doc), np.nan)
    if "value" in decision.column_names:
        value = decision["value"].to_numpy()
    order = np.lexsort((doc, value, kept))
    heads, starts, counts = np.unique(kept[order], return_index=True, return_counts=True)
    sizes = counts + 1
    ours = np.flatnonzero(heads < REMEMBERED)
    largest = ours[np.lexsort((heads[ours], -sizes[ours]))[:LARGEST]]
    return {
        "copies": len(doc),
        "remembered": int((kept >= REMEMBERED).sum()),
        "sizes": _by_power(sizes),
        "largest": [
            {
                "kept": int(heads[at]),
                "size": int(sizes[at]),
                "copies": [
                    [int(doc[row]), None if np.isnan(value[row]) else round(float(value[row]), 4)]
                    for row in order[starts[at] : starts[at] + counts[at]][:MEMBERS]
                ],
            }
            for at in largest
        ],
    }


def summary(proposals: pa.Table, decision: pa.Table, similarity: float) -> dict[str, Any]:
    """`clusters`, and of the pairs that were compared: how many, how alike, and how they hang together.

    `candidates` is the number of components of candidates by their size, `giant` the size of the
    largest and how many of it leave: many candidates and few copies tell of boilerplate.
    """
    pairs = [proposals[side].to_numpy() for side in ("doc", "other")]
    members = distinct(np.concatenate(pairs))
    left, right = (np.searchsorted(members, side) for side in pairs)
    best = union_find(left, right, len(members))
    sizes = np.bincount(best, minlength=len(best))
    value = proposals["value"].to_numpy()
    counts = np.bincount((value * BINS).astype(np.int64).clip(0, BINS - 1), minlength=BINS)
    giant = int(np.argmax(sizes)) if len(sizes) else 0
    inside: Hashes = members[best == giant]
    return {
        **clusters(decision),
        "compared": proposals.num_rows,
        "alike": int((value >= similarity).sum()),
        "similarity": similarity,
        "by_similarity": counts.tolist(),
        "candidates": _by_power(sizes[sizes > 0]),
        "giant": {
            "size": len(inside),
            "leave": int(np.isin(decision["doc"].to_numpy(), inside).sum()),
        },
    }


def _by_power(sizes: np.ndarray) -> dict[str, int]:
    """How many numbers there are from each power of two up to below the next."""
    powers, counts = np.unique(np.log2(sizes).astype(np.int64), return_counts=True)
    return {str(1 << int(power)): int(many) for power, many in zip(powers, counts, strict=True)}
