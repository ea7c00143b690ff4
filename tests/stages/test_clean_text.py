# ruff: noqa: RUF001 -- confusable characters are what is tested
"""Repair of text, against what broke it, and against html.unescape and ftfy as they are."""

import html
import unicodedata
from html.entities import html5

import ftfy
import ftfy.bad_codecs
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.clean import CleanText, NormalizeText
from stages.repair import EMOJI, mojibake
from tests.documents import ENGLISH, PORTUGUESE, documents

EVERYTHING = CleanText(punctuation="ascii", emoji="remove", lower=True)
ENCODINGS = {  # what UTF-8 is read as; a byte that Windows leaves out is a control then
    "latin-1": "latin-1",
    "cp1252": "sloppy-windows-1252",
    "cp1251": "sloppy-windows-1251",
}
PROSE = {
    "pt": "A informação não está disponível: é preciso começar já, disse a Inês à mãe.",
    "es": "¿Qué pasó mañana? El niño comió más piñón y después llamó a José.",
    "fr": "L’été à la mer, où l’on déjeune très tôt près de la forêt où naît le ruisseau.",
    "de": "Die Straße führt über Düsseldorf, wo schöne Häuser und große Bäume stehen.",
    "it": "Perché così è più facile: la città ha già ciò che può.",
    "pl": "Zażółć gęślą jaźń, a potem idź spać do łóżka.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "tr": "Şişli’de güneşli bir gün, çocuklar dışarıda oynuyor.",
    "ru": "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "el": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "ar": "نص حكيم له سر قاطع وذو شأن عظيم",
    "hi": "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा",
    "zh": "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。",
    "ja": "いろはにほへと ちりぬるを、色は匂へど散りぬるを。",
    "ko": "다람쥐 헌 쳇바퀴에 타고파. 동해물과 백두산이 마르고 닳도록.",
    "emoji": "Bom dia 😀 a todos",
}
SOUND = [  # good text that looks a little like broken text
    "AMANHÃ… IRMÃ» MAÇÃ– «Ã» “Â” L'UNITÉ» LIBERTÉ… CAFÉ® ROMÂNIA",
    "30 Å², 5 Å³, «É»; Úžasný, Ážio, Ýš; Ä…",
    "l’été\u00a0» et à\u00a0la mer — é…",
    "ÉÏº£ÊÐABC",  # Chinese read as Latin-1: not ours to mend, and ftfy makes Greek of it
    "Ç… RÃ – À”. Straße“ “à” SÃO PAULO, MAÇÃ, IRMÃOS",
    "РСФСР, СССР: «Ещё» Ѓорѓи, ЂУРЂЕВДАН, Љубљана, Їжак і ґанок, РІЧ",
    "naïve façade — “coração” ½ ¾ ² ³ © ® ™ ° º ª § ¶ · ¿ ¡",
    *PROSE.values(),
]
BROKEN = st.text(
    st.one_of(
        st.sampled_from("&;#xaAmpltgnbs<>/\"'= \n.Ãâ€™£Âðä¤§’“”—😀\u200d\ufe0f\x92É3860"),
        st.characters(exclude_categories=("Cs",)),
    ),
    max_size=60,
)
PIECES = st.lists(
    st.sampled_from(
        [
            *("&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&eacute;", "amp;", "lt;", "&#38;", "&"),
            *("<b>", "</b>", "<br>", "<p>", "</p>", "<", ">", "<i a='b'>", "</i>", "<x>", "<!--"),
            *(
                "word",
                "Ã£",
                "â€™",
                "Ã",
                "\xa0",
                " ",
                "\n",
                ".",
                '"',
                "“",
                "”",
                "—",
                "😀",
                "É",
                "&NBSP;",
            ),
        ]
    ),
    max_size=14,
).map("".join)


def column(*texts):
    return pa.array(texts, pa.large_string())


def clean(text, step=None):
    return (step or CleanText())(documents(text)).column("text")[0].as_py()


