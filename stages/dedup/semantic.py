"""Documents that say the same: SemDeDup (Abbas et al. 2023, arXiv:2303.09540) over sentence embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, drop
from stages.dedup.centroids import vectors_of
from stages.dedup.exact import chosen
from stages.dedup.keep import RANK, Copies
from stages.dedup.summary import clusters
from stages.kernels.cosine import leaving

SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio: a key of its own for each cluster

PROPOSAL = pa.schema(
    [
        pa.field("cluster", pa.int32()),
        pa.field("size", pa.int64()),
        pa.field("compared", pa.int64()),  # pairs of a document and a better one that stays
        pa.field("alike", pa.int64()),  # of these, how many reach the similarity
        pa.field("doc", pa.large_list(pa.uint64())),  # those that leave
        pa.field("kept", pa.large_list(pa.uint64())),  # for these
        pa.field("value", pa.large_list(pa.float64())),
    ]
)


@dataclass(frozen=True, kw_only=True)
class SemanticDedup(Copies):
    """Drop documents whose embedding is nearly that of a better one of their cluster that stays.

    It needs the columns `embedding` (`stages.embedding.Embed`) and `cluster` (`NearestCluster`); a
    document without is nobody's copy. Within a cluster every document is compared with every better one
    that stays: the cosine of the two decides, to six digits, and none leaves through a chain of
    neighbours as in the paper. What is alike across the border of two clusters is not found. Of copies
    `keep` says which stays; SemDeDup's choice, the farthest from the centroid, is
    `keep: centroid_distance`. A cluster of n documents needs the memory of its embeddings (2 bytes for
    each dimension, some four times), and up to n**2 / 2 products in time, but none in memory.
    """

    similarity: Annotated[float, Field(gt=0, le=1)] = 0.95  # least cosine of a copy, 1 - epsilon

    late = ("similarity",)

    @property
    def needs(self) -> tuple[str, ...]:
        return (*super().needs, "embedding", "cluster")

    def forecast(self) -> Iterator[str]:
        """What the bound means."""
        yield (
            f"cosine of {self.similarity:g} and more; how alike texts are that have nothing in common "
            f"is the encoder's own (0 for MiniLM, 0.7 for E5)"
        )

    def sketch(self, batch: Batch) -> pa.Table:
        """One row per document with an embedding: that, and the cluster, whose number makes the key."""
        known = pc.and_(batch.column("embedding").is_valid(), batch.column("cluster").is_valid())
        rows = np.flatnonzero(known.to_numpy(zero_copy_only=False))
        clustered = batch.column("cluster").filter(known)
        columns = {
            "key": clustered.to_numpy().astype(np.uint64) * SPREAD,
            "row": rows.astype(np.uint32),
            "cluster": clustered,
            "embedding": batch.column("embedding").filter(known),
        }
        return pa.table(columns | {name: rank[rows] for name, rank in self.ranked(batch).items()})

    def decide(self, sketches: pa.Table) -> pa.Table:
        """One row for each cluster: who leaves it for whom, and how many pairs were compared."""
        doc, cluster = sketches["doc"].to_numpy(), sketches["cluster"].to_numpy()
        ranks = [sketches[RANK.name].to_numpy()] if RANK.name in sketches.column_names else []
        vectors = vectors_of(sketches["embedding"])
        order = np.lexsort((doc, *ranks, cluster))
        found = []
        starts = np.unique(cluster[order], return_index=True)[1]
        for rows in np.split(order, starts[1:]) if len(order) else []:
            kept_by, value, compared, alike = leaving(vectors[rows], self.similarity)
            left = np.flatnonzero(kept_by >= 0)
            row = {
                "cluster": int(cluster[rows[0]]),
                "size": len(rows),
                "compared": compared,
                "alike": alike,
                "doc": doc[rows[left]],
                "kept": doc[rows[kept_by[left]]],
                "value": value[left],
            }
            found.append(row)
        return pa.Table.from_pylist(found, PROPOSAL)

    def conclude(self, proposals: pa.Table) -> pa.Table:
        """Those that leave, in order of document: each is in one cluster."""
        names = ("doc", "kept", "value")
        found = {name: pc.list_flatten(proposals[name]) for name in names}
        return pa.table(found).sort_by("doc")

    def about(self, proposals: pa.Table, decision: pa.Table) -> dict[str, Any]:
        """Groups of copies by size, pairs compared, and the clusters they were compared in."""
        return {
            **clusters(decision),
            "compared": pc.sum(proposals["compared"]).as_py() or 0,
            "alike": pc.sum(proposals["alike"]).as_py() or 0,
            "similarity": self.similarity,
            "clusters": proposals.num_rows,
            "largest_cluster": pc.max(proposals["size"]).as_py() or 0,
        }

    def __call__(self, batch: Batch, decision: pa.Table) -> Batch:
        copy_of = chosen(batch, decision, "copy_of")
        reasons = pc.if_else(copy_of.is_valid(), "dedup.semantic", pa.scalar(None, pa.string()))
        return drop(batch, reasons, values=chosen(batch, decision, "value"), copies=copy_of)
