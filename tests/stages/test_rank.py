"""The best part of a flow, and its parts by rank."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.errors import SpecError
from stages.rank import Buckets, KeepTop, lowest, ranks
from tests.stages.barriers import documents, drive, shards

SCORES = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, None, -3.0]), min_size=1, max_size=60)


def test_documents_are_ranked_by_numbers_only():
    rows = documents(["a", "b"]).append_column("language", pa.array(["pt", "en"]))
    for step in (KeepTop(column="language"), Buckets(column="language", by_language=False)):
        with pytest.raises(
            SpecError, match="column: documents are ranked by numbers, and 'language'"
        ):
            step.sketch(rows)


def scored(scores, **columns):
    rows = documents(["text"] * len(scores), **columns)
    return rows.append_column("score", pa.array(scores, pa.float64()))


@given(SCORES, st.floats(0.01, 0.99), st.lists(st.integers(0, 60), max_size=3))
def test_exactly_the_share_stays_and_nothing_that_left_was_better(scores, share, cuts):
    batch = scored(scores)
    parts = shards(batch, [min(cut, len(scores)) for cut in cuts])
    kept, rejects, _ = drive(KeepTop(column="score", share=share), parts, partitions=3)

    value = dict(zip(batch["id"].to_pylist(), scores, strict=True))
    worst = min(-math.inf if value[name] is None else value[name] for name in kept)
    assert len(kept) == max(1, math.ceil(share * len(scores) - 1e-9))
    assert all(row["value"] is None or row["value"] <= worst for row in rejects)
    assert {row["dropped"] for row in rejects} <= {"top.score"}


@given(st.lists(st.floats(width=32), min_size=2, max_size=20))
def test_ranks_sort_as_their_scores(scores):
    found = (ranks(pa.array(scores), pa.array(["x"] * len(scores))) >> np.uint64(32)).tolist()
    for a, one in zip(scores, found, strict=True):
        for b, other in zip(scores, found, strict=True):
            if math.isnan(a):
                assert one <= other
            elif not math.isnan(b):
                assert (a < b) == (one < other)


NUMBERS = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**63, 2**64 - 1])
ONE = st.dictionaries(st.sampled_from(["", "pt", "en"]), st.lists(NUMBERS, min_size=1), max_size=3)


@given(st.lists(ONE, max_size=4), st.lists(st.floats(0.01, 0.99), min_size=1, max_size=3))
def test_the_lowest_of_the_best_is_found_part_by_part_as_by_sorting(given, shares):
    kind = pa.schema([("group", pa.string()), ("ranks", pa.list_(pa.uint64()))])
    tables = [pa.table([list(one), list(one.values())], kind) for one in given]
    read = []

    def parts():
        read.append(1)
        return iter(tables)

    expected = {}
    for group in {name for one in given for name in one}:
        values = sorted((rank for one in given for rank in one.get(group, [])), reverse=True)
        counts = [max(1, math.ceil(share * len(values) - 1e-9)) for share in shares]
        expected[group] = [values[count - 1] for count in counts]
    assert lowest(parts, shares) == expected
    assert len(read) == 4


def test_of_equals_the_choice_does_not_depend_on_their_order():
    batch = scored([0.5] * 100)
    once = set(drive(KeepTop(column="score", share=0.3), [batch])[0])
    turned = batch.take(pa.array(range(99, -1, -1)))

    assert set(drive(KeepTop(column="score", share=0.3), [turned])[0]) == once
    assert len(once) == 30


def test_each_language_keeps_its_own_share():
    languages = ["pt"] * 30 + ["en"] * 50 + [None] * 4
    batch = scored([at / 100 for at in range(84)], language=languages)
    kept, _, _ = drive(KeepTop(column="score", share=0.1, by_language=True), [batch])

    assert kept == ["d27", "d28", "d29", "d75", "d76", "d77", "d78", "d79", "d83"]


def test_buckets_are_thirds_of_each_language_from_the_lowest_value_on():
    languages = ["pt", "en"] * 9 + ["pt"]
    scores = [float(at // 2) for at in range(18)] + [None]
    batch = scored(scores, language=languages)
    kept, rejects, _ = drive(Buckets(column="score", keep=("head", "middle")), [batch])

    assert [row["id"] for row in rejects] == [f"d{at}" for at in range(12, 18)]
    assert {row["dropped"] for row in rejects} == {"bucket.tail"}
    assert kept[-1] == "d18"
    assert [row["score_bucket"] for row in rejects] == ["tail"] * 6


def test_what_is_late_redoes_no_sketch_and_mistakes_are_named():
    assert set(KeepTop.late) == {"share"}
    with pytest.raises(SpecError, match="two different names"):
        Buckets(column="score", names=("a", "a")).check()
    with pytest.raises(SpecError, match="keep"):
        Buckets(column="score", keep=("best",)).check()
