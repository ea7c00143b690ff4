"""Shares, caps and splits of a corpus."""

import json
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.base import part
from stages.config import load_step
from stages.errors import DataError, SpecError
from stages.mix import Balance, Split
from tests.stages.barriers import documents, drive, shards


def corpus(sizes, seed=0, length=40):
    """Documents of given groups, mixed; as many bytes of each group as asked for, nearly."""
    names = [name for name, size in sizes.items() for _ in range(size)]
    random.Random(seed).shuffle(names)
    texts = ["é" * (length // 2)] * len(names)
    return documents(
        texts, source=names, url=[f"https://{n}.pt/p/{i}" for i, n in enumerate(names)]
    )


def counts(batch, kept):
    sources = dict(zip(batch["id"].to_pylist(), batch["source"].to_pylist(), strict=True))
    names = [sources[name] for name in kept]
    return {name: names.count(name) for name in set(names)}


def test_named_groups_get_their_shares_and_the_scarce_one_is_kept_whole():
    batch = corpus({"web": 6000, "books": 500, "code": 900})

    kept, rejects, _ = drive(Balance(shares={"web": 0.6, "books": 0.2, "code": 0.2}), [batch])

    found = counts(batch, kept)
    assert found["books"] == 500
    assert found["web"] == pytest.approx(1500, abs=4 * 1500**0.5)
    assert found["code"] == pytest.approx(500, abs=4 * 500**0.5)
    assert len(kept) + len(rejects) == 7400
    assert {row["dropped"] for row in rejects} == {"balance.source"}
    assert {row["value"] for row in rejects if row["source"] == "web"} == {0.25}


def test_groups_that_are_not_named_share_what_is_left():
    batch = corpus({"web": 4000, "a": 1000, "b": 1000})

    kept, _, _ = drive(Balance(shares={"web": 0.5}), [batch])

    found = counts(batch, kept)
    assert (found["a"], found["b"]) == (1000, 1000)
    assert found["web"] == pytest.approx(2000, abs=4 * 2000**0.5)


def test_shares_that_leave_nothing_leave_no_room_for_other_groups():
    batch = corpus({"web": 100, "books": 100, "ads": 50})

    kept, rejects, _ = drive(Balance(shares={"web": 0.5, "books": 0.5}), [batch])

    assert counts(batch, kept) == {"web": 100, "books": 100}
    assert {row["value"] for row in rejects} == {0.0}


def test_a_share_of_what_is_not_there_is_an_error_that_says_what_is_there():
    with pytest.raises(DataError, match="no text of source bokks.*there is: web, books"):
        drive(Balance(shares={"bokks": 0.5}), [corpus({"web": 3, "books": 2})])


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 10**9), min_size=1))
def test_shares_are_exact_in_expected_bytes_and_keep_all_of_some_group(sizes):
    shares = {name: 1 / len(sizes) for name in sizes}

    rates, _ = Balance(shares=shares)._meet({k: float(v) for k, v in sizes.items()}, shares)

    kept = [sizes[name] * rate for name, rate in rates.items()]
    assert max(rates.values()) == pytest.approx(1)
    assert max(kept) == pytest.approx(min(kept))


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 10**9), min_size=2),
    st.floats(0.05, 1),
)
def test_no_group_is_more_than_the_cap_and_none_is_cut_that_is_not(sizes, cap):
    names = sorted(sizes, key=lambda name: (-sizes[name], name))
    ordered = np.array([float(sizes[name]) for name in names])
    if cap * len(sizes) < 1 - 1e-6:
        with pytest.raises(DataError, match="raise cap to"):
            Balance(cap=cap)._cut(names, ordered)
        return
    if cap * len(sizes) < 1 + 1e-6:
        return

    rates = Balance(cap=cap)._cut(names, ordered)

    kept = {name: sizes[name] * rates.get(name, 1) for name in names}
    whole = sum(kept.values())
    for name in names:
        assert kept[name] <= cap * whole * (1 + 1e-6)
        assert rates.get(name, 1) <= 1 + 1e-9
        if rates.get(name, 1) < 1 - 1e-6:
            assert kept[name] == pytest.approx(cap * whole, rel=1e-6)


def test_documents_of_no_known_domain_are_not_cut():
    batch = documents(["x" * 10] * 300, url=[None] * 200 + [f"http://a.b/{i}" for i in range(100)])

    kept, rejects, _ = drive(Balance(by="domain", cap=0.1), [batch])

    assert set(kept) >= {f"d{at}" for at in range(200)}
    assert len(kept) - 200 == pytest.approx(22, abs=15)
    assert {row["dropped"] for row in rejects} == {"balance.domain"}


