"""Which copy stays, shingles, bands from a threshold, containment, and crowds of pages that are alike."""

import random
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.config import load_step
from stages.dedup import ExactDedup, MinHashDedup
from stages.dedup import bands as bands_module
from stages.dedup.clusters import LEADERS
from stages.dedup.keep import descending
from stages.errors import DataError, SpecError
from stages.kernels.characters import table
from stages.kernels.hashing import string_buffers
from stages.kernels.minhash import letters
from stages.measure import Measure
from tests.stages.barriers import documents, drive, shards

FEW = settings(max_examples=25, deadline=None)
DAYS = [None, datetime(2024, 1, 1), datetime(2025, 1, 1), datetime(1960, 1, 1)]
SCORES = st.sampled_from([None, float("nan"), -np.inf, -1.5, -0.0, 0.0, 0.5, 2.0, np.inf])
WORDS = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
LONG = " ".join(WORDS[:120])
NEAR = [LONG, f"{LONG} fim", f"antes {LONG}", LONG.replace("wbc", "outra")]


def stays(texts, numbers):
    """The place of the document that stays of each group: the highest number, of equals the first."""
    best = {}
    for at, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        known = number is not None and number == number
        rank = (0, -number) if known else (1, 0)
        if text not in best or rank < best[text][0]:
            best[text] = (rank, at)
    return sorted(f"d{at}" for _, at in best.values())


@given(st.lists(st.tuples(st.sampled_from("abc"), SCORES), max_size=16), st.integers(1, 4))
@FEW
def test_the_highest_of_a_column_stays_and_of_equals_the_first(rows, partitions):
    texts, scores = [row[0] for row in rows], [row[1] for row in rows]
    batch = documents(texts, score=pa.array(scores, pa.float64()))

    for column in (batch, batch.set_column(6, "score", batch["score"].cast(pa.float32()))):
        parts = shards(column, [min(3, len(rows))])
        kept, rejects, _ = drive(ExactDedup(keep="score"), parts, partitions)
        assert sorted(kept) == stays(texts, scores)
        assert {row["copy_of"] for row in rejects} <= set(kept)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(DAYS)), max_size=16))
@FEW
def test_the_latest_stays_and_without_a_date_only_if_none_has_one(rows):
    texts, days = [row[0] for row in rows], [row[1] for row in rows]
    numbers = [day and day.replace(tzinfo=UTC).timestamp() for day in days]

    kept, _, _ = drive(ExactDedup(keep="latest"), [documents(texts, date=days)])

    assert sorted(kept) == stays(texts, numbers)


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=20))
def test_ranks_are_in_descending_order_of_numbers(numbers):
    column = pa.array(numbers, pa.float64())
    ranks = descending(column).tolist()

    for (a, x), (b, y) in pairwise(sorted(zip(ranks, numbers, strict=True), key=lambda p: p[0])):
        known = [n is not None and n == n for n in (x, y)]
        assert known[0] >= known[1]
        if all(known):
            assert (x > y, x == y) == (a < b, a == b)


def test_ranks_of_whole_numbers_are_exact():
    column = pa.array([2**63 - 1, 2**63 - 2, -(2**63), 0, None], pa.int64())

    assert np.argsort(descending(column), kind="stable").tolist() == [0, 1, 3, 2, 4]


@given(
    st.lists(st.tuples(st.sampled_from(NEAR), st.integers(0, 3)), max_size=10),
    st.lists(st.integers(0, 10), max_size=2),
    st.integers(1, 3),
)
@FEW
def test_of_near_copies_the_highest_stays_however_they_lie(rows, cuts, partitions):
    batch = documents(
        [row[0] for row in rows], score=pa.array([row[1] for row in rows], pa.int32())
    )
    barrier = MinHashDedup(keep="score", similarity=0.7, bands=28, rows=4)

    parts = shards(batch, [min(cut, len(rows)) for cut in cuts])
    kept, rejects, _ = drive(barrier, parts, partitions, shuffle=partitions)

    assert kept == stays([0] * len(rows), [row[1] for row in rows])
    assert {row["copy_of"] for row in rejects} <= set(kept)


def test_the_longest_stays_where_a_measure_says_so():
    kept, rejects, _ = drive(MinHashDedup(keep="characters"), [documents(NEAR)])

    assert kept == ["d2"]
    assert len(NEAR[2]) == max(map(len, NEAR))
    assert {row["copy_of"] for row in rejects} == {"d2"}


