"""Near copies as they truly are: all pairs by scipy, and two results judged by them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from stages.base import DOCUMENT
from stages.dedup import MinHashDedup
from stages.measure import WORD_HASHES, Measure

THRESHOLD, WORDS, ROWS = 0.8, 5, 256
EDGES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
Found = dict[str, Any]


def judge(texts: pa.Array, mine: Found, theirs: Found) -> Found:
    """Both results against the truth, and against each other."""
    hashed = word_hashes(texts)
    left, right, value = all_pairs(hashed, EDGES[0])
    copies = np.array([number(name) for name in mine["copies"]], np.int64)
    kept = np.array([number(name) for name in mine["kept"]], np.int64)
    exact(left, right, value, copies, kept, mine["similarity"])
    gone = {"bateia": np.zeros(len(texts), bool), "datatrove": np.zeros(len(texts), bool)}
    gone["bateia"][copies] = True
    gone["datatrove"][theirs["removed"]] = True
    chance = np.array([MinHashDedup().recall(v) for v in value])
    keys = band_keys(hashed)
    together = (keys[left] == keys[right]).any(axis=1)
    resolved = {name: side[left] | side[right] for name, side in gone.items()}
    bins = []
    for low, high in pairwise([*EDGES, np.inf]):
        here = (value >= low) & (value < high)
        shares = (chance, together, resolved["bateia"], resolved["datatrove"])
        label = f"{low:g} to {high:g}" if low < 1 else "1"
        bins.append([label, int(here.sum()), *(f"{share[here].mean():.2%}" for share in shares)])
    alike = value >= THRESHOLD
    removed: Found = {
        name: [int(side.sum()), int(wrong(side, left[alike], right[alike]).sum())]
        for name, side in gone.items()
    }
    for counts in removed.values():
        counts.append(f"{counts[1] / counts[0]:.2%}")
    return {
        "bins": bins,
        "alike": {
            "pairs": int(alike.sum()),
            "expected": float(chance[alike].mean()),
            "found": float(together[alike].mean()),
            "resolved": float(resolved["bateia"][alike].mean()),
        },
        "removed": {**removed, "both": int((gone["bateia"] & gone["datatrove"]).sum())},
        "alone": alone(gone, left[alike], right[alike], np.array(theirs["clusters"])),
        "clusters": clusters(np.array(theirs["clusters"]), candidates(keys), copies, kept),
    }


def alone(
    gone: dict[str, npt.NDArray[np.bool_]], left: Places, right: Places, theirs: Places
) -> Found:
    """Who was removed by one side only, and why; pairs are those at or above the threshold."""
    ours = gone["bateia"]
    like, stays = np.zeros(len(ours), bool), np.zeros(len(ours), bool)
    for a, b in ((left, right), (right, left)):
        like[a] = True
        stays[a[~ours[b]]] = True
    them, us = gone["datatrove"] & ~ours, ours & ~gone["datatrove"]
    return {
        "datatrove": {
            "is not that similar to any document": int((them & ~like).sum()),
            "is that similar only to documents that left for another": int(
                (them & like & ~stays).sum()
            ),
            "is that similar to one that stays, with which bateia did not compare it": int(
                (them & stays).sum()
            ),
        },
        "bateia": {
            "is the one that datatrove keeps of its cluster": int((us & (theirs >= 0)).sum()),
            "is in no cluster of datatrove, no band of which agrees": int(
                (us & (theirs < 0)).sum()
            ),
        },
    }


def number(name: str) -> int:
    """The number of a document, by the id that the Parquet source gives it."""
    return int(name.rpartition("#")[2])


def exact(
    left: Places, right: Places, value: Floats, copies: Places, kept: Places, said: Sequence[float]
) -> None:
    """Hold every deletion to the truth: as similar as was said to the document kept for it."""
    known = {(a, b): v for a, b, v in zip(left.tolist(), right.tolist(), value, strict=True)}
    for a, b, similarity in zip(copies.tolist(), kept.tolist(), said, strict=True):
        true = known.get((max(a, b), min(a, b)), 0.0)
        if true < THRESHOLD or abs(true - similarity) > 1e-12:
            raise AssertionError(f"{a} left for {b} as {similarity}, but they are {true} alike")


def word_hashes(texts: pa.Array) -> list[npt.NDArray[np.uint64]]:
    """The words of each document: what a word is, is ours; all behind it is not."""
    measure, found = Measure(names=(WORD_HASHES,)), []
    for first in range(0, len(texts), ROWS):
        some = texts.slice(first, ROWS)
        rows = [{"id": "", "text": text, "source": ""} for text in some.to_pylist()]
        column = measure(pa.RecordBatch.from_pylist(rows, DOCUMENT))[WORD_HASHES]
        found += [np.asarray(row.values.to_numpy()) for row in column]
    return found


def all_pairs(
    hashed: Sequence[npt.NDArray[np.uint64]], least: float
) -> tuple[Places, Places, Floats]:
    """Every pair (later, earlier) with at least this Jaccard similarity of its sets of shingles."""
    shingles, owner = [], []
    for at, row in enumerate(hashed):
        padded = np.pad(row, (0, max(0, WORDS - len(row)))) if len(row) else row
        if len(row):
            windows = np.lib.stride_tricks.sliding_window_view(padded, WORDS)
            shingles.append(np.ascontiguousarray(windows).view(f"V{8 * WORDS}").ravel())
            owner.append(np.full(len(windows), at))
    ids = np.unique(np.concatenate(shingles), return_inverse=True)[1]
    owners = np.concatenate(owner)
    ones = np.ones(len(ids), np.int32)
    sets = csr_array((ones, (owners, ids)), (len(hashed), int(ids.max()) + 1))
    sets.data[:] = 1
    sizes = np.diff(sets.indptr)
    shared = sets[:, np.asarray(sets.sum(axis=0)).ravel() > 1]
    turned = csr_array(shared.T)
    lefts, rights, values = [], [], []
    for first in range(0, len(hashed), ROWS):
        common = coo_array(shared[first : first + ROWS] @ turned)
        rows, columns = common.row.astype(np.int64) + first, common.col.astype(np.int64)
        similarity = common.data / (sizes[rows] + sizes[columns] - common.data)
        here = (rows > columns) & (similarity >= least)
        lefts.append(rows[here])
        rights.append(columns[here])
        values.append(similarity[here])
    return np.concatenate(lefts), np.concatenate(rights), np.concatenate(values)


def band_keys(hashed: Sequence[npt.NDArray[np.uint64]]) -> npt.NDArray[np.uint64]:
    """The band hashes of every document; one without words has bands like nobody's."""
    barrier = MinHashDedup()
    bands = barrier.shape[0]
    keys = np.arange(len(hashed) * bands, dtype=np.uint64).reshape(-1, bands)
    column = pa.array(hashed, pa.large_list(pa.uint64()))
    batch = pa.record_batch({WORD_HASHES: column})
    sketch = barrier.sketch(batch)
    keys[np.unique(sketch["row"].to_numpy())] = sketch["key"].to_numpy().reshape(-1, bands)
    return keys


