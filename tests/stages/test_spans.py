"""Spans that repeat, within a text and between texts, against plain readings of their definitions."""

import json
import random
from collections import defaultdict
from dataclasses import fields

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import Flow, Pipeline, driver, run
from stages.base import part
from stages.config import load_step
from stages.dedup import RepeatedSpans, SpanDedup, SubstringDedup
from stages.errors import SpecError
from stages.quality import FineWebQuality
from stages.read import Jsonl
from tests.stages.barriers import documents, drive, shards

SLOW = settings(max_examples=40, deadline=None)
ALL = {"words": 1, "sentences": None}  # nothing is left out for being short, unless it is empty


def outcome(barrier, texts, cuts=(), partitions=1, batches=1):
    """The text of every document afterwards, and the reasons of those that left."""
    left = {}

    class Seen(type(barrier)):
        def __call__(self, batch, decision):
            after = super().__call__(batch, decision)
            stay, _, _ = part(after)
            left.update(zip(stay["id"].to_pylist(), stay["text"].to_pylist(), strict=True))
            return after

    seen = Seen(**{field.name: getattr(barrier, field.name) for field in fields(barrier)})
    _, rejects, _ = drive(seen, shards(documents(texts), cuts), partitions, batches)
    gone = {row["id"]: (row["dropped"], row["value"], row["text"]) for row in rejects}
    return [left.get(f"d{at}", gone.get(f"d{at}")) for at in range(len(texts))]


# --- spans between documents


def plain_spans(texts, window, least, keep_first):
    """Which lines of each text leave, from the definition."""
    places = defaultdict(list)
    for doc, text in enumerate(texts):
        lines = [line for line in text.split("\n") if line]
        for at in range(len(lines) - window + 1):
            places[tuple(lines[at : at + window])].append((doc, at))
    cut = defaultdict(set)
    for found in places.values():
        if len({doc for doc, _ in found}) < least:
            continue
        for doc, at in found[1:] if keep_first else found:
            cut[doc] |= set(range(at, at + window))
    return [
        "\n".join(line for at, line in enumerate(text.split("\n")) if at not in cut[doc])
        for doc, text in enumerate(texts)
    ]


LINES = st.lists(st.lists(st.sampled_from("abcdef"), min_size=1).map("\n".join), max_size=8)


