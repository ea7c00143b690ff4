"""Shapes on disk: what one part of the house leaves for another to read.

A document shard is a folder with `documents.parquet` (DOCUMENT and the columns stages added),
`rejects.parquet`, `quarantine.parquet`, `features.parquet` and `describe.json`. A packed shard has
`tokens.arrow` in place of the documents: Arrow IPC *stream* format, uncompressed, so that it is
mapped, not read, and so that other trainers' loaders map it as it is.
"""

import pyarrow as pa

DOCUMENTS = "documents.parquet"
REJECTS = "rejects.parquet"  # rows that left: id, source, url, text, stage, rule, value, copy_of
QUARANTINE = "quarantine.parquet"  # rows that broke: id, source, url, text, stage, fault
# One row per document that came in, no text: verdict, the columns it brought, and every column that the
# pass added; one that was added again, such as a measure of rewritten text, is `words.2`.
FEATURES = "features.parquet"
DESCRIBE = "describe.json"  # statistics of the shard that add up over shards
SKETCH = "sketch.parquet"
TOKENS = "tokens.arrow"


def packed(length: int, vocabulary: int) -> pa.Schema:
    """The schema of a packed shard: rows of `length` tokens.

    `input_ids`: length ids; uint16 where the vocabulary allows, else int32. `lengths`: tokens of
    each document part in the row, in order, ending with the padding if the row is not full;
    `padding`: how many ids at the end are padding.
    """
    token = pa.uint16() if vocabulary <= 1 << 16 else pa.int32()
    return pa.schema(
        [
            pa.field("input_ids", pa.list_(token, length), nullable=False),
            pa.field("lengths", pa.list_(pa.int32()), nullable=False),
            pa.field("padding", pa.int32(), nullable=False),
        ]
    )
