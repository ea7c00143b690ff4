import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html

from stages.base import part, replace
from stages.errors import SpecError
from stages.extract import HtmlToText
from stages.kernels.nesting import nesting
from tests.crawls import page
from tests.documents import documents

PROSE = "O rato roeu a roupa do rei de Roma, e a rainha com raiva resolveu remendar. " * 4
SITE = f"""<html><head><title>A página</title><style>p {{ color: red }}</style></head><body>
<nav><ul><li><a href="/">Início</a></li><li><a href="/x">Contato</a></li></ul></nav>
<main><article><h1>O rato</h1><p>{PROSE}</p><p>Segundo parágrafo &amp; fim. {PROSE}</p></article></main>
<footer>Direitos reservados</footer><script>var x = "<p>no text</p>";</script></body></html>"""


def depth(markup, most=600):
    return nesting(pa.array([markup], pa.large_string()), most)[0]


@pytest.mark.parametrize("engine", ["resiliparse", "trafilatura"])
def test_the_main_content_is_kept_and_what_surrounds_it_is_not(engine):
    (text,) = HtmlToText(engine=engine)(documents(SITE)).column("text").to_pylist()

    assert PROSE.strip() in text
    assert "Segundo parágrafo & fim." in text
    for noise in ("Contato", "Direitos", "var x", "color", "<p>"):
        assert noise not in text


def test_all_text_is_kept_without_main_content():
    (text,) = HtmlToText(main_content=False)(documents(SITE)).column("text").to_pylist()

    assert "Contato" in text
    assert "Direitos reservados" in text
    assert "var x" not in text


def test_the_title_can_come_first():
    (text,) = HtmlToText(title=True)(documents(SITE)).column("text").to_pylist()

    assert text.startswith("A página\n\n")


def test_pages_with_nothing_left_leave():
    batch = documents("", "<html><script>x</script></html>", SITE)
    kept, dropped, _ = part(HtmlToText()(batch))

    assert kept.num_rows == 1
    assert dropped.column("dropped").to_pylist() == ["extract.empty"] * 2


def test_plain_text_stays_as_it_is():
    kind = pa.map_(pa.string(), pa.string())
    batch = documents("1 < 2\n  & <b>", "<p>1 &lt; 2</p>")
    metas = pa.array([[("content_type", "text/plain")], [("content_type", "text/html")]], kind)
    texts = HtmlToText(main_content=False)(replace(batch, "meta", metas)).column("text").to_pylist()

    assert texts == ["1 < 2\n  & <b>", "1 < 2"]


@pytest.mark.parametrize("engine", ["resiliparse", "trafilatura"])
def test_pages_that_nest_deeply_are_kept(engine):
    """With main content detection this one page would take minutes."""
    deep = f"<html><body>{'<div>' * 200_000}<p>{PROSE}</p></body></html>"
    (text,) = HtmlToText(engine=engine)(documents(deep)).column("text").to_pylist()

    assert PROSE.strip() in text


@pytest.mark.parametrize("engine", ["resiliparse", "trafilatura"])
def test_the_order_of_pages_changes_no_text(engine):
    pages = [SITE, page("one"), page("two"), SITE]
    step = HtmlToText(engine=engine)
    forward = step(documents(*pages)).column("text").to_pylist()
    backward = step(documents(*reversed(pages))).column("text").to_pylist()

    assert forward == backward[::-1]


def test_fields_that_contradict_each_other_are_refused():
    with pytest.raises(SpecError, match="main_content"):
        HtmlToText(engine="trafilatura", main_content=False).check()
    with pytest.raises(SpecError, match="max_depth"):
        HtmlToText(max_depth=0).check()


@pytest.mark.parametrize(
    "markup, expected",
    [
        ("", 0),
        ("text < 5 and </ nothing <", 0),
        ("<div><DIV a='x>y' b=\"<b>\"></dIv><span></span></div>", 2),
        ("<p>" * 99 + "<br>" * 99 + "<li>" * 99, 0),
        ("<div></div>" * 99, 1),
        ("<!-- <div><div> --><!DOCTYPE x><?xml <div>?><div>", 1),
        ("<script>'<div><div>'</script><style><div></style><div>", 1),
        ("<svg><g/><g/><g><path/></g></svg>", 2),
        ("<x-y/>" * 9, 9),
    ],
)
def test_nesting_is_counted(markup, expected):
    assert depth(markup) == expected


@pytest.mark.parametrize(
    "trick",
    [
        "<div></x>",
        "<x-a><div></x-a>",
        "<b><div></b>",
        "<div><object></div>",
        "<div/>",
        "<DIV\t>",
        "<span a='>'>",
        "<svg><div/>",
        "<math><mi><title><section/>",
        "<math><annotation-xml><title><i>",
    ],
)
def test_a_page_cannot_hide_how_deeply_it_nests(trick):
    assert depth(trick * 700) == 600


NAMES = st.sampled_from(["div", "span", "b", "section", "ul", "table", "i", "blockquote"])
TREES = st.recursive(
    st.text("abc &;", max_size=5),
    lambda inner: st.tuples(NAMES, st.lists(inner, max_size=3)),
    max_leaves=25,
)


def write(tree):
    if isinstance(tree, str):
        return tree.replace("&", "&amp;")
    return f"<{tree[0]} class='x'>{''.join(map(write, tree[1]))}</{tree[0]}>"


def deepest(element):
    return 1 + max(map(deepest, element), default=0)


@given(tree=TREES)
def test_nesting_is_what_a_parser_finds_in_well_formed_markup(tree):
    markup = f"<div>{write(tree)}</div>"

    assert depth(markup) == deepest(etree.fromstring(markup))


@given(
    pieces=st.lists(
        st.one_of(
            st.sampled_from(
                [
                    "<div>",
                    "</div>",
                    "<p",
                    ">",
                    "<!--",
                    "-->",
                    "<svg>",
                    "<script>",
                    "</script>",
                    "'",
                    '"',
                    "=",
                    "<table>",
                    "</b>",
                    "<b>",
                    "/>",
                    "\0",
                    "é",
                ]
            ),
            st.text(max_size=3),
        ),
        max_size=60,
    )
)
def test_any_markup_is_scanned_within_its_bounds(pieces):
    """Each page alone and between others: nothing is read beyond its own bytes."""
    markup = "".join(pieces)
    alone = depth(markup)
    among = nesting(
        pa.array(["<div>", markup, "<div><div></div></div>"], pa.large_string()).slice(1, 1), 600
    )

    assert alone == among[0] <= markup.count("<")


def test_extraction_agrees_with_a_parser_on_where_a_deep_page_is():
    markup = "<html><body>" + "<div><span>" * 40 + "x" + "</span></div>" * 40 + "</body></html>"

    assert depth(markup) == 80 == deepest(html.fromstring(markup)) - 2
