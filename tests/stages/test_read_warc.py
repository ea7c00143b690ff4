import gzip
import shutil
from collections import Counter

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import DOCUMENT, part
from stages.errors import DataError
from stages.read import Warc, Wet
from tests.crawls import (
    DATE,
    faulty_crawl,
    http,
    member,
    page,
    record,
    response,
    write_crawl,
)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    return faulty_crawl(tmp_path_factory.mktemp("faulty"), depth=2_000)


def rows(source):
    """Every row that a source gives, as (id, what became of it, url, text)."""
    found = []
    for piece in source.slices():
        for batch in source.read(piece):
            batch.validate(full=True)
            assert batch.select(DOCUMENT.names).schema == DOCUMENT
            for state, those in zip(("kept", "dropped", "fault"), part(batch), strict=True):
                for row in those.to_pylist() if those else []:
                    what = row.get(state, "kept") if state != "kept" else "kept"
                    found.append((row["id"], what, row["url"], row["text"]))
    return sorted(found)


def one(tmp_path, *members, **fields):
    path = tmp_path / "one.warc.gz"
    path.write_bytes(b"".join(members))
    return rows(Warc(paths=str(path), **fields))


def test_every_good_page_of_a_faulty_crawl_comes_through(faulty):
    kept = Counter(url for _, what, url, _ in rows(Warc(paths=faulty.paths)) if what == "kept")

    assert kept == Counter(faulty.good + faulty.hostile)


def test_every_fault_and_every_drop_is_counted_exactly_once(faulty):
    found = rows(Warc(paths=faulty.paths))
    states = [(what, url) for _, what, url, _ in found if what != "kept"]

    assert {u: w for w, u in states if w.startswith("read.")} == faulty.dropped
    assert Counter(w.partition(":")[0] for w, _ in states if not w.startswith("read.")) == Counter(
        faulty.faults
    )
    assert len(found) == faulty.rows
    assert len({row[0] for row in found}) == faulty.rows


def test_a_drop_says_what_was_measured(faulty):
    source = Warc(paths=faulty.paths)
    values = {}
    for piece in source.slices():
        for batch in source.read(piece):
            for row in part(batch)[1].to_pylist() if part(batch)[1] else []:
                values[row["url"]] = row["value"]

    assert values["http://none.test/missing"] == 404
    assert values["http://large.test/page"] > 40e6
    assert values["http://large.test/bomb"] > 160e6
    assert values["http://none.test/image"] is None


@given(slice_bytes=st.integers(1, 40_000))
@settings(max_examples=25)
def test_any_slicing_gives_the_same_rows(tmp_path_factory, slice_bytes):
    folder = tmp_path_factory.getbasetemp() / "sliced"
    if not folder.exists():
        faulty_crawl(folder, large=1 << 20, depth=50)
    whole = Warc(paths=str(folder), max_document_bytes=1 << 19)
    cut = Warc(paths=str(folder), max_document_bytes=1 << 19, slice_bytes=max(slice_bytes, 300))

    assert rows(cut) == rows(whole)


def test_a_crawl_cut_at_any_byte_of_its_last_member_loses_that_page_alone_and_says_so(tmp_path):
    first, last = response("http://a.test/", page("a")), response("http://b.test/", page("b"))
    for length in range(1, len(last)):
        found = one(tmp_path, first, last[:length])

        assert [what.partition(":")[0] for _, what, _, _ in found] == ["kept", "TruncatedMember"]


def test_a_flipped_byte_anywhere_in_a_member_costs_no_other_page(tmp_path):
    members = [response(f"http://{name}.test/", page(name)) for name in "abc"]
    for at in range(0, len(members[1]), 3):
        broken = bytearray(members[1])
        broken[at] ^= 0xFF
        found = one(tmp_path, members[0], bytes(broken), members[2])
        urls = [url for _, what, url, _ in found if what == "kept"]

        assert {"http://a.test/", "http://c.test/"} <= set(urls)
        assert len(found) == 3


