import tempfile
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import pack
from stages.errors import SpecError
from stages.pack import INDEX, Pack
from stages.shards import TOKENS, packed

UINT16 = pa.uint16()
MODES = ["cut", "best_fit"]
SIZES = st.lists(st.integers(0, 40) | st.integers(0, 9), max_size=60)


def batches(documents, cuts=(), token=UINT16):
    """Documents (lists of ids) as batches that begin at the cuts."""
    column = pa.array(documents, pa.large_list(token))
    names = pa.array([f"d{i}" for i in range(len(documents))], pa.string())
    whole = pa.record_batch({"id": names, "tokens": column})
    marks = [0, *sorted(min(cut, len(documents)) for cut in cuts), len(documents)]
    return [whole.slice(a, b - a) for a, b in pairwise(marks)]


def numbered(sizes):
    """Documents of these sizes whose every token is another number."""
    ends = np.cumsum([0, *sizes])
    return [list(range(1 + a, 1 + b)) for a, b in pairwise(ends)]


def write(step, parts):
    with tempfile.TemporaryDirectory() as folder:
        counts = step.write(parts, Path(folder))
        files = {name: (Path(folder) / name).read_bytes() for name in (TOKENS, INDEX)}
    rows, index = (pa.ipc.open_stream(files[name]).read_all() for name in (TOKENS, INDEX))
    return counts, rows, index, files


@pytest.mark.parametrize("mode", MODES)
@given(SIZES, st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_every_token_of_every_document_is_in_exactly_one_row(mode, sizes, length):
    counts, rows, _, _ = write(Pack(length=length, mode=mode), batches(numbered(sizes)))
    padding = rows["padding"].to_pylist()
    real = [
        ids[: length - pad] for ids, pad in zip(rows["input_ids"].to_pylist(), padding, strict=True)
    ]
    assert sorted(chain(*real)) == list(range(1, sum(sizes) + 1))
    assert counts == {
        "documents": len(sizes),
        "tokens": sum(sizes),
        "rows": rows.num_rows,
        "padding": sum(padding),
    }
    assert counts["tokens"] + counts["padding"] == counts["rows"] * length


@pytest.mark.parametrize("mode", MODES)
@given(SIZES, st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_lengths_part_a_row_where_a_document_ends(mode, sizes, length):
    of = np.repeat(np.arange(len(sizes)), sizes)
    _, rows, _, _ = write(Pack(length=length, mode=mode), batches(numbered(sizes)))
    for row in rows.to_pylist():
        expected = [-1 if not i else of[i - 1] for i in row["input_ids"]]
        parts = np.repeat(np.arange(len(row["lengths"])), row["lengths"])
        assert len(parts) == length
        assert min(row["lengths"]) > 0
        assert (np.diff(parts) > 0).tolist() == (np.diff(expected) != 0).tolist()
        assert expected.count(-1) == row["padding"]


@pytest.mark.parametrize("mode", MODES)
@given(SIZES, st.integers(2, 12))
@settings(max_examples=60, deadline=None)
def test_the_index_finds_every_document_in_its_rows(mode, sizes, length):
    _, rows, index, _ = write(Pack(length=length, mode=mode), batches(numbered(sizes)))
    flat = np.array(rows["input_ids"].to_pylist(), int).reshape(-1)
    found = {f"d{i}": [] for i in range(len(sizes))}
    for line in index.to_pylist():
        found[line["id"]] += flat[line["start"] : line["start"] + line["tokens"]].tolist()
    assert list(found.values()) == numbered(sizes)
    assert list(dict.fromkeys(index["id"].to_pylist())) == list(found)


@pytest.mark.parametrize("mode", MODES)
@given(SIZES, st.lists(st.integers(0, 60), max_size=4))
@settings(max_examples=40, deadline=None)
def test_the_bytes_do_not_depend_on_how_documents_are_batched(mode, sizes, cuts):
    with pytest.MonkeyPatch.context() as small:
        small.setattr(pack, "ROWS", 4)
        small.setattr(pack, "WINDOW", 7)
        step = Pack(length=5, mode=mode)
        whole, parts = (write(step, batches(numbered(sizes), at)) for at in ((), cuts))
    assert whole[3] == parts[3]
    assert whole[0] == parts[0]


@given(st.lists(st.integers(0, 20), max_size=60))
@settings(max_examples=60, deadline=None)
def test_best_fit_cuts_no_document_that_fits_a_row(sizes):
    _, _, index, _ = write(Pack(length=10, mode="best_fit"), batches(numbered(sizes)))
    pieces = {f"d{i}": [] for i in range(len(sizes))}
    for line in index.to_pylist():
        pieces[line["id"]].append(line["tokens"])
        assert line["tokens"] == 0 or line["start"] % 10 + line["tokens"] <= 10
    for size, found in zip(sizes, pieces.values(), strict=True):
        assert len(found) == max(1, -(-size // 10))


def test_best_fit_fills_rows_where_documents_match():
    counts, _, _, _ = write(Pack(length=10, mode="best_fit"), batches(numbered([3, 6, 7, 4, 5, 5])))
    assert (counts["rows"], counts["padding"]) == (3, 0)


def test_cut_pads_only_the_last_row_of_a_shard():
    _, rows, _, _ = write(Pack(length=7), batches(numbered([11] * 300), (100, 200)))
    assert rows["padding"].to_pylist() == [0] * 471 + [4]


@pytest.mark.parametrize("token", [pa.uint16(), pa.int32()])
def test_the_shape_on_disk_is_the_contract_with_the_tokens_metadata(token):
    field = pa.field("tokens", pa.large_list(token), metadata={"vocabulary": "400"})
    (batch,) = batches(numbered([3, 4]), token=token)
    batch = pa.record_batch(batch.columns, pa.schema([batch.schema.field("id"), field]))
    _, rows, _, _ = write(Pack(length=4), [batch])
    assert rows.schema.equals(packed(4, 400 if token == pa.uint16() else 1 << 17))
    assert rows.schema.metadata == {b"vocabulary": b"400"}


@pytest.mark.parametrize("mode", MODES)
def test_a_shard_without_documents_has_no_rows(mode):
    for parts in ([], batches([])):
        counts, rows, index, _ = write(Pack(length=4, mode=mode), parts)
        assert set(counts.values()) == {0}
        assert rows.num_rows == index.num_rows == 0


def test_record_batches_hold_256_rows_and_are_mapped_not_copied(tmp_path):
    Pack(length=8).write(batches(numbered([1000] * 9)), tmp_path)
    before = pa.total_allocated_bytes()
    with pa.memory_map(str(tmp_path / TOKENS)) as file:
        found = list(pa.ipc.open_stream(file))
    assert [batch.num_rows for batch in found] == [256] * 4 + [101]
    assert pa.total_allocated_bytes() == before


def test_a_length_that_cannot_be_is_refused():
    with pytest.raises(SpecError, match="length: expected"):
        Pack(length=1).check()