def flagged(text):
    return pc.match_substring_regex(column(text), mojibake())[0].as_py()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("AT&amp;T &amp; Filhos", "AT&T & Filhos"),
        ("caf&eacute; &#39;ol&#xE9;&#39; 1990&ndash;95&nbsp;d.C.", "café 'olé' 1990–95\xa0d.C."),
        ("5 &lt; 6 &amp;&amp; 7 &gt; 6", "5 < 6 && 7 > 6"),
        ("Tom &amp;amp;amp; Jerry", "Tom & Jerry"),
        ("&amp;lt;3 &amp;#8364;5", "<3 €5"),
        ("windows &#150; and &#1;bad &#0;null &#xD800;", "windows – and bad &#0;null &#xD800;"),
        ("?a=1&copy=2&lt=3 &unknown; &E2; R&D; x&y", "?a=1&copy=2&lt=3 &unknown; &E2; R&D; x&y"),
        ("fim.<br>Outro<br/>e mais <br />ainda", "fim.\nOutro\ne mais\nainda"),
        (
            "<p>Um texto com <b>negrito</b> e <a href='x'>ligação</a> dentro.</p>",
            "\nUm texto com negrito e ligação dentro.\n",
        ),
        (
            'Some <span class="a b" id=c>styled</span> text with more words than tags',
            "Some styled text with more words than tags",
        ),
        ("&lt;i&gt;doubly&lt;/i&gt; escaped prose", "doubly escaped prose"),
        ("informaÃ§Ã£o", "informação"),
        ("&Atilde;&pound;o amanh&Atilde;&pound;", "ão amanhã"),
        ("itâ€™s, â€œquotedâ€\x9d", "it’s, “quoted”"),
        ("ma\xc3\x83\xc2\xa7\xc3\x83\xc2\xa3", "maçã"),
        ("it\x92s", "it’s"),
        ("voilÃ\xa0 la", "voilà la"),
    ],
)
def test_what_bad_extraction_and_decoding_left_is_undone(raw, expected):
    assert clean(raw) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Write `&lt;` for a less-than sign, and '&amp;' or (&quot;) or &nbsp;, too.",
        "use <b> for bold and <br> for a line break",
        'The frame is bounded by "<IFRAME>" and <IFRAME> and </IFRAME> tags.',
        "标签中<font size=1>到<font size=7>标签",
        'LibreOffice writes\n\n<A HREF="http://www.example.com/" TARGET="_blank">Note</A>\n\nthere.',
        '#include <stdio.h>\nif (a<b && c>d) puts("&amp;");',
        "List<String> x = new ArrayList<>(); // &lt;",
        "<ul>\n<li>one</li>\n<li>two</li>\n</ul>",
        "<<c e>> <g' b>8( <a c> <g b>)\n&ndash; \\relative",
        "<!-- comment --> &amp; <b>bold</b> text",
        '<?php echo "&lt;b&gt;"; ?>',
        'HtmlEncode("<a href=""https://a.b.com"">x</a>")\n"&lt;a href=&quot;https://a.b.com&quot;&gt;"',
        "a < b, b > c; x<1 && y>2; <3 <- -> <=>",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "$\\alpha < \\beta$ & $x \\in [0, 1]$ \\\\",
    ],
)
def test_code_formulas_tables_and_what_speaks_of_markup_stay(text):
    assert clean(text) == text


@pytest.mark.parametrize("text", [*SOUND, ENGLISH, PORTUGUESE])
def test_good_text_stays_and_is_not_even_looked_at(text):
    assert not flagged(text)
    assert clean(text) == text


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
@pytest.mark.parametrize("language", PROSE)
def test_mojibake_of_any_language_is_flagged_and_mended(language, encoding):
    text = PROSE[language]
    broken = text.encode().decode(ENCODINGS[encoding])
    twice = broken.encode().decode(ENCODINGS[encoding])

    assert flagged(broken)
    assert flagged(twice)
    assert clean(broken) == text
    assert clean(twice) == text
    assert clean(f"{PORTUGUESE}\n{broken}") == f"{PORTUGUESE}\n{text}"


def test_cyrillic_read_as_windows_1251_is_mended():
    assert clean(PROSE["ru"].encode().decode(ENCODINGS["cp1251"])) == PROSE["ru"]


@given(text=BROKEN)
def test_repair_of_encoding_is_that_of_ftfy_line_by_line(text):
    step = CleanText(html=False)
    mended = "\n".join(ftfy.fix_encoding(line) for line in text.split("\n"))

    assert clean(text, step) == (mended if flagged(text) else text)


