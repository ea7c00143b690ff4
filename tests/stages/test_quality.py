"""The named filters, against a plain Python reading of their rules."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.base import part
from stages.config import load_step
from stages.errors import SpecError
from stages.measure import MEASURES, Measure
from stages.quality import (
    C4Paragraphs,
    C4Quality,
    CuratorQuality,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
    RedPajamaQuality,
)
from tests.documents import ENGLISH, PORTUGUESE

FILTERS = (GopherQuality, GopherRepetition, FineWebQuality, RedPajamaQuality, CuratorQuality)
CITATION = re.compile(r"\[\d*]|\[edit]|\[citation needed]", re.ASCII)
POLICIES = ("terms of use", "politica de privacidade", "usamos cookies")
PARTS = (
    *("One", "two", "três", "it is", "J.", "U.S.", "e.g.", "3.5", "No", "汉字", "の", "x" * 12),
    *(
        ".",
        "?",
        "!",
        "...",
        "…",
        "。",
        "”",
        '"',
        "'",
        ")",
        "[1]",
        "[edit]",
        "[citation needed]",
        "[x]",
        "[",
    ),
    *(
        "lorem ipsum",
        "Lorem Ipsum",
        "JavaScript",
        "{",
        "}",
        "Terms of Use",
        "Política de Privacidade",
    ),
    *(
        " ",
        " ",
        " ",
        "\t",
        "\u3000",
        "\n",
        "\n",
        "\n\n",
        "\r\n",
        "\u2028",
        "\0",
        "\u0301",
        "\U0001f600",
    ),
)
LINES = st.lists(st.sampled_from(PARTS), max_size=14).map("".join)
TEXTS = st.lists(LINES, max_size=5).map("\n".join)
RULES = st.builds(
    C4Quality,
    citations=st.booleans(),
    word_length=st.sampled_from((None, 8)),
    no_terminal_punctuation=st.booleans(),
    words_per_line=st.sampled_from((None, 1, 3)),
    lorem_ipsum=st.booleans(),
    javascript=st.booleans(),
    curly_bracket=st.booleans(),
    policy=st.booleans(),
    sentences=st.sampled_from((None, 1, 2)),
)


def batch(*texts):
    return pa.record_batch({"text": pa.array(texts, pa.large_string())})


def judged(rules, *texts):
    """The verdict on each text."""
    return rules(Measure(names=rules.measures)(batch(*texts))).column("dropped").to_pylist()


def rewritten(rules, *texts):
    """(text, reason, value) of each text."""
    result = rules(batch(*texts))
    result.validate(full=True)
    return [tuple(row.values()) for row in result.to_pylist()]


def words_of(line):
    """Parted by spaces; each letter of a script without spaces begins one."""
    parted = re.sub("([汉字の])", r" \1", line)
    return [word for word in parted.split() if word]


def count_sentences(line):
    """Stretches with a letter or digit in them, between ends of sentences."""
    line = re.sub(r"\.{2,}", lambda dots: "," * len(dots[0]), line)  # an ellipsis ends nothing
    line = re.sub(r"(?<![A-Z])([A-Z])\.", r"\1,", line)  # nor does the dot after an initial
    return sum(any(map(str.isalnum, s)) for s in re.split(r"[.?!]+(?![^\W_])|。", line))


def c4(rules, text):
    """What C4Quality should make of a text."""
    kept, sentences = [], 0
    for line in text.splitlines():
        line = (CITATION.sub("", line.strip()) if rules.citations else line).strip()
        words, plain = words_of(line), line.lower().replace("í", "i").replace("\u0301", "")
        if rules.word_length and any(len(word) > rules.word_length for word in words):
            continue
        whole = line.endswith((".", "?", "!", "。", "”", '"', "'")) and not line.endswith("...")
        if rules.no_terminal_punctuation and not whole:
            continue
        if rules.words_per_line and len(words) < rules.words_per_line:
            continue
        if rules.lorem_ipsum and "lorem ipsum" in plain:
            return text, "c4.lorem_ipsum", 1
        if rules.javascript and "javascript" in plain:
            continue
        if rules.curly_bracket and "{" in line:
            return text, "c4.curly_bracket", 1
        if rules.policy and any(phrase in plain for phrase in POLICIES):
            continue
        sentences += count_sentences(line)
        kept.append(line)
    if rules.sentences and sentences < rules.sentences:
        return text, "c4.sentences", sentences
    return "\n".join(kept).strip("\n"), None, None


@given(rules=RULES, texts=st.lists(TEXTS, max_size=3))
def test_c4_leaves_out_what_its_rules_say(rules, texts):
    assert rewritten(rules, *texts) == [c4(rules, text) for text in texts]


@given(texts=st.lists(TEXTS, max_size=4), at=st.integers(0, 4))
def test_c4_does_not_depend_on_the_batch(texts, at):
    rules = C4Quality(sentences=1)
    whole = batch(*texts)

    assert rules(whole).to_pylist() == (
        rules(whole.slice(0, at)).to_pylist() + rules(whole.slice(at)).to_pylist()
    )


@pytest.mark.parametrize(
    "line",
    [
        "Este site usa cookies para melhorar a sua experiência.",
        "Leia a nossa Política de Privacidade antes de continuar.",
        "Ao continuar, aceita os TERMOS DE USO desta página.",
        "We use cookies to give you the best experience.",
        "Nutzungsbedingungen und Datenschutzerklärung finden Sie hier.",
        "Нажимая кнопку, вы принимаете условия использования сайта.",
        "请阅读我们的隐私政策。",
    ],
)
def test_c4_knows_policy_lines_in_many_languages(line):
    prose = f"{ENGLISH}\n{PORTUGUESE}"

    assert rewritten(C4Quality(sentences=None), f"{line}\n{prose}") == [(prose, None, None)]


def test_c4_keeps_prose_of_any_script_and_the_text_of_what_it_drops():
    chinese = "他说\uff1a“你好。今天天气很好。”\n我们去公园散步。他很高兴。我也是。"

    assert rewritten(C4Quality(), chinese) == [(chinese, None, None)]
    assert rewritten(C4Quality(), "Too short.\nMenu") == [("Too short.\nMenu", "c4.sentences", 0)]


def test_c4_drops_lines_without_an_end_unless_told_not_to():
    text = "A heading without an end\nThis is a whole sentence."

    assert rewritten(C4Quality(sentences=1), text)[0][0] == "This is a whole sentence."
    assert rewritten(C4Quality(sentences=1, no_terminal_punctuation=False), text)[0][0] == text


def test_a_limit_that_is_not_positive_is_refused():
    with pytest.raises(SpecError, match="f.C4Quality.sentences: expected 1 or more, or null"):
        load_step({"stages.quality.C4Quality": {"sentences": -1}}, "f")


@pytest.mark.parametrize("kind", FILTERS)
def test_every_rule_of_a_filter_is_a_measure(kind):
    assert set(kind().measures) <= set(MEASURES)


@pytest.mark.parametrize("prose", [ENGLISH, PORTUGUESE])
def test_prose_passes_every_filter(prose):
    text = f"{prose}\n\n" + prose.replace("a", "o").replace("e", "i") + "\nThe end of that, de que."

    assert [judged(kind(), text) for kind in FILTERS] == [[None]] * 5


PROSE = " ".join(f"word{n % 7} that{n} of{n}x the to be" for n in range(30))


@pytest.mark.parametrize(
    ("rules", "text", "reason"),
    [
        (GopherQuality(), "", "gopher.words"),
        (GopherQuality(), "the to be of and", "gopher.words"),
        (GopherQuality(words=(50, 60)), "the to be of " * 20, "gopher.words"),
        (GopherQuality(), "a be to of " * 20, "gopher.mean_word_length"),
        (
            GopherQuality(),
            "the be antidisestablishment interdenominational " * 40,
            "gopher.mean_word_length",
        ),
        (GopherQuality(), f"{PROSE} {'# ' * 60}", "gopher.hashes_per_word"),
        (GopherQuality(), PROSE + " word..." * 60, "gopher.ellipses_per_word"),
        (GopherQuality(), "\n".join(f"• {PROSE}" for _ in range(11)), "gopher.bulleted_lines"),
        (GopherQuality(), f"{PROSE}...\n{PROSE}", "gopher.trailing_off_lines"),
        (GopherQuality(), "the 1234 to 1234 be 1234 " * 10, "gopher.alphabetic_words"),
        (GopherQuality(), "para que outra palavra ainda " * 12, None),
        (GopherQuality(), "xyzzy plugh frotz " * 20, "gopher.stop_words"),
        (GopherQuality(words=None, stop_words=None), "xyzzy plugh", None),
        (GopherRepetition(), "One.\n\nOne.\n\nOne.", "repetition.duplicate_paragraphs"),
        (
            GopherRepetition(),
            "x " * 99 + "\n\nb\n\nc d\n\nefg\n\n" + "x " * 99,
            "repetition.duplicate_paragraph_characters",
        ),
        (GopherRepetition(), "One.\nOne.\nTwo three four.", "repetition.duplicate_lines"),
        (
            GopherRepetition(),
            "y" * 30 + "\nb\nc\nd\n" + "y" * 30,
            "repetition.duplicate_line_characters",
        ),
        (GopherRepetition(), "big cat, big cat; big cat. small dog eats", "repetition.top_2_gram"),
        (RedPajamaQuality(), "the to be of and", "redpajama.words"),
        (RedPajamaQuality(), f"{PROSE} {'# ... ' * 40}", "redpajama.symbols_per_word"),
        (RedPajamaQuality(), "Big Cat, big cat! " * 9 + PROSE, "redpajama.common_2_words"),
        (
            RedPajamaQuality(common_2_words=None, common_3_words=None, common_4_words=None),
            f"{PROSE}. {PROSE.upper()}",
            "redpajama.repeated_5_words",
        ),
        (
            RedPajamaQuality(**dict.fromkeys(RedPajamaQuality().senses) | {"lorem_lines": 0}),
            f"Lorem ipsum.\n{PROSE}",
            "redpajama.lorem_lines",
        ),
        (CuratorQuality(), "x" * 1001, "curator.longest_word"),
        (CuratorQuality(), "a!b?c.d.e,", "curator.marks"),
        (CuratorQuality(), "One 12345 two.", "curator.digits"),
        (CuratorQuality(), "a b c d e f g.", "curator.spaces"),
        (CuratorQuality(), "(one two) and (three six).", "curator.parentheses"),
        (CuratorQuality(), "See https://example.org/abc.", "curator.url_characters"),
        (CuratorQuality(), "Leia os termos de uso.", "curator.boilerplate_lines"),
        (CuratorQuality(), "No end here", "curator.punctuated_lines"),
        (
            C4Paragraphs(),
            f"{'x' * 200}\n\n{'y' * 200}\n{'z' * 199}",
            "c4_paragraphs.third_longest_line",
        ),
        (C4Paragraphs(), f"{'x' * 200}\n{'y' * 200}\n{'z' * 200}", None),
        (FineWebQuality(), "no end\n" * 3, "fineweb.punctuated_lines"),
        (FineWebQuality(), "Short.\nTiny.", "fineweb.short_lines"),
        (FineWebQuality(), f"{ENGLISH}\n{ENGLISH}", "fineweb.repeated_line_characters"),
        (
            FineWebQuality(short_lines=None),
            "One.\nTwo.\nSix.",
            "fineweb.newlines_per_word",
        ),
    ],
)
def test_a_text_that_breaks_a_rule_leaves_by_its_name(rules, text, reason):
    assert judged(rules, text) == [reason]


def test_a_bound_itself_is_within_bounds():
    measured = Measure(names=("short_lines",))(batch("Short.\n" + "x" * 40))
    assert measured.column("short_lines").to_pylist() == [0.5]

    kept, dropped, _ = part(
        FineWebQuality(
            punctuated_lines=None,
            short_lines=0.5,
            repeated_line_characters=None,
            newlines_per_word=None,
        )(measured)
    )
    assert (kept.num_rows, dropped) == (1, None)
