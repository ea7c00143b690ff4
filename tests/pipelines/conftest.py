"""A small corpus and pipelines over it, to try the engine with."""

import hashlib
import os
import random
from pathlib import Path

import pytest

from pipelines import Flow, Pipeline
from stages.dedup import ExactDedup, MinHashDedup
from tests.steps import Count, Lines, Longer, Trap, Upper

WORDS = [
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dogs",
    "while",
    "nobody",
    "in",
    "our",
    "old",
    "village",
    "watches",
    "them",
    "run",
]


def write_corpus(folder: Path, terrible: tuple[str, ...] = ()) -> Path:
    """Four files of documents with exact and near copies, short and broken ones; one file is empty."""
    chance = random.Random(7)
    folder.mkdir(parents=True)
    for number in range(4):
        lines = [" ".join(chance.choices(WORDS, k=40)) for _ in range(40)]
        lines += [
            lines[3],
            f"{lines[4]} again",
            "ab",
            "!broken",
            "x" * number + " some words that stand here",
        ]
        if number == 2:
            lines[10:10] = terrible
        (folder / f"{number}.txt").write_text("\n".join(lines))
    (folder / "empty.txt").write_text("")
    return folder


def pipeline(folder: Path, than: int = 3, similarity: float = 0.8, **limits: float) -> Pipeline:
    """Every kind of step there is, over that corpus."""
    steps = [Upper(), Longer(than=than), Trap(), ExactDedup(), MinHashDedup(similarity=similarity)]
    flows = {"lines": Flow([Lines(paths=str(folder))], steps), "count": Flow(["lines"], [Count()])}
    return Pipeline("small", flows, **limits)


def shelf(root: Path) -> dict[str, str]:
    """Every result's files in a store, by digest: what two stores are compared by."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted((root / "data").rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


@pytest.fixture(scope="session")
def ray_runner():
    """One Ray for every test that wants it."""
    import ray

    from pipelines import OnRay

    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20
    )
    runner = OnRay()
    yield runner
    ray.shutdown()


@pytest.fixture(scope="session")
def s3():
    """A real S3 protocol on the loopback."""
    server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    server = server.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    known = {
        "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    before = {key: os.environ.get(key) for key in known}
    os.environ.update(known)
    boto3.client("s3", endpoint_url=known["AWS_ENDPOINT"], region_name="us-east-1").create_bucket(
        Bucket="shelf"
    )
    yield "s3://shelf/store"
    for key, value in before.items():
        os.environ.pop(key) if value is None else os.environ.update({key: value})
    server.stop()
