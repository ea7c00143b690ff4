"""Clusters of documents by what they mean: k-means of their embeddings, and who belongs to which."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Job, Stage, replace
from stages.choice import Ranks, batches
from stages.errors import DataError, SpecError
from stages.kernels.cosine import Floats, Halves, Numbers, nearest
from stages.kernels.hashing import hash64
from stages.mix import salt

CENTROIDS = "centroids.npy"
BLOCK = 1 << 22  # products of a vector and a centroid that are in memory at once


@dataclass(frozen=True, kw_only=True)
class TrainClusters(Job):
    """Find the clusters of the embeddings of its flows (`stages.embedding.Embed`); writes `centroids.npy`.

    Spherical k-means (Dhillon and Modha 2001) of a sample, those with the lowest hashes of `id`: equal
    vectors count once, the first centroids are drawn by the seed, a cluster that loses all its members
    begins anew at the vector farthest from its own centroid. With as many clusters as the square root
    of the number of documents, comparing all documents of each costs n**1.5; SemDeDup has a
    centroid for about 10,000 documents, D4 11,000 centroids.
    """

    clusters: Annotated[int, Field(ge=1)] | None = None  # None: the square root of the documents
    sample: Annotated[int, Field(ge=1)] = 100  # documents for each cluster, about
    rounds: Annotated[int, Field(ge=1)] = 20  # at most; it ends where no vector moves any more
    seed: int = 0  # of the sample and the first centroids

    @property
    def needs(self) -> tuple[str, ...]:
        """What is clustered."""
        return ("id", "embedding")

    def run(self, inputs: Mapping[str, Sequence[Path]], output: Path, work: Path) -> dict[str, Any]:  # noqa: ARG002
        every = [own for own, _ in self._embedded(inputs)]
        if not every:
            raise DataError("TrainClusters: none of the documents has an embedding")
        ranks = np.sort(np.concatenate(every))
        many = self.clusters or isqrt(len(ranks))
        highest = ranks[: many * self.sample][-1]
        chosen = [vectors[own <= highest] for own, vectors in self._embedded(inputs)]
        vectors = np.unique(np.concatenate(chosen), axis=0)
        if len(vectors) < many:
            raise DataError(
                f"TrainClusters: expected {many:,} different embeddings or more, one for each "
                f"cluster, got {len(vectors):,}; lower `clusters`"
            )
        centroids, value, sizes, rounds = spherical(
            unit(vectors), many, self.rounds, salt("centroids", self.seed)
        )
        np.save(output / CENTROIDS, centroids)
        return {
            "numbers": {
                "clusters": many,
                "trained_on": len(vectors),
                "rounds": rounds,
                "similarity": value,
                "largest": int(sizes.max()),
                "smallest": int(sizes.min()),
            }
        }

    def _embedded(self, inputs: Mapping[str, Sequence[Path]]) -> Iterator[tuple[Ranks, Halves]]:
        """The documents with an embedding: a hash of the id of each, and the embeddings."""
        for _, batch in batches(inputs, ("id", "embedding")):
            batch = batch.filter(batch["embedding"].is_valid())
            if batch.num_rows:
                vectors = vectors_of(batch["embedding"])
                yield hash64(batch["id"], salt("clusters", self.seed)), vectors


@dataclass(frozen=True, kw_only=True)
class NearestCluster(Stage):
    """Add `cluster`, the number of the centroid nearest to a text's embedding, and `centroid_distance`.

    The distance is 1 - cosine; both are null for a text without an embedding. What is near to its
    centroid is typical: D4 (Tirumala et al. 2023, arXiv:2308.12284) trains clusters anew behind
    `SemanticDedup` and leaves the most typical out (Sorscher et al. 2022): `stages.rank.KeepTop` with
    the column `centroid_distance` and a `share` of 0.8 drops the nearest fifth, and first of all what
    has no embedding.
    """

    centroids: File  # what TrainClusters left, `flow:clusters/centroids.npy`

    needs = ("embedding",)

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return pa.field("cluster", pa.int32()), pa.field("centroid_distance", pa.float64())

    def check(self) -> None:
        _ = self._centroids

    @cached_property
    def _centroids(self) -> Floats:
        """float32, clusters x dimensions, each of length 1."""
        try:
            found = np.load(self.centroids, allow_pickle=False)
        except (OSError, ValueError, EOFError) as wrong:
            raise SpecError(f"centroids: {self.centroids}: not a .npy file: {wrong}") from None
        if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype.kind != "f":
            raise SpecError(f"centroids: {self.centroids}: expected a table of numbers")
        return unit(found)

    def __call__(self, batch: Batch) -> Batch:
        column = batch.column("embedding")
        known = column.is_valid()
        vectors = vectors_of(column.filter(known))
        if len(vectors) and vectors.shape[1] != self._centroids.shape[1]:
            raise DataError(
                f"centroids have {self._centroids.shape[1]} dimensions, embeddings {vectors.shape[1]}"
            )
        home, value = nearest(vectors, self._centroids)
        at = pc.if_else(known, pc.subtract(pc.cumulative_sum(known.cast(pa.int64())), 1), None)
        batch = replace(batch, "cluster", pa.array(home, pa.int32()).take(at))
        return replace(batch, "centroid_distance", pa.array(np.round(1 - value, 6)).take(at))


def vectors_of(column: pa.Array | pa.ChunkedArray) -> Halves:
    """The vectors of a column of lists of numbers without a null: rows x dimensions, as they are stored."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    values: Halves = column.flatten().to_numpy(zero_copy_only=False)
    sizes = pc.list_value_length(column)
    if len(column) and (not len(values) or pc.min(sizes).as_py() != pc.max(sizes).as_py()):
        raise DataError("the embeddings are not all of one number of dimensions")
    return values.reshape(len(column), -1) if len(column) else np.zeros((0, 1), np.float16)


def unit(vectors: Halves) -> Floats:
    """The vectors at length 1; one without a direction is 0."""
    wide = np.nan_to_num(vectors.astype(np.float32), posinf=0, neginf=0)
    size = np.linalg.norm(wide, axis=1, keepdims=True)
    found: Floats = np.divide(wide, size, out=np.zeros_like(wide), where=size > 0)
    return found


def spherical(
    vectors: Floats, many: int, rounds: int, seed: int
) -> tuple[Floats, float, Numbers, int]:
    """The centroids; the mean cosine of a vector with its own, how many each has, rounds it took."""
    chance = np.random.default_rng(seed)
    centroids = vectors[np.sort(chance.choice(len(vectors), many, replace=False))]
    home, value = _assigned(vectors, centroids)
    done = 0
    for done in range(1, rounds + 1):  # noqa: B007 -- how many is told
        order = np.argsort(home, kind="stable")
        full, starts = np.unique(home[order], return_index=True)
        sums = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
        centroids[full] = unit(sums)
        empty = np.setdiff1d(np.arange(many), full)
        centroids[empty] = vectors[np.argsort(value, kind="stable")[: len(empty)]]
        before = home
        home, value = _assigned(vectors, centroids)
        if np.array_equal(before, home):
            break
    return centroids, float(value.mean()), np.bincount(home, minlength=many), done


def _assigned(vectors: Floats, centroids: Floats) -> tuple[Numbers, Floats]:
    """The centroid nearest to each vector, and their product."""
    home, value = np.zeros(len(vectors), np.int64), np.zeros(len(vectors), np.float32)
    step = max(1, BLOCK // len(centroids))
    for start in range(0, len(vectors), step):
        dots = vectors[start : start + step] @ centroids.T
        home[start : start + step], value[start : start + step] = dots.argmax(1), dots.max(1)
    return home, value
