"""Documents for tests, made of nothing but their texts."""

from collections.abc import Sequence

import pyarrow as pa

from stages.base import DOCUMENT, Batch

ENGLISH = (
    "The quick brown fox jumps over the lazy dog while nobody in the village watches. "
    "It has been raining since Monday, and the river that runs behind the mill is high."
)
PORTUGUESE = (
    "A rápida raposa castanha salta por cima do cão preguiçoso enquanto ninguém na aldeia olha. "
    "Chove desde segunda-feira, e o rio que passa atrás do moinho já não cabe no seu leito."
)


def documents(*texts: str, source: str = "test", **columns: Sequence[object]) -> Batch:
    """One batch of documents; further columns of DOCUMENT by name, one value per text."""
    count = len(texts)
    values = {
        "id": [f"{source}#{at}" for at in range(count)],
        "text": list(texts),
        "source": [source] * count,
    }
    values |= {name: list(column) for name, column in columns.items()}
    arrays = [pa.array(values.get(field.name, [None] * count), field.type) for field in DOCUMENT]
    return pa.RecordBatch.from_arrays(arrays, schema=DOCUMENT)
