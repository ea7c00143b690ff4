"""Exact and near duplicates through all rounds of a barrier, against plain Python."""

import random
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import Barrier
from stages.config import load_step
from stages.dedup import ExactDedup, MinHashDedup
from stages.dedup.clusters import LEADERS, distinct, settle, union_find
from stages.dedup.minhash import list_buffers
from stages.errors import SpecError
from stages.kernels.hashing import hash64, positions
from stages.kernels.minhash import distinct_shingles
from stages.measure import Measure
from tests.stages.barriers import documents, drive, shards

SLOW = settings(max_examples=25, deadline=None)
TEXTS = st.lists(
    st.sampled_from(["", "a", "A", "a b", "a  b", "b a", "\0", "ção", "CÃO", "🙂", "x" * 100]),
    max_size=24,
)


@given(st.lists(st.text(max_size=80), max_size=12), st.integers(0, 2**64 - 1))
@SLOW
def test_hashes_are_those_of_xxhash(texts, seed):
    column = pa.array(["before", *texts])[1:]

    assert hash64(column, seed).tolist() == [
        xxhash.xxh64_intdigest(text.encode(), seed) for text in texts
    ]


def test_a_null_hashes_as_the_empty_string_and_positions_stay_below_one():
    column = pa.array([None, ""] + [str(n) for n in range(10_000)])

    place = positions(column)

    assert place[0] == place[1]
    assert place.min() >= 0
    assert place.max() < 1
    assert np.abs(np.histogram(place[1:], 10, (0, 1))[0] - 1000).max() < 150


@given(TEXTS, st.booleans(), st.booleans())
@SLOW
def test_the_first_of_every_text_is_kept(texts, ignore_case, ignore_space):
    def form(text):
        text = text.lower() if ignore_case else text
        return " ".join(text.split()) if ignore_space else text

    first = {}
    for at, text in enumerate(texts):
        first.setdefault(form(text), f"d{at}")
    barrier = ExactDedup(ignore_case=ignore_case, ignore_space=ignore_space)

    kept, rejects, _ = drive(barrier, [documents(texts)])

    assert kept == list(first.values())
    assert len(kept) + len(rejects) == len(texts)
    for row in rejects:
        assert row["dropped"] == "dedup.exact"
        assert row["copy_of"] == first[form(row["text"])]


@pytest.mark.parametrize("space", ["\t", "\n", "\r\n", "\v", "\x85", "\u00a0", "\u2003", "\u3000"])
def test_white_space_of_every_kind_counts_as_one_blank(space):
    texts = ["um dois", f"{space}um{space}{space} dois{space}"]

    kept, _, _ = drive(ExactDedup(ignore_space=True), [documents(texts)])

    assert kept == ["d0"]


@pytest.mark.parametrize("barrier", [ExactDedup(ignore_case=True), MinHashDedup(words=2)])
@given(
    texts=st.lists(
        st.sampled_from([*"abcd", "", "a b c d e", "a b c d f", "b c d e"]), max_size=20
    ),
    cuts=st.lists(st.integers(0, 20), max_size=4),
    partitions=st.integers(1, 5),
    batches=st.integers(1, 3),
    shuffle=st.integers(0, 99),
)
@SLOW
def test_the_verdict_does_not_depend_on_shards_partitions_or_batches(
    barrier: Barrier, texts, cuts, partitions, batches, shuffle
):
    whole = documents(texts)
    cuts = [min(cut, len(texts)) for cut in cuts]

    once = drive(barrier, [whole])[:2]
    again = drive(barrier, shards(whole, cuts), partitions, batches, shuffle)[:2]

    strip = [[{**row, "row": 0} for row in rejects] for rejects in (once[1], again[1])]
    assert once[0] == again[0]
    assert strip[0] == strip[1]


def shingle_sets(texts, words=5):
    column = Measure(names=("word_hashes",))(documents(texts))["word_hashes"].to_pylist()
    return [
        {tuple(row[at : at + words]) for at in range(max(len(row) - words + 1, min(len(row), 1)))}
        for row in column
    ]


def jaccard(a, b):
    return len(a & b) / len(a | b) if a | b else 0.0


