"""Which documents of some flows a model is made from, and which of those held out may measure it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.base import Batch
from stages.errors import DataError
from stages.kernels.hashing import string_buffers
from stages.shards import DOCUMENTS

Ranks: TypeAlias = npt.NDArray[np.uint64]  # a hash of each document's id
Rows: TypeAlias = npt.NDArray[np.bool_]
Runs: TypeAlias = npt.NDArray[np.uint64]  # a hash of every run of words

RUN = 8  # words
COPIED = 0.5  # share of a text's runs


def batches(
    inputs: Mapping[str, Sequence[Path]], columns: Sequence[str]
) -> Iterator[tuple[str, Batch]]:
    """The documents of all flows with the name of each, in order, a few at a time."""
    for flow, folders in inputs.items():
        for folder in folders:
            with pq.ParquetFile(folder / DOCUMENTS) as file:
                missing = [name for name in columns if name not in file.schema_arrow.names]
                if missing:
                    raise DataError(f"{flow}: its documents have no column {', '.join(missing)}")
                for batch in file.iter_batches(1024, columns=list(columns)):
                    yield flow, batch


def limits(
    documents: Iterable[tuple[Ranks, pa.Array, pa.Array]], size: int, even: bool = False
) -> dict[str, np.uint64]:
    """The highest rank that is taken, by group, from ranks, groups (null: none) and bytes of text.

    Of each group about `size` bytes, and always one document; if `even`, no more documents of one
    group than of another.
    """
    seen: dict[str, list[tuple[Ranks, npt.NDArray[np.int64]]]] = {}
    for ranks, groups, sizes in documents:
        for name in pc.unique(groups).drop_null().to_pylist():
            rows = of(groups, name)
            seen.setdefault(name, []).append((ranks[rows], sizes.to_numpy()[rows]))
    chosen = {}
    for name in sorted(seen):
        ranks, sizes = (np.concatenate(column) for column in zip(*seen.pop(name), strict=True))
        order = np.argsort(ranks)
        many = int(np.searchsorted(np.cumsum(sizes[order]), size, "right"))
        chosen[name] = ranks[order[: max(1, many)]]
    least = min(map(len, chosen.values()), default=0)
    return {name: ranks[least - 1 if even else -1] for name, ranks in chosen.items()}


def taken(ranks: Ranks, groups: pa.Array, limit: Mapping[str, np.uint64]) -> Rows:
    """Which documents are within the limits of their groups."""
    at = pc.index_in(groups, pa.array(limit, pa.string())).fill_null(-1).to_numpy()
    highest = np.array([*limit.values(), 0], np.uint64)
    rows: Rows = (at >= 0) & (ranks <= highest[at])
    return rows


def of(groups: pa.Array, name: str) -> Rows:
    """Which documents are of a group."""
    rows: Rows = pc.fill_null(pc.equal(groups, name), False).to_numpy(zero_copy_only=False)
    return rows


def runs(column: pa.Array | pa.ChunkedArray) -> tuple[Runs, npt.NDArray[np.int64]]:
    """The hash of every run of 8 words of the texts, and the text it is of."""
    from stages.kernels.characters import table
    from stages.kernels.contamination import ngrams_of

    offsets, data = string_buffers(column)
    found: tuple[Runs, npt.NDArray[np.int64]] = ngrams_of(data, offsets, table(), RUN)
    return found


def copied(column: pa.Array | pa.ChunkedArray, trained: Sequence[Runs]) -> Rows:
    """Which texts a model has seen: more than half of their runs of words are trained on.

    They would flatter it. PaLM asks for 70 % of the runs of 8 words (Chowdhery et al. 2022,
    arXiv:2204.02311, section 8). A text of fewer words has none, and is not a copy.
    """
    hashes, owners = runs(column)
    names, at = np.unique(hashes, return_inverse=True)
    known = np.isin(names, np.concatenate(trained)) if trained else np.zeros(len(names), np.bool_)
    many = np.bincount(owners, minlength=len(column))
    seen: Rows = np.bincount(owners, known[at], len(column)) > COPIED * many
    return seen
