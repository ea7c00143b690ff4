from itertools import islice, pairwise

import numpy as np
import pyarrow as pa
import pytest

from stages.errors import DataError
from stages.pack import Pack
from training.stream import IGNORED, TokenStream

LENGTH = 8


def shard(folder, sizes, first=1, length=LENGTH):
    """A packed shard of documents with these sizes, their ids counting up from `first`."""
    folder.mkdir()
    ends = first + np.cumsum([0, *sizes])
    column = [np.arange(a, b) % 60_000 for a, b in pairwise(ends)]
    tokens = pa.array(column, pa.large_list(pa.uint16()))
    batch = pa.record_batch({"id": [str(i) for i in range(len(sizes))], "tokens": tokens})
    Pack(length=length).write([batch], folder)
    return folder / "tokens.arrow"


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    home = tmp_path_factory.mktemp("packed")
    return [
        shard(home / "a", [37] * 300),
        shard(home / "b", [11] * 600, 20_000),
        shard(home / "c", []),
    ]


def take(count, paths, **how):
    return list(islice(TokenStream(paths, **{"rows": 8, "seed": 1} | how), count))


def test_an_epoch_holds_every_row_once_and_the_next_is_in_another_order(shards):
    rows = TokenStream(shards, rows=1, seed=3).total
    first, second = (take(rows, shards, rows=1, seed=3, start=s) for s in (0, rows))
    keys = [[tuple(batch["input_ids"][0]) for batch in epoch] for epoch in (first, second)]
    assert sorted(keys[0]) == sorted(keys[1])
    assert len(set(keys[0])) == rows
    assert keys[0] != keys[1]
    assert keys[0] != sorted(keys[0])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_another_world_size_goes_on_with_the_same_global_batches(shards, world):
    whole = take(40, shards)
    ranks = [take(30, shards, rank=rank, world=world, start=10) for rank in range(world)]
    for at in range(30):
        for name, expected in whole[10 + at].items():
            found = np.concatenate([batches[at][name] for batches in ranks])
            np.testing.assert_array_equal(found, expected)


def test_a_world_that_does_not_divide_the_batch_reads_every_row_once(shards):
    ranks = [take(5, shards, rank=rank, world=3) for rank in range(3)]
    found = [np.concatenate([batches[at]["input_ids"] for batches in ranks]) for at in range(5)]
    np.testing.assert_array_equal(found, [batch["input_ids"] for batch in take(5, shards)])


def test_another_seed_is_another_order(shards):
    one, two = (take(5, shards, seed=seed) for seed in (1, 2))
    assert not np.array_equal([b["input_ids"] for b in one], [b["input_ids"] for b in two])


def test_positions_begin_again_and_nothing_is_learnt_across_documents_or_on_padding(tmp_path):
    path = shard(tmp_path / "a", [3, 4, 6])
    rows = {batch["input_ids"][0, 0]: batch for batch in take(2, [path], rows=1)}
    assert rows[1]["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2, 3, 0]]
    assert rows[1]["labels"].tolist() == [[IGNORED, 2, 3, IGNORED, 5, 6, 7, IGNORED]]
    assert rows[9]["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert rows[9]["labels"].tolist() == [[IGNORED, 10, 11, 12, 13, IGNORED, IGNORED, IGNORED]]


def test_rows_are_mapped_not_loaded(shards):
    before = pa.total_allocated_bytes()
    stream = TokenStream(shards, rows=8, seed=1)
    assert pa.total_allocated_bytes() == before
    assert stream.total == 300 * 37 // 8 + 1 + 600 * 11 // 8


@pytest.mark.parametrize("paths", [[], ["c"]])
def test_nothing_to_train_on_is_said(tmp_path, paths):
    with pytest.raises(DataError, match=r"no rows|no packed shard"):
        TokenStream([shard(tmp_path / name, []) for name in paths], rows=1, seed=0)


def test_shards_of_different_lengths_are_refused(tmp_path):
    paths = [shard(tmp_path / "a", [9]), shard(tmp_path / "b", [9], length=4)]
    with pytest.raises(DataError, match="another length or tokenizer"):
        TokenStream(paths, rows=1, seed=0)


def test_a_file_that_is_no_shard_is_refused(tmp_path):
    (tmp_path / "tokens.arrow").write_bytes(b"not arrow at all")
    with pytest.raises(DataError, match="not a packed shard"):
        TokenStream([tmp_path / "tokens.arrow"], rows=1, seed=0)
