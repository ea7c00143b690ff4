"""Measures against a plain Python reading of what `stages.measure.ABOUT` says of them."""

import math
import re
import unicodedata
from collections import Counter

import pyarrow as pa
import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from stages import measure, peers
from stages.config import load_step
from stages.errors import SpecError
from stages.kernels.stopwords import languages
from stages.measure import WORD_HASHES, Measure
from stages.quality import C4Quality
from tests.segmented import chinese, in_words, is_japanese, japanese

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
        "研究生命",
        "〇中华人民共和国",
        "東京都に住む",
        "カタカナ",
        "ｶﾅ",
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
    *("/", "~", "\\", "^", "+", "&", "(", "[", ")", ":", "_", "@", "a-1", "X-ray", "well-known"),
    *("--all", "/usr", "usr/", "C++", "J.", "12.", "{", "}", "▪", "II", "²"),
    *("\0", "\x7f", "\ufeff", "\u202e", "\U0001f600", "\U00020000", "\U0010fffd", "\ufffd"),
)
TEXTS = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(max_codepoint=0x4FF), max_size=3), max_size=40
).map("".join)
TEXTS = TEXTS.filter(lambda text: "://" not in text)  # URLs have a test of their own
BULLETS = tuple("-•‣▶◀◦■□▪▫\u2013")
# Those of other projects' definitions are compared with theirs in test_peers.
MEASURES = [name for name in measure.MEASURES if name not in peers.MEASURES]
ABOUT = [name for name in measure.ABOUT if name not in peers.ABOUT]
ALL = Measure(names=tuple(MEASURES))
UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー&&[\p{L}\p{Nl}]]",
    regex.V1,
)

# Every character by one letter: itself where it matters, else what it is.
CLING, JOIN = r"[-/.@\\^|~+]", r"[_&'@\\^|+(\[]"
WORD = "[lUdo]"
STOP = r"(?=[\ ,:ep]|$)"


def body(customs):
    """A word from its first letter on."""
    ordinal = rf"| (?<=dm*)\.{STOP}" if "ordinals" in customs else ""
    hyphen = r"(?<=Um*)-(?=[lUdo]) | (?<=lm*)-(?=[Ud])"
    hyphen = hyphen if "hyphens" in customs else r"(?<=[lU]m*)-(?=[lUdo])"
    return regex.compile(
        rf"""Sm* | {WORD} (?: [lUdom]
            | {JOIN}+(?={WORD}) | q(?={WORD}) | {hyphen}
            | \.(?=[ldo]) | (?<=[Udo]m*)\.(?=U) | (?<=dm*),(?=d) | [/:](?=d)
          )* (?: [-/@\\^|~+]+(?=\ |$) | (?<=(?<!Um*)Um*)\.{STOP} {ordinal} )?""",
        regex.X,
    )


def kind(character):
    category = unicodedata.category(character)
    if character.isspace():
        return " "
    if category[0] == "M" or category == "Cf":
        return "m"
    if character in "-/.@\\^|~+_&'([,:":
        return character
    if character in "\u2019·":
        return "q"
    if character == "…":
        return "e"
    if category[0] in "PS" or category == "Cc":
        return "p"
    if UNSPACED.match(character):
        return "S"
    if category in ("Lu", "Lt"):
        return "U"
    return "l" if character.isalpha() else "d" if category == "Nd" else "o"


def run_of_words(text, at, kinds, customs):
    """The words of the run of Chinese or Japanese at a place, with the marks on its letters."""
    parts = []  # letters with their marks
    while at < len(text) and (kinds[at] == "m" or (kinds[at] == "S" and in_words(text[at]))):
        if kinds[at] == "m":
            parts[-1] += text[at]
        else:
            parts.append(text[at])
        at += 1
    begin = at - sum(map(len, parts))
    letters = [part[0] for part in parts]
    seen = [c for c, kind in zip(text, kinds, strict=True) if kind == "S" and in_words(c)]
    if "letters" in customs:
        words = letters
    elif "ja" in customs or ("zh" not in customs and is_japanese(seen)):
        words = japanese(letters, text[begin - 1 : begin], text[at : at + 1])
    else:
        words = chinese(letters)
    rest = iter(parts)
    return ["".join(next(rest) for _ in word) for word in words]


