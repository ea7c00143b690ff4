"""An index in a real Redis, asked by datasketch about one document at a time."""

import random
import shutil
import socket
import subprocess
import time

import pytest

from deploy.cli import main
from stages.dedup import MinHashDedup
from stages.dedup.index import Index
from stages.dedup.live import lookup
from stages.dedup.minhash import list_buffers
from stages.errors import DataError, SpecError
from stages.kernels.minhash import permutations, signatures_of_sets
from stages.measure import Measure
from tests.stages.barriers import documents
from tests.stages.remembered import crawl

WORDS = [f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)]
NEAR = MinHashDedup(bands=20, rows=4, similarity=0.7)


@pytest.fixture
def redis(tmp_path):
    """A Redis of our own on a free port."""
    pytest.importorskip("redis")
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server (apt install redis-server)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", f"{port}", "--bind", "127.0.0.1", "--save", ""]
    server = subprocess.Popen([*command, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL)
    for _ in range(100):
        with socket.socket() as door:
            if door.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}/0"
    server.terminate()
    server.wait()


def texts(count):
    return [" ".join(random.Random(at).choices(WORDS, k=60)) for at in range(count)]


def signed(some):
    return NEAR.sign(Measure(names=("word_hashes",))(documents(some))["word_hashes"])


def test_signatures_of_stored_shingles_are_those_of_the_texts():
    some = [*texts(5), "dois três"]
    stored = list_buffers(NEAR.evidence(documents(some)))

    assert (signatures_of_sets(*stored, *permutations(80, NEAR.seed)) == signed(some)).all()


def test_a_service_finds_the_copies_that_the_index_holds(tmp_path, redis, capsys):
    from datasketch import MinHash

    url = str(tmp_path / "index")
    known = texts(12)
    crawl(url, "C0", [NEAR], documents(known[:6]))
    crawl(url, "C1", [NEAR], documents(known[6:]))
    for _ in range(2):  # what is there already is left alone
        assert main(["index", url, "--to", redis]) == 0
    assert "12 documents are in redis://" in capsys.readouterr().out

    lsh = lookup(Index(url).manifest().terms["near"], redis)
    asked = [f"{known[2]} fim", f"{known[7]} fim", " ".join(reversed(WORDS))]
    found = [lsh.query(MinHash(hashvalues=row, scheme="affine32")) for row in signed(asked)]

    assert found == [["C0:2:d2"], ["C1:1:d1"], []]


def test_what_cannot_be_filled_is_refused(tmp_path):
    with pytest.raises(SpecError, match="expected redis://host:port/database"):
        lookup(NEAR.terms, "http://host")
    assert main(["index", str(tmp_path), "--to", "redis://host"]) == DataError.exit_code
