"""Measures against a plain Python reading of what `stages.measure.ABOUT` says of them."""

import re
import unicodedata
from collections import Counter

import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from stages.config import load_step
from stages.errors import SpecError
from stages.kernels.stopwords import languages
from stages.measure import ABOUT, MEASURES, WORD_HASHES, Measure

PIECES = (
    *(
        "a",
        "the",
        "The",
        "to",
        "of",
        "de",
        "DE",
        "que",
        "casa",
        "É",
        "é",
        "e\u0301",
        "naïve",
        "Straße",
    ),
    *(
        "3",
        "3.5",
        "1,000",
        "12",
        "٣",
        "U.S.",
        "end.Start",
        "a@b.co",
        "x_y",
        "don't",
        "l\u2019eau",
        "col·l",
    ),
    *(
        ".",
        "..",
        "...",
        "…",
        "?",
        "!",
        "。",
        "؟",
        "।",
        ",",
        "-",
        "--",
        "•",
        "#",
        "*",
        "|",
        "€",
        "😀",
    ),
    *(
        "汉",
        "字",
        "の",
        "ภา",
        "ษี",
        "한국어",
        "कि",
        "हिन्दी",
        "ў",
        "й",
        "Ǆ",
        "İ",
        "\u0301",
        "\u200d",
        "\ufe0f",
    ),
    *(
        " ",
        " ",
        " ",
        "  ",
        "\t",
        "\xa0",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\x0b",
        "\x1c",
        "\u2028",
    ),
    *("\0", "\x7f", "\ufeff", "\u202e", "\U0001f600", "\U00020000", "\U0010fffd", "\ufffd"),
)
TEXTS = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(max_codepoint=0x4FF), max_size=3), max_size=40
).map("".join)
ALL = Measure(names=tuple(MEASURES))
UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー&&[\p{L}\p{Nl}]]",
    regex.V1,
)

# Every character by one letter: itself where it matters, else what it is.
WORD = "[lUdo]"
TOKEN = regex.compile(
    rf"""(?P<word> {WORD} (?: [lUdom]
            | (?<=dm*),(?=d) | (?<=[lU]m*)'(?=[lU]) | [@_](?={WORD})
            | \.(?=[ldo]) | (?<=[Udo]m*)\.(?=U) )*
        | Sm* )
      | (?: ([.~|/e-])\2* | ['@_,p] ) m*""",
    regex.X,
)


def kind(character):
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category[0] == "M" or category == "Cf":
        return "m"
    if character in ".~|/-@_,":
        return character
    if character in "'\u2019·":
        return "'"
    if character == "…":
        return "e"
    if category[0] in "PS" or category == "Cc":
        return "p"
    if UNSPACED.match(character):
        return "S"
    if category in ("Lu", "Lt"):
        return "U"
    return "l" if character.isalpha() else "d" if category == "Nd" else "o"


def tokens(text):
    """(token, whether it is a word) in order."""
    kinds = "".join(map(kind, text))
    return [(text[m.start() : m.end()], m["word"] is not None) for m in TOKEN.finditer(kinds)]


def repeated(items):
    """Those of the items that were there before."""
    seen = set()
    return [item for item in items if item in seen or seen.add(item)]


def top_gram(words, n):
    counts = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    gram, count = counts.most_common(1)[0] if counts else ((), 0)
    return len(" ".join(gram)) * count if count > 1 else 0


def duplicate_grams(words, n):
    seen, at, characters = set(), 0, 0
    while at <= len(words) - n:
        gram = tuple(words[at : at + n])
        if gram in seen:
            characters += len("".join(gram))
            at += n
        else:
            seen.add(gram)
            at += 1
    return characters


def share(part, whole):
    return part / whole if whole else 0


