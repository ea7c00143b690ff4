"""Every round of a barrier, whoever dies in it and in whatever order its tasks are done: the same bytes."""

import os
import subprocess
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines import InProcess, Pool, Run, Store, run
from pipelines.audit import verify
from stages.dedup.index import Index
from tests.pipelines import rounds
from tests.pipelines.conftest import shelf

ROUNDS = {
    "decide", "refine", "decide_refined", "ask", "evidence", "verify", "conclude", "names", "settle",
}  # fmt: skip
AGAINST = ROUNDS - {"refine", "decide_refined"}


@pytest.fixture(scope="module")
def calm(tmp_path_factory):
    """A corpus, and the store that an undisturbed run over it leaves."""
    folder = tmp_path_factory.mktemp("rounds")
    done = run(rounds.pipeline(rounds.write(folder / "corpus")), str(folder / "store"))
    assert texts_of(done)[1] == 10
    return folder


def texts_of(done: Run) -> tuple[list[str], int]:
    """The texts that stayed, in order, and how many documents left; parts of texts were cut by both."""
    keys, passes = done.record["stretches"][-1]["keys"], done.record["stretches"][1:]
    tables = [pq.read_table(done.store.open(key, "documents.parquet")) for key in keys]
    for name in ("sentence_cut", "substring_cut"):
        assert sum(pc.sum(table[name]).as_py() for table in tables) > 100
    left = [done.store.get(key).files["rejects.parquet"].rows for s in passes for key in s["keys"]]
    return [text for table in tables for text in table["text"].to_pylist()], sum(left)


def deaths_of(what, corpus, folder):
    """Kind and target of each task in which the run died, and at which step; its end is checked."""
    stores = [str(folder / name) for name in ("calm", "store")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipelines.rounds", what, str(corpus), *stores],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    deaths = [line.split() for line in done.stdout.splitlines()]
    last = Run.open(Store(stores[1]), "latest")
    assert last.results() == {target for _, target, _ in deaths}
    assert list(verify(last)) == []
    assert shelf(folder / "store") == shelf(folder / "calm")
    return deaths


def test_a_crash_at_every_commit_of_every_round_changes_nothing_and_redoes_nothing(calm, tmp_path):
    """Each task in turn dies within its commit, is made again, and the run dies right behind it."""
    deaths = deaths_of("copies", calm / "corpus", tmp_path)

    assert {kind for kind, _, _ in deaths} == {"pass", *ROUNDS}
    assert len(deaths) == 2 * len({target for _, target, _ in deaths})
    assert {int(at) for _, _, at in deaths} == set(range(rounds.POINTS + 1))


def test_a_crash_at_every_step_of_a_crawl_against_an_index_changes_nothing(tmp_path):
    """Neither what stays of the crawl, nor a byte of the index that it is added to."""
    corpus = rounds.crawls(tmp_path / "corpus")
    deaths = deaths_of("index", corpus, tmp_path)

    assert {kind for kind, _, _ in deaths} == {"pass", "job", *AGAINST}
    job = [int(at) for kind, _, at in deaths if kind == "job"]
    assert job == [*range(1, 4 * 5 + 3 + 1), 1, 2, 3]  # five files and a manifest, then the record
    assert index_of(tmp_path / "index") == index_of(tmp_path / "calm-index")
    assert remembered(tmp_path / "index") == (["first", "second"], 2)
    last = Run.open(Store(str(tmp_path / "store")), "latest")
    copies = [of["copy_of"] for of in rejects(last)]
    assert sum(name.startswith("first:") for name in copies) == 6  # one exact, five near
    assert len(copies) == 8


def index_of(folder):
    """Every file of an index, without what the dead left aside."""
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}  # fmt: skip


def remembered(folder):
    manifest = Index(str(folder)).manifest()
    return [crawl.name for crawl in manifest.crawls], manifest.version


def rejects(done):
    keys = [key for s in done.record["stretches"] if s["flow"] == "lines" for key in s["keys"]]
    paths = [done.store.open(key, "rejects.parquet") for key in keys]
    return [row for path in paths for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("kind", ["job", "verify"])
def test_a_worker_killed_in_a_crawl_against_an_index_changes_nothing(tmp_path, kind):
    made = rounds.second(rounds.crawls(tmp_path / "corpus"), tmp_path)
    (tmp_path / "marks").mkdir()
    pool = Pool(2)
    struck = rounds.Struck(pool, tmp_path / "marks", {kind})
    done = run(made, str(tmp_path / "store"), struck)
    pool.close()
    assert [path.name for path in (tmp_path / "marks").iterdir()] == [kind]
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")
    assert index_of(tmp_path / "index") == index_of(tmp_path / "calm-index")
    assert list(verify(done)) == []


@pytest.mark.parametrize(
    "where, kinds", [("pool", {"pass", *ROUNDS}), ("ray", {"refine", "verify", "settle"})]
)
def test_a_worker_killed_in_any_round_changes_nothing(calm, tmp_path, where, kinds, request):
    runner = Pool(2) if where == "pool" else request.getfixturevalue("ray_runner")
    (tmp_path / "marks").mkdir()
    done = run(
        rounds.pipeline(calm / "corpus"),
        str(tmp_path / "store"),
        rounds.Struck(runner, tmp_path / "marks", kinds),
    )
    if where == "pool":
        runner.close()
    assert {path.name for path in (tmp_path / "marks").iterdir()} == kinds
    assert shelf(tmp_path / "store") == shelf(calm / "store")
    assert list(verify(done)) == []


@pytest.mark.parametrize("seed", range(2))
def test_whatever_order_the_tasks_of_a_round_are_done_in_the_bytes_are_the_same(
    calm, tmp_path, monkeypatch, seed
):
    for module, name, value in rounds.SMALL:
        monkeypatch.setattr(module, name, value)
    run(rounds.pipeline(calm / "corpus"), str(tmp_path / "calm"), InProcess())
    run(rounds.pipeline(calm / "corpus"), str(tmp_path / "store"), rounds.Shuffled(seed))
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")


@pytest.mark.parametrize("files", [1, 7])
def test_however_the_documents_lie_in_shards_the_same_texts_stay(calm, tmp_path, files):
    corpus = rounds.write(tmp_path / "corpus", files)
    done = run(rounds.pipeline(corpus), str(tmp_path / "store"))
    assert texts_of(done) == texts_of(Run.open(Store(str(calm / "store")), "latest"))
