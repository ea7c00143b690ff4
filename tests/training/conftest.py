import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.pack import Pack
from stages.tokens import Tokenize, TrainTokenizer

SENTENCE = "o gato viu a lua e a lua viu o mar que viu o sol"


def documents(count, first=0):
    """Short texts that a small model learns in no time."""
    words = SENTENCE.split()
    texts = [" ".join(words[i % 7 : 7 + i % 5] * (1 + i % 4)) for i in range(first, first + count)]
    ids = [f"d{i}" for i in range(first, first + count)]
    return pa.record_batch({"id": ids, "text": pa.array(texts, pa.large_string())})


@pytest.fixture(scope="session")
def packed(tmp_path_factory):
    """A flow of one packed shard, rows of 16 tokens, beside the tokenizer.json it was made with."""
    home = tmp_path_factory.mktemp("packed")
    batch = documents(200)
    pq.write_table(pa.Table.from_batches([batch]), home / "documents.parquet")
    TrainTokenizer(vocabulary=300).run({"crawl": [home]}, home, home)
    step = Tokenize(tokenizer=str(home / "tokenizer.json"))
    Pack(length=16).write([step(batch)], home)
    return home