def expected_of_words(text, language=None):
    cut = tokens(text)
    every, words = [token for token, _ in cut], [token for token, word in cut if word]
    forms = Counter()
    for name, stops in languages().items():
        if name == language or language not in languages():
            forms[name] = len({s for s in stops if {s, s.capitalize(), s.upper()} & set(every)})
    result = {
        "words": len(words),
        "mean_word_length": share(sum(map(len, words)), len(words)),
        "hashes_per_word": share(text.count("#"), len(every)),
        "ellipses_per_word": share(text.count("...") + text.count("…"), len(every)),
        "newlines_per_word": share(text.count("\n"), len(every)),
        "alphabetic_words": share(sum(any(map(str.isalpha, t)) for t in every), len(every)),
        "stop_words": max(forms.values()),
    }
    for n in (2, 3, 4):
        result[f"top_{n}_gram"] = share(top_gram(every, n), len(text))
    for n in (5, 6, 7, 8, 9, 10):
        result[f"duplicate_{n}_grams"] = share(duplicate_grams(every, n), len(text))
    return result


def expected_of_lines(text):
    every = text.splitlines()
    lines = [line for line in every if line.strip()]
    again = repeated(lines)
    blocks = re.split(r"\n(?:\n)+", "\n".join(line if line.strip() else "" for line in every))
    paragraphs = [block.strip("\n") for block in blocks if block.strip("\n")]
    twice = repeated(paragraphs)
    characters, ends = len(text), regex.compile(r".*\p{STerm}$", regex.S)
    return {
        "characters": characters,
        "bytes": len(text.encode()),
        "lines": len(lines),
        "bulleted_lines": share(sum(x.lstrip().startswith(("•", "-")) for x in every), len(every)),
        "trailing_off_lines": share(
            sum(x.rstrip().endswith(("...", "…")) for x in every), len(every)
        ),
        "punctuated_lines": share(sum(bool(ends.match(x.rstrip())) for x in lines), len(lines)),
        "short_lines": share(sum(len(x) <= 30 for x in lines), len(lines)),
        "duplicate_lines": share(len(again), len(lines)),
        "duplicate_line_characters": share(sum(map(len, again)), characters),
        "repeated_line_characters": share(sum(map(len, again)), characters - text.count("\n")),
        "duplicate_paragraphs": share(len(twice), len(paragraphs)),
        "duplicate_paragraph_characters": share(sum(map(len, twice)), characters),
    }


def folded(word):
    """Lower case, without accents, digits as one 0, without what joins."""
    accents = [(0x300, 0x36F), (0x483, 0x487), (0xFE00, 0xFE0F)]
    form = "".join(character.lower() for character in word)
    form = unicodedata.normalize("NFD", form)
    form = "".join(
        character
        for character in form
        if not any(a <= ord(character) <= b for a, b in accents)
        and kind(character) in "lUdoSm"
        and unicodedata.category(character) != "Cf"
    )
    return re.sub("0+", "0", "".join("0" if c.isdecimal() else c for c in form))


def batch(*texts, **columns):
    return pa.record_batch({"text": pa.array(texts, pa.large_string()), **columns})


def measured(*texts, **columns):
    return ALL(batch(*texts, **columns)).to_pylist()


@given(text=TEXTS)
def test_words_and_ngrams_are_counted_as_described(text):
    (row,) = measured(text)

    assert {name: row[name] for name in expected_of_words("")} == pytest.approx(
        expected_of_words(text)
    )


@given(
    lines=st.lists(
        TEXTS | st.sampled_from(("One line.", "- x", " \t", "", "and so on...  ", "Fim…")),
        max_size=8,
    ),
    end=st.sampled_from(("\n", "\n\n", "\r\n", "\n \n")),
)
def test_lines_and_paragraphs_are_counted_as_described(lines, end):
    text = end.join(lines)
    (row,) = measured(text)

    assert {name: row[name] for name in expected_of_lines("")} == pytest.approx(
        expected_of_lines(text)
    )


