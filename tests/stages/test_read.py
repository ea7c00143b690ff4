import gzip
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stages.base import DOCUMENT, part
from stages.errors import DataError, SpecError
from stages.inputs import Bytes, find_inputs
from stages.read import Jsonl, Parquet, Text, Warc
from tests.crawls import broken_parquet, page, write_crawl


def rows(source):
    """Every row of a source, in order, with what became of it under `state`."""
    found = []
    for piece in source.slices():
        for batch in source.read(piece):
            batch.validate(full=True)
            for state, those in zip(("kept", "dropped", "fault"), part(batch), strict=True):
                for row in those.to_pylist() if those else []:
                    found.append({**row, "state": "kept" if state == "kept" else row[state]})
    return found


def states(source):
    return Counter(row["state"].partition(":")[0] for row in rows(source))


def write_lines(path, lines, packed=""):
    content = b"".join(
        line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines
    )
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}[packed]
    path = path / f"lines.jsonl{packed}"
    path.write_bytes(pack(content))
    return str(path)


LINES = [
    {"text": f"o texto {n}", "url": f"http://{n}.test/", "date": "2026-01-02T03:04:05Z"}
    for n in range(50)
]


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_lines_become_documents_with_their_other_fields_as_strings(tmp_path, packed):
    line = {
        "text": "olá",
        "url": "http://a/",
        "date": 86400,
        "n": 1,
        "f": None,
        "tags": ["é"],
        "s": "x",
    }
    (row,) = rows(Jsonl(paths=write_lines(tmp_path, [line], packed)))

    assert (row["text"], row["url"], row["source"]) == ("olá", "http://a/", "jsonl")
    assert row["date"].isoformat() == "1970-01-02T00:00:00"
    assert dict(row["meta"]) == {"n": "1", "tags": '["é"]', "s": "x"}
    assert row["id"] == f"jsonl/lines.jsonl{packed}#{1 if packed else 0}"


def test_fields_are_named_by_the_recipe(tmp_path):
    path = write_lines(
        tmp_path, [{"content": "a", "address": "b", "when": "2026-01-01", "text": "c"}]
    )
    source = Jsonl(paths=path, text_field="content", url_field="address", date_field="when")
    (row,) = rows(source)

    assert (row["text"], row["url"], dict(row["meta"])) == ("a", "b", {"text": "c"})


@given(slice_bytes=st.integers(20, 5_000))
def test_any_slicing_of_lines_gives_the_same_rows(tmp_path_factory, slice_bytes):
    home = tmp_path_factory.getbasetemp() / "lines"
    home.mkdir(exist_ok=True)
    path = write_lines(home, [*LINES[:20], b"broken\n", b"\n", *LINES[20:]])

    whole, cut = rows(Jsonl(paths=path)), rows(Jsonl(paths=path, slice_bytes=slice_bytes))
    assert sorted(cut, key=lambda row: row["id"]) == sorted(whole, key=lambda row: row["id"])


def test_a_broken_line_is_one_fault_and_no_dead_file(tmp_path):
    broken = [
        b"{\n",
        b"[1]\n",
        b"3\n",
        b'{"text": null}\n',
        b'{"txt": "x"}\n',
        b"\0\n",
        b"[" * 100_000 + b"\n",
    ]
    mixed = [line for pair in zip(LINES, broken, strict=False) for line in pair]

    found = states(Jsonl(paths=write_lines(tmp_path, mixed)))

    assert found == {"kept": len(broken), "BadLine": len(broken)}


def test_strange_text_in_lines_is_read_as_far_as_it_can_be(tmp_path):
    lines = [
        b'{"text": "a\\ud83d b"}\n',
        b'{"text": "\\ud83d\\ude00"}\n',
        b'{"text": "a\xff b"}\n',
        b'{"text": "a\\u0000b"}\n',
        b'\xef\xbb\xbf{"text": "mark"}\n',
        b'{"text": "nan", "x": NaN}\n',
        b'{"text": "no end of line"}',
    ]

    texts = [row["text"] for row in rows(Jsonl(paths=write_lines(tmp_path, lines)))]

    assert texts == ["a\ufffd b", "😀", "a\ufffd b", "a\0b", "mark", "nan", "no end of line"]


def test_long_lines_are_read_and_too_long_ones_leave_with_their_size(tmp_path):
    lines = [{"text": "x" * 3_000_000}, {"text": "y" * 5_000_000}, {"text": "z"}, {"text": ""}]
    found = rows(Jsonl(paths=write_lines(tmp_path, lines), max_document_bytes=4_000_000))

    assert [(r["state"], len(r["text"])) for r in found if r["state"] == "kept"] == [
        ("kept", 3_000_000),
        ("kept", 1),
    ]
    assert {r["state"]: r["value"] for r in found if r["state"] != "kept"} == {
        "read.too_large": 5_000_000 + len('{"text": ""}'),
        "read.empty": None,
    }


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_a_compressed_file_that_is_cut_gives_its_whole_lines_and_one_fault(tmp_path, packed):
    path = Path(write_lines(tmp_path, [{"text": page(str(n))} for n in range(9_000)], packed))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    found = states(Jsonl(paths=str(path)))

    assert found["CorruptFile"] == 1
    assert 1_000 < found["kept"] < 9_000


