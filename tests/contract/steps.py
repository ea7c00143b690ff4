"""Every step there is, found by walking the packages, and an example of each."""

import importlib
import inspect
import json
import pkgutil
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

import evaluation
import stages
import training
from stages.base import Step
from stages.measure import MEASURES
from tests.documents import ENGLISH, PORTUGUESE
from tests.models import classifier, language_models, transformer

Values = dict[str, Any]
BASES = ("stages.base.", "stages.filter.")  # the kinds themselves are no steps

# What a step needs that has no default to try, by dotted name; paths are within a folder of inputs.
EXAMPLES: dict[str, Callable[[Path], Values]] = {
    **{
        f"stages.read.{name}": lambda home: {"paths": str(home / "words.txt")}
        for name in ("Warc", "Wet", "Jsonl", "Parquet", "Text")
    },
    "stages.decontaminate.Decontaminate": lambda home: {
        "against": str(home / "benchmark.jsonl"),
        "ngram": 5,
    },
    "stages.dedup.centroids.NearestCluster": lambda home: {
        "centroids": str(home / "centroids.npy")
    },
    "stages.dedup.remember.Remember": lambda home: {"index": str(home / "index"), "crawl": "C"},
    "stages.embedding.Embed": lambda home: {"model": str(transformer(home / "transformer"))},
    "stages.embedding.EmbeddingClassifier": lambda home: {
        "model": str(transformer(home / "transformer")),
        "at_least": 0.0,
    },
    "stages.datatrove.Datatrove": lambda _: {
        # Any will do but those that cut words: spaCy takes minutes for a line of 1 MB.
        "step": "datatrove.pipeline.filters.RegexFilter",
        "options": {"regex_exp": "cassino|free money"},
    },
    "stages.keywords.KeywordFilter": lambda home: {
        "words": ("jumps over", "raposa"),
        "lists": str(home / "words.txt"),
        "soft_words": ("a", "wörd"),
        "soft_lists": str(home / "words.txt"),
    },
    "stages.keywords.UrlFilter": lambda home: {
        "words": ("cassino",),
        "domains": str(home / "words.txt"),
        "subwords": ("0example",),
    },
    "stages.toxicity.BadWords": lambda _: {"keep": 0.3},
    "stages.measure.Measure": lambda _: {"names": tuple(MEASURES)},
    "stages.mix.Balance": lambda _: {"by": "domain", "cap": 0.6},
    "stages.mix.Split": lambda _: {"part": (0.2, 0.7)},
    "stages.perplexity.PerplexityFilter": lambda home: {
        "models": str(language_models(home / "models.zip")),
        "at_most": 20.0,
    },
    "stages.rank.Buckets": lambda _: {"column": "language_score", "keep": ("head",)},
    "stages.rank.KeepTop": lambda _: {"column": "language_score", "share": 0.4},
    "stages.scores.ClassifierFilter": lambda home: {
        "model": str(classifier(home / "model.bin")),
        "label": "pt",
        "at_least": 0.5,
    },
    "stages.tokens.Tokenize": lambda home: {"tokenizer": str(home / "tokenizer.json")},
    "training.job.Pretrain": lambda home: {
        "tokens": 1e6,
        "preset": "xs",
        "tokenizer": str(home / "tokenizer.json"),
    },
}


def dotted(kind: type[Step]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@cache
def modules() -> tuple[dict[str, ModuleType], dict[str, str]]:
    """Every module that steps may be in, and those that cannot be imported, with the reason."""
    found: dict[str, ModuleType] = {}
    broken: dict[str, str] = {}
    for package in (stages, training, evaluation):
        for about in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            try:
                found[about.name] = importlib.import_module(about.name)
            except Exception as wrong:  # one test says so; the others go on with the rest
                broken[about.name] = f"{type(wrong).__name__}: {wrong}"
    return found, broken


@cache
def kinds(base: type[Step] = Step) -> tuple[type[Step], ...]:
    """Every public concrete step of a kind, in order of its dotted name."""
    found: dict[str, type[Step]] = {}
    for home, module in modules()[0].items():
        for name, item in vars(module).items():
            ours = inspect.isclass(item) and item.__module__ == home and issubclass(item, base)
            if ours and not name.startswith("_") and not inspect.isabstract(item):
                found[dotted(item)] = item
    return tuple(found[name] for name in sorted(found) if not name.startswith(BASES))


def example(kind: type[Step], home: Path) -> Step:
    """A step of the kind: its defaults, and what EXAMPLES gives."""
    values = EXAMPLES[dotted(kind)](home) if dotted(kind) in EXAMPLES else {}
    missing = [
        field.name
        for field in fields(kind)
        if field.name not in values
        and field.default is MISSING
        and field.default_factory is MISSING
    ]
    if missing:
        pytest.fail(
            f"{dotted(kind)}: no default for {', '.join(missing)}: give the fields a default, or "
            f"the contract suite an example of them in EXAMPLES of {Path(__file__).name}",
            pytrace=False,
        )
    return kind(**values)


def write_inputs(home: Path) -> None:
    """The files that examples name."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([ENGLISH, PORTUGUESE], trainer)
    tokenizer.save(str(home / "tokenizer.json"))
    np.save(home / "centroids.npy", np.eye(4, dtype=np.float32))
    item = {"question": " ".join(ENGLISH.split()[:9]), "answer": PORTUGUESE}
    (home / "benchmark.jsonl").write_text(json.dumps(item), encoding="utf-8")
    for name, words in (
        ("words.txt", "cassino\nfree money\n0.example.org\n"),
        ("more.txt", "other\n"),
    ):
        (home / name).write_text(words, encoding="utf-8")
