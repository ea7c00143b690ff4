"""rensa signing the documents that we sign; runs in an environment of its own (rensa, pyarrow, numpy).

    python rensa_side.py DOCUMENTS.parquet OUT.json

From texts as one would use it: words cut at white space, 5 of them a shingle, `RMinHash` over all
documents of a batch at once, its fastest way in. And the hashing alone, shingles made before.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
from rensa import RMinHash

ROWS, LANES, WORDS, SEED = 256, 112, 5, 1


def shingles(text: str) -> list[str]:
    """All runs of five words."""
    words = text.lower().split()
    return [" ".join(words[at : at + WORDS]) for at in range(max(1, len(words) - WORDS + 1))]


def sign(batch: list[list[str]]) -> object:
    return RMinHash.digest_matrix_from_token_sets(batch, LANES, SEED)


def main(documents: str, out: str) -> None:
    """CPU seconds, warm, of one thread."""
    texts = pq.read_table(documents, columns=["text"])["text"].to_pylist()
    sign([shingles(text) for text in texts[:ROWS]])
    hashing, start = 0.0, time.process_time()
    for first in range(0, len(texts), ROWS):
        batch = [shingles(text) for text in texts[first : first + ROWS]]
        began = time.process_time()
        sign(batch)
        hashing += time.process_time() - began
    found = {"seconds": time.process_time() - start, "hashing": hashing}
    Path(out).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
