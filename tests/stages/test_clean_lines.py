# ruff: noqa: RUF001 -- confusable characters are what is tested
"""Which lines are no text, against a plain Python reading of the rules."""

import re
import unicodedata
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.base import part
from stages.clean import CleanLines
from stages.config import load_step
from stages.errors import SpecError
from stages.kernels import cut
from tests.documents import ENGLISH, PORTUGUESE, documents

KINDS = [field.name for field in fields(CleanLines) if field.name != "max_cut"]
NOTHING = CleanLines(**dict.fromkeys(KINDS, False), max_cut=None)
EVERYTHING = CleanLines(max_cut=None)
CUT = {
    "policy": [
        "We use cookies to give you the best experience on our website.",
        "Este site utiliza cookies para melhorar a sua experiência. Ao continuar navegando, aceita-os.",
        "USAMOS COOKIES!",
        "Este sitio web utiliza cookies propias y de terceros.",
        "En poursuivant votre navigation sur ce site, vous acceptez l’utilisation de cookies.",
        "Diese Website verwendet Cookies.",
        "Questo sito utilizza i cookie per offrirti servizi migliori.",
        "Мы используем файлы cookie, чтобы сайт работал лучше.",
        "本网站使用cookie来改善体验。",
        "Privacy Policy",
        "Política de Privacidade",
        "Politica de privacidade.",
        "Nutzungsbedingungen",
        "プライバシーポリシー",
    ],
    "javascript": [
        "Please enable JavaScript to view the comments.",
        "O JavaScript está desativado no seu navegador.",
        "Veuillez activer JavaScript.",
        "Bitte aktivieren Sie JavaScript, um diese Seite zu nutzen.",
    ],
    "lorem_ipsum": ["Lorem ipsum dolor sit amet, consectetur adipiscing elit."],
    "navigation": [
        "Home > Products > Shoes",
        "Início » Notícias » Esporte",
        "Startseite › Über uns",
        "Home | About us | Contact",
        "Accueil · Actualités · Contact · Un lieu",
        "Skip to main content",
        "Voltar ao topo",
        "首页 > 新闻",
        "Facebook | Twitter | Instagram",
        "Log in | Register",
    ],
    "social": [
        "Share on Facebook",
        "Leia mais »",
        "Read more →",
        "Siga-nos!",
        "Subscribe to our newsletter and never miss a post",
        "Deixe um comentário",
        "24 Comments",
        "O seu endereço de email não será publicado. Campos obrigatórios marcados com *",
    ],
    "copyright": [
        "© 2019 Companhia. Todos os direitos reservados.",
        "Copyright © 2024 Example Inc.",
        "Alle Rechte vorbehalten",
        "Powered by WordPress",
    ],
    "symbols": [
        "--------",
        "=======",
        "* - * - *",
        "★☆★☆★",
        "......",
        "──────────",
        "😀😀😀😀",
        "++++++",
    ],
}
STAYS = [
    "Cookies are baked for twelve minutes; add chocolate before the cookies cool.",
    "The server uses cookies to track a session.",
    "Os cookies do navegador guardam a sessão.",
    "JavaScript is a language; to enable a feature, call it.",
    "Designers type lorem ipsum where text is missing.",
    "Share your work with others, and read more about sharing in chapter two.",
    "He went home > and that was the end.",
    "Copyright law differs between countries.",
    "Home",
    "Search",
    "Anzeige",
    "Termos e condições",
    *(
        "}",
        "});",
        "{{{{",
        "| --- | --- |",
        "+---+---+",
        "$ * $",
        "∑ = ∞ − √",
        "x = y",
        "* * *",
        "...",
    ),
    *(
        "1 2 3 4",
        "12.345,67",
        "汉字",
        "……",
        "“……”",
        "ไม่มี",
        "क्या?",
        "a -------- b",
        "¿¡?",
        "~~~~",
        "````",
    ),
    "| Home | About us | Contact |",
    "# Copyright (C) 2021 Osamu Aoki",
    '\\wordwrap-string #"Lorem ipsum dolor sit amet,',
    'print("All rights reserved") = x',
    "Settings > General > About",
    "if (a > b) | c",
    "x" * 301 + " all rights reserved",
]
LINES = st.one_of(
    st.sampled_from([line for lines in CUT.values() for line in lines]),
    st.sampled_from(STAYS),
    st.lists(
        st.sampled_from(
            [
                *(
                    "Home",
                    "About",
                    "Contact",
                    "Read more",
                    "leia",
                    "mais",
                    "x",
                    "é",
                    "É",
                    "e\u0301",
                ),
                *(
                    "|",
                    "»",
                    ">",
                    "•",
                    "·",
                    "-",
                    "-",
                    "*",
                    "=",
                    "#",
                    "{",
                    "'",
                    "“",
                    "…",
                    "7",
                    "中",
                    "ก็",
                ),
                *(
                    " ",
                    " ",
                    "\t",
                    "\u3000",
                    "\u200d",
                    "\0",
                    "😀",
                    "🏽",
                    "all rights reserved",
                    "©",
                    "2019",
                ),
            ]
        ),
        max_size=9,
    ).map("".join),
    st.just(""),
)
TEXTS = st.lists(LINES, max_size=8).map("\n".join)