@given(LINES, st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(1, 4))
@SLOW
def test_spans_are_cut_as_the_definition_says(texts, window, least, keep_first, partitions):
    keep_first = keep_first or least == 1
    barrier = SpanDedup(unit="line", window=window, documents=least, keep_first=keep_first, **ALL)
    expected = plain_spans(texts, window, least, keep_first)

    found = outcome(barrier, texts, [len(texts) // 2], partitions, 2)

    for text, before, after in zip(expected, texts, found, strict=True):
        assert after == (text or ("line.words", 0, before))


def test_as_it_stands_it_is_the_sentence_deduplication_of_c4():
    shared = "O rio sobe. A ponte caiu! Quem viu?"
    fresh = (
        "Ninguém dormiu na aldeia. " * 1 + "Os cães ladraram até de manhã. O sino tocou só uma vez."
    )
    texts = [f"{fresh} {shared} Fim da história.", f"Hoje choveu. {shared} Amanhã faz sol."]
    barrier = SpanDedup(words=1)

    first, second = outcome(barrier, texts)

    assert first == texts[0]
    assert second == ("sentence.sentences", 2, texts[1])
    assert outcome(SpanDedup(**ALL), texts)[1] == "Hoje choveu. Amanhã faz sol."


@pytest.mark.parametrize(
    "one, other",
    [
        ("Direitos reservados © 2019", "DIREITOS RESERVADOS - 2024!"),
        ("Última atualização: 3/4/21", "ultima  atualizacao 12/11/2020"),
        ("全ての権利を保有。", "全ての権利を保有"),
    ],
)
def test_folded_spans_differ_in_case_accents_marks_and_numbers_only(one, other):
    texts = [f"{one}\nalpha beta", f"gamma delta\n{other}"]
    lines = {"unit": "line", "window": 1, **ALL}

    assert outcome(SpanDedup(**lines), texts)[1] == "gamma delta"
    assert outcome(SpanDedup(fold=False, **lines), texts)[1] == texts[1]


def test_words_are_told_apart_where_letters_are_the_same():
    texts = ["ab c\nx", "a bc\ny"]

    assert outcome(SpanDedup(unit="line", window=1, **ALL), texts) == texts


def test_short_spans_and_those_without_words_stay():
    texts = ["***\nsim\num dois três\nx", "***\nsim\num dois três\ny"]
    barrier = SpanDedup(unit="line", window=1, span_words=2, **ALL)

    assert outcome(barrier, texts)[1] == "***\nsim\ny"


def test_what_is_left_keeps_its_paragraphs_and_its_indentation():
    one = "A casa.\n\n  O muro.\n\nO poço.\n"
    other = "A rua.\r\n\r\nA casa.\r\n\r\n\tO largo.\r\nO mercado. A casa.\n"

    paragraphs = outcome(SpanDedup(unit="paragraph", window=1, **ALL), [one, other])
    sentences = outcome(SpanDedup(unit="sentence", window=1, **ALL), [one, other])

    assert paragraphs[1] == "A rua.\r\n\r\n\tO largo.\r\nO mercado. A casa.\n"
    assert sentences == [one, "A rua.\r\n\r\n\tO largo.\r\nO mercado."]


@pytest.mark.parametrize(
    "text, left",
    [
        ("A rua. A casa.\n\nO largo.", "A rua.\n\nO largo."),
        ("A rua.\n\nA casa. O largo.", "A rua.\n\nO largo."),
        ("A casa.\n\nA rua.  O largo. ", "A rua.  O largo. "),
        ("A rua.  O largo.\n A casa. \n", "A rua.  O largo."),
    ],
)
def test_of_the_space_about_a_cut_that_with_most_line_ends_stays(text, left):
    texts = ["A casa.", text]

    assert outcome(SpanDedup(window=1, **ALL), texts)[1] == left


@pytest.mark.parametrize(
    "text, sentences",
    [
        ("Ele disse: «Não.» Saiu.", ["Ele disse: «Não.»", "Saiu."]),
        (
            "O Sr. J. Silva mede 1.80 m... e sai. Fim",
            ["O Sr.", "J. Silva mede 1.80 m... e sai.", "Fim"],
        ),
        ("今天下雨。「明天呢。」不知道", ["今天下雨。", "「明天呢。」", "不知道"]),
        ("Um título\nUma frase. Outra", ["Um título", "Uma frase.", "Outra"]),
        ("क्या हुआ? कुछ नहीं। ठीक है", ["क्या हुआ?", "कुछ नहीं।", "ठीक है"]),
    ],
)
def test_sentences_end_as_in_their_script(text, sentences):
    from stages.kernels.characters import table
    from stages.kernels.hashing import string_buffers
    from stages.kernels.units import FOLDED, SENTENCE, cut_units, units_room

    offsets, data = string_buffers(pa.array([text]))
    units = units_room(offsets)
    many = cut_units(data, 0, offsets[1], table(), SENTENCE, FOLDED, units)
    raw = text.encode()

    found = [raw[units.starts[at] : units.stops[at]].decode() for at in range(many)]

    assert found == sentences


def test_a_document_that_was_not_cut_stays_however_short():
    barrier = SpanDedup(unit="line", window=1)

    assert outcome(barrier, ["a", "b", "a"]) == ["a", "b", ("line.words", 0, "a")]


@given(LINES, st.integers(1, 2))
@SLOW
def test_repeats_within_a_text_are_cut_as_the_definition_says(texts, window):
    step = RepeatedSpans(unit="line", window=window, **ALL)
    expected = []
    for text in texts:
        lines, seen, cut = text.split("\n"), {}, set()
        for at in range(len(lines) - window + 1):
            first = seen.setdefault(tuple(lines[at : at + window]), at)
            if at >= first + window:
                cut |= set(range(at, at + window))
        expected.append("\n".join(line for at, line in enumerate(lines) if at not in cut))

    stay, dropped, broken = part(step(documents(texts)))

    assert stay["text"].to_pylist() == expected
    assert (dropped, broken) == (None, None)
    assert stay["line_cut"].to_pylist() == [
        len(before) - len(after) for before, after in zip(texts, expected, strict=True)
    ]


# --- long repeats


def by_suffixes(texts, length):
    """What is left of texts of words, from the sorted suffixes of all of them."""
    words, home = [], []
    for doc, text in enumerate(texts):
        some = [*text.split(), f"\0{doc}"]  # the end of a document is like nothing else
        words += some
        home += [doc] * len(some)
    order = sorted(range(len(words)), key=lambda at: words[at : at + length])
    cut = set()
    at = 0
    while at < len(order):
        run = words[order[at] : order[at] + length]
        stop = at
        while stop < len(order) and words[order[stop] : order[stop] + length] == run:
            stop += 1
        whole = len(run) == length and not any(word.startswith("\0") for word in run)
        first = min(order[at:stop])
        for place in order[at:stop] if whole else []:
            if home[place] != home[first] or place >= first + length:
                cut |= set(range(place, place + length))
        at = stop
    left = [[] for _ in texts]
    for place, word in enumerate(words):
        if place not in cut and not word.startswith("\0"):
            left[home[place]].append(word)
    return [" ".join(some) for some in left]


def patchwork(seed, documents=30, length=10):
    """Texts put together of passages that others have too, some of them almost."""
    rng = random.Random(seed)
    passages = [[f"w{rng.randrange(40)}" for _ in range(rng.randrange(4, 40))] for _ in range(12)]
    texts = []
    for _ in range(documents):
        words = []
        for _ in range(rng.randrange(1, 6)):
            passage = list(rng.choice(passages))
            cut = sorted(rng.randrange(len(passage) + 1) for _ in range(2))
            words += passage[cut[0] : cut[1]] if rng.random() < 0.5 else passage
            words += [f"w{rng.randrange(40)}" for _ in range(rng.randrange(3))]
        if rng.random() < 0.2:
            words += ["la"] * rng.randrange(3 * length)
        texts.append(" ".join(words))
    return texts


@pytest.mark.parametrize("length", [2, 3, 7, 10])
@pytest.mark.parametrize("seed", range(6))
def test_long_repeats_are_those_of_the_sorted_suffixes(seed, length):
    texts = patchwork(seed, length=length)

    found = outcome(SubstringDedup(length=length, **ALL), texts, [7, 19], 3, 2)

    expected = by_suffixes(texts, length)
    assert [text for text in expected if text] != texts
    assert found == [
        after or (("substring.words", 0, before) if before else "")
        for before, after in zip(texts, expected, strict=True)
    ]


def test_a_repeat_begins_and_ends_wherever_it_does():
    passage = " ".join(f"palavra{at}" for at in range(50))
    texts = [f"Antes {passage} depois.", f"Outro começo: {passage} e outro fim."]

    assert outcome(SubstringDedup(**ALL), texts) == [texts[0], "Outro começo: e outro fim."]
    shorter = [text.replace("palavra49", "") for text in texts]
    assert outcome(SubstringDedup(**ALL), shorter) == shorter


def test_numbers_that_differ_are_no_repeat():
    rows = [" ".join(str(start + at) for at in range(80)) for start in (1000, 2000)]

    assert outcome(SubstringDedup(**ALL), rows) == rows


def test_letters_are_words_where_no_spaces_are_written():
    passage = "".join(chr(0x4E00 + at) for at in range(60))
    texts = [f"前{passage}后", f"另{passage}外"]

    assert outcome(SubstringDedup(words=1, sentences=None), texts)[1] == "另外"


# --- in a pipeline


def test_a_pipeline_cuts_judges_anew_and_accounts_for_it(tmp_path):
    """Measures behind the barrier are those of the text that is left; the column is a feature."""
    menu = [f"menu {word}" for word in ("inicio", "contato", "sobre")]
    prose = [
        [f"frase {doc} {line} longa sem fim nenhum que se veja aqui." for line in "abc"]
        for doc in range(4)
    ]
    passage = " ".join(f"trecho{at}" for at in range(12)) + "."
    prose[0].append(f"Primeiro: {passage}")
    rows = [{"text": "\n".join([*menu * 4, *lines])} for lines in prose]
    rows[3]["text"] += f"\nDepois: {passage}"
    prose[3].append("Depois:")
    for name, some in (("a", rows[:2]), ("b", rows[2:])):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in some))
    steps = [
        SpanDedup(unit="line", window=1, fold=False, documents=2, keep_first=False, **ALL),
        FineWebQuality(),
        SubstringDedup(length=12, **ALL),
    ]
    pipeline = Pipeline("spans", {"all": Flow([Jsonl(paths=str(tmp_path / "*.jsonl"))], steps)})

    done = run(pipeline, str(tmp_path / "store"))

    last = done.record["stretches"][-1]["keys"]
    texts = [
        text
        for key in last
        for text in pq.read_table(done.store.open(key, "documents.parquet"))["text"].to_pylist()
    ]
    assert texts == ["\n".join(lines) for lines in prose]
    cut = [
        value
        for stretch in done.record["stretches"]
        for key in stretch["keys"]
        for table in [pq.read_table(done.store.open(key, "features.parquet"))]
        if "line_cut" in table.column_names
        for value in table["line_cut"].to_pylist()
    ]
    assert cut[:4] == [len("\n".join(menu * 4)) + 1] * 4