def test_rows_of_tables_become_documents(tmp_path):
    table = pa.table(
        {
            "text": pa.array(["olá", None, "", "y" * 99]),
            "url": ["http://a/", None, "b", "c"],
            "date": pa.array([0, 1, None, 3], pa.timestamp("ms", "UTC")),
            "n": [1, None, 2, 3],
            "nested": [{"k": ["é"]}, None, None, None],
            "kind": pa.array(["x", "y", None, "x"]).dictionary_encode(),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    found = rows(Parquet(paths=str(tmp_path / "a.parquet"), max_document_bytes=50))

    assert [(r["id"].partition("#")[2], r["state"]) for r in found] == [
        ("0", "kept"),
        ("2", "read.empty"),
        ("3", "read.too_large"),
        ("1", "BadRow: its text is null"),
    ]
    assert dict(found[0]["meta"]) == {"n": "1", "nested": '{"k": ["é"]}', "kind": "x"}
    assert found[0]["date"].isoformat() == "1970-01-01T00:00:00"
    assert found[2]["value"] == 99


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_text_columns_of_any_kind_are_read_as_valid_text(tmp_path, kind):
    raw = ["são".encode(), b"a\xff\xed\xa0\xbd", b"\0"]
    column = pa.array(raw, pa.binary())
    if kind != pa.binary():
        column = pa.Array.from_buffers(pa.string(), len(raw), column.buffers()).cast(kind)
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")

    texts = [row["text"] for row in rows(Parquet(paths=str(tmp_path / "a.parquet")))]

    assert texts == ["são", raw[1].decode("utf-8", "replace"), "\0"]


def test_any_cut_by_row_groups_gives_the_same_rows(tmp_path):
    pq.write_table(
        pa.table({"text": [page(str(n)) for n in range(3_000)]}),
        tmp_path / "a.parquet",
        row_group_size=700,
    )
    whole = rows(Parquet(paths=str(tmp_path / "a.parquet")))
    cut = Parquet(paths=str(tmp_path / "a.parquet"), slice_bytes=1)

    assert len(cut.slices()) == 5
    assert rows(cut) == whole
    assert [row["id"] for row in whole] == [f"parquet/a.parquet#{n}" for n in range(3_000)]


def test_a_broken_footer_is_one_fault_beside_good_files(tmp_path):
    broken_parquet(tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"]}), tmp_path / "b.parquet")
    pq.write_table(pa.table({"words": ["c"]}), tmp_path / "c.parquet")
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "d.parquet")
    (tmp_path / "e.parquet").write_bytes(b"")
    found = rows(Parquet(paths=str(tmp_path / "*.parquet")))

    assert [(r["id"], r["state"].partition(":")[0]) for r in found] == [
        ("parquet/a.parquet#0", "CorruptFile"),
        ("parquet/b.parquet#0", "kept"),
        ("parquet/c.parquet#0", "BadSchema"),
    ]


def test_a_broken_row_group_costs_its_own_rows_only(tmp_path):
    path = tmp_path / "a.parquet"
    texts = [page(str(n)) for n in range(3_000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=1_000, use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    start = column.data_page_offset
    content[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(bytes(content))
    found = rows(Parquet(paths=str(path)))

    assert [r["text"] for r in found if r["state"] == "kept"] == texts[:1000] + texts[2000:]
    (broken,) = [r for r in found if r["state"] != "kept"]
    assert broken["id"] == "parquet/a.parquet#1000"
    assert broken["state"].startswith("CorruptRowGroup: ")
    assert broken["state"].endswith("(1,000 rows)")


def test_tables_are_given_in_batches_bounded_in_bytes(tmp_path):
    texts = ["x" * (1 << 20)] * 20 + ["y"] * 2_000
    pq.write_table(pa.table({"text": texts}), tmp_path / "a.parquet")
    source = Parquet(paths=str(tmp_path / "a.parquet"))
    batches = [batch for piece in source.slices() for batch in source.read(piece)]

    assert sum(batch.num_rows for batch in batches) == len(texts)
    assert all(
        pa.compute.sum(pa.compute.binary_length(b["text"])).as_py() <= 10 << 20 for b in batches
    )


def test_a_text_file_is_a_document(tmp_path):
    (tmp_path / "a.txt").write_bytes("São Paulo".encode("utf-16"))
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress("pão".encode()))
    (tmp_path / "d.txt.gz").write_bytes(gzip.compress(b"cut")[:-3])
    (tmp_path / "e.txt").write_bytes(b"x" * 1000)
    found = rows(Text(paths=str(tmp_path), max_document_bytes=100))

    assert [(r["id"], r["state"].partition(":")[0], r["text"]) for r in found] == [
        ("text/a.txt#0", "kept", "São Paulo"),
        ("text/c.txt.gz#0", "kept", "pão"),
        ("text/d.txt.gz#0", "CorruptFile", ""),
        ("text/e.txt#0", "read.too_large", ""),
    ]
    assert found[-1]["value"] == 1000


@pytest.mark.parametrize("kind", [Jsonl, Parquet, Text, Warc])
def test_an_empty_file_is_one_empty_batch(tmp_path, kind):
    (tmp_path / "empty").write_bytes(b"")
    source = kind(paths=str(tmp_path / "empty"))
    (batch,) = [batch for piece in source.slices() for batch in source.read(piece)]

    assert batch.num_rows == 0
    assert batch.schema == DOCUMENT


def test_a_manifest_names_files_by_line(tmp_path):
    for name in ("en/a.jsonl", "pt/a.jsonl"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text('{"text": "x"}\n')
    (tmp_path / "list.txt").write_text("# two files\n\nen/a.jsonl\npt/*.jsonl\n")
    (tmp_path / "fixed.txt").write_text(f"{tmp_path}/en/a.jsonl\n{tmp_path}/pt/a.jsonl\n")

    for manifest in ("list.txt", "fixed.txt"):
        found = rows(Jsonl(paths=f"@{tmp_path / manifest}"))
        assert [r["id"] for r in found] == ["jsonl/en/a.jsonl#0", "jsonl/pt/a.jsonl#0"]


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("en/a.txt", "pt/a.txt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("x")

    with pytest.raises(DataError, match="same ids"):
        Text(paths=(str(tmp_path / "en/a.txt"), str(tmp_path / "pt/a.txt"))).slices()
    assert len(Text(paths=(str(tmp_path / "*/a.txt"), str(tmp_path / "en/*.txt"))).slices()) == 2


def test_identity_is_content(tmp_path):
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
    a, b, c = (part.identity for part in Text(paths=str(tmp_path)).slices())

    assert a == b != c


@pytest.mark.parametrize("fields", [{"paths": ""}, {"paths": "x", "slice_bytes": 0}])
def test_fields_that_make_no_sense_are_refused(fields):
    with pytest.raises(SpecError):
        Text(**fields).check()


def test_object_stores_give_what_disks_give(tmp_path):
    for name in ("a", "b"):
        write_crawl(
            tmp_path / f"2026/{name}/x.warc.gz",
            [(f"http://{n}.test/", page(str(n))) for n in range(300)],
        )
    (tmp_path / "2026/b/other.txt").write_text("x")
    local = Warc(paths=f"{tmp_path}/**/*.warc.gz", slice_bytes=9_000)
    remote = Warc(paths=f"file://{tmp_path}/**/*.warc.gz", slice_bytes=9_000)

    assert len(remote.slices()) == len(local.slices()) > 2
    assert rows(remote) == rows(local)
    assert all(piece.identity for piece in remote.slices())
    with pytest.raises(DataError, match="matches no file"):
        Warc(paths=f"file://{tmp_path}/*.nothing").slices()


@pytest.fixture
def server(tmp_path):
    class Ranges(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.do_GET(body=False)

        def do_GET(self, body=True):
            try:
                content = (tmp_path / self.path[1:]).read_bytes()
            except OSError:
                return self.send_error(404)
            asked = self.headers.get("Range")
            start, stop = 0, len(content)
            if asked:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start, stop = int(first), min(stop, int(last) + 1)
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(stop - start))
            self.send_header("ETag", '"tag"')
            self.send_header("Last-Modified", "Wed, 01 Jan 2025 00:00:00 GMT")
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
            self.end_headers()
            return self.wfile.write(content[start:stop]) if body else None

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()


def test_files_are_read_over_http(tmp_path, server):
    write_crawl(tmp_path / "a.warc.gz", [(f"http://{n}.test/", page(str(n))) for n in range(30)])
    pq.write_table(pa.table({"text": ["b"]}), tmp_path / "b.parquet")

    assert rows(Warc(paths=f"{server}/a.warc.gz")) == rows(Warc(paths=str(tmp_path / "a.warc.gz")))
    assert [row["text"] for row in rows(Parquet(paths=f"{server}/b.parquet"))] == ["b"]
    with pytest.raises(DataError, match="cannot be read"):
        Warc(paths=f"{server}/missing.gz").slices()


@given(data=st.data())
def test_a_word_is_found_wherever_blocks_end(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "blocks"
    content = data.draw(st.lists(st.sampled_from([b"a", b"b"]), max_size=40).map(b"".join))
    word = data.draw(st.sampled_from([b"a", b"ab", b"aab", b"abba"]))
    path.write_bytes(content)
    with Bytes(str(path)) as file:
        file._step = data.draw(st.integers(1, 9))
        for start in range(len(content) + 1):
            assert file.find(word, start, len(content)) == content.find(word, start)


def test_inputs_are_ordered_by_name(tmp_path):
    for name in ("b", "a/c", "a.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")

    assert [file.name for file in find_inputs(str(tmp_path))] == ["a.x", "a/c", "b"]