def candidates(keys: npt.NDArray[np.uint64]) -> Places:
    """The component of every document, if all who share a band were copies."""
    ids = np.unique(keys.ravel(), return_inverse=True)[1].reshape(keys.shape)
    documents = np.repeat(np.arange(len(keys)), keys.shape[1])
    size = len(keys) + int(ids.max()) + 1
    graph = coo_array((np.ones(ids.size), (documents, ids.ravel() + len(keys))), (size, size))
    return np.asarray(connected_components(graph, directed=False)[1][: len(keys)], np.int64)


def wrong(gone: npt.NDArray[np.bool_], left: Places, right: Places) -> npt.NDArray[np.bool_]:
    """Who was removed though no document that stays is as similar as asked for."""
    right_to_go = np.zeros(len(gone), bool)
    for a, b in ((left, right), (right, left)):
        right_to_go[a[~gone[b]]] = True
    return gone & ~right_to_go


def clusters(theirs: Places, before: Places, copies: Places, kept: Places) -> Found:
    """How far two partitions agree: pairs together in both per pair together in either."""
    alone = theirs < 0
    theirs = np.where(alone, np.arange(len(theirs)) + theirs.max() + 1, theirs)
    after = np.arange(len(theirs))
    after[copies] = kept
    return {
        "before": agreement(theirs, before),
        "after": agreement(theirs, after),
        "number": {"datatrove": len(groups(theirs)), "bateia": len(groups(after))},
        "same": len(groups(theirs) & groups(after)),
        "largest": {
            "datatrove": int(np.unique(theirs, return_counts=True)[1].max()),
            "bateia": int(np.unique(after, return_counts=True)[1].max()),
        },
    }


def groups(cluster: Places) -> set[tuple[int, ...]]:
    """The members of every cluster of two documents or more."""
    order = np.argsort(cluster, kind="stable")
    edges = np.flatnonzero(np.diff(cluster[order])) + 1
    return {tuple(some.tolist()) for some in np.split(order, edges) if len(some) > 1}


def agreement(a: Places, b: Places) -> float:
    pairs = [
        int((counts * (counts - 1) // 2).sum())
        for counts in (
            np.unique(np.stack([a, b]), axis=1, return_counts=True)[1],
            np.unique(a, return_counts=True)[1],
            np.unique(b, return_counts=True)[1],
        )
    ]
    return pairs[0] / max(1, pairs[1] + pairs[2] - pairs[0])
