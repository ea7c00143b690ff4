"""The mode datatrove-0.10 against datatrove itself: the same verdicts, rule by rule."""

# ruff: noqa: RUF001 -- other scripts

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages import peers
from stages.base import DROPPED
from stages.errors import SpecError
from stages.kernels.hashing import string_buffers
from stages.kernels.stopwords import languages
from stages.kernels.streams import BLANK
from stages.measure import Measure
from stages.quality import C4Quality, FineWebQuality, GopherQuality, GopherRepetition
from stages.segment import by_rules, names, segmenter, spelled
from tests.documents import documents

CODES = ("en", "pt", "es", "de", "zh", "ja")
PIECES = {
    "en": [
        "The",
        "dog",
        "and don't",
        "U.S.",
        "e-mail",
        "3.5",
        "(well)",
        "can't.",
        "of",
        "that",
        "to",
    ],
    "pt": ["O", "cão", "não", "d'água", "que", "Sr.", "1.000,00", "guarda-chuva", "é", "de", "e"],
    "es": ["El", "niño", "¿qué?", "de", "la", "en", "EE.UU.", "¡Hola!", "un", "20%", "y"],
    "de": ["Der", "Straßenbahnfahrer", "z.B.", "und", "ist", "d. h.", "20km", "Ä", "die", "nicht"],
    "zh": [
        "我们今天去北京大学",
        "的",
        "是",
        "小明硕士毕业于中国科学院",
        "2.5%",
        "abc-1",
        "。",
        "这",
        "，",
    ],
    "ja": [
        "東京都に住んでいます",
        "は",
        "を",
        "私の猫",
        "モーニング娘。",
        "です。",
        "、",
        "2024年",
        "が",
    ],
}
EVERYWHERE = [
    " ", "  ", "\n", "\n\n", "\n \n", "\t", "\r\n", "\u2028", "\x85", "\xa0", ".", "...", "…", "!", "?",
    '"', "'", "- ", "• ", "#", "{", "}", "[1]", "[edit]", "[citation needed]", "[٣]", "lorem ipsum",
    "JavaScript", "Terms of Use", "use coo\u212aies", "http://a.b/c?d=e", "x@y.org", "😀",
    "don", "12", "１２", "—", "\x00", "\u200b", "\u0301",
]  # fmt: skip
MODE: Any = "datatrove-0.10"
RULES = {
    "gopher_short_doc": "gopher.words",
    "gopher_long_doc": "gopher.words",
    "gopher_below_avg_threshold": "gopher.mean_word_length",
    "gopher_above_avg_threshold": "gopher.mean_word_length",
    "gopher_too_many_hashes": "gopher.hashes_per_word",
    "gopher_too_many_ellipsis": "gopher.ellipses_per_word",
    "gopher_too_many_bullets": "gopher.bulleted_lines",
    "gopher_too_many_end_ellipsis": "gopher.trailing_off_lines",
    "gopher_below_alpha_threshold": "gopher.alphabetic_words",
    "gopher_enough_stop_words": "gopher.stop_words",
    "empty": "repetition.duplicate_paragraphs",
    "dup_para_frac": "repetition.duplicate_paragraphs",
    "dup_para_char_frac": "repetition.duplicate_paragraph_characters",
    "dup_line_frac": "repetition.duplicate_lines",
    "dup_line_char_frac": "repetition.duplicate_line_characters",
    **{f"top_{n}_gram": f"repetition.top_{n}_gram" for n in (2, 3, 4)},
    **{f"duplicated_{n}_n_grams": f"repetition.duplicate_{n}_grams" for n in range(5, 11)},
    "line_punct_ratio": "fineweb.punctuated_lines",
    "short_line_ratio": "fineweb.short_lines",
    "char_dup_ratio": "fineweb.repeated_line_characters",
    "list_ratio": "fineweb.newlines_per_word",
    "lorem_ipsum": "c4.lorem_ipsum",
    "curly_bracket": "c4.curly_bracket",
    "too_few_sentences": "c4.sentences",
}


def texts(code: str) -> st.SearchStrategy[list[str]]:
    """Documents of words of a language and of all that its filters look for."""
    words = st.lists(st.sampled_from(PIECES[code]), min_size=1, max_size=12).map(" ".join)
    piece = st.one_of(words, words, st.sampled_from(EVERYWHERE))
    text = st.lists(piece, min_size=1, max_size=40).map("".join)
    return st.lists(text, min_size=1, max_size=4)