def near_copies(seed, families=60, copies=6, length=160):
    """Families of texts with some share of words changed; families share nothing."""
    rng = random.Random(seed)
    vocabulary = [f"{a}{b}{c}" for a in "bdfglmt" for b in "aeiou" for c in ("ção", "me", "r", "s")]
    texts = []
    for _ in range(families):
        base = [rng.choice(vocabulary) + rng.choice(vocabulary) for _ in range(length)]
        for _ in range(copies):
            edit = list(base)
            for _ in range(rng.choice([0, 1, 2, 3, 5, 8])):
                edit[rng.randrange(length)] = rng.choice(vocabulary)
            texts.append(" ".join(edit))
    rng.shuffle(texts)
    return texts


@pytest.fixture(scope="module")
def crowd():
    texts = near_copies(1)
    sets = shingle_sets(texts)
    pairs = {
        (a, b): jaccard(sets[a], sets[b])
        for a in range(len(texts))
        for b in range(a)
        if not sets[a].isdisjoint(sets[b])
    }
    return texts, pairs


def number(name):
    return int(name[1:])


def test_whatever_is_deleted_is_as_similar_as_promised_to_what_was_kept(crowd):
    """Precision 1.0 against the true similarity of all pairs, and no deletion through a chain."""
    texts, pairs = crowd

    kept, rejects, _ = drive(MinHashDedup(), [documents(texts)])

    assert len(rejects) > 100
    for row in rejects:
        assert row["copy_of"] in kept
        assert row["dropped"] == "dedup.minhash"
        assert row["value"] == pairs[number(row["id"]), number(row["copy_of"])] >= 0.8


def test_hardly_a_copy_of_something_kept_is_missed(crowd):
    """Of documents with a kept twin, no more are missed than the bands alone would miss."""
    texts, pairs = crowd
    barrier = MinHashDedup()

    kept, _, _ = drive(barrier, [documents(texts)])

    stayed = {number(name) for name in kept}
    twins = {}
    for (a, b), similarity in pairs.items():
        if b in stayed and similarity >= 0.8:
            twins[a] = max(similarity, twins.get(a, 0))
    missed = [a for a in twins if a in stayed]
    expected = sum(1 - barrier.recall(similarity) for similarity in twins.values())
    assert len(twins) > 100
    assert len(missed) <= expected + 3 * max(expected, 1) ** 0.5


def test_recall_is_the_share_of_pairs_with_a_common_band(crowd):
    texts, pairs = crowd
    barrier = MinHashDedup(rows=8, bands=14)
    keys = keys_of(barrier, texts)

    found = np.array([bool((keys[a] == keys[b]).any()) for a, b in pairs])
    chance = np.array([barrier.recall(similarity) for similarity in pairs.values()])

    spread = (chance * (1 - chance)).sum() ** 0.5
    assert abs(found.sum() - chance.sum()) < 4 * spread + 1


def sketched(texts):
    return Measure(names=("word_hashes",))(documents(texts))


def keys_of(barrier, texts):
    return barrier.sketch(sketched(texts))["key"].to_numpy().reshape(len(texts), barrier.bands)


def test_signatures_estimate_the_true_similarity_without_bias(crowd):
    """The error of an estimate over k permutations is sqrt(s (1 - s) / k)."""
    texts, pairs = crowd
    barrier = MinHashDedup(bands=32, rows=8)
    signed = barrier.sign(sketched(texts)["word_hashes"])

    true = np.array(list(pairs.values()))
    guess = np.array([(signed[a] == signed[b]).mean() for a, b in pairs])

    score = (guess - true) / np.sqrt(np.maximum(true * (1 - true), 1e-9) / 256)
    score = score[true < 1]
    assert (guess[true == 1] == 1).all()
    assert abs(score.mean()) < 0.15
    assert 0.8 < score.std() < 1.2


def test_signatures_and_bands_are_understood_by_datasketch(crowd):
    from datasketch import MinHash, MinHashLSH

    texts, pairs = crowd
    barrier = MinHashDedup()
    signed = barrier.sign(sketched(texts)["word_hashes"])
    theirs = [MinHash(hashvalues=row, scheme="affine32") for row in signed]
    index = MinHashLSH(num_perm=112, params=(14, 8))
    for at, minhash in enumerate(theirs):
        index.insert(at, minhash)
    keys = keys_of(barrier, texts)

    a, b = next(pair for pair, similarity in pairs.items() if 0.5 < similarity < 1)
    found = {(x, y) for x in range(len(texts)) for y in index.query(theirs[x]) if y < x}
    ours = {(x, y) for x in range(len(texts)) for y in range(x) if (keys[x] == keys[y]).any()}

    assert theirs[a].jaccard(theirs[b]) == (signed[a] == signed[b]).mean()
    assert ours == found