@pytest.mark.parametrize("rows", [4_000_000, 60])
def test_the_engine_cuts_the_same_of_many_shards_in_many_parts(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(driver, "SKETCH_ROWS_PER_TASK", rows)
    texts = [text for text in patchwork(3, documents=60, length=6) if text]
    for at in range(3):
        lines = [json.dumps({"text": text}) for text in texts[at * 20 : at * 20 + 20]]
        (tmp_path / f"{at}.jsonl").write_text("\n".join(lines))
    flow = Flow([Jsonl(paths=str(tmp_path / "*.jsonl"))], [SubstringDedup(length=6, **ALL)])

    done = run(Pipeline("long", {"all": flow}), str(tmp_path / "store"))

    found = [
        text
        for key in done.record["stretches"][-1]["keys"]
        for text in pq.read_table(done.store.open(key, "documents.parquet"))["text"].to_pylist()
    ]
    assert found == [text for text in by_suffixes(texts, 6) if text]
    parts = [
        key
        for key in done.record["stretches"][0]["barrier_keys"]
        if "proposals.parquet" in done.store.get(key).files
    ]
    assert (len(parts) > 2) == (rows == 60)


@pytest.mark.parametrize(
    "step, fields, message",
    [
        ("SpanDedup", {"documents": 1, "keep_first": False}, "documents: expected at least 2"),
        ("SpanDedup", {"window": 0}, "window: expected at least 1, got 0"),
        ("RepeatedSpans", {"words": 0}, "words: expected at least 1, got 0"),
        ("SubstringDedup", {"length": 1}, "length: expected at least 2, got 1"),
    ],
)
def test_fields_out_of_bounds_are_refused(step, fields, message):
    with pytest.raises(SpecError, match=message):
        load_step({f"stages.dedup.{step}": fields}, "p.yaml")
