"""The same ground for both sides: a crawl, texts out of it, a tokenizer, datatrove as it is."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.page import CACHE, ROOT
from deploy.fetch import fetch_demo
from stages.base import part
from stages.extract import HtmlToText
from stages.read import Warc

OURS = (str(CACHE / "bateia/bin/python"), "-m", "benchmarks.bateia_side")
THEIRS = (str(CACHE / "datatrove/bin/python"), str(ROOT / "benchmarks/datatrove_side.py"))
PACKAGES = ("bateia", "pyarrow", "numba", "resiliparse", "fastwarc", "trafilatura", "tokenizers")
SAMPLE = 2_000  # documents that the stages are compared on
VOCABULARY = 16_384


@dataclass(frozen=True)
class Ground:
    """Where everything is."""

    crawl: Path  # a folder of .warc.gz files
    work: Path  # empty at the start: datatrove skips what it finds done, whatever it was

    @property
    def documents(self) -> Path:
        return self.work / "documents.jsonl"

    @property
    def tokenizer(self) -> Path:
        return self.work / "tokenizer.json"


def prepare(crawl: Path | None) -> Ground:
    """Fetch, install, sample and train what both sides need."""
    install()
    ground = Ground(crawl or fetch(), CACHE / "work")
    shutil.rmtree(ground.work, ignore_errors=True)
    ground.work.mkdir(parents=True)
    sample(ground)
    train(ground)
    return ground


def fetch() -> Path:
    """The demo's crawl, fetched once."""
    return fetch_demo(CACHE / "crawl").parent


def install() -> None:
    """Both sides in an environment of their own: what a user of each installs, and nothing else."""
    lock, own = ROOT / "benchmarks" / "datatrove.lock", f"{ROOT}[trafilatura]"
    uv = [sys.executable, "-m", "uv"]
    for side, wanted in (
        (THEIRS, ["--no-deps", "--require-hashes", "-r", lock]),
        (OURS, ["-c", ROOT / "requirements.lock", "-e", own]),
    ):
        home = Path(side[0]).parents[1]
        make = [*uv, "venv", "-q", "--allow-existing", "-p", sys.executable, home]
        subprocess.run(make, check=True)
        subprocess.run([*uv, "pip", "install", "-q", "-p", side[0], *wanted], check=True)


def sample(ground: Ground) -> None:
    """Texts of the crawl's pages, every n-th of them."""
    source, extract = Warc(paths=f"{ground.crawl}/*.warc.gz"), HtmlToText()
    rows: list[dict[str, str]] = []
    for piece in source.slices():
        for batch in source.read(piece):
            kept = part(extract(part(batch)[0]))[0]
            texts = pa.Table.from_batches([kept]).select(["id", "text"]).to_pylist()
            rows += [row for row in texts if row["text"]]
    rows = rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    ground.documents.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read(ground: Ground) -> list[dict[str, str]]:
    """The sample again."""
    lines = ground.documents.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def train(ground: Ground) -> None:
    """A byte-level BPE for both sides."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((row["text"] for row in read(ground)), trainer)
    tokenizer.save(str(ground.tokenizer))