def test_signatures_are_those_of_datasketch_for_the_same_shingles(crowd):
    from datasketch import MinHash

    column = sketched([*crowd[0][:5], "dois três"])["word_hashes"]
    offsets, shingles = distinct_shingles(*list_buffers(column), 5)
    theirs = []
    for start, stop in pairwise(offsets):
        minhash = MinHash(num_perm=112, seed=9, hashfunc=lambda shingle: int(shingle) >> 8)
        minhash.update_batch(shingles[start:stop])
        theirs.append(minhash.hashvalues)

    assert (MinHashDedup(seed=9).sign(column) == np.array(theirs)).all()


def test_as_many_near_copies_are_found_as_with_signatures_of_datasketch(crowd):
    from datasketch import MinHash, MinHashLSH

    texts, pairs = crowd
    index, theirs = MinHashLSH(num_perm=112, params=(14, 8)), []
    for at, shingles in enumerate(shingle_sets(texts)):
        minhash = MinHash(num_perm=112, seed=7)
        minhash.update_batch([repr(shingle).encode() for shingle in shingles])
        theirs.append(minhash)
        index.insert(at, minhash)
    keys = keys_of(MinHashDedup(), texts)

    near = [pair for pair, similarity in pairs.items() if similarity >= 0.6]
    found = {x: set(index.query(theirs[x])) for x in range(len(texts))}
    their = sum(b in found[a] for a, b in near)
    our = sum(bool((keys[a] == keys[b]).any()) for a, b in near)

    chance = np.array([MinHashDedup().recall(pairs[pair]) for pair in near])
    assert abs(our - their) < 4 * (2 * (chance * (1 - chance)).sum()) ** 0.5 + 1


WORDS = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=40))
def test_components_are_those_of_scipy(edges):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    left, right = (np.array([edge[side] for edge in edges], np.uint64) for side in (0, 1))
    graph = coo_array((np.ones(len(edges)), (left.astype(int), right.astype(int))), (41, 41))
    labels = connected_components(graph, directed=False)[1]

    documents = distinct(np.concatenate([left, right]) << np.uint64(40))
    sides = (np.searchsorted(documents, side << np.uint64(40)) for side in (left, right))
    best = union_find(*sides, len(documents))
    members = (documents >> np.uint64(40)).tolist()

    assert members == sorted({node for edge in edges for node in edge})
    assert [members[at] for at in best] == [
        int(np.flatnonzero(labels == labels[member])[0]) for member in members
    ]


def test_the_end_of_a_chain_is_kept():
    """a ~ b and b ~ c, but a and c are not alike: b is a copy of a, and c stays."""
    a, b, c = " ".join(WORDS[:100]), " ".join(WORDS[8:108]), " ".join(WORDS[16:116])
    sets = shingle_sets([a, b, c])
    assert jaccard(sets[0], sets[1]) >= 0.8 <= jaccard(sets[1], sets[2])
    assert jaccard(sets[0], sets[2]) < 0.8

    kept, rejects, _ = drive(MinHashDedup(bands=40, rows=4), [documents([a, b, c])])

    assert kept == ["d0", "d2"]
    assert [row["copy_of"] for row in rejects] == ["d0"]


def test_a_long_chain_keeps_what_no_kept_document_is_like():
    """Each text drops four words and adds four: similar over some steps only."""
    texts = [" ".join(WORDS[at : at + 100]) for at in range(0, 48, 4)]
    sets = shingle_sets(texts)
    expected = []
    for at in range(len(texts)):
        if all(jaccard(sets[at], sets[other]) < 0.8 for other in expected):
            expected.append(at)

    kept, _, _ = drive(MinHashDedup(bands=60, rows=3), [documents(texts)])

    assert 2 < len(expected) < len(texts)
    assert kept == [f"d{at}" for at in expected]


def test_a_giant_cluster_of_equals_is_compared_with_the_one_that_stays():
    copies = 5_000
    texts = [" ".join(WORDS[:40])] * copies

    kept, rejects, decision = drive(MinHashDedup(), [documents(texts)], partitions=3)

    assert kept == ["d0"]
    assert {row["copy_of"] for row in rejects} == {"d0"}
    assert {row["value"] for row in rejects} == {1.0}
    assert decision.num_rows == copies - 1