def test_a_moved_crawl_keeps_its_ids(tmp_path):
    write_crawl(tmp_path / "here" / "x" / "a.warc.gz", [("http://a.test/", page("a"))])
    before = rows(Warc(paths=str(tmp_path / "here" / "**" / "*.warc.gz")))
    shutil.move(tmp_path / "here", tmp_path / "there")

    after = rows(Warc(paths=str(tmp_path / "there" / "**" / "*.warc.gz")))

    assert after == before
    assert after[0][0].startswith("warc/x/a.warc.gz#")


@pytest.mark.parametrize("form", ["gzip", "zstd", "plain", "one gzip member", "zstd dictionary"])
def test_every_compression_gives_the_same_pages(tmp_path, form):
    pages = {f"http://{n}.test/": page(f"page {n}") for n in range(9)}
    records = [record(url, http(html.encode())) for url, html in pages.items()]
    trained = zstandard.train_dictionary(2_000, records * 20)
    skip = b"\x5d\x2a\x4d\x18" + len(trained.as_bytes()).to_bytes(4, "little")
    content = {
        "gzip": b"".join(map(member, records)),
        "zstd": b"".join(map(zstandard.ZstdCompressor().compress, records)),
        "plain": b"".join(records),
        "one gzip member": member(b"".join(records)),
        "zstd dictionary": skip
        + trained.as_bytes()
        + b"".join(map(zstandard.ZstdCompressor(dict_data=trained).compress, records)),
    }[form]
    path = tmp_path / "crawl.warc"
    path.write_bytes(content)

    for slice_bytes in (1 << 20, 300):
        found = rows(Warc(paths=str(path), slice_bytes=slice_bytes))
        assert {url: text for _, _, url, text in found} == pages
        assert len({row[0] for row in found}) == len(pages)