def test_a_chain_is_settled_from_the_best_on():
    """a ~ b ~ c, a and c not alike: if b is the best, both leave for it."""
    texts = [" ".join(WORDS[at : at + 100]) for at in (0, 8, 16)]
    batch = documents(texts, score=pa.array([1, 3, 2]))

    kept, rejects, _ = drive(MinHashDedup(keep="score", bands=40, rows=4), [batch])

    assert kept == ["d1"]
    assert [row["copy_of"] for row in rejects] == ["d1", "d1"]


def test_a_column_without_an_order_is_refused():
    with pytest.raises(DataError, match="keep: the column 'url' is string, which has no order"):
        drive(ExactDedup(keep="url"), [documents(["a"], url=["b"])])


def test_the_same_page_under_other_urls_is_a_copy_and_no_url_is_nobodys():
    urls = [
        "http://e.org/a",
        "https://www.E.org/a/?utm_source=x#top",
        "http://e.org/b",
        None,
        None,
        "",
    ]

    kept, rejects, _ = drive(ExactDedup(by="url"), [documents([*"abcdef"], url=urls)])

    assert kept == ["d0", "d2", "d3", "d4", "d5"]
    assert [(row["id"], row["copy_of"]) for row in rejects] == [("d1", "d0")]


def test_ids_may_be_what_copies_have_in_common():
    batch = documents([*"abc"], id=["x", "y", "x"])

    assert drive(ExactDedup(by="id"), [batch])[0] == ["x", "y"]


@pytest.mark.parametrize("permutations", [64, 112, 128, 256])
@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.95])
def test_bands_are_derived_as_datasketch_derives_them(permutations, threshold):
    from datasketch.lsh import _optimal_param

    weights = bands_module.REFUSED, bands_module.MISSED
    barrier = MinHashDedup(bands=None, rows=None, permutations=permutations, similarity=threshold)

    assert barrier.shape == _optimal_param(threshold, permutations, *weights)
    assert barrier.recall(threshold) > 0.8


def test_derived_bands_make_the_threshold_a_matter_of_the_sketch():
    derived = MinHashDedup(bands=None, rows=None)

    assert derived.shape == (14, 8)
    assert "similarity" in MinHashDedup().late
    assert "similarity" not in derived.late


def test_shingles_of_characters_are_those_of_the_folded_text():
    texts = ["Ação, já!", " a\tB\n", "12 345x", "中文 字", "", "...", "á" * 3]
    folded = ["acao ja", "a b", "0 0x", "中文 字", "", "", "aaa"]
    expected = {letter: at for at, letter in enumerate(sorted(set("".join(folded))))}

    offsets, hashes = letters(*reversed(string_buffers(pa.array(texts))), table())
    ids = {}
    rows = [hashes[a:b].tolist() for a, b in pairwise(offsets)]
    for row, text in zip(rows, folded, strict=True):
        assert len(row) == len(text)
        for number, letter in zip(row, text, strict=True):
            assert ids.setdefault(letter, number) == number

    assert len(set(ids.values())) == len(expected)


def test_similarity_over_characters_is_that_of_their_sets():
    a, b = "o rato roeu a roupa do rei de roma", "o rato roeu a roupa do rei da russia"
    sets = [{text[at : at + 5] for at in range(len(text) - 4)} for text in (a, b)]
    true = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    barrier = MinHashDedup(words=None, characters=5, similarity=0.5, bands=60, rows=2)

    _, rejects, _ = drive(barrier, [documents([a, b])])

    assert [row["value"] for row in rejects] == [true]
    assert "word_hashes" not in barrier.measures