def test_short_texts_match_only_their_equals_and_empty_ones_nothing():
    texts = ["", "um", "um", "um dois", "...", "", "...", "Um, dois!", "um dois três", "dois um"]

    kept, rejects, _ = drive(MinHashDedup(), [documents(texts)])

    assert [(row["id"], row["copy_of"]) for row in rejects] == [("d2", "d1"), ("d7", "d3")]
    assert len(kept) == 8


@pytest.mark.parametrize("barrier", [ExactDedup(), MinHashDedup()])
def test_nothing_in_nothing_out(barrier):
    assert drive(barrier, [documents([]), documents([])], partitions=2)[0] == []


@pytest.mark.parametrize(
    "text",
    ["\0" * 70, "\u202e\u202d abc", "🙂" * 50, "\u0301" * 40, "x" * 1_000_000, "a \n" * 300_000],
)
def test_hostile_texts_are_compared_like_any_other(text):
    exact, _, _ = drive(ExactDedup(ignore_case=True, ignore_space=True), [documents([text] * 2)])
    near, _, _ = drive(MinHashDedup(), [documents([text] * 2)])

    assert exact == ["d0"]
    assert near in (["d0"], ["d0", "d1"])  # a text without words matches nothing


def test_unlike_scripts_are_told_apart():
    texts = [
        "人人生而自由在尊严和权利上一律平等",
        "人人生而自由在尊严和权利上一律平等",
        "全ての人間は生まれながらにして自由であり",
        "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกัน",
    ]

    kept, _, _ = drive(MinHashDedup(), [documents(texts)])

    assert kept == ["d0", "d2", "d3"]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"similarity": 0}, "similarity: expected above 0 and at most 1, got 0"),
        ({"bands": 0}, "bands: expected at least 1, got 0"),
        ({"seed": -1}, "seed: expected 0 to 4294967295, got -1"),
    ],
)
def test_fields_out_of_bounds_are_refused(fields, message):
    with pytest.raises(SpecError, match=message):
        load_step({"stages.dedup.MinHashDedup": fields}, "p.yaml")


def test_another_seed_gives_other_signatures(crowd):
    column = sketched(crowd[0][:3])["word_hashes"]

    assert (MinHashDedup().sign(column) != MinHashDedup(seed=2).sign(column)).mean() > 0.99


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True),
            st.sets(st.integers(0, 8), min_size=1, max_size=6),
        ),
        max_size=40,
    ),
    st.sampled_from([0.3, 0.5, 0.8]),
    st.booleans(),
)
@settings(deadline=None)
def test_who_leaves_a_bucket_is_who_the_rule_says(rows, similarity, contained):
    """The rule as its module tells it, in plain Python."""
    buckets, expected = {}, []
    for doc, (own, values) in enumerate(rows):
        others = sorted({other for bucket in own for other in buckets.get(bucket, [])})
        shares = {}
        for other in others:
            common, union = values & rows[other][1], values | rows[other][1]
            shares[other] = len(common) / (len(values) if contained else len(union))
        alike = [other for other in others if shares[other] >= similarity]
        best = max(alike, key=lambda other: (shares[other], -other), default=None)
        expected += [(doc, other, shares[other], other == best) for other in others]
        stays = doc if best is None else best
        for bucket in own:
            held = buckets.setdefault(bucket, [])
            if stays not in held and len(held) < LEADERS:
                held.append(stays)
    sets = [np.array(sorted(values), np.uint64) for _, values in rows]
    ends = np.cumsum([len(values) for values in sets], dtype=np.int64)
    begins = ends - np.array([len(values) for values in sets], np.int64)
    hashes = np.concatenate([np.zeros(0, np.uint64), *sets])
    places = np.array([bucket for own, _ in rows for bucket in own], np.int64)
    starts = np.cumsum([0, *(len(own) for own, _ in rows)], dtype=np.int64)

    held, many = np.zeros((6, LEADERS), np.int64), np.zeros(6, np.int64)
    pairs = []
    for low, high in pairwise([0, len(rows) // 2, len(rows)]):  # one part after the other
        found = settle(
            low, starts[low : high + 1], places, held, many, (begins, ends, hashes),
            similarity, contained,
        )  # fmt: skip
        pairs += zip(*(column.tolist() for column in found), strict=True)

    assert sorted(pairs) == expected
