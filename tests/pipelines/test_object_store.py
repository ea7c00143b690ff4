"""The whole engine with its results on an object store: the same bytes as on a disk."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.cli import main
from pipelines import InProcess, Pool, Run, Store, run
from pipelines.audit import explain, sweep, verify
from pipelines.report import report
from pipelines.store import ObjectHome, home_of
from tests.pipelines.conftest import pipeline, shelf


def remote_shelf(store):
    """What `shelf` says of a folder."""
    home = store.home
    return {path: hashlib.sha256(home.find(path)).hexdigest() for path in sorted(home.list("data"))}


def results(done):
    return [stretch["computed"] for stretch in done.record["stretches"]]


@pytest.mark.parametrize("where", ["in process", "pool"])
def test_an_object_store_holds_the_bytes_that_a_disk_would(corpus, tmp_path, s3, where):
    local = run(pipeline(corpus), str(tmp_path / "store"))
    store = Store(f"{s3}-{where.replace(' ', '-')}")
    runner = InProcess() if where == "in process" else Pool(2)
    try:
        done = run(pipeline(corpus), store, runner)
        again = run(pipeline(corpus), store, runner)
    finally:
        runner.close()
    assert remote_shelf(store) == shelf(tmp_path / "store")
    assert all(results(done))
    assert results(again) == [0, 0, 0, 0, 0]
    assert list(verify(again)) == []
    assert counted(again) == counted(local)


def counted(done):
    """The funnel, without the seconds it took."""
    stages = report(done)["flows"][0]["stages"]
    return [{k: v for k, v in stage.items() if k != "seconds"} for stage in stages]


@pytest.fixture
def store(s3, request):
    return Store(f"{s3}-{request.node.name}")


@pytest.mark.parametrize("harm", ["missing", "torn", "another"])
def test_an_object_that_was_harmed_is_noticed_and_made_again(corpus, store, harm):
    """Whatever this process or another has cached of it."""
    done = run(pipeline(corpus), store)
    before = remote_shelf(store)
    path = max(before, key=lambda path: len(store.home.find(path)))
    content = store.home.find(path)
    if harm == "missing":
        store.home.store.delete(path)
    else:
        changed = content[:-1] if harm == "torn" else content[:-1] + b"?"
        store.home.store.put(path, changed)
    home_of.cache_clear()
    wrong, *_ = verify(done, repair=True)
    assert path in wrong
    again = run(pipeline(corpus), store)
    assert remote_shelf(store) == before
    assert sum(results(again)) == 1
    assert list(verify(again)) == []


def test_the_story_of_a_document_and_sweeping_work_there_too(corpus, store):
    run(pipeline(corpus), store)
    last = run(pipeline(corpus, than=9), store)
    assert explain(last, "lines/1.txt#41")[-1]["copy_of"] == "lines/1.txt#4"
    kept = last.results()
    freed = sweep(store, 1)
    assert freed["results"] > 0
    assert freed["kept"] == len(kept)
    assert {path.split("/")[2] for path in remote_shelf(store)} <= kept
    assert list(verify(last)) == []
    assert Run.open(store, "latest").id == last.id


DIES = """
import os
from pipelines import Store
store = Store({url!r})
store.note("a.json", {{}})
store.home.local("a.json")
(store.scratch("ab") / "half").write_bytes(b"half")
print(store.home.cache.parent, flush=True)
os._exit(9)
"""


def test_what_a_killed_process_fetched_is_removed_by_the_next(store):
    command = [sys.executable, "-c", DIES.format(url=store.url)]
    dead = Path(subprocess.run(command, capture_output=True, text=True).stdout.strip())
    assert {path.name for path in dead.rglob("*") if path.is_file()} == {"a.json", "half"}
    long_ago = time.time() - 100
    os.utime(dead, (long_ago, long_ago))
    home = ObjectHome(store.url)
    assert not dead.exists()
    home.cache.mkdir()
    os.utime(home.cache.parent, (long_ago, long_ago))
    ObjectHome(store.url)
    assert home.cache.exists()


def test_a_bucket_that_is_not_there_is_said_in_a_line(s3, capsys):
    assert main(["gc", "--store", s3.replace("shelf", "nowhere")]) == 5
    (told,) = capsys.readouterr().err.splitlines()

    assert told.startswith("bateia: object store: ")
    assert "404 Not Found" in told
