"""Sudachi's words of Japanese as a kernel finds them, against Sudachi itself."""

# ruff: noqa: RUF001 -- other scripts

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.errors import SpecError
from stages.kernels.japanese import cut_japanese
from stages.kernels.streams import BLANK
from stages.segment import marks, segmenter
from stages.sudachi import blocks, model

PIECES = [
    "日本語の", "テストを", "徳島", "（とくしま）", "(よみ)", "です。", "モーニング娘。", "コンピューター",
    "カタカナ", "ァ", "ャッ", "ー", "〜", "~", "-", "〰", "ｶﾞ", "ﾊﾟ", "ﾞ", "か゛", "う\u3099", "々", "〇",
    "一", "二十", "三百", "千", "万", "億", "兆", "0", "00", "12", "801", "1千", "１", ",", "，", ".", "3.5",
    "1,000", "円", "年", "①", "②", "½", "²", "ⅷ", "Ⅳ", "㌔", "㍿", "株式会社", "東京都", "しました", "、",
    "「", "」", "・", "!", "？", "...", " ", "  ", "　", "\n", "\t", "\x00", "\u2028", "a", "B", "Cat",
    "é", "É", "e\u0301", "Σ", "σ", "ß", "İ", "Ж", "ﷺ", "𠮷", "뷁", "\ufffd", "\u200d", "\u200c", "\ufe0f",
    "👨", "🏻", "\U0001f3ff", "¨",
]  # fmt: skip


@cache
def sudachi() -> Any:
    from sudachipy import Dictionary, SplitMode

    return Dictionary().tokenizer(mode=SplitMode.A)


def theirs(text: str) -> list[str]:
    surfaces = [morpheme.surface() for morpheme in sudachi().tokenize(text)]
    return [surface.strip() for surface in surfaces if surface.strip()]


def ours(texts: list[str]) -> list[list[str]]:
    rows = [text.encode() for text in texts]
    data, edges = b"".join(rows), np.cumsum([0, *map(len, rows)], dtype=np.int64)
    found = cut_japanese(np.frombuffer(data, np.uint8), edges, marks(), *model())
    begins, ends, starts = (each.tolist() for each in found)
    words = [data[begin:end].decode() for begin, end in zip(begins, ends, strict=True)]
    return [[word for word in words[first:last] if word] for first, last in pairwise(starts)]


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), max_size=8))
@settings(deadline=None, max_examples=300)
def test_words_are_those_of_sudachi(texts):
    assert ours(texts) == [theirs(text) for text in texts]


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=200)
def test_words_of_any_text_hold_all_of_it_but_blanks(text):
    text = text.encode("utf-8", "replace").decode()

    assert "".join(ours([text])[0]).split() == "".join(theirs(text)).split()
    assert "".join("".join(ours([text])[0]).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("徳島（とくしま）です", ["徳島（とくしま）", "です"]),
        ("1,000円と2,00円", ["1,000", "円", "と", "2", ",", "0", "0", "円"]),
        ("ⅷ3", ["ⅷ3"]),
        ("関西国際空港", ["関西", "国際", "空港"]),
        ("㌔だ", ["㌔", "だ"]),
    ],
)
def test_plug_ins_of_sudachi_are_followed(text, words):
    assert ours([text]) == [words] == [theirs(text)]


def test_long_texts_are_cut_where_datatrove_cuts_them():
    from datatrove.utils.word_tokenizers import chunk_text_on_bytes

    texts = ["東京都に住む。a " * 5_000, "あ" * 13_400, "é" * 30_000, "x" * 90_000]
    parts = [chunk_text_on_bytes(text, 40_000) for text in texts]

    assert all(len(part) > 1 for part in parts)
    assert ours(texts) == [[word for piece in part for word in theirs(piece)] for part in parts]


def test_many_words_that_end_together_need_more_room_than_there_was():
    assert ours(["ア" * 12_000]) == [theirs("ア" * 12_000)]


def test_blanks_are_tokens_but_for_the_space_behind_a_word():
    text = " 日本 語　\n".encode()
    data, edges = np.frombuffer(text, np.uint8), np.array([0, len(text)])

    flags = segmenter("ja").cut(data, edges).flags & BLANK

    assert flags.astype(bool).tolist() == [True, False, False, True]


def test_a_dictionary_of_another_format_is_refused(tmp_path):
    path = tmp_path / "system.dic"
    path.write_bytes(b"\x01" * 400)

    with pytest.raises(
        SpecError, match=r"mode: .*system\.dic is no dictionary .* sudachidict-core"
    ):
        blocks(path)
