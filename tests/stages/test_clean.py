# ruff: noqa: RUF001 -- confusable characters are what is tested
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.clean import NormalizeText, normalize
from stages.config import dump_step, load_step
from stages.kernels.normalize import SIZE, UNSURE, actions, squeeze

FORMS = ("NFC", "NFKC")
HOSTILE = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from(
            "a e\u0301\u0323\u0308\u200b\u200c\u200d\ufeff\u202e\u00ad\u00a0\u3000\n\r\t\x00\x85\u2028"
            "\u2126\u1100\u1161\u11a8가\ufe0f\ufe00👩❤🏽ی\u0915\u094d\u093c\u0958\u00a8\ufdfa\u0e48\u0e38\U000e0041\ue000"
        ),
    ),
    max_size=40,
)


def column(*texts):
    return pa.array(texts, pa.large_string())


def clean(text, form="NFC"):
    return normalize(column(text), form)[0].as_py()


@pytest.mark.parametrize(
    "raw, expected",
    [
        ("", ""),
        ("\x00\ufeff \u200b\n", ""),
        ("Ol\u0061\u0301,\u00a0mundo\u3000!", "Olá, mundo !"),
        ("a \t b\r\nc\rd\u2028e\u2029f\x85g", "a b\nc\nd\ne\nf\ng"),
        ("  a  \n  \n \r\n\n\n  b \n", "a\n\nb"),
        ("pass\u00adword\u200b \u202etxt.exe\u202c", "password txt.exe"),
        ("hi\U000e0068\U000e0069", "hi"),
        ("e\u200b\u0301", "é"),  # the pair that shows when the character between is gone
        ("\ue000icon \U00100000", "icon"),
        ("می\u200cخواهم", "می\u200cخواهم"),  # Persian needs its joiner
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥", "👩\u200d👩\u200d👧 ❤\ufe0f\u200d🔥"),
        ("v\u200di\u200ca\u200dgra\u200d", "viagra"),  # Latin has none
        ("a\ufe0f\ufe0f\ufe0e \ufe0f", "a\ufe0f"),  # a run of selectors hides bytes
        ("\u0301lone", "\u0301lone"),
        ("fim.\x1cnovo", "fim.\nnovo"),
        ("ก\u0e48\u0e38", "ก\u0e38\u0e48"),  # marks that never compose, in the wrong order
    ],
)
def test_text_is_brought_to_one_form(raw, expected):
    assert clean(raw) == expected


def test_nfkc_makes_compatibility_characters_plain():
    assert clean("ﬁm ① Ｅmail x² ﷺ\u00a8", "NFKC").startswith("fim 1 Email x2 صلى الله")
    assert clean("ﬁ x²") == "ﬁ x²"


def test_bytes_that_are_not_utf8_are_removed_and_no_neighbour_is_touched():
    bad = b"a\xff\xc3|\xe2\x82|\xf0\x9f\x92|\xc0\x80\xed\xa0\x80z\xc3"
    buffers = [
        None,
        pa.py_buffer(np.array([0, len(bad), len(bad) + 2])),
        pa.py_buffer(bad + b"\xa9!"),
    ]
    texts = normalize(pa.Array.from_buffers(pa.large_string(), 2, buffers))
    texts.validate(full=True)
    assert texts.to_pylist() == ["a|||z", "!"]


@pytest.mark.parametrize("form", FORMS)
def test_the_quick_check_agrees_with_unicode_on_every_character(form):
    table = actions(form)
    unstable = [
        point
        for point in range(SIZE)
        if not 0xD800 <= point < 0xE000
        and unicodedata.normalize(form, chr(point)) != chr(point)
        and point < 0xF0000
    ]
    assert len(unstable) > 1000
    assert all(table[point] & UNSURE for point in unstable)
    ranks = [unicodedata.combining(chr(point)) for point in range(SIZE)]
    assert (table >> 8).tolist() == ranks


@settings(max_examples=400)
@given(texts=st.lists(HOSTILE, max_size=6), form=st.sampled_from(FORMS))
def test_a_normalised_text_is_in_the_form_and_stays_as_it_is(texts, form):
    once = normalize(column(*texts), form)
    once.validate(full=True)
    for text in once.to_pylist():
        assert unicodedata.is_normalized(form, text)
        assert text == text.strip()
        assert "\n\n\n" not in text
        assert "  " not in text
        assert not set(text) & set("\x00\r\t\u00a0\u200b\ufeff\u202e\u2028")
    assert normalize(once, form).equals(once)


@settings(max_examples=400)
@given(text=HOSTILE, form=st.sampled_from(FORMS))
def test_what_the_quick_check_is_sure_of_is_in_the_form(text, form):
    texts, unsure = squeeze(column(text), form)
    assert unsure[0] or unicodedata.is_normalized(form, texts[0].as_py())


@given(texts=st.lists(HOSTILE, min_size=1, max_size=6), cut=st.integers(0, 6))
def test_cleaning_does_not_depend_on_how_documents_are_batched(texts, cut):
    whole = column(*texts)
    parts = pa.concat_arrays([normalize(whole[:cut]), normalize(whole[cut:])])
    assert normalize(whole).equals(parts)


@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x24F), max_size=60))
def test_visible_text_of_latin_scripts_is_kept(text):
    visible = [
        c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c)[0] not in "CZ"
    ]
    assert [c for c in clean(text) if c not in " \n"] == visible


def test_one_text_of_many_megabytes_is_cleaned():
    assert clean("e\u0301 \u200b" * 1_000_000) == ("é " * 1_000_000).strip()


def test_the_stage_replaces_text_only_and_loads_from_its_own_dump():
    batch = pa.record_batch({"id": ["a"], "text": column("a\u0301  b"), "url": ["x"]})
    stage = NormalizeText(form="NFKC")
    out = stage(batch)
    assert out.to_pydict() == {"id": ["a"], "text": ["á b"], "url": ["x"]}
    assert out.schema == batch.schema
    assert load_step(dump_step(stage), "here") == stage
    assert stage(batch[:0]).schema == batch.schema
