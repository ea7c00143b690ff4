"""Terms in texts and addresses, against regular expressions."""

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.base import part
from stages.config import load_step
from stages.errors import SpecError
from stages.kernels.terms import Terms
from stages.keywords import KeywordFilter, UrlFilter
from stages.lists import addresses
from tests.stages.barriers import documents


def hits(terms, *texts):
    """How often terms of one list occur in each text."""
    return (
        Terms([pa.array(terms, pa.large_string())])
        .count(pa.array(texts, pa.string()))[0][:, 0]
        .tolist()
    )


WORD = st.sampled_from(["a", "ab", "b", "Ção", "ção", "b2", "x"])
SPACE = st.sampled_from([" ", "\n", "  ", "-", ", ", ".", "\t\u3000"])
TEXT = st.lists(st.tuples(WORD, SPACE), max_size=30).map(lambda cut: "".join(map("".join, cut)))


@given(
    terms=st.lists(st.lists(WORD, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=6),
    text=TEXT,
)
def test_hits_are_those_of_a_regular_expression(terms, text):
    ordered = sorted({term.lower() for term in terms}, key=len, reverse=True)
    words = sorted(ordered, key=lambda term: -len(term.split()))
    pattern = "|".join(r"\s+".join(map(re.escape, term.split())) for term in words)

    expected = len(re.findall(rf"(?<!\w)(?:{pattern})(?!\w)", text.lower()))

    assert hits(terms, text) == [expected]


@pytest.mark.parametrize(
    "term, text, many",
    [
        ("ass", "class assess ass. (ASS) _ass_", 3),
        ("cocô", "coco COCÔ cocô.", 2),
        ("cocô", "o cocô", 1),
        ("new york", "New\n York new-york newyork new york", 2),
        ("f**k", "f**k f*k F**K! fk", 2),
        ("色情", "这是色情网站。色情。", 2),
        ("エロ", "エロい話", 1),
        ("หนังโป๊", "ดูหนังโป๊ฟรี", 1),
        ("хуй", "ХУЙ хуйня", 1),
        ("كلمة", "هذه كلمة، والكلمة كلمات", 2),
        ("كلمة", "كَلِمَة كـلـمـة بكلمة", 3),
        ("من", "ومن منه", 0),
        ("שלום", "שָׁלוֹם", 1),
        ("카지노", "카지노를 온라인카지노 카지노에서는 카지노.", 3),
        ("성인", "성인이", 1),
        ("गाली", "गाली, गालियाँ गाली।", 2),
        ("क", "की क", 1),
        ("กู", "กู้เงิน กู", 1),
        ("cassino", "cas\u00adsi\u200bno", 1),
        ("❤", "❤\ufe0f", 1),
        ("🍆", "x🍆🍆", 2),
        ("420", "421 420 4200", 1),
        ("don't", "Don't don t", 1),
    ],
)
def test_a_term_matches_whole_words_in_every_script(term, text, many):
    assert hits([term], text) == [many]


def test_a_decomposed_term_finds_composed_text():
    assert hits(["coco\u0302"], "coc\u00f4") == [1]


def test_the_longest_of_overlapping_terms_is_one_hit():
    assert hits(
        ["new york", "new york city", "city hall"], "new york city hall", "york city hall"
    ) == [
        1,
        1,
    ]


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.lists(st.text(), max_size=5))
@example(["a\0b"], ["a\0b"])
@example(["\u0301"], ["\u0301" * 9])
def test_hostile_terms_and_texts_are_counted(terms, texts):
    assert all(
        0 <= many <= len(text) for many, text in zip(hits(terms, *texts), texts, strict=True)
    )


def judged(step, batch):
    kept, left, _ = part(step(batch))
    rows = left.to_pylist() if left is not None else []
    return kept["id"].to_pylist(), [(r["id"], r["dropped"], r["value"]) for r in rows]


def test_the_reason_names_the_list_with_most_hits_and_the_value_all_hits(tmp_path):
    (tmp_path / "adult.txt").write_text("\ufeffporno\r\n\r\nsexo ao vivo\r\n")
    (tmp_path / "apostas.txt").write_text("aposta\nbônus\n")
    step = KeywordFilter(words=("viagra",), lists=str(tmp_path))
    assert [field.name for field in step.adds] == [
        "keywords_words",
        "keywords_adult",
        "keywords_apostas",
    ]
    batch = documents(
        ["Bônus de APOSTA e porno", "sexo ao vivo", "Viagra", "um texto limpo", "", "a posta"]
    )

    assert judged(step, batch) == (
        ["d3", "d4", "d5"],
        [
            ("d0", "keywords.apostas", 3),
            ("d1", "keywords.adult", 1),
            ("d2", "keywords.words", 1),
        ],
    )