@given(words=st.lists(st.sampled_from("abc"), max_size=60))
def test_ngrams_of_a_text_that_repeats_itself_are_counted_as_described(words):
    text = " ".join(words)
    (row,) = measured(text)

    assert {name: row[name] for name in expected_of_words("")} == pytest.approx(
        expected_of_words(text)
    )


@given(text=TEXTS)
def test_two_words_have_the_same_hash_if_they_fold_to_the_same(text):
    words = [word for word, is_word in tokens(text) if is_word]
    (row,) = measured(text)
    forms = [folded(word) for word in words]

    assert len(row[WORD_HASHES]) == len(words)
    assert len(set(row[WORD_HASHES])) == len(set(forms))
    assert len(set(zip(forms, row[WORD_HASHES], strict=True))) == len(set(forms))


def test_word_hashes_of_real_spellings():
    (row,) = measured("Ação AÇÃO acao 1990 2026 don't DONT कि का")
    a, b, c, d, e, f, g, h, i = row[WORD_HASHES]

    assert (a == b == c, d == e, f == g, h != i) == (True, True, True, True)


@given(texts=st.lists(TEXTS, max_size=6), cut=st.integers(0, 6))
def test_no_measure_depends_on_the_batch(texts, cut):
    whole = batch(*texts)
    parts = [ALL(whole.slice(0, cut)), ALL(whole.slice(cut))]

    assert pa.Table.from_batches(parts).to_pylist() == ALL(whole).to_pylist()
    assert [row for text in texts for row in measured(text)] == ALL(whole).to_pylist()


@given(texts=st.lists(TEXTS, min_size=1, max_size=3), name=st.sampled_from(tuple(MEASURES)))
def test_a_measure_is_the_same_alone_and_among_all(texts, name):
    alone = Measure(names=(name,))(batch(*texts))

    assert alone.column(name).equals(ALL(batch(*texts)).column(name))


def test_adds_what_it_says():
    result = ALL(batch("One text.", ""))
    result.validate(full=True)

    assert [result.schema.field(f.name).type for f in ALL.adds] == [f.type for f in ALL.adds]
    assert set(MEASURES) == set(ABOUT) == set(result.schema.names) - {"text"}


@pytest.mark.parametrize("text", ["", "\n", " \n\n\t"])
def test_a_text_without_words_and_lines_measures_zero_but_for_its_size(text):
    (row,) = measured(text)

    assert (row["characters"], row["bytes"], row[WORD_HASHES]) == (len(text), len(text), [])
    assert not any(row[name] for name in MEASURES if name not in ("characters", "bytes"))


def test_no_rows_measure_nothing():
    assert ALL(batch()).num_rows == 0


def test_a_short_text_without_repetition_repeats_nothing():
    (row,) = measured("Every word in this short text is another one.")

    assert [row[f"top_{n}_gram"] for n in (2, 3, 4)] == [0, 0, 0]


def test_stop_words_are_those_of_the_language_of_the_document():
    text = "o carro que comprei não é de ontem"
    rows = measured(text, text, text, language=["pt", "en", "xx"])

    assert [row["stop_words"] for row in rows] == [4, 0, 4]


@pytest.mark.parametrize("language", sorted(languages()))
def test_the_stop_words_of_a_language_are_found(language):
    stops = set(languages()[language])
    (row,) = measured(" ".join(stops), language=[language])

    assert row["stop_words"] == len(stops) >= 8


def test_a_line_of_a_megabyte_and_a_text_of_one_word_are_measured():
    rows = measured("x" * 1_000_000, "word " * 200_000, "。" * 300_000)

    assert [row["words"] for row in rows] == [1, 200_000, 0]


def test_an_unknown_measure_is_refused_with_what_was_meant():
    with pytest.raises(SpecError, match=r"f\.Measure\.names\[1\]: .*did you mean 'top_3_gram'"):
        load_step({"stages.measure.Measure": {"names": ["words", "top_3_grams"]}}, "f")