@pytest.mark.parametrize("start", ["x", "x "])
def test_entities_are_those_of_the_standard_library(start):
    """Each entity by itself, but for those of which a mark is made that begins another."""
    names = [name for name in html5 if name.endswith(";") and html5[name] not in "&<"]
    written = [f"{start}&{name}y" for name in names]
    after = CleanText(mojibake=False)(documents(*written)).column("text").to_pylist()

    assert after == [html.unescape(text) for text in written]


@given(number=st.integers(1, 0x10FFFF), hexadecimal=st.booleans())
def test_entities_by_number_are_those_of_the_standard_library(number, hexadecimal):
    text = f"x&#x{number:x};y" if hexadecimal else f"x&#{number};y"
    known = html.unescape(text)

    assert clean(text, CleanText(mojibake=False)) == (text if "\ufffd" in known else known)


@settings(max_examples=300)
@given(text=st.one_of(BROKEN, PIECES), step=st.sampled_from([CleanText(), EVERYTHING]))
def test_a_text_that_was_cleaned_stays_as_it_is(text, step):
    once = clean(text, step)
    assert clean(once, step) == once


@given(text=st.text(st.characters(max_codepoint=0x7E, exclude_characters="&<"), max_size=80))
def test_ascii_without_ampersands_and_angles_is_never_touched(text):
    assert clean(text) == text


@given(texts=st.lists(PIECES, min_size=1, max_size=6), cut=st.integers(0, 6))
def test_cleaning_does_not_depend_on_the_batch(texts, cut):
    whole = documents(*texts)
    after = EVERYTHING(whole).column("text").to_pylist()

    assert after == [
        *EVERYTHING(whole[:cut]).column("text").to_pylist(),
        *EVERYTHING(whole[cut:]).column("text").to_pylist(),
    ]


def test_a_text_that_never_comes_to_rest_is_left_as_it_came():
    nested = "a " + "<" * 30 + "b>x</b>" + "b>x</b>" * 29 + " some words behind all of it"
    deep = "&amp;" + "amp;" * 30 + "lt;"

    assert clean(deep) == deep
    assert clean(clean(nested)) == clean(nested)


def test_punctuation_is_made_plain_only_if_asked_for():
    text = "“Olá” — ‘disse’ «ele» ‹já›: 1990–95, ‐‑ 5′ 6″ −1"

    assert clean(text) == text
    assert clean(text, CleanText(punctuation="ascii")) == (
        "\"Olá\" -- 'disse' \"ele\" 'já': 1990-95, -- 5′ 6″ −1"
    )


def test_pictures_leave_and_signs_stay():
    text = "a😀b👩‍👩‍👧c🇧🇷d👍🏽e❤️f1️⃣g🏴󠁧󠁢󠁥󠁮󠁧󠁿h☝🏽i🏳️‍🌈j❤️‍🔥k ✔ ™ © ☎ → ♪ ❤ 한 字 №"

    assert clean(text) == text
    assert clean(text, CleanText(emoji="remove")) == "abcdef1ghijk ✔ ™ © ☎ → ♪ ❤ 한 字 №"


def test_every_emoji_of_unicode_is_a_picture():
    emoji = regex.compile(r"\p{Emoji_Presentation}")
    signs = regex.compile(r"(?=\P{Emoji_Presentation})(?=[^#*0-9])\p{Emoji}")
    every = [chr(point) for point in range(0x80, 0x110000) if not 0xD800 <= point < 0xE000]
    pictures = [one for one in every if emoji.match(one)]
    selected = [one + "\ufe0f" for one in every if signs.match(one)]
    letters = [one for one in every if unicodedata.category(one)[0] in "LNP"]

    assert len(pictures) > 1000
    step = CleanText(emoji="remove")
    assert set(step(documents(*pictures, *selected)).column("text").to_pylist()) == {""}
    kept = step(documents(*letters)).column("text").to_pylist()
    assert [a for a, b in zip(letters, kept, strict=True) if a != b] == []
    assert regex.search(EMOJI, "😀")


def test_it_goes_before_normalising_which_removes_what_repair_needs():
    broken = "Voc\xc3\xaa fugiu \xc3\xa0 pol\xc3\xadcia"
    mended = NormalizeText()(CleanText()(documents(broken))).column("text")[0].as_py()

    assert mended == "Você fugiu à polícia"
    assert "polícia" not in clean(NormalizeText()(documents(broken)).column("text")[0].as_py())


def test_lower_case_of_any_script():
    assert clean("ÇÃO ΣΑΣ ЖУК", CleanText(lower=True)) == "ção σασ жук"
