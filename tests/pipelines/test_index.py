"""An index of earlier crawls in whole runs: on disks and object stores, torn, raced for, and killed."""

import os
import random
import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
import pytest

from deploy.cli import main
from deploy.story import summary
from pipelines import Flow, InProcess, Pipeline, Pool, run
from pipelines.forecast import forecast
from pipelines.report import report
from pipelines.store import Store
from stages.dedup import ExactDedup, MinHashDedup, Remember
from stages.dedup import index as index_module
from stages.dedup.compact import compact
from stages.dedup.index import Index
from stages.errors import DataError, SpecError, StoreError
from stages.homes import home_of
from tests.pipelines.conftest import WORDS
from tests.stages.barriers import documents
from tests.stages.remembered import crawl, job, pinned, through, write_shards
from tests.steps import Lines

NEAR = MinHashDedup(words=2, bands=20, rows=3, similarity=0.7)


def write_crawls(folder, count=3, lines=40):
    """Crawls of two files each, with many copies of each other's documents, near and exact."""
    chance = random.Random(3)
    pages = [chance.choices([f"{a}{b}" for a in WORDS for b in WORDS], k=30) for _ in range(30)]
    for at in range(count):
        (folder / f"{at}").mkdir(parents=True)
        for part in range(2):
            texts = []
            for _ in range(lines // 2):
                text = list(chance.choice(pages))
                for _ in range(chance.choice([0, 0, 1, 3, 9])):
                    text[chance.randrange(30)] = chance.choice(WORDS)
                texts.append(" ".join(text))
            (folder / f"{at}" / f"{at}-{part}.txt").write_text("\n".join(texts))
    return folder


def pipeline(paths, url=None, name=None, near=NEAR):
    steps = [replace(step, against=url) for step in (ExactDedup(), near)]
    flows = {"crawl": Flow([Lines(paths=str(path)) for path in paths], steps)}
    if name:
        flows["remembered"] = Flow(["crawl"], [Remember(index=url, crawl=name)])
    return Pipeline("small", flows)


def kept(done):
    last = [s for s in done.record["stretches"] if s["flow"] == "crawl"][-1]
    tables = [pq.read_table(done.store.open(key, "documents.parquet")) for key in last["keys"]]
    return [name for table in tables for name in table["id"].to_pylist()]


def computed(done):
    return [stretch["computed"] for stretch in done.record["stretches"]]


@pytest.fixture(scope="module")
def crawls(tmp_path_factory):
    folder = write_crawls(tmp_path_factory.mktemp("crawls"))
    return [folder / f"{at}" for at in range(3)]


@pytest.fixture(params=["local", "s3"])
def url(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "index")
    return f"{request.getfixturevalue('s3')}-index-{tmp_path.name}"


def files(url):
    home = home_of(url)
    return {path: home.find(path) for path in home.list("")}


def test_crawl_by_crawl_a_run_keeps_what_one_over_all_keeps(crawls, tmp_path, url):
    whole = run(pipeline(crawls), str(tmp_path / "whole"))
    store = str(tmp_path / "store")

    done = [run(pipeline([p], url, f"C{at}"), store) for at, p in enumerate(crawls)]

    assert [name for one in done for name in kept(one)] == kept(whole)
    again = [run(pipeline([p], url, f"C{at}"), store) for at, p in enumerate(crawls)]
    assert [sum(computed(one)) for one in again] == [0, 0, 0]
    assert Index(url).manifest().version == 3
    story = "\n".join(forecast(pipeline(crawls[:1], url, "C0"), Store(store)))
    assert "Remember: done" in story
    story = "\n".join(forecast(pipeline(crawls[2:], url), Store(store)))
    assert f"ExactDedup: against {url}@3: 3 crawls, {len(kept(whole))} documents" in story


def test_the_index_has_the_same_bytes_whoever_works(crawls, tmp_path):
    urls = [str(tmp_path / name) for name in ("a", "b")]
    pool = Pool(2)
    try:
        for at, path in enumerate(crawls):
            run(pipeline([path], urls[0], f"C{at}"), str(tmp_path / "s0"), InProcess())
            run(pipeline([path], urls[1], f"C{at}"), str(tmp_path / "s1"), pool)
    finally:
        pool.close()

    assert files(urls[0]) == files(urls[1])


def test_a_crawl_that_was_removed_is_added_again_by_the_same_run(crawls, tmp_path):
    url, store = str(tmp_path / "index"), str(tmp_path / "store")
    run(pipeline(crawls[:1], url, "C0"), store)
    Index(url).remove("C0")

    again = run(pipeline(crawls[:1], url, "C0"), store)

    assert computed(again)[-1] == 1
    assert sum(computed(again)) == 1
    assert [one.name for one in Index(url).manifest().crawls] == ["C0"]


def prepared(url, tmp_path, name, seed=0):
    """A job that is about to add a crawl, and the shards that it adds."""
    texts = [" ".join(random.Random(seed + at).choices(WORDS, k=20)) for at in range(9)]
    steps = pinned(url, name, [NEAR])
    stay, left, parts = through(steps, documents([*texts, texts[0]]))
    shards = write_shards(tmp_path / f"in-{name}", stay, left, parts, "MinHashDedup")
    return job(url, name, steps), shards


def added(work, shards, tmp_path):
    return work.run({"f": shards}, tmp_path / "out", tmp_path / f"work-{work.crawl}")


def test_of_many_who_add_at_once_none_is_lost(url, tmp_path):
    ready = [prepared(url, tmp_path, f"C{at}", 100 * at) for at in range(5)]
    threads = [Thread(target=added, args=(*one, tmp_path)) for one in ready]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    manifest = Index(url).manifest()
    assert sorted(one.name for one in manifest.crawls) == [f"C{at}" for at in range(5)]
    assert manifest.version == 5
    assert [len(Index(url).manifest(at).crawls) for at in range(1, 6)] == [1, 2, 3, 4, 5]


def test_the_same_crawl_added_twice_at_once_is_there_once(url, tmp_path):
    work, shards = prepared(url, tmp_path, "C0")
    threads = [
        Thread(target=work.run, args=({"f": shards}, tmp_path, tmp_path / f"work{at}"))
        for at in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [one.name for one in Index(url).manifest().crawls] == ["C0"]
    assert Index(url).manifest().version == 1


def test_killed_at_any_step_of_adding_it_is_added_whole_or_not_and_then_as_ever(tmp_path):
    url, other = str(tmp_path / "index"), str(tmp_path / "other")
    added(*prepared(other, tmp_path, "C0"), tmp_path)
    work, shards = prepared(url, tmp_path / "again", "C0")
    deaths = 0
    while True:
        child = os.fork()
        if not child:  # whatever happens here ends this process
            os.environ["BATEIA_CRASH_AT"] = str(deaths + 1)
            try:
                added(work, shards, tmp_path)
            finally:
                os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            break
        assert code == 137
        deaths += 1
        for path in [*work_files(url, "crawls"), *work_files(url, "tables")]:
            assert path.name.startswith(".") or path.stat().st_size
        if not Index(url).manifest().crawls:
            continue
        assert files(url).items() >= files(other).items()
        Index(url).remove("C0")
        for path in work_files(url, "manifests"):
            path.unlink()
    added(work, shards, tmp_path)

    assert deaths >= 14
    assert {p: d for p, d in files(url).items() if "/." not in p} == files(other)


def work_files(url, folder):
    return [path for path in (Path(url) / folder).rglob("*") if path.is_file()]


def test_another_crawl_of_the_same_name_is_refused(url, tmp_path):
    added(*prepared(url, tmp_path, "C0"), tmp_path)
    work, shards = prepared(url, tmp_path / "again", "C0", seed=7)

    with pytest.raises(
        DataError, match="another C0 is in the index; `bateia index .* --remove C0`"
    ):
        added(work, shards, tmp_path)


@pytest.mark.parametrize("harmed", ["near", "documents", "bloom"])
def test_a_file_that_was_harmed_is_named(tmp_path, harmed):
    url = str(tmp_path / "index")
    batch = documents([" ".join(WORDS), "nothing else"])
    crawl(url, "C0", [NEAR], batch)
    (path,) = (p for p in Path(url).rglob("*") if p.is_file() and harmed in p.name
               and (harmed == "bloom") == (p.suffix == ".bloom"))  # fmt: skip
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    index_module._checked.cache_clear()

    with pytest.raises(StoreError, match=f"{path.name}: does not match its checksum; put it back"):
        crawl(url, "C1", [NEAR], batch)


def test_an_index_made_with_other_bands_is_refused_by_the_plan(crawls, tmp_path):
    url, store = str(tmp_path / "index"), str(tmp_path / "store")
    run(pipeline(crawls[:1], url, "C0"), store)
    other = pipeline(crawls[1:2], url, "C1", MinHashDedup(words=2))

    for plan in (lambda: list(forecast(other, Store(store))), lambda: run(other, store)):
        with pytest.raises(SpecError, match=r"flows.crawl.stages\[1\].MinHashDedup.against: the index "
                           "was made with bands: 20, not 14"):  # fmt: skip
            plan()


def test_what_is_remembered_must_end_in_the_barriers_against_the_index(crawls, tmp_path):
    url = str(tmp_path / "index")
    made = pipeline(crawls[:1], url, "C0")
    flow = made.flows["crawl"]
    late = Flow(flow.inputs, [*flow.steps, ExactDedup()])
    other = Pipeline("small", {**made.flows, "crawl": late})

    with pytest.raises(SpecError, match="the flow 'crawl' must end in the barriers"):
        run(other, str(tmp_path / "store"))


def test_a_reader_sees_the_version_it_began_with(crawls, tmp_path):
    """Until so many newer ones are there that it is collected."""
    url, store = str(tmp_path / "index"), str(tmp_path / "store")
    run(pipeline(crawls[:1], url, "C0"), store)
    early = pipeline(crawls[1:2], f"{url}@1")
    before = kept(run(early, str(tmp_path / "before")))
    run(pipeline(crawls[1:2], url, "C1"), store)
    Index(url).remove("C0")
    compact(Index(url))

    assert kept(run(early, str(tmp_path / "after"))) == before


def test_what_no_recent_version_names_is_collected_once_it_is_old(tmp_path, monkeypatch):
    url = str(tmp_path)
    for at in range(2):
        texts = [f"{at} {word} {' '.join(WORDS[at : at + 6])}" for word in WORDS]
        crawl(url, f"C{at}", [NEAR], documents(texts))
    stray = tmp_path / "tables" / "stray" / "near.parquet"
    stray.parent.mkdir()
    stray.write_bytes(b"left by a dead one")
    first, freed = compact(Index(url))
    assert (freed, len(first.parts)) == (0, 1)
    tables = set(work_files(url, "tables"))
    long_ago = time.time() - 2 * index_module.OLD
    for path in tables:
        os.utime(path, (long_ago, long_ago))

    assert compact(Index(url))[1] == 18
    assert set(work_files(url, "tables")) == tables - {stray}
    monkeypatch.setattr(index_module, "KEPT_MANIFESTS", 1)
    assert Index(url).collect() > 0
    assert len(work_files(url, "tables")) == 2
    assert Index(url).versions() == [3]
    assert list(files(url)) != []


def test_a_run_says_what_was_remembered(crawls, tmp_path):
    done = run(pipeline([crawls[0]], str(tmp_path / "index"), "C0"), str(tmp_path / "store"))
    told = report(done)
    last = summary(told).splitlines()[-1]

    assert last.startswith("remembered  Remember: ")
    assert f" documents {len(kept(done))}, documents_bytes " in last
    told["jobs"][0]["numbers"] = {}
    assert summary(told).splitlines()[-1] == "remembered  Remember"


def test_the_command_lists_compacts_and_removes(url, tmp_path, capsys):
    for at in range(2):
        crawl(url, f"C{at}", [NEAR], documents([" ".join(WORDS[8 * at : 8 * at + 8])]))

    assert main(["index", url, "--compact"]) == 0
    assert main(["index", url, "--remove", "C0"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[-3].startswith("C1  1 documents")
    assert told[-2].startswith("near  ")
    assert told[-1] == f"{url}: version 4, 1 crawls"
    assert main(["index", url, "--remove", "C9"]) == 5
    assert "there is no crawl 'C9' in the index: C1" in capsys.readouterr().err