def tokens(text, customs=()):
    """(token, whether it is a word) in order. Of texts without URLs.

    Customs: `ordinals`, `hyphens`, `zh` or `ja`, `letters` (no words in scripts without spaces).
    """
    kinds, word = "".join(map(kind, text)), body(customs)
    if {"zh", "ja"} & set(customs):
        kinds = re.sub(r"[^lUdomS ]", "p", kinds)
    found, at, free = [], 0, 0
    while at < len(text):
        if kinds[at] in " m":
            at += 1
            continue
        if kinds[at] == "S" and in_words(text[at]):
            words = run_of_words(text, at, kinds, customs)
            found += [(word, True) for word in words]
            at = free = at + sum(map(len, words))
            continue
        begin, marks = at, re.match(f"{CLING}*", kinds[at:])[0]
        touched = at > 0 and free == at
        if marks and ".." not in marks and not touched:
            begin = at + len(marks)
        match = word.match(kinds, begin)
        if match and (begin == at or kinds[begin] != "S"):
            found.append((text[at : match.end()], True))
            at = free = match.end()
            continue
        runs = re.match(CLING + "|e", kind(text[at]))
        length = len(re.match(re.escape(text[at]) + "+", text[at:])[0]) if runs else 1
        end = at + length
        end += len(re.match("m*", kinds[end:])[0])
        found.append((text[at:end], False))
        at = end
    return found


def repeated(items):
    """Those of the items that were there before."""
    seen = set()
    return [item for item in items if item in seen or seen.add(item)]


def top_gram(words, n):
    counts = Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))
    gram, count = counts.most_common(1)[0] if counts else ((), 0)
    return len(" ".join(gram)) * count if count > 1 else 0


def common_words(words, forms, n):
    """Characters of all occurrences of the most frequent run of n words, the first of several."""
    places = Counter(tuple(forms[at : at + n]) for at in range(len(forms) - n + 1))
    gram, count = places.most_common(1)[0] if places else ((), 0)
    if count < 2:
        return 0
    first = next(at for at in range(len(forms)) if tuple(forms[at : at + n]) == gram)
    return count * sum(map(len, words[first : first + n]))


def repeated_words(words, forms, n):
    """Characters of words that are in a run of n words which is there twice."""
    runs = [tuple(forms[at : at + n]) for at in range(len(forms) - n + 1)]
    counts = Counter(runs)
    inside = {at + k for at, run in enumerate(runs) if counts[run] > 1 for k in range(n)}
    return sum(len(words[at]) for at in inside)


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


def is_capitals(word):
    letters = [c for c in word if c.isalpha()]
    upper = [unicodedata.category(c) in ("Lu", "Lt") for c in letters]
    return any(upper) and all(upper)