def test_hard_terms_have_a_bound_on_their_number():
    texts = ["x", "x x", "x x x" + " a" * 1000]

    assert judged(KeywordFilter(words=("x",), at_most=1), documents(texts)) == (
        ["d0"],
        [("d1", "keywords.words", 2), ("d2", "keywords.words", 3)],
    )


def test_soft_terms_need_number_and_density_and_hard_ones_come_first(tmp_path):
    (tmp_path / "soft.txt").write_text("y\nz\n")
    step = KeywordFilter(
        words=("x",), soft_words=("w",), soft_lists=str(tmp_path), soft_at_most=2, per_thousand=100
    )
    texts = ["y z", "y w z" + " a" * 97, "y z z w" + " a" * 6, "w w w y x", "w w w"]
    kept, left = judged(step, documents(texts))

    assert kept == ["d0", "d1"]
    assert left == [
        ("d2", "keywords.soft", 400),
        ("d3", "keywords.words", 1),
        ("d4", "keywords.soft_words", 1000),
    ]


def test_hits_are_columns_of_each_list(tmp_path):
    path = tmp_path / "any name.txt"
    path.write_text("y\nz\n")
    step = KeywordFilter(words=("x",), soft_lists=str(path), at_most=9)
    out = step(documents(["x y z x", "a b"]))

    assert [out.schema.field(field.name) for field in step.adds] == list(step.adds)
    assert out["keywords_words"].to_pylist() == [2, 0]
    assert out["keywords_soft_list"].to_pylist() == [2, 0]
    assert out["soft_keywords_per_thousand"].to_pylist() == [500, 0]