def ours(step: Any, code: str, written: list[str]) -> tuple[list[str | None], list[str]]:
    """The reason of each document, and what is left of its text."""
    batch = documents(*written).append_column("language", pa.array([code] * len(written)))
    out = step(Measure(names=step.measures)(batch) if step.measures else batch)
    return out.column(DROPPED.name).to_pylist(), out.column("text").to_pylist()


def theirs(step: Any, written: list[str]) -> tuple[list[str | None], list[str]]:
    from datatrove.data import Document

    reasons, left = [], []
    for text in written:
        document = Document(text=text, id="")
        verdict = step.filter(document)
        reasons.append(None if verdict is True else RULES[verdict[1]])
        left.append(document.text)
    return reasons, left


SHORT = {long: short for short, long in names().items()}


def stops(code: str) -> list[str] | None:
    return None if code == "eng_Latn" else list(languages()[SHORT[code]])


def pairs() -> dict[str, tuple[Callable[[str], Any], Any]]:
    from datatrove.pipeline import filters as dt

    low: Any = {"min_doc_words": 2, "min_avg_word_length": 2, "max_non_alpha_words_ratio": 0.3}
    ratios: Any = {"line_punct_thr": 0.4, "char_duplicates_ratio": 0.3, "new_line_ratio": 0.2}
    return {
        "gopher": (
            lambda code: dt.GopherQualityFilter(language=code, stop_words=stops(code)),
            GopherQuality(mode=MODE),
        ),
        "gopher, lenient": (
            lambda code: dt.GopherQualityFilter(language=code, stop_words=stops(code), **low),
            GopherQuality(
                mode=MODE, words=(2, 100_000), mean_word_length=(2, 10), alphabetic_words=0.3
            ),
        ),
        "repetition": (
            lambda code: dt.GopherRepetitionFilter(language=code),
            GopherRepetition(mode=MODE),
        ),
        "repetition of runs": (
            lambda code: dt.GopherRepetitionFilter(
                language=code, dup_line_frac=0.9, dup_para_frac=0.9, top_n_grams=()
            ),
            GopherRepetition(
                mode=MODE, duplicate_lines=0.9, duplicate_paragraphs=0.9,
                top_2_gram=None, top_3_gram=None, top_4_gram=None,
            ),
        ),
        "fineweb": (lambda code: dt.FineWebQualityFilter(language=code), FineWebQuality(mode=MODE)),
        "fineweb, lenient": (
            lambda code: dt.FineWebQualityFilter(language=code, short_line_thr=0.9, **ratios),
            FineWebQuality(
                mode=MODE, punctuated_lines=0.4, short_lines=0.9, repeated_line_characters=0.3,
                newlines_per_word=0.2,
            ),
        ),
        "c4": (lambda code: dt.C4QualityFilter(language=code), C4Quality(mode=MODE)),
        "c4 as FineWeb has it": (
            lambda code: dt.C4QualityFilter(
                language=code, filter_no_terminal_punct=False, min_num_sentences=2
            ),
            C4Quality(mode=MODE, no_terminal_punctuation=False, sentences=2),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("name", pairs())
@given(data=st.data())
@settings(max_examples=20)
def test_says_what_datatrove_says(name, code, data):
    their, our = pairs()[name]
    written = data.draw(texts(code))
    expected = theirs(their(names()[code]), written)
    if our.measures and "punctuated_lines" in our.measures[0]:
        # Blank texts: theirs is called empty.
        expected = ([reason and reason.replace("repetition.duplicate_paragraphs",
                     "fineweb.punctuated_lines") for reason in expected[0]], expected[1])  # fmt: skip

    assert ours(our, code, written) == expected


@pytest.mark.parametrize("code", CODES)
@given(data=st.data())
@settings(max_examples=20)
def test_cuts_the_tokens_that_datatrove_cuts(code, data):
    from datatrove.utils.text import split_into_words

    written = data.draw(texts(code))
    offsets, content = string_buffers(pa.array(written))
    stream = segmenter(code).cut(content, offsets)
    expected = spelled([split_into_words(text, names()[code]) for text in written])
    real = stream.flags & BLANK == 0

    assert np.array_equal(stream.hashes[real], expected.hashes)
    assert np.array_equal(stream.lengths[real], expected.lengths)


@pytest.mark.parametrize("code", CODES)
@given(data=st.data())
@settings(max_examples=20)
def test_counts_the_sentences_that_datatrove_counts(code, data):
    from datatrove.utils.text import split_into_sentences

    lines = [line for text in data.draw(texts(code)) for line in text.splitlines()]
    lines = [stripped for line in lines if (stripped := line.strip())]
    found = peers.sentences(pa.array(lines, pa.large_string()), [code] * len(lines))

    assert found.tolist() == [len(split_into_sentences(line, names()[code])) for line in lines]


def test_a_table_that_has_begun_anew_says_the_same(monkeypatch):
    written = ["The dog can't bark, U.S. and 3.5 (well) said.", "A dog-house, isn't it?"]
    offsets, content = string_buffers(pa.array(written))
    by_rules.cache_clear()
    fresh = segmenter("en").cut(content, offsets)
    monkeypatch.setattr("stages.segment.TABLE", 0)
    again = segmenter("en").cut(content, offsets)

    assert all(np.array_equal(a, b) for a, b in zip(fresh, again, strict=True))


def test_a_table_that_grows_keeps_what_it_knows():
    words = [f"w{n}," for n in range(60_000)]
    offsets, content = string_buffers(pa.array([" ".join(words), " ".join(words[::-1])]))
    cutter = segmenter("en")
    stream = cutter.cut(content, offsets)
    expected = spelled([[part for word in order for part in (word[:-1], ",")]
                        for order in (words, words[::-1])])  # fmt: skip

    assert np.array_equal(stream.hashes, expected.hashes)


def test_documents_of_several_languages_are_each_cut_as_their_own():
    batch = documents(
        "O cão não late.", "The dog can't bark.", "我们今天去北京大学", "No language."
    )
    batch = batch.append_column("language", pa.array(["pt", "en", "zh", None]))
    out = Measure(names=("datatrove_words", "words"))(batch)

    assert out.column("datatrove_words").to_pylist() == [4, 5, 4, 2]
    assert out.column("words").to_pylist() == [4, 4, 4, 2]


def test_a_language_that_datatrove_does_not_know_is_cut_as_any():
    batch = documents("Saluton, mondo!").append_column("language", pa.array(["x-klingon"]))

    assert Measure(names=("datatrove_words",))(batch).column("datatrove_words").to_pylist() == [2]


def test_the_word_that_spacy_fails_on_is_a_word():
    batch = documents(*["A name is IS_ALPHA, too."] * 2)

    assert Measure(names=("datatrove_words",))(batch).column("datatrove_words").to_pylist() == [
        5,
        5,
    ]


def test_modes_stand_side_by_side_in_one_measure():
    ours, mode = GopherQuality(), GopherQuality(mode=MODE)

    assert not set(ours.measures) & set(mode.measures)
    assert {f"datatrove_{name}" for name in ours.measures} == set(mode.measures)


def test_a_mode_without_its_packages_is_refused(monkeypatch):
    monkeypatch.setattr("stages.filter.find_spec", lambda name: name != "jieba" or None)
    with pytest.raises(SpecError, match="mode: datatrove-0.10 needs .* pip install jieba"):
        GopherQuality(mode=MODE).check()
    with pytest.raises(SpecError, match="jieba"):
        C4Quality(mode=MODE).check()
    GopherQuality().check()


@pytest.mark.parametrize("code", ["pt", "ja"])
def test_malformed_text_is_measured_as_if_each_wrong_byte_were_a_replacement_character(code):
    every = Measure(names=tuple(peers.MEASURES))
    broken = [b"\xc3", b"um\xe6\xb1 dois", b"\xf0\x9f\x98 \xed\xa0\x80", b"a\xff\x80b. C\xc0\xaf"]
    mended = [
        "\ufffd",
        "um\ufffd\ufffd dois",
        "\ufffd\ufffd\ufffd \ufffd\ufffd\ufffd",
        "a\ufffd\ufffdb. C\ufffd\ufffd",
    ]

    def measured(rows):
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(rows))]
        text = pa.Array.from_buffers(pa.large_string(), len(rows), buffers)
        batch = pa.record_batch({"text": text, "language": [code] * len(rows)})
        return every(batch).select(list(peers.MEASURES)).to_pylist()

    assert measured(broken) == measured([text.encode() for text in mended])