def expected_of_words(text, language=None, customs=()):
    cut = tokens(text, customs)
    every, words = [token for token, _ in cut], [token for token, word in cut if word]
    different, in_all = Counter(), Counter()
    for name, stops in languages().items():
        if name == language or language not in languages():
            spelt = {form: s for s in stops for form in (s, s.capitalize(), s.upper())}
            found = [spelt[token] for token in every if token in spelt]
            different[name], in_all[name] = len(set(found)), len(found)
    best = max(different, key=different.get)
    forms = list(map(folded, words))
    counts = Counter(forms)
    shares = [count / len(words) for count in counts.values()]
    letters, marks = sum(map(len, words)), text.count("...") + text.count("…")
    result = {
        "words": len(words),
        "mean_word_length": share(letters, len(words)),
        "longest_word": max(map(len, words), default=0),
        "hashes_per_word": share(text.count("#"), len(every)),
        "ellipses_per_word": share(marks, len(every)),
        "symbols_per_word": share(text.count("#") + marks, len(every)),
        "newlines_per_word": share(text.count("\n"), len(every)),
        "alphabetic_words": share(sum(any(map(str.isalpha, t)) for t in every), len(every)),
        "capital_words": share(sum(map(is_capitals, words)), len(words)),
        "stop_words": different[best],
        "stop_word_share": share(in_all[best], len(words)),
        "unique_words": share(len(counts), len(words)),
        "word_entropy": -sum(part * math.log(part) for part in shares),
    }
    for n in (2, 3, 4):
        result[f"top_{n}_gram"] = share(top_gram(every, n), len(text))
        result[f"common_{n}_words"] = share(common_words(words, forms, n), letters)
    for n in (5, 6, 7, 8, 9, 10):
        result[f"duplicate_{n}_grams"] = share(duplicate_grams(every, n), len(text))
        result[f"repeated_{n}_words"] = share(repeated_words(words, forms, n), letters)
    return result


def expected_of_characters(text):
    kinds = Counter(map(kind, text))
    upper = sum(unicodedata.category(c) in ("Lu", "Lt") for c in text)
    return {
        "characters": len(text),
        "bytes": len(text.encode()),
        "letters": share(sum(map(str.isalpha, text)), len(text)),
        "digits": share(sum(map(str.isdecimal, text)), len(text)),
        "capitals": share(upper, len(text)),
        "marks": share(sum(n for k, n in kinds.items() if k not in " mSUldo"), len(text)),
        "spaces": share(sum(map(str.isspace, text)), len(text)),
        "curly_brackets": share(text.count("{") + text.count("}"), len(text)),
        "parentheses": share(text.count("(") + text.count(")"), len(text)),
    }


def expected_of_lines(text):
    every = text.splitlines()
    lines = [line for line in every if line.strip()]
    again = repeated(lines)
    blocks = re.split(r"\n(?:\n)+", "\n".join(line if line.strip() else "" for line in every))
    paragraphs = [block.strip("\n") for block in blocks if block.strip("\n")]
    twice = repeated(paragraphs)
    characters, ends = len(text), regex.compile(r".*\p{STerm}$", regex.S)
    return {
        "lines": len(lines),
        "words_per_line": share(sum(word for _, word in tokens(text)), len(lines)),
        "bulleted_lines": share(sum(x.lstrip().startswith(BULLETS) for x in every), len(every)),
        "third_longest_line": [0, 0, 0, *sorted(map(len, lines))][-3] if len(lines) > 2 else 0,
        "paragraphs": len(paragraphs),
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


CUSTOMS = {"en": ["hyphens"], "de": ["ordinals"], "pt": [], "zh": ["zh"], "ja": ["ja"]}


@given(text=TEXTS, language=st.sampled_from(list(CUSTOMS.items())))
def test_words_are_cut_by_the_customs_of_the_language(text, language):
    name, customs = language
    (row,) = measured(text, language=[name])

    assert {name: row[name] for name in expected_of_words("")} == pytest.approx(
        expected_of_words(text, name, customs)
    )


@given(text=TEXTS)
def test_characters_are_counted_as_described(text):
    (row,) = measured(text)

    assert {name: row[name] for name in expected_of_characters("")} == pytest.approx(
        expected_of_characters(text)
    )


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("/usr/bin --my-option -x", None, ["/usr", "/", "bin", "--my-option", "-x"]),
        ("A well-known X-server, a-1", "en", ["A", "well", "-", "known", "X-server", ",", "a-1"]),
        ("guarda-chuva, fazê-lo", "pt", ["guarda-chuva", ",", "fazê-lo"]),
        ("Am 3. Mai. Im Jahr 3.", "de", ["Am", "3.", "Mai", ".", "Im", "Jahr", "3."]),
        ("On page 3. The end.Start", "en", ["On", "page", "3", ".", "The", "end", ".", "Start"]),
        (
            "i.e. c. (d.) ab. a.b.cd. 7.",
            "en",
            ["i.e.", "c.", "(", "d.", ")", "ab", ".", "a.b.cd", ".", "7", "."],
        ),
        ("J. R. R. U.S. C++ R&D", "en", ["J.", "R.", "R.", "U.S.", "C++", "R&D"]),
        ("linha(s) f(x)", "pt", ["linha(s", ")", "f(x", ")"]),
        (
            "see (https://a.org/b?c=d#e). It",
            "en",
            ["see", "(", "https://a.org/b?c=d#e", ")", ".", "It"],
        ),
        ("...and so on...", "en", ["...", "and", "so", "on", "..."]),
        ("3,5 10:30 1/2 and/or", "en", ["3,5", "10:30", "1/2", "and", "/", "or"]),
        ("日本の-foo", "ja", ["日本", "の", "-", "foo"]),
        ("我来到北京清华大学。C++", "zh", ["我", "来到", "北京", "清华大学", "。", "C", "++"]),
        ("これは /usr/bin です", "ja", ["これ", "は", "/", "usr", "/", "bin", "です"]),
        ("これは /usr/bin です", None, ["これ", "は", "/usr", "/", "bin", "です"]),
    ],
)
def test_what_is_a_word_and_what_a_mark(text, language, expected):
    columns = {"language": [language]} if language else {}
    (row,) = measured(text, **columns)
    words = [token for token in expected if any(map(str.isalnum, token))]

    assert (row["words"], row["longest_word"]) == (len(words), max(map(len, words)))
    assert row["mean_word_length"] == pytest.approx(sum(map(len, words)) / len(words))
    alphabetic = sum(any(map(str.isalpha, token)) for token in expected)
    assert row["alphabetic_words"] == pytest.approx(alphabetic / len(expected))


