"""What correctness rests on, alike on local disk and on an object store."""

import os
import subprocess
import sys
from threading import Thread

import pytest

from pipelines.store import Store
from stages.errors import StoreError
from stages.homes import LocalHome, ObjectHome


@pytest.fixture(params=["local", "s3"])
def home(request, tmp_path):
    if request.param == "local":
        return LocalHome(tmp_path / "store")
    return ObjectHome(request.getfixturevalue("s3"))


def test_create_happens_once(home):
    assert home.create("a/b.json", b"first")
    assert not home.create("a/b.json", b"second")
    assert home.find("a/b.json") == b"first"


def test_of_many_who_create_at_once_one_wins(home):
    won = []
    threads = [
        Thread(target=lambda i=i: won.append(home.create("race", str(i).encode())))
        for i in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_put_consumes_the_file_and_can_be_repeated(home, tmp_path):
    for _ in range(2):
        (tmp_path / "file").write_bytes(b"data")
        home.put("d/file", tmp_path / "file")
        assert not (tmp_path / "file").exists()
    assert home.local("d/file").read_bytes() == b"data"
    assert list(home.list("d")) == ["d/file"]
    home.delete("d/file")
    assert home.find("d/file") is None


def test_a_file_is_as_old_as_its_last_put(home, tmp_path):
    (tmp_path / "file").write_bytes(b"data")
    home.put("old/file", tmp_path / "file")
    assert -5 < home.age("old/file") < 60


@pytest.fixture
def store(home, request):
    return Store(home.url)


def commit(store, key, **files):
    folder = store.scratch(key)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return store.commit(key, folder, {"n": 1}, {"host": "x"})


def test_a_result_is_there_whole_or_not_at_all(store):
    assert store.find("ab12") is None
    with pytest.raises(StoreError, match="nothing is committed under ab12"):
        store.get("ab12")
    made = commit(store, "ab12", one=b"1", two=b"22")
    assert store.get("ab12") == made
    assert store.open("ab12", "two").read_bytes() == b"22"
    assert {p.name for p in store.folder("ab12").iterdir()} == {"one", "two"}
    store.discard("ab12")
    assert store.find("ab12") is None


def test_who_commits_second_changes_nothing(store):
    first = commit(store, "cd34", one=b"1")
    commit(store, "cd34", one=b"1")
    assert store.get("cd34") == first


@pytest.mark.parametrize("harm", [b"", b"1x", b"x1", b"123"])
def test_a_torn_file_is_noticed(tmp_path, harm):
    store = Store(str(tmp_path))
    commit(store, "ef56", one=b"12")
    (tmp_path / "data/ef/ef56/one").write_bytes(harm)
    with pytest.raises(StoreError, match="one"):
        store.open("ef56", "one")


CRASH = """
from pipelines.store import Store
store = Store({root!r})
folder = store.scratch("ab12")
(folder / "one").write_bytes(b"1" * 1000)
(folder / "two").write_bytes(b"2" * 1000)
store.commit("ab12", folder, {{}}, {{}})
"""


def test_a_crash_between_any_two_steps_of_a_commit_leaves_all_or_nothing(tmp_path):
    """Die at every crash point in turn; whoever comes next finds a whole result or none."""
    crashes = 0
    for at in range(1, 100):
        root = tmp_path / str(at)
        environment = {**os.environ, "BATEIA_CRASH_AT": str(at)}
        done = subprocess.run(
            [sys.executable, "-c", CRASH.format(root=str(root))], env=environment, check=False
        )
        store = Store(str(root))
        if store.find("ab12") is not None:
            assert store.open("ab12", "one").read_bytes() == b"1" * 1000
            assert store.open("ab12", "two").read_bytes() == b"2" * 1000
        if done.returncode == 0:
            break
        assert done.returncode == 137
        crashes += 1
        commit(store, "ab12", one=b"1" * 1000, two=b"2" * 1000)
        assert store.open("ab12", "two").read_bytes() == b"2" * 1000
    assert crashes >= 8
