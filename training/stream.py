"""Packed shards as an endless stream of batches: mapped, shuffled, the same for any world size."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from stages.errors import DataError

Arrays: TypeAlias = dict[str, np.ndarray]
GROUP = 16  # record batches whose rows are shuffled together: what random reading touches at once
IGNORED = -100  # the label that takes no part in a loss


class TokenStream:
    """Batches of packed rows, without end, in an order that only `seed` and the shards decide.

    Global batch k holds the rows at places k * rows to (k + 1) * rows of an endless sequence of
    shuffled epochs; `rank` reads its share of each. So the state is one number, `start` (global
    batches already read), and a run may go on with any other `world`. Shuffling takes the record
    batches (256 rows) of all shards in random order and mixes the rows of 16 at a time.

    Yields int64 arrays of shape (rows of this rank, length): `input_ids`; `position_ids`, which
    begin again at each document; `labels`, the ids but for -100 at the first token of a document
    (nothing before it foretells it) and on padding. A causal model shifts the labels itself.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        rows: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        start: int = 0,
    ) -> None:
        self.rows, self.seed, self.start = rows, seed, start
        share = np.array_split(np.arange(rows), world)[rank]
        self.first, self.last = int(share[0]) if share.size else 0, int(share.size)
        self.blocks, self.metadata, self.length = _map(paths)
        self.sizes = np.array([block.num_rows for block in self.blocks], np.int64)
        self.total = int(self.sizes.sum())  # rows of an epoch
        if not self.total:
            raise DataError("the packed shards hold no rows: no document was left to train on")
        self._begins = np.cumsum(self.sizes) - self.sizes
        self._order = lru_cache(2)(self._shuffled_blocks)
        self._group = lru_cache(2)(self._shuffled_rows)

    def __iter__(self) -> Iterator[Arrays]:
        at = self.start
        while True:
            begin = at * self.rows + self.first
            yield self._batch([self._row(begin + i) for i in range(self.last)])
            at += 1

    def _row(self, place: int) -> tuple[int, int]:
        """The record batch, and the row in it, at a place of the endless sequence."""
        epoch, place = divmod(place, self.total)
        _, ends = self._order(epoch)
        group = bisect_right(ends, place)
        row = int(self._group(epoch, group)[place - (ends[group - 1] if group else 0)])
        block = bisect_right(self._begins, row) - 1
        return block, row - int(self._begins[block])

    def _shuffled_blocks(self, epoch: int) -> tuple[np.ndarray, list[int]]:
        """The blocks in the order of an epoch, and the places at which each group of them ends."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.blocks))
        sums = np.cumsum(self.sizes[order])
        return order, sums[
            np.minimum(np.arange(GROUP, len(sums) + GROUP, GROUP), len(sums)) - 1
        ].tolist()

    def _shuffled_rows(self, epoch: int, group: int) -> np.ndarray:
        order, _ = self._order(epoch)
        blocks = order[group * GROUP : (group + 1) * GROUP]
        rows = [np.arange(self._begins[b], self._begins[b] + self.sizes[b]) for b in blocks]
        return np.random.default_rng([self.seed, epoch, group]).permutation(np.concatenate(rows))

    def _batch(self, places: list[tuple[int, int]]) -> Arrays:
        ids = np.empty((len(places), self.length), np.int64)
        positions, labels = np.empty_like(ids), np.empty_like(ids)
        for i, (block, row) in enumerate(places):
            columns = self.blocks[block].columns
            offset = columns[0].offset + row
            ids[i] = columns[0].values.to_numpy()[offset * self.length : (offset + 1) * self.length]
            lengths = columns[1][row].values.to_numpy()
            starts = np.cumsum(lengths) - lengths
            positions[i] = np.arange(self.length) - np.repeat(starts, lengths)
            labels[i] = ids[i]
            labels[i, starts] = IGNORED
            labels[i, self.length - columns[2][row].as_py() :] = IGNORED
        return {"input_ids": ids, "position_ids": positions, "labels": labels}


def _map(paths: Sequence[Path]) -> tuple[list[pa.RecordBatch], dict[str, str], int]:
    """The record batches of all shards, their common metadata and row length."""
    blocks: list[pa.RecordBatch] = []
    schema = None
    for path in paths:
        try:
            stream = pa.ipc.open_stream(pa.memory_map(str(path)))
            blocks += [batch for batch in stream if batch.num_rows]
        except (OSError, pa.ArrowInvalid) as wrong:
            raise DataError(f"{path}: not a packed shard: {wrong}") from None
        if not stream.schema.equals(schema or stream.schema, check_metadata=True):
            raise DataError(f"{path}: packed with another length or tokenizer than {paths[0]}")
        schema = stream.schema
    if schema is None:
        raise DataError(
            "there is no packed shard to train on: `from` needs a flow that ends in Pack"
        )
    about = {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}
    return blocks, about, schema.field("input_ids").type.list_size
