"""Crawls against an index of earlier ones: what one run over all of them would keep, and no other."""

import random
import tempfile
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.dedup import ExactDedup, MinHashDedup
from stages.dedup.clusters import LEADERS
from stages.dedup.compact import compact
from stages.dedup.index import Index, View, deltas, undone
from stages.kernels.bloom import bloom, may_hold
from tests.stages.barriers import documents, drive
from tests.stages.remembered import crawl, of, through

# Few rows in many bands: whatever is a little alike meets, and buckets are full soon.
CROWDED = MinHashDedup(words=1, bands=12, rows=2, similarity=0.6)
PLAIN = MinHashDedup(words=2)
WORDS = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]


def texts_of(seed, count, families, length=30, most=14):
    """Copies of a few pages, with up to so many words changed; some are the same, some have nothing."""
    chance = random.Random(seed)
    pages = [[chance.choice(WORDS) for _ in range(length)] for _ in range(families)]
    texts = []
    for _ in range(count):
        text = list(chance.choice(pages))
        for _ in range(chance.randint(0, most)):
            text[chance.randrange(length)] = chance.choice(WORDS)
        texts.append(" ".join(text) if chance.random() < 0.97 else "")
    return texts


def split(count, edges):
    inner = sorted(int(edge * count) for edge in edges)
    return [slice(a, b) for a, b in pairwise([0, *inner, count])]


def one_by_one(url, steps, batch, parts, between=None):
    """What stays of each crawl, in order, and what became of the others."""
    stay, left = [], {}
    for number, part in enumerate(parts):
        some = batch.slice(part.start, part.stop - part.start)
        cuts = [] if number % 2 else [some.num_rows // 3, some.num_rows // 2]
        kept, rejects = crawl(url, f"C-{number}", steps, some, cuts, partitions=1 + number)
        stay += kept
        left |= {row["id"]: row for row in rejects}
        if between:
            between(Index(url), number)
    return stay, left


@pytest.mark.parametrize(
    "steps",
    [
        [CROWDED],
        [PLAIN],
        [ExactDedup(ignore_case=True), CROWDED],
        [ExactDedup(by="url"), PLAIN],
        [ExactDedup()],
        [replace(CROWDED, words=None, characters=6)],
        [replace(CROWDED, compare="containment")],
    ],
    ids=lambda steps: "-".join(type(step).__name__ for step in steps),
)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(0, 90),
    families=st.integers(1, 6),
    edges=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    compacted=st.sets(st.integers(0, 4)),
)
@settings(max_examples=5, deadline=None)
def test_five_crawls_one_after_another_keep_what_one_run_over_all_keeps(
    steps, seed, count, families, edges, compacted
):
    texts = texts_of(seed, count, families)
    urls = [f"http://e.org/{random.Random(seed + at).randrange(count)}" for at in range(count)]
    batch = documents(texts, url=urls)
    whole, rejects, _ = through(steps, batch)

    with tempfile.TemporaryDirectory() as folder:
        stay, left = one_by_one(
            folder, steps, batch, split(count, edges),
            lambda index, number: number in compacted and compact(index),
        )  # fmt: skip

    assert stay == whole
    for row in rejects:
        said = left.get(row["id"])
        assert said is not None
        assert said.get("value") == row.get("value")
        assert said["copy_of"].rpartition(":")[2] == row["copy_of"]


def test_crowds_fill_buckets_and_are_still_what_one_run_makes_of_them(tmp_path):
    """The case in which a bucket does not hold all that stay."""
    batch = documents(texts_of(5, 400, 1, most=24))
    whole, _, _ = drive(CROWDED, [batch])
    sketch = CROWDED.sketch(measured(of(batch, whole)))
    assert np.unique(sketch["key"].to_numpy(), return_counts=True)[1].max() > 2 * LEADERS

    stay, _ = one_by_one(str(tmp_path), [CROWDED], batch, split(400, [0.1, 0.3, 0.5, 0.9]))

    assert stay == whole
    assert len(stay) < 400


def measured(batch):
    from stages.measure import Measure

    return Measure(names=("word_hashes",))(batch)


def test_a_copy_is_told_of_by_crawl_number_and_id(tmp_path):
    text = " ".join(WORDS[:40])
    crawl(str(tmp_path), "CC-1", [PLAIN], documents(["another one", text], id=["a", "b"]))

    kept, rejects = crawl(str(tmp_path), "CC-2", [PLAIN], documents([text, "new"], id=["c", "d"]))

    assert kept == ["d"]
    assert [(row["id"], row["copy_of"]) for row in rejects] == [("c", "CC-1:1:b")]


def test_a_copy_of_a_copy_that_left_long_ago_is_compared_with_the_one_that_stayed(tmp_path):
    """Their buckets differ: what links them is the copy between, of which no text is kept."""
    url = str(tmp_path)
    barrier = MinHashDedup(words=1, bands=3, rows=4, similarity=0.6)
    chance = random.Random(2)
    while True:
        first = chance.sample(WORDS, 30)
        second = first[:26] + chance.sample(WORDS, 4)
        third = second[:3] + chance.sample(WORDS, 3) + second[6:]
        batch = documents([" ".join(text) for text in (first, second, third)])
        keys = barrier.sketch(measured(batch))["key"].to_numpy().reshape(3, 3)
        meets = [(keys[a] == keys[b]).any() for a, b in ((0, 1), (1, 2), (0, 2))]
        if meets == [True, True, False] and drive(barrier, [batch])[0] == ["d0"]:
            break
    for at in range(2):
        crawl(url, f"C{at}", [barrier], batch.slice(at, 1))

    kept, rejects = crawl(url, "C2", [barrier], batch.slice(2, 1))

    assert kept == []
    assert rejects[0]["copy_of"] == "C0:0:d0"