def cleaned(text, step=EVERYTHING):
    kept, dropped, _ = part(step(documents(text)))
    return (kept if dropped is None else dropped).column("text")[0].as_py()


def left(text, step=EVERYTHING):
    """The text after the stage, "" where it left for being empty."""
    _, dropped, _ = part(step(documents(text)))
    return "" if dropped is not None else cleaned(text, step)


@pytest.mark.parametrize(
    ("kind", "line"), [(k, line) for k, lines in CUT.items() for line in lines]
)
def test_a_line_is_cut_by_its_kind_and_by_no_other(kind, line):
    text = f"{PORTUGUESE}\n\n{line}\n\n{ENGLISH}"

    assert cleaned(text, replace(NOTHING, **{kind: True})) == f"{PORTUGUESE}\n\n{ENGLISH}"
    assert cleaned(text, replace(EVERYTHING, **{kind: False})) == text
    assert left(line) == ""


@pytest.mark.parametrize("line", STAYS)
def test_text_code_tables_and_headings_stay(line):
    assert cleaned(line) == line
    assert cleaned(f"{ENGLISH}\n{line}\n{ENGLISH}") == f"{ENGLISH}\n{line}\n{ENGLISH}"


def test_what_underlines_a_heading_or_heads_a_table_stays():
    text = "Title\n=====\n\n name\n------\n bob\n\n* * *\n\nVerse"
    assert cleaned(text) == text


def test_the_file_of_phrases_is_whole():
    rows = Path(cut.__file__).with_name("boilerplate_phrases.txt").read_text("utf-8").splitlines()
    seen = set()
    for row in rows:
        if row.startswith("#"):
            continue
        mode, kind, phrases = row.split(" ", 2)
        assert kind in cut.KINDS
        assert mode in {*cut.MODES, "part"}
        for phrase in phrases.split(";"):
            points, _ = cut.fold_words(phrase)
            assert len(points) > 1 or mode in ("field", "home"), phrase
            assert (mode, kind, tuple(points)) not in seen, phrase
            seen.add((mode, kind, tuple(points)))
    assert len(seen) > 1000


NAMES, HOMES, PARTS = {}, set(), {}


def words(text):
    """Words of a text as phrases are compared: folded, with single blanks."""
    out = []
    for character in unicodedata.normalize("NFD", text.lower()):
        category = unicodedata.category(character)
        if category in ("Nd",):
            out.append("0")
        elif category[0] == "L" or (category[0] in "M" and 0x900 <= ord(character) < 0x1100):
            out.append(character)
        elif category[0] not in "MC" or character in "\0\t\n":
            out.append(" ")
    return " ".join("".join(out).split())