def test_a_higher_rate_keeps_all_that_a_lower_one_kept():
    batch = corpus({"web": 3000, "books": 1000})

    little, _, _ = drive(Balance(shares={"web": 0.3, "books": 0.7}), [batch])
    more, _, _ = drive(Balance(shares={"web": 0.6, "books": 0.4}), [batch])

    assert {name for name in little if counts(batch, [name]).get("web")} < set(more)


def test_two_balances_in_a_row_choose_independently():
    batch = corpus({"web": 4000, "books": 1000})
    by_source = Balance(shares={"web": 0.5, "books": 0.5})
    first, _, _ = drive(by_source, [batch])
    rows = [int(name[1:]) for name in first]

    second, _, _ = drive(
        Balance(by="domain", shares={"web.pt": 1 / 3, "books.pt": 2 / 3}), [batch.take(rows)]
    )

    assert counts(batch, second)["web"] == pytest.approx(500, abs=90)


@given(
    cuts=st.lists(st.integers(0, 60), max_size=3),
    partitions=st.integers(1, 4),
    batches=st.integers(1, 3),
    by=st.sampled_from(["source", "domain"]),
)
def test_rates_do_not_depend_on_shards_partitions_or_batches(cuts, partitions, batches, by):
    whole = corpus({"a": 40, "b": 15, "c": 5})
    barrier = Balance(by=by, cap=0.4)

    once = drive(barrier, [whole])
    again = drive(barrier, shards(whole, cuts), partitions, batches, shuffle=1)

    assert once[0] == again[0]
    assert once[2].schema.metadata == again[2].schema.metadata
    assert len(json.loads(once[2].schema.metadata[b"rates"])) == 2


def test_balance_by_language_takes_documents_without_one_as_a_group():
    batch = documents(["xy"] * 4, language=["pt", "pt", None, "en"])

    nobody = documents([], language=pa.array([], pa.string()))

    kept, _, _ = drive(Balance(by="language", shares={"pt": 0.5}), [batch])

    assert kept == ["d0", "d1", "d2", "d3"]
    assert drive(Balance(by="language", shares={"pt": 0.5}), [nobody])[0] == []


def split(batch, **fields):
    kept, _, _ = part(Split(**fields)(batch))
    return kept["id"].to_pylist()


@given(st.integers(0, 2**63), st.floats(0.01, 0.99), st.sampled_from(["id", "domain"]))
def test_parts_that_meet_are_disjoint_and_complete(seed, edge, by):
    urls = [f"http://{at % 17}.example/{at}" if at % 5 else None for at in range(200)]
    batch = documents(["x"] * 200, url=urls)

    left = split(batch, part=(0, edge), by=by, seed=seed)
    right = split(batch, part=(edge, 1), by=by, seed=seed)

    assert sorted(left + right) == sorted(batch["id"].to_pylist())


def test_a_part_has_its_share_and_what_is_outside_says_where_it_was():
    batch = documents(["x"] * 10_000)

    _, rejects, _ = part(Split(part=(0, 0.98))(batch))

    assert rejects.num_rows == pytest.approx(200, abs=60)
    assert set(rejects["dropped"].to_pylist()) == {"split.outside"}
    assert all(0.98 <= value < 1 for value in rejects["value"].to_pylist())


def test_by_domain_a_host_is_on_one_side():
    urls = [f"https://user@H{at % 40}.example:80/{at}" for at in range(400)]
    batch = documents(["x"] * 400, url=urls)

    kept = {int(name[1:]) % 40 for name in split(batch, part=(0, 0.5), by="domain")}
    left = {int(name[1:]) % 40 for name in split(batch, part=(0.5, 1), by="domain")}

    assert kept
    assert left
    assert not kept & left


def test_a_split_does_not_foresee_what_balance_keeps():
    """Both choose by a hash of the id: of an upper part, Balance must still keep its share."""
    batch = corpus({"web": 4000, "books": 1000})
    upper = batch.take([int(name[1:]) for name in split(batch, part=(0.5, 1))])

    kept, _, _ = drive(Balance(shares={"web": 0.5, "books": 0.5}), [upper])

    assert counts(batch, kept)["web"] == pytest.approx(500, abs=120)


@pytest.mark.parametrize(
    "step, message",
    [
        ({"stages.mix.Balance": {}}, "Balance.shares: give either shares or a cap"),
        ({"stages.mix.Balance": {"cap": 0}}, "Balance.cap: expected above 0"),
        ({"stages.mix.Balance": {"shares": {"a": 0.8, "b": 0.3}}}, "at most 1 in all, got 1.1"),
        ({"stages.mix.Balance": {"shares": {"a": -1}}}, "shares.a: expected above 0"),
        ({"stages.mix.Split": {"part": [0.5, 0.5]}}, "part: expected two numbers from 0 to 1"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(step, message):
    with pytest.raises(SpecError, match=message):
        load_step(step, "p.yaml")