def test_the_characters_of_urls_are_those_of_whole_addresses():
    url = "https://example.org/a_(b"  # the bracket ends it
    (row,) = measured(f"x {url}) y")

    assert row["url_characters"] == pytest.approx(len("https://example.org/a") / (len(url) + 5))
    assert measured("no://")[0]["url_characters"] == 1
    assert measured("http:/x a.b/c")[0]["url_characters"] == 0


@given(
    lines=st.lists(TEXTS | st.sampled_from(("It ends. Or not? J. R.", "今日。明日。")), max_size=4)
)
def test_sentences_are_those_that_c4_counts(lines):
    text = "\n".join(lines)
    off = dict.fromkeys(
        ("citations", "lorem_ipsum", "javascript", "curly_bracket", "policy"), False
    )
    counts = C4Quality(
        **off, word_length=None, words_per_line=None, no_terminal_punctuation=False, sentences=10**6
    )

    assert measured(text)[0]["sentences"] == counts(batch(text)).column("value")[0].as_py()


def test_lines_that_say_nothing_are_shares_of_lines():
    text = "Lorem Ipsum dolor\n\nUsamos cookies.\nPlease enable JavaScript.\nProse."
    (row,) = measured(text)

    names = ("lorem_lines", "boilerplate_lines", "javascript_lines")
    assert [row[name] for name in names] == [0.25, 0.25, 0.25]


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
    words = [word for word, is_word in tokens(text, ("letters",)) if is_word]
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
    sizes = ("characters", "bytes", "spaces", "marks")
    assert not any(row[name] for name in MEASURES if name not in sizes)


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
    assert [row["longest_word"] for row in rows] == [1_000_000, 4, 0]


def test_an_unknown_measure_is_refused_with_what_was_meant():
    with pytest.raises(SpecError, match=r"f\.Measure\.names\[1\]: .*did you mean 'top_3_gram'"):
        load_step({"stages.measure.Measure": {"names": ["words", "top_3_grams"]}}, "f")