@pytest.mark.parametrize("form", ["zstd", "plain"])
def test_a_broken_record_costs_no_neighbour_in_any_compression(tmp_path, form):
    squeeze = zstandard.ZstdCompressor(write_checksum=True).compress if form == "zstd" else bytes
    whole = [squeeze(record(f"http://{n}.test/", http(page(n).encode()))) for n in "abc"]
    wrong = squeeze(record("http://x.test/", http(page("x").encode()), length=99_999))
    garbage = b"\xee" * 777
    path = tmp_path / f"crawl.warc{'.zst' * (form == 'zstd')}"
    path.write_bytes(
        b"".join([whole[0], wrong, whole[1], garbage, whole[2], wrong[: len(wrong) // 2]])
    )

    for slice_bytes in (1 << 20, 200):
        found = rows(Warc(paths=str(path), slice_bytes=slice_bytes))
        states = Counter(what.partition(":")[0] for _, what, _, _ in found)

        assert {url for _, what, url, _ in found if what == "kept"} == {
            f"http://{n}.test/" for n in "abc"
        }
        assert states["kept"] == 3
        assert states.total() == 6


def test_what_a_page_holds_is_its_text_in_utf8_with_its_date_and_form(tmp_path):
    path = tmp_path / "a.warc.gz"
    html = page("ação")
    path.write_bytes(
        response("http://a.test/é", html.encode("cp1252"), kind="text/html; charset=latin1")
    )
    source = Warc(paths=str(path), name="crawl")
    (row,) = next(source.read(source.slices()[0])).to_pylist()

    assert row["text"] == html
    assert row["id"] == "crawl/a.warc.gz#0"
    assert row["source"] == "crawl"
    assert row["date"].isoformat() + "Z" == DATE
    assert dict(row["meta"]) == {"content_type": "text/html", "charset": "cp1252", "status": "200"}


@pytest.mark.parametrize(
    "name, charset, kind",
    [
        ("declared by the server", "shift_jis", "text/html; charset=Shift_JIS"),
        ("declared in the page", "euc-kr", "text/html"),
        ("iso-2022-jp looks like ASCII", "iso2022_jp", "text/html; charset=iso-2022-jp"),
        ("UTF-8 wins over a wrong declaration", "utf-8", "text/html; charset=iso-8859-1"),
        ("byte order mark", "utf-8-sig", "text/html"),
        ("UTF-16 without a mark", "utf-16-le", "text/html; charset=utf-8"),
    ],
)
def test_the_charset_of_a_page_is_found(tmp_path, name, charset, kind):
    words = {"euc-kr": "한국어 문장입니다", "utf-8": "São Paulo"}.get(charset, "日本語の文章です")
    html = f'<html><head><meta charset="{charset}"></head><body><p>{words}</p></body></html>'
    ((_, _, _, text),) = one(tmp_path, response("http://a.test/", html.encode(charset), kind=kind))

    assert text == html, name


def test_invalid_bytes_and_lone_surrogates_become_replacement_characters(faulty):
    texts = {url: text for _, what, url, text in rows(Warc(paths=faulty.paths)) if what == "kept"}

    assert "\ufffd" in texts["http://odd.test/invalid-utf8"]
    assert "acentuação" in texts["http://odd.test/invalid-utf8"]
    assert "\ufffd" in texts["http://odd.test/surrogates"]
    assert "ra\0to" in texts["http://odd.test/nul"]
    for name in ("latin1", "utf16", "utf16-bare", "chunked", "gzipped", "unknown-charset", "xhtml"):
        assert texts[f"http://odd.test/{name}"] == page("acentuação"), name


def test_a_bomb_is_never_held(tmp_path):
    """A gigabyte of zeros in a megabyte: not more than the limit is ever inflated at once."""
    import tracemalloc

    big = tmp_path / "bomb.warc.gz"
    size = 1 << 28
    head = record("http://bomb.test/", b"", length=size)[:-4]
    with gzip.open(big, "wb", 1) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    big.write_bytes(big.read_bytes() + response("http://a.test/", page("a")))
    tracemalloc.start()
    found = rows(Warc(paths=str(big), max_document_bytes=1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [what for _, what, _, _ in found] == ["read.too_large", "kept"]
    assert peak < 32 << 20


def test_an_empty_file_is_a_valid_crawl_of_no_documents(tmp_path):
    (tmp_path / "a.warc.gz").write_bytes(b"")
    source = Warc(paths=str(tmp_path / "a.warc.gz"))
    (batch,) = [b for piece in source.slices() for b in source.read(piece)]

    assert batch.num_rows == 0
    assert batch.schema == DOCUMENT


def test_wet_gives_the_texts_of_conversions(tmp_path):
    path = tmp_path / "a.warc.wet.gz"
    text = record("http://a.test/", "Olá, mundo".encode(), "conversion", form="text/plain")
    path.write_bytes(member(text) + response("http://b.test/", page("b")))

    assert [row[2:] for row in rows(Wet(paths=str(path)))] == [("http://a.test/", "Olá, mundo")]


def test_batches_are_bounded_in_bytes_and_rows(tmp_path):
    pages = [(f"http://{n}.test/", "<html>" + "x" * (3 << 20) * (n % 7 == 0)) for n in range(1_100)]
    path = write_crawl(tmp_path / "a.warc.gz", pages[:21] + [(u, "<html>") for u, _ in pages[21:]])
    source = Warc(paths=str(path))
    batches = [b for piece in source.slices() for b in source.read(piece)]

    assert sum(b.num_rows for b in batches) == 1_100
    assert all(b.num_rows <= 1_024 and b.column("text").nbytes < 12 << 20 for b in batches)


def test_a_missing_input_is_named_before_anything_is_read(tmp_path):
    (tmp_path / "b.warc.gz").write_bytes(b"")
    with pytest.raises(DataError, match=r"a\*\.gz matches no file; .* holds b\.warc\.gz"):
        Warc(paths=str(tmp_path / "a*.gz")).slices()