def test_containment_is_of_the_copy_in_the_one_that_is_kept():
    whole, some = " ".join(WORDS[:100]), " ".join(WORDS[:70])
    fields = {"compare": "containment", "similarity": 0.99, "bands": 60, "rows": 2}

    kept, rejects, _ = drive(MinHashDedup(**fields), [documents([whole, some])])
    assert (kept, [row["value"] for row in rejects]) == (["d0"], [1.0])

    kept, _, _ = drive(MinHashDedup(**fields), [documents([some, whole])])
    assert kept == ["d0", "d1"]

    kept, _, _ = drive(MinHashDedup(keep="words", **fields), [documents([some, whole])])
    assert kept == ["d1"]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"bands": None}, "bands, rows: give both, or set both to null"),
        ({"characters": 24}, "words, characters: one is the size of a shingle, the other null"),
        ({"words": None}, "words, characters: one is the size"),
        ({"keep": "word_hashes"}, "keep: word_hashes is a list"),
        ({"permutations": 0}, "permutations: expected at least 1, got 0"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        load_step({"stages.dedup.MinHashDedup": fields}, "p.yaml")


def test_what_is_about_texts_is_refused_for_urls():
    with pytest.raises(SpecError, match="ignore_case: is about texts"):
        load_step({"stages.dedup.ExactDedup": {"by": "url", "ignore_case": True}}, "p.yaml")


def judged(barrier, batch):
    """The pairs that are compared, and the decision."""
    measured = Measure(names=barrier.measures)(batch)
    sketch = barrier.sketch(measured)
    sketch = sketch.append_column("doc", sketch["row"].cast(pa.uint64())).sort_by("doc")
    asked = barrier.ask(barrier.decide(sketch)).drop_columns(["group"])
    doc = pa.array(np.arange(batch.num_rows, dtype=np.uint64))
    shown = pa.table({"doc": doc, "evidence": barrier.evidence(batch)})
    named = np.unique(asked["doc"].to_numpy())
    pairs = barrier.verify(asked, [shown.take(pa.array(named))])
    return pairs, barrier.conclude(pairs)


def crowd(copies, most, seed=0):
    """Copies of one page of 200 words, up to so many words of each changed at random."""
    chance = random.Random(seed)
    page = [chance.choice(WORDS) for _ in range(200)]
    texts = []
    for _ in range(copies):
        text = list(page)
        for _ in range(chance.randint(0, most)):
            text[chance.randrange(200)] = chance.choice(WORDS)
        texts.append(" ".join(text))
    return texts


def most_pairs(documents):
    """What the docstring of MinHashDedup promises at most."""
    return LEADERS * 14 * documents


def test_twenty_thousand_near_copies_cost_a_few_pairs_each_and_one_stays():
    texts = crowd(20_000, most=2)  # any two of them are at least 0.81 alike
    batch = documents(texts)

    pairs, decision = judged(MinHashDedup(), batch)

    assert pairs.num_rows <= 3 * 20_000
    assert decision["doc"].to_pylist() == list(range(1, 20_000))
    assert set(decision["kept"].to_pylist()) == {0}


def test_in_a_crowd_that_is_only_partly_alike_little_is_missed_and_nothing_wrongly_dropped():
    texts = crowd(600, most=8)
    sets = [frozenset(zip(*(t.split()[at:] for at in range(5)), strict=False)) for t in texts]
    expected = []
    for at, shingles in enumerate(sets):
        if all(alike(shingles, sets[other]) < 0.8 for other in expected):
            expected.append(at)

    kept, rejects, _ = drive(MinHashDedup(), [documents(texts)])

    assert 100 < len(expected) < 500
    assert len(expected) * 0.98 <= len(kept) <= len(expected) * 1.08
    for row in rejects:
        other = sets[int(row["copy_of"][1:])]
        assert row["value"] == alike(sets[int(row["id"][1:])], other) >= 0.8


def alike(a, b):
    return len(a & b) / len(a | b)


def test_boilerplate_that_shares_bands_but_is_no_copy_stays_and_is_reported():
    """Two thirds of each page are the same menu: bands meet by the thousand, and only twins leave."""
    chance = random.Random(1)
    menu = " ".join(WORDS[:300])
    pages = [f"{menu} {' '.join(chance.choices(WORDS, k=60))}" for _ in range(3_000)]
    twins = [f"{page} fim" for page in pages[::50]]
    barrier = MinHashDedup()
    batch = documents(pages + twins)

    pairs, decision = judged(barrier, batch)
    about = barrier.about(pairs, decision)

    assert pairs.num_rows <= most_pairs(batch.num_rows)
    assert decision["doc"].to_pylist() == list(range(3_000, 3_060))
    assert decision["kept"].to_pylist() == list(range(0, 3_000, 50))
    assert about["giant"]["size"] > 2_500
    assert about["giant"]["leave"] > 50
    assert (about["copies"], about["compared"]) == (60, pairs.num_rows)
    assert sum(about["by_similarity"]) == pairs.num_rows
    assert about["sizes"] == {"2": 60}


def test_what_is_reported_is_bounded_and_names_the_largest_cluster():
    texts = [word for at, word in enumerate(WORDS) for _ in range(1 + at % 7)]
    barrier = ExactDedup()
    decision = drive(barrier, [documents([*texts, *["x"] * 40])])[2]

    about = barrier.about(decision, decision)

    assert about["largest"][0]["size"] == 40
    assert about["largest"][0]["kept"] == len(texts)
    assert len(about["largest"]) == 8
    assert all(len(one["copies"]) <= 3 for one in about["largest"])
    assert sum(about["sizes"].values()) == 1 + sum(at % 7 > 0 for at in range(len(WORDS)))