def test_two_lists_of_one_name_are_refused(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.txt").write_text("x")
    with pytest.raises(SpecError, match="two lists are called 'same'"):
        KeywordFilter(lists=str(tmp_path)).check()


def test_the_verdict_does_not_depend_on_batches():
    batch = documents(["x", "y x", "z"] * 5)
    step = KeywordFilter(words=("x",))

    whole = judged(step, batch)[0]
    parts = [name for at in range(0, 15, 4) for name in judged(step, batch.slice(at, 4))[0]]

    assert whole == parts


def urls(*found):
    return documents(["x"] * len(found), url=list(found))


def test_a_domain_covers_its_subdomains_and_nothing_else(tmp_path):
    (tmp_path / "domains").write_text("Bad.example\n*.worse.example\n10.0.0.1\n")
    step = UrlFilter(domains=str(tmp_path / "domains"))
    good = [
        "http://notbad.example/",
        "http://bad.example.org/",
        "http://example/bad.example",
        "http://x.org/?u=http://bad.example/",
        "bad.example",
        None,
        "",
    ]
    bad = [
        "http://bad.example",
        "HTTPS://user:pw@WWW.BAD.Example:8080/a?b#c",
        "ftp://a.b.worse.example/",
        "http://10.0.0.1/x",
        "http://bad.example./",
    ]

    kept, left = judged(step, urls(*good, *bad))

    assert kept == [f"d{at}" for at in range(len(good))]
    assert {reason for _, reason, _ in left} == {"url.domain"}


def test_one_word_is_enough_soft_words_only_together():
    step = UrlFilter(words=("porn",), soft_words=("free", "cams", "girls"), soft_limit=2)
    batch = urls(
        "http://x.org/PORN/1",
        "http://free-stuff.org/essexgirlsguide",
        "http://free_cams.org/",
        "http://pornography.org",
        "http://girls.free.org/cams",
    )

    assert judged(step, batch) == (
        ["d1", "d3"],
        [("d0", "url.word", 1), ("d2", "url.soft_word", 2), ("d4", "url.soft_word", 3)],
    )
    assert judged(step, urls("http://cams.org/cams"))[0] == ["d0"]


def test_parts_of_words_are_found_across_what_parts_them():
    step = UrlFilter(subwords=("Jail bait",))
    batch = urls("http://x.org/jail-bait", "http://JAILBAITS.org", "http://x.org/jail/a/bait", None)

    assert judged(step, batch) == (["d2", "d3"], [(f"d{at}", "url.subword", 1) for at in (0, 1)])


def ut1(home):
    for category, kind, lines in (
        ("adult", "domains", "bad.example\nshared.example\nxxx\n"),
        ("adult", "urls", "https://www.tumblr.example/Bad/\nhost.example/a?x\n"),
        ("adult", "usage", "black"),
        ("gambling", "domains", "# bets\n0.0.0.0 bet.example\r\nshared.example  # too\n\n"),
    ):
        (home / category).mkdir(exist_ok=True)
        (home / category / kind).write_text(lines)
    (home / "README").write_text("good.example\n")
    return str(home)


def test_reasons_carry_the_category_of_ut1(tmp_path):
    step = UrlFilter(domains=ut1(tmp_path))
    batch = urls(
        "http://a.bad.example/",
        "http://bet.example/",
        "http://shared.example/",
        "http://any.xxx/",
        "http://user@WWW.tumblr.example/bad/x?y",
        "http://tumblr.example/bad#z",
        "http://host.example/a?x",
        "http://tumblr.example/badge",
        "http://host.example/a?xy",
        "http://black/",
        "http://good.example/",
    )
    kept, left = judged(step, batch)

    assert [reason for _, reason, _ in left] == [
        "url.domain.adult",
        "url.domain.gambling",
        "url.domain.adult",
        "url.domain.adult",
        *["url.page.adult"] * 3,
    ]
    assert kept == [f"d{at}" for at in range(7, 11)]


def test_categories_are_chosen_by_name(tmp_path):
    home = ut1(tmp_path)
    step = UrlFilter(domains=home, categories=("gambling",))
    step.check()

    assert judged(step, urls("http://bad.example/", "http://shared.example/")) == (
        ["d0"],
        [("d1", "url.domain.gambling", 1)],
    )
    with pytest.raises(SpecError, match="no category 'gamblin'; did you mean 'gambling'"):
        UrlFilter(domains=home, categories=("gamblin",)).check()


DOMAIN = st.lists(st.sampled_from(["a", "b", "xn--c", "com"]), min_size=1, max_size=4).map(".".join)


@given(listed=st.lists(DOMAIN, min_size=1, max_size=6), hosts=st.lists(DOMAIN, max_size=6))
def test_domains_cover_what_ends_in_them(listed, hosts):
    data = np.frombuffer(bytearray("\n".join(listed).encode()), np.uint8)
    found = addresses([(3, data)], False).of_hosts(pa.array(hosts, pa.string()))

    expected = [3 if any(f".{h}".endswith(f".{d}") for d in listed) else -1 for h in hosts]
    assert found.tolist() == expected


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_a_list(content, pages):
    addresses([(0, np.frombuffer(bytearray(content), np.uint8))], pages)


def test_the_lists_of_datatrove_are_used_when_asked_for():
    pytest.importorskip("datatrove")
    step = UrlFilter(datatrove=True)
    step.check()
    batch = urls(
        "http://www.pornhub.com/x",
        "http://example.org/",
        "http://tumblr.com/eclecticpsychicbanditgiant/1",
    )

    assert judged(step, batch) == (
        ["d1"],
        [("d0", "url.domain.datatrove", 1), ("d2", "url.page.datatrove", 1)],
    )


def test_domain_comes_before_word(tmp_path):
    (tmp_path / "list").write_text("porn.example")
    step = UrlFilter(domains=str(tmp_path), words=("porn",))

    assert judged(step, urls("http://porn.example/porn"))[1] == [("d0", "url.domain.list", 1)]


def test_a_large_list_is_found_term_by_term():
    terms = [f"t{at:x}" for at in range(50_000)]

    assert hits(terms, *(f"({term.upper()})" for term in terms[::97]), "t", "tt1") == [
        *[1] * len(terms[::97]),
        0,
        0,
    ]


@pytest.mark.parametrize(
    "step, message",
    [
        ({"KeywordFilter": {}}, "words: give terms here"),
        ({"KeywordFilter": {"words": ["a", " "]}}, r"words\[1\]: expected a word"),
        ({"KeywordFilter": {"lists": "nowhere.txt"}}, "nowhere.txt: no such file"),
        ({"KeywordFilter": {"words": ["a"], "at_most": -1}}, "at_most: expected 0 or more"),
        ({"UrlFilter": {}}, "domains: give a file"),
        ({"UrlFilter": {"words": ["a"], "soft_limit": 0}}, "soft_limit: expected at least 1"),
    ],
)
def test_mistakes_in_fields_are_named(step, message):
    ((name, fields),) = step.items()
    with pytest.raises(SpecError, match=message):
        load_step({f"stages.keywords.{name}": fields}, "p.yaml")


@pytest.mark.parametrize("content, message", [(b"\n \n", "nothing in it"), (b"a\xff", "byte 1")])
def test_a_list_that_is_empty_or_not_utf_8_is_refused(tmp_path, content, message):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(SpecError, match=message):
        KeywordFilter(lists=str(tmp_path / "list.txt")).check()
