"""The kernels under everything that measures texts, on bytes that may be anything."""

import codecs
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages import kernels, measure, peers
from stages.kernels import characters as ch
from stages.kernels import eight
from stages.kernels.characters import CLASS_BITS, table
from stages.kernels.hashing import string_buffers
from stages.kernels.manners import BREAKS
from stages.kernels.phrases import boilerplate, compile_phrases, find_phrases, first_points, fold
from stages.kernels.rewrite import judge_line, read_line, seek, sieve
from stages.kernels.unspaced import cutter
from stages.kernels.words import COUNTS, Asked, cut
from stages.measure import Measure
from stages.quality import C4Quality

ROOT = Path(__file__).parents[2]
MEASURES = [name for name in measure.MEASURES if name not in peers.MEASURES]
ALL = Measure(names=tuple(MEASURES))

# Bytes that are nearly UTF-8: cut off, overlong, surrogates, beyond the last code point.
BROKEN = (b"\xc3", b"\xe6\xb1", b"\xf0\x9f\x98", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80")
RAW = st.lists(
    st.sampled_from(
        (
            *BROKEN,
            b"\xff",
            b"\x80",
            b"\x00",
            b"a",
            b"...",
            b"[1",
            b"[citation neede",
            b"\n",
            b"http:",
            b"://",
            b"/",
            b"-",
            b"A.",
            b"3.",
            "中华人民".encode(),
            "日本のカナ".encode(),
            b" ",
        )
    )
    | st.binary(max_size=4)
    | st.text(max_size=3).map(lambda text: text.encode("utf-8", "surrogatepass")),
    max_size=12,
).map(b"".join)

codecs.register_error("one by one", lambda error: ("\ufffd", error.start + 1))


def raw_batch(*rows):
    """Bytes put under a string column as they are, as from a file that nobody validated."""
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    buffers = [pa.py_buffer(offsets), pa.py_buffer(b"".join(rows))]
    return pa.record_batch({"text": pa.LargeStringArray.from_buffers(len(rows), *buffers)})


def decoded(data, start, end):
    points = []
    while start < end:
        point, size = ch.decode(data, start, end)
        points.append(chr(point))
        start += size
    assert start == end
    return "".join(points)


@given(raw=RAW, after=st.binary(max_size=4))
def test_decoding_agrees_with_python_and_never_looks_behind_the_end(raw, after):
    data = np.frombuffer(raw + after, np.uint8)

    assert decoded(data, 0, len(raw)) == raw.decode("utf-8", "one by one")


def test_every_code_point_is_decoded():
    points = [*range(0xD800), *range(0xE000, 0x110000, 7), 0x10FFFF]
    text = "".join(map(chr, points))
    data = np.frombuffer(text.encode(), np.uint8)

    assert decoded(data, 0, len(data)) == text


def test_the_table_knows_what_python_knows():
    """Of blocks that have been complete for long: newer Unicode versions add to others."""
    points = [*range(0x530), *range(0x2000, 0x2060), *range(0x3000, 0x3040), *range(0x4E00, 0x9FA6)]
    entries = [int(ch.table()[point]) for point in points]

    assert [bool(e & ch.ALPHABETIC) for e in entries] == [chr(p).isalpha() for p in points]
    assert [bool(e & ch.SPACE) for e in entries] == [chr(p).isspace() for p in points]
    assert [bool(e & ch.DIGIT) for e in entries] == [chr(p).isdecimal() for p in points]
    assert [bool(e & ch.LINE_END) for e in entries] == [
        len(f"a{chr(p)}a".splitlines()) == 2 for p in points
    ]


def test_kinds_of_character_exclude_each_other():
    kinds = ch.table() & np.uint32(ch.SPACE | ch.PUNCTUATION | ch.SINGLE | ch.MARK)

    assert set(np.unique(kinds)) == {0, ch.SPACE, ch.PUNCTUATION, ch.SINGLE, ch.MARK}


@given(rows=st.lists(RAW, max_size=4))
def test_malformed_text_is_measured_as_if_each_wrong_byte_were_a_replacement_character(rows):
    mended = [raw.decode("utf-8", "one by one").encode() for raw in rows]
    result, expected = ALL(raw_batch(*rows)), ALL(raw_batch(*mended))
    names = [name for name in MEASURES if name != "bytes"]

    assert result.select(names).to_pylist() == expected.select(names).to_pylist()


@given(rows=st.lists(RAW, min_size=1, max_size=4), start=st.integers(0, 3), count=st.integers(0, 4))
def test_a_slice_is_measured_and_rewritten_as_the_rows_it_holds(rows, start, count):
    part, alone = raw_batch(*rows).slice(start, count), raw_batch(*rows[start : start + count])
    rules = C4Quality(words_per_line=None, sentences=None, no_terminal_punctuation=False)

    assert (
        ALL(part).select(list(MEASURES)).to_pylist()
        == ALL(alone).select(list(MEASURES)).to_pylist()
    )
    assert bytes_of(rules(part)) == bytes_of(rules(alone))


def bytes_of(batch):
    return batch.column("text").cast(pa.large_binary()).to_pylist()


@given(
    raw=RAW,
    before=st.binary(max_size=3),
    after=st.binary(max_size=3) | st.sampled_from((b"//x", b".", b"-a")),
    customs=st.integers(0, 63),
)
def test_cutting_words_never_looks_outside_of_the_text(raw, before, after, customs):
    def words(data, start, end):
        hashes, ends = np.zeros(len(raw), np.uint64), np.zeros(len(raw) + 1, np.int64)
        counts = np.zeros(COUNTS, np.int64)
        data = np.frombuffer(data, np.uint8)
        asked = Asked(hashes, ends, hashes.copy(), ends.copy())
        many = cut(data, start, end, ch.table(), customs, cutter(), asked, counts)
        return hashes[:many].tolist(), ends[: many + 1].tolist(), counts.tolist()

    whole = words(before + raw + after, len(before), len(before) + len(raw))

    assert whole == words(raw, 0, len(raw))


@given(
    line=st.text("abcáÁ ç_\u0301漢", max_size=30),
    phrases=st.lists(
        st.text("abcá ç漢", min_size=2, max_size=4).filter(lambda phrase: len(fold(phrase)) > 1),
        min_size=1,
        max_size=5,
    ),
)
def test_phrases_are_found_wherever_they_are_whatever_case_and_accents(line, phrases):
    kinds = {phrase: 1 << at for at, phrase in enumerate(phrases)}
    compiled = compile_phrases(kinds)
    points = np.array([*fold(line), 0], np.uint32)
    found = find_phrases(points, len(points) - 1, compiled, first_points(compiled))
    plain = "".join(map(chr, fold(line)))
    expected = {bit for phrase, bit in kinds.items() if "".join(map(chr, fold(phrase))) in plain}

    assert found == sum(expected)


@pytest.mark.parametrize("before", ["", "um sim, ", "[1] ", "ã漢 "])
def test_a_line_with_a_phrase_in_it_is_searched_and_few_others_are(before):
    compiled = boilerplate()
    points, offsets, bits = compiled
    sought, folded = sieve(compiled), np.empty(1000, np.uint32)

    def found(line):
        data = np.frombuffer(line.encode(), np.uint8)
        _, stop, suspect, opens, braces = read_line(data, 0, len(data), table(), sought)
        assert (stop, opens, braces) == (len(data), "[" in line, "{" in line)
        judged = judge_line(data, 0, stop, table())
        return suspect and seek(data, judged, table(), folded, compiled, sought)

    for first, last, bit in zip(offsets[:-1], offsets[1:], bits, strict=True):
        phrase = "".join(map(chr, points[first:last]))
        assert found(f"{before}{phrase} e fim") & bit
    assert found(before + "nothing of { it") is False


@given(data=st.binary(min_size=8, max_size=30), at=st.integers(0, 22))
def test_eight_bytes_are_told_apart_as_one_by_one(data, at):
    array, at = np.frombuffer(data, np.uint8), min(at, len(data) - 8)
    some = np.uint64(eight.eight(array, at))
    piece = data[at : at + 8]

    def places(mask):
        return [place for place in range(8) if int(mask) >> 8 * place & 0x80]

    assert int(some) == int.from_bytes(piece, "little") == int(eight.few(array, at, len(data)))
    assert places(eight.letters(some)) == [
        n for n, b in enumerate(piece) if chr(b).isalpha() and b < 128
    ]
    assert places(eight.digits(some)) == [n for n, b in enumerate(piece) if 48 <= b < 58]
    assert places(eight.printed(some)) == [n for n, b in enumerate(piece) if 32 <= b < 128]
    assert eight.first(np.uint64(eight.digits(some))) == min(places(eight.digits(some)), default=8)
    assert int(some & np.uint64(eight.below(3))) == int.from_bytes(piece[:3], "little")


def test_letters_and_digits_of_ascii_are_what_no_table_breaks_at():
    kinds = [int(table()[code]) & int(BREAKS) for code in range(128)]

    assert [not kind for kind in kinds] == [chr(code).isalnum() for code in range(128)]
    assert [int(table()[code]) >> CLASS_BITS for code in range(32, 127)] == [
        point for code in range(32, 127) for point in fold(chr(code))
    ]


def test_nulls_are_empty_texts():
    offsets, _ = string_buffers(pa.array(["a", None, "b"], pa.large_string()))

    assert offsets.tolist() == [0, 1, 1, 2]


@pytest.mark.skipif("NUMBA_BOUNDSCHECK" not in os.environ, reason="`make test` sets it")
def test_every_index_is_checked_where_all_tests_of_steps_run():
    with pytest.raises(IndexError, match="out of bounds"):
        ch.decode_long(np.zeros(3, np.uint8), 3, 4)


def test_a_kept_kernel_is_not_used_after_a_change_of_another_that_it_calls(tmp_path):
    """Numba alone would: it looks at the file of the outer kernel only."""
    package = tmp_path / "stages" / "kernels"
    package.mkdir(parents=True)
    (tmp_path / "stages" / "__init__.py").touch()
    head = "from numba import njit\n"
    (package / "__init__.py").write_bytes(Path(kernels.__file__).read_bytes())
    (package / "outer.py").write_text(
        f"{head}from stages.kernels.inner import inner\n@njit(cache=True)\ndef outer():\n    return inner()\n"
    )
    said = []
    for number in (1, 2):
        body = f"{head}@njit(cache=True)\ndef inner():\n    return {number}\n"
        (package / "inner.py").write_text(body)
        run = subprocess.run(
            [sys.executable, "-c", "from stages.kernels.outer import outer; print(outer())"],
            cwd=tmp_path,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")},
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(run.stdout.strip())

    assert said == ["1", "2"]
