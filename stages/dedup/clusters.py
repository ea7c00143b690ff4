"""Documents joined by buckets: the sets of them that must be judged together, and who of one stays.

A document is compared with the LEADERS first documents of each of its buckets, and leaves if one of
them is alike. What a bucket holds are documents that stay: one that comes by puts itself into its
buckets or, if it leaves, the one that it leaves for. So whether a document leaves depends on those
before it alone, and what is to be known of these is what the buckets hold.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.hashing import Hashes
from stages.kernels.minhash import alike

LEADERS = 8  # documents that a bucket holds, all of whom its others are compared with

Places = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def distinct(documents: Hashes) -> Hashes:
    """Each document once, sorted. Sorts in place."""
    documents.sort()
    new = np.ones(len(documents), bool)
    new[1:] = documents[1:] != documents[:-1]
    return documents[new]


@njit(cache=True)
def union_find(left: Places, right: Places, count: int) -> Places:
    """The least member of the component of each of `count` nodes joined by edges.

    Edges in order of left are found ten times faster: 10^8 take 18 s and, themselves included, 4 GB.
    """
    parents = np.arange(count)
    for edge in range(len(left)):
        a, b = left[edge], right[edge]
        while parents[a] != a:
            parents[a] = parents[parents[a]]
            a = parents[a]
        while parents[b] != b:
            parents[b] = parents[parents[b]]
            b = parents[b]
        parents[max(a, b)] = min(a, b)
    for node in range(count):  # a parent comes before its child, so it already points at the root
        parents[node] = parents[parents[node]]
    return parents


@njit(cache=True)
def settle(
    before: int,
    starts: Places,
    buckets: Places,
    held: Places,
    many: Places,
    sets: tuple[Places, Places, Hashes],
    similarity: float,
    contained: bool,
) -> tuple[Places, Places, Floats, npt.NDArray[np.bool_]]:
    """Compare documents with what their buckets hold: pairs (document, other, value, leaves).

    `before` documents were judged before, or were there already; of those that follow the i-th, best first, is
    in `buckets[starts[i]:starts[i + 1]]`. Bucket b holds `held[b, :many[b]]`, and is filled on the way.
    `sets`: where the set of each document begins and ends among the hashes, and these. A document
    leaves for the most similar, of equals for the first: one of its pairs says so.
    """
    begins, ends, hashes = sets
    seen = np.full(len(begins), -1)
    size = 1024
    docs, others = np.empty(size, np.int64), np.empty(size, np.int64)
    values, leaves = np.empty(size), np.zeros(size, np.bool_)
    end = 0
    for at in range(len(starts) - 1):
        doc, best = before + at, -1
        for bucket in buckets[starts[at] : starts[at + 1]]:
            for place in range(many[bucket]):
                other = held[bucket, place]
                if seen[other] == doc:
                    continue
                seen[other] = doc
                if end == size:
                    size *= 2
                    docs, others = _longer(docs, size), _longer(others, size)
                    values, leaves = _longer(values, size), _longer(leaves, size)
                found = alike(hashes, begins[doc], ends[doc], begins[other], ends[other], contained)
                docs[end], others[end], values[end], leaves[end] = doc, other, found, False
                if found >= similarity and (
                    best < 0
                    or found > values[best]
                    or (found == values[best] and other < others[best])
                ):
                    best = end
                end += 1
        stays = doc
        if best >= 0:
            leaves[best] = True
            stays = others[best]
        for bucket in buckets[starts[at] : starts[at + 1]]:
            there = False
            for place in range(many[bucket]):
                there |= held[bucket, place] == stays
            if not there and many[bucket] < LEADERS:
                held[bucket, many[bucket]] = stays
                many[bucket] += 1
    return docs[:end], others[:end], values[:end], leaves[:end]


@njit(cache=True)
def _longer(column, size):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 -- of three types
    out = np.empty(size, column.dtype)
    out[: len(column)] = column
    return out
