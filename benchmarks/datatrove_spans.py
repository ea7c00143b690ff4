"""datatrove 0.10.1 cutting repeated sentences and finding benchmarks, in this one process.

    python datatrove_spans.py DOCUMENTS.jsonl BENCHMARK.jsonl FOLDER OUT.json

Its own defaults: three sentences, at least 50 words and 3 sentences left; 12-grams.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.decont import NGramsDecontFilter
from datatrove.pipeline.decont.n_grams import NGramsDecontConfig
from datatrove.pipeline.dedup import (
    SentDedupConfig,
    SentenceDedupFilter,
    SentenceDedupSignature,
    SentenceFindDedups,
)
from datatrove.utils.hashing import create_hash_func
from datatrove.utils.text import ngrams, simplify_text
from datatrove.utils.word_tokenizers import load_word_tokenizer


def read(path: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").split("\n") if line]


def spans(rows: list[dict[str, str]], folder: str, *, by_sentence: bool) -> dict[str, object]:
    """Three steps; what is left of each document, None of those that leave."""
    config = SentDedupConfig(split_sentences=by_sentence)
    steps = (
        SentenceDedupSignature(f"{folder}/signatures", config=config),
        SentenceFindDedups(f"{folder}/signatures", f"{folder}/found", config=config),
        SentenceDedupFilter(f"{folder}/found", config=config),
    )
    steps[0].get_hashes(Document(text=rows[0]["text"], id="warm"), 0)
    start = time.process_time()
    steps[0].run((Document(**row) for row in rows), 0, 1)
    list(steps[1].run(None, 0, 1) or [])
    left = {
        document.id: document.text
        for document in steps[2].run((Document(**row) for row in rows), 0, 1)
    }
    return {
        "seconds": time.process_time() - start,
        "left": [left.get(row["id"]) for row in rows],
    }


def benchmarks(
    rows: list[dict[str, str]], items: list[dict[str, str]], folder: str
) -> dict[str, object]:
    """Whether each document shares a 12-gram with an item. Its indexer wants lighteval: this is its loop."""
    config = NGramsDecontConfig()
    hashed, cut = create_hash_func(config.hash_config), load_word_tokenizer("eng")
    hashes = {
        hashed(" ".join(gram))
        for item in items
        for gram in ngrams(
            cut.word_tokenize(simplify_text(item["text"], config.norm_config)), config.n_grams
        )
    }
    home = Path(folder) / "index"
    home.mkdir(parents=True)
    np.array(sorted(hashes), dtype=config.hash_config.np_descr).tofile(home / "items.index.hashes")
    step = NGramsDecontFilter(str(home), config=config, language="eng")
    step.filter(Document(text=rows[0]["text"], id="warm"))
    documents = [Document(**row) for row in rows]
    start = time.process_time()
    verdicts = [step.filter(document) is not True for document in documents]
    return {"seconds": time.process_time() - start, "hit": verdicts}


if __name__ == "__main__":
    documents, items, folder, out = sys.argv[1:]
    rows = read(documents)
    found = {
        "sentences": spans(rows, f"{folder}/sentences", by_sentence=True),
        "lines": spans(rows, f"{folder}/lines", by_sentence=False),
        "benchmarks": benchmarks(rows, read(items), folder),
    }
    Path(out).write_text(json.dumps(found), encoding="utf-8")
