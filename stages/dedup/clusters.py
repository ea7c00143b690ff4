"""Documents joined by pairs: clusters of them, and who stays. Documents are uint64 numbers.

A pair has its better document, the one that would stay, as `other`. Better is who has the lower
`rank` (see `stages.dedup.keep`), of equals who comes first; without ranks, who comes first.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stages.dedup.keep import RANK
from stages.kernels.hashing import Hashes

Places = npt.NDArray[np.int64]
OTHER_RANK = RANK.with_name("other_rank")


@dataclass(frozen=True)
class Standing:
    """The documents that pairs name, best first, and the pairs as places among them.

    `left[i] > right[i]`, in order of left, then right; `pairs[i]` is the pair's row in the table.
    """

    members: Hashes
    ranks: Hashes | None
    left: Places
    right: Places
    pairs: Places


def standing(table: pa.Table) -> Standing:
    """Who is named by pairs (columns `doc`, `other` and, if documents are ranked, `rank`, `other_rank`)."""
    doc, other = table["doc"].to_numpy(), table["other"].to_numpy()
    ranks = None
    if RANK.name in table.column_names:
        members, at = np.unique(np.concatenate([doc, other]), return_index=True)
        both = [table[name].to_numpy() for name in (RANK.name, OTHER_RANK.name)]
        ranks = np.concatenate(both)[at]
        order = np.lexsort((members, ranks))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        left, right = (place[np.searchsorted(members, side)] for side in (doc, other))
        members, ranks = members[order], ranks[order]
    else:
        members = distinct(np.concatenate([doc, other]))
        left, right = (np.searchsorted(members, side) for side in (doc, other))
    pairs = np.lexsort((right, left))
    return Standing(members, ranks, left[pairs], right[pairs], pairs)


def distinct_pairs(table: pa.Table) -> pa.Table:
    """Each pair of documents once, sorted by doc, then other."""
    doc, other = table["doc"].to_numpy(), table["other"].to_numpy()
    order = np.lexsort((other, doc))
    doc, other = doc[order], other[order]
    new = np.ones(len(doc), bool)
    new[1:] = (doc[1:] != doc[:-1]) | (other[1:] != other[:-1])
    return table.take(pa.array(order[new]))


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
def settle(left: Places, right: Places, value: npt.NDArray[np.float64], count: int) -> Places:
    """For each node, the pair it leaves by, or -1 if it stays.

    Pairs are sorted by left, then right, and left > right: a node leaves only if one of its pairs is
    with a node that stays; of several, by the most similar, and of those the first.
    """
    leaves = np.full(count, -1)
    for pair in range(len(left)):
        if leaves[right[pair]] >= 0:
            continue
        best = leaves[left[pair]]
        if best < 0 or value[pair] > value[best]:
            leaves[left[pair]] = pair
    return leaves
