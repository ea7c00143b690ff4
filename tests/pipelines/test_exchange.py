"""What a barrier's rounds do not depend on: how much of the evidence is in memory at once."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import exchange, run
from pipelines.exchange import weights, within
from tests.pipelines.conftest import pipeline


@given(st.lists(st.integers(0, 50)), st.integers(1, 100))
def test_runs_hold_no_more_than_they_may_and_lose_no_row(sizes, most):
    runs = list(within(np.array(sizes, np.int64), most))
    assert [at for some in runs for at in range(len(sizes))[some]] == list(range(len(sizes)))
    for some in runs:
        assert sum(sizes[some]) <= most or some.stop - some.start == 1
    for some, after in pairwise(runs):
        assert sum(sizes[some.start : after.start + 1]) > most


def tables(done, name):
    """A table of every result of a run that has it."""
    keys = [key for stretch in done.record["stretches"] for key in stretch["barrier_keys"]]
    return {
        key: pq.read_table(done.store.open(key, name))
        for key in keys
        if name in done.store.get(key).files
    }


@pytest.mark.parametrize("most", [1, 1_500])
def test_evidence_in_small_pieces_proves_the_same(corpus, tmp_path, monkeypatch, most):
    whole = run(pipeline(corpus), str(tmp_path / "whole"))
    monkeypatch.setattr(exchange, "GROUP_BYTES", 1)
    monkeypatch.setattr(exchange, "WINDOW_BYTES", most)
    pieces = run(pipeline(corpus), str(tmp_path / "pieces"))
    for name in ("proposals.parquet", "evidence.parquet", "decision.parquet"):
        assert tables(pieces, name) == tables(whole, name)
    groups = [
        pq.read_metadata(pieces.store.open(key, "evidence.parquet")).num_row_groups
        for key in tables(pieces, "evidence.parquet")
    ]
    assert max(groups) > 1


def test_the_weight_of_a_list_of_hashes_is_its_own():
    lists = pa.array([[1, 2, 3], [], [4]], pa.large_list(pa.uint64()))
    assert weights(lists).to_pylist() == [24, 0, 8]
    assert weights(lists.slice(1)).to_pylist() == [0, 8]