def read_phrases():
    here = Path(cut.__file__)
    for row in here.with_name("boilerplate_phrases.txt").read_text("utf-8").splitlines():
        if not row.startswith("#"):
            mode, _, phrases = row.split(" ", 2)
            for phrase in phrases.split(";"):
                if mode == "part":
                    PARTS[words(phrase)] = True
                else:
                    NAMES[words(phrase)] = NAMES.get(words(phrase), False) or mode == "line"
                    if mode == "home":
                        HOMES.add(words(phrase))
    for row in here.with_name("policy_phrases.txt").read_text("utf-8").splitlines():
        if not row.startswith("#"):
            NAMES.update((words(phrase), True) for phrase in row[3:].split(";"))


read_phrases()


def is_cut(line, above):
    """What CleanLines should make of a line, the line of the result above it given."""
    visible = [c for c in line if not c.isspace()]
    if not visible or len(line) > 300:
        return False
    symbols = [c for c in visible if unicodedata.category(c)[0] in "PSC" and c != "\u200d"]
    if len(visible) >= 4 and (len(visible) - len(symbols)) * 10 <= len(visible):
        rule = re.fullmatch(r"\s*([#+=─])\1*\s*", line)
        meaning = any(c in "»#+=\"'(){}[]<>|\\/;:$^&%@`~“”×∑∞−√─" for c in symbols)
        return not above.strip("\n") and (bool(rule) or not meaning)
    if visible[0] in "#$%*+-/;<@" or set(line) & set("=\\{}"):
        return False
    parted = [words(field) for field in re.split(r"[|•·»›>→]", line)]
    parted = [field for field in parted if field]
    if len(parted) == 1 and NAMES.get(parted[0]):
        return True
    if len(parted) > 1 and visible[0] != "|":
        if parted[0] in HOMES and not re.search("[|•·]", line):
            return True
        known = sum(field in NAMES for field in parted)
        if known > 1 and known * 2 >= len(parted):
            return True
    return any(f" {phrase}" in f" {words(line)}" for phrase in PARTS)


def lines_left(text):
    out = []
    torn = gone = False
    for line in text.split("\n"):
        if is_cut(line, out[-1] if out else ""):
            torn = gone = True
        elif torn and not line.strip() and (not out or not out[-1]):
            continue
        else:
            out.append(line)
            torn = torn and not line.strip()
    return "\n".join(out).rstrip("\n") if gone else text


@settings(max_examples=600)
@given(text=TEXTS)
def test_the_lines_that_are_cut_are_those_that_the_rules_name(text):
    assert left(text) == lines_left(text)


@settings(max_examples=300)
@given(text=TEXTS)
def test_a_text_that_was_cleaned_stays_as_it_is(text):
    assert cleaned(left(text)) == left(text)


@given(texts=st.lists(TEXTS, max_size=5), at=st.integers(0, 5))
def test_cutting_does_not_depend_on_the_batch(texts, at):
    step = CleanLines(max_cut=0.3)
    whole = documents(*texts)

    assert step(whole).to_pylist() == step(whole[:at]).to_pylist() + step(whole[at:]).to_pylist()


def test_a_document_says_how_much_of_it_was_cut_and_leaves_if_that_is_too_much():
    half = "Read more\nAbc defg!"
    texts = (half, "Read more\nLeia mais\nShare this", "Fine.", "", f"Read more\n{ENGLISH}")
    result = CleanLines(max_cut=0.49)(documents(*texts))

    assert result.column("cut").to_pylist()[:4] == [0.5, 1, 0, 0]
    assert result.column("dropped").to_pylist() == ["lines.max_cut", "lines.empty", *[None] * 3]
    assert result.column("value").to_pylist() == [0.5, 1, None, None, None]
    assert result.column("text").to_pylist() == [*texts[:4], ENGLISH]
    assert CleanLines(max_cut=0.5)(documents(half)).column("text").to_pylist() == ["Abc defg!"]
    assert CleanLines(max_cut=None)(documents(texts[1])).column("dropped").to_pylist() == [
        "lines.empty"
    ]


def test_a_share_that_is_none_is_refused():
    with pytest.raises(SpecError, match="f.CleanLines.max_cut: expected 0 to 1, or null"):
        load_step({"stages.clean.CleanLines": {"max_cut": 5}}, "f")