def test_ranks_choose_among_new_documents_and_what_the_index_holds_stays(tmp_path):
    near = [" ".join(WORDS[:40]), " ".join([*WORDS[:40], "fim"])]
    barrier = replace(PLAIN, keep="characters")
    crawl(str(tmp_path), "C0", [barrier], documents(near[:1]))
    other = " ".join(WORDS[100:140])

    batch = documents([near[1], other, f"{other} e fim"], id=["x", "y", "z"])
    kept, rejects = crawl(str(tmp_path), "C1", [barrier], batch)

    assert kept == ["z"]
    assert {row["id"]: row["copy_of"] for row in rejects} == {"x": "C0:0:d0", "y": "z"}


def test_a_run_again_does_not_see_its_own_crawl_nor_later_ones(tmp_path):
    batch = documents(texts_of(3, 60, 4))
    parts = [batch.slice(at, 20) for at in (0, 20, 40)]
    once = [crawl(str(tmp_path), f"C{at}", [CROWDED], part) for at, part in enumerate(parts)]
    version = Index(str(tmp_path)).manifest().version

    again = [crawl(str(tmp_path), f"C{at}", [CROWDED], part) for at, part in enumerate(parts)]

    assert [kept for kept, _ in again] == [kept for kept, _ in once]
    assert Index(str(tmp_path)).manifest().version == version == 3


def test_a_crawl_removed_is_as_if_it_had_never_been_added(tmp_path):
    batch = documents(texts_of(4, 120, 2))
    parts = [batch.slice(at, 30) for at in (0, 30, 60, 90)]
    here, there = str(tmp_path / "a"), str(tmp_path / "b")
    for url in (here, there):
        crawl(url, "C0", [CROWDED], parts[0])
    crawl(here, "gone", [CROWDED], parts[1])
    compact(Index(here))
    Index(here).remove("gone")

    found = [crawl(url, "C2", [CROWDED], parts[2])[0] for url in (here, there)]

    assert found[0] == found[1]
    before = Index(here).manifest()
    compact(Index(here))
    rows = [part.rows.rows for part in Index(here).manifest().parts]
    assert sum(rows) < sum(part.rows.rows for part in before.parts)
    found = [crawl(url, "C3", [CROWDED], parts[3])[0] for url in (here, there)]
    assert found[0] == found[1]


def test_nothing_of_the_old_is_read_where_the_filter_knows_that_nothing_is_there(tmp_path):
    url = str(tmp_path)
    crawl(url, "C0", [PLAIN], documents([" ".join(WORDS[at : at + 9]) for at in range(50)]))
    for part in Index(url).manifest().parts:
        (tmp_path / part.rows.path).unlink()
    for old in Index(url).manifest().crawls:
        (tmp_path / old.files[0].path).unlink()

    kept, _ = crawl(url, "C1", [replace(PLAIN, seed=1)], documents([" ".join(WORDS[400:440])]))

    assert kept == ["d0"]


@given(st.lists(st.integers(0, 2**64 - 1), unique=True), st.integers(0, 2**32))
def test_a_filter_never_denies_what_it_holds(keys, seed):
    held = np.array(keys, np.uint64)
    assert may_hold(bloom(held), held).all()
    del seed


def test_a_filter_denies_nearly_all_that_it_does_not_hold():
    draw = np.random.default_rng(0)
    held, others = (draw.integers(0, 2**64, 100_000, np.uint64) for _ in range(2))
    words = bloom(held)

    assert len(words) * 64 <= 10.1 * len(held)
    assert may_hold(words, others).mean() < 0.015


@given(st.lists(st.lists(st.integers(0, 2**40 - 1), max_size=9)), st.integers(0, 3))
def test_steps_from_value_to_value_are_undone(lists, skip):
    column = pa.array([sorted(one) for one in lists], pa.large_list(pa.uint64())).slice(skip)
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy()[offsets[0] : offsets[-1]]
    steps = deltas(values, offsets)

    found, places = undone(steps, offsets - offsets[0])

    assert found.tolist() == values.tolist()
    assert places.tolist() == (offsets - offsets[0]).tolist()


def test_a_view_calls_documents_as_their_crawls_lie_in_it(tmp_path):
    url = str(tmp_path)
    for at in range(3):
        crawl(url, f"C{at}", [PLAIN], documents([" ".join(WORDS[at * 50 : at * 50 + 30])]))
    manifest = Index(url).manifest()
    view = View(url, manifest.version, tuple(one.digest for one in manifest.crawls[::2]))
    docs = np.array([one.serial << 32 for one in manifest.crawls], np.uint64)

    named, seen = view.places(docs)

    assert seen.tolist() == [True, False, True]
    assert view.serials(named[seen]).tolist() == docs[seen].tolist()
    assert [view.names(named[seen])[doc] for doc in named[seen].tolist()] == ["C0:0:d0", "C2:0:d0"]
    assert [view.called(name) for name in ("C2:0:d0", "C1:0:d0", "d0")] == [named[2], None, None]
