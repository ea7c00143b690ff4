"""The canonical form of URLs, against a plain reading of its rules with urllib."""

import re
from urllib.parse import quote, unquote_to_bytes, urlsplit

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kernels.urls import PARAMETERS, TRACKING, canonical

MANY = settings(max_examples=150, deadline=None)
WORDS = st.text("abcXYZ019-._~", min_size=1, max_size=6)
NAMES = WORDS.filter(lambda name: not tracks(name))
PARTS = st.text("abc019-~%é /:@!$'()*,;=", max_size=8).map(lambda part: part.replace("/", ""))
PAGES = st.tuples(
    st.lists(st.text("abcDEF019", min_size=1, max_size=5), min_size=2, max_size=4),  # host
    st.lists(PARTS.map(lambda part: quote(part, safe="")).filter(lambda p: p not in (".", ".."))),
    st.lists(st.tuples(NAMES, PARTS.map(lambda part: quote(part, safe=""))), unique_by=lambda p: p[0]),
)  # fmt: skip


def form(*urls):
    return canonical(pa.array(urls, pa.string())).to_pylist()


def tracks(name):
    return name.lower().startswith("utm_") or name.lower() in TRACKING


def url(page, scheme="http", port="", host=str, path="{}", fragment=""):
    names, parts, parameters = page
    query = "&".join("=".join(parameter) for parameter in parameters)
    return (
        f"{scheme}://{host('.'.join(names))}{port}"
        + path.format("".join(f"/{part}" for part in parts))
        + (f"?{query}" if query else "")
        + fragment
    )


def plainly(text):
    """The rules of the module once more, for URLs of http and https without tricks in the host."""
    found = urlsplit(text.strip())
    host = (found.hostname or "").rstrip(".")
    while host.startswith("www.") and "." in host[4:]:
        host = host[4:]
    port = f":{found.port}" if found.port and found.port not in (80, 443) else ""

    def encoded(part):
        return re.sub(
            r"%[0-9A-Fa-f]{2}|[^%]+|%",
            lambda m: (
                quote(unquote_to_bytes(m[0]), safe="")
                if re.fullmatch(r"%..", m[0])
                else quote(m[0], safe="/:?@!$&'()*+,;=[]~")
            ),
            part,
        )

    path: list[str] = []
    for part in encoded(found.path).split("/")[1:]:
        if part == "..":
            path = path[:-1]
        elif part != ".":
            path.append(part)
    whole = "".join(f"/{part}" for part in path).rstrip("/")
    parameters = [encoded(p.replace("+", " ")) for p in found.query.split("&")]
    kept = [p for p in parameters if p and not tracks(p.split("=")[0])]
    query = "&".join(sorted(kept, key=lambda p: p.split("=")[0].encode()))
    return f"http://{host}{port}{whole}" + (f"?{query}" if query else "")


@given(
    PAGES,
    st.sampled_from(["http", "https", "HTTP", "hTTps"]),
    st.sampled_from(["", ":80", ":443", ":8080", ":"]),
    st.sampled_from(["{}", "{}/", "/.{}", "/a/..{}//", "{}/b/../c/."]),
)
@MANY
def test_is_what_a_plain_reading_of_the_rules_gives(page, scheme, port, path):
    address = url(page, scheme, port, path=path, fragment="#top?x=1")

    assert form(address) == [plainly(address)]


@given(
    st.one_of(PAGES.map(url), st.text(max_size=60), st.text("htp:/w.?&=#%2Ea@+8 0[]", max_size=40))
)
@MANY
def test_the_form_of_a_form_is_itself(address):
    once = form(address)

    assert form(*once) == once


@given(PAGES, st.randoms(use_true_random=False))
@MANY
def test_what_does_not_change_the_page_does_not_change_the_form(page, chance):
    names, parts, parameters = page
    shuffled = [*parameters, ("utm_source", "x"), ("FBCLID", "y"), ("", "")][:-1]
    chance.shuffle(shuffled)
    other = url((names, parts, shuffled), "https", ":443", str.upper, "{}/", "#part")

    assert form(f" {other}\n") == form(url(page))
    assert form(url(page, host=lambda host: f"www.{host}.")) == form(url(page))


@given(PAGES, PAGES)
@MANY
def test_other_pages_have_other_forms(page, other):
    same = plainly(url(page)) == plainly(url(other))

    assert (form(url(page)) == form(url(other))) == same


@pytest.mark.parametrize(
    "address, expected",
    [
        ("HTTP://www.Example.COM:80/a/./b/../c/?b=2&a=1#f", "http://example.com/a/c?a=1&b=2"),
        ("https://u:Pw@EX%41mple.com.:8080//x//", "http://u:Pw@example.com:8080//x"),
        ("http://[2001:DB8::1]:443/", "http://[2001:db8::1]"),
        ("http://www.com", "http://www.com"),
        ("http://e.org/%7euser/%e7%C3?q=a+b", "http://e.org/~user/%E7%C3?q=a%20b"),
        ("http://e.org/ação?ç", "http://e.org/a%C3%A7%C3%A3o?%C3%A7"),
        ("http://e.org/100%", "http://e.org/100%25"),
        ("http://e.org/?a=2&a=1", "http://e.org?a=2&a=1"),
        ("http://e.org/?UTM_Source=x&gclid=1&gclidx=1", "http://e.org?gclidx=1"),
        ("http://e.org/../../a", "http://e.org/a"),
        ("ftp://E.org:21/A/", "ftp://e.org:21/A"),
        ("mailto:A@b.c", "mailto:A@b.c"),
        ("urn:x:%41#f", "urn:x:A"),
        ("", None),
        (" \t", None),
        ("#x", None),
        (None, None),
    ],
)
def test_examples(address, expected):
    assert form(address) == [expected]


def test_many_parameters_and_long_urls_cost_no_more_than_their_length():
    many = "&".join(f"p{at}=1" for at in range(200_000, 0, -1))
    few = "&".join(f"p{at:03}=1" for at in range(PARAMETERS - 1, 0, -1))
    ordered = "&".join(f"p{at:03}=1" for at in range(1, PARAMETERS))

    assert form(f"http://e.org/?{many}") == [f"http://e.org?{many}"]
    assert form(f"http://e.org/?{few}") == [f"http://e.org?{ordered}"]
    assert form("http://e.org" + "/a/.." * 300_000) == ["http://e.org"]
    assert form("http://" + "www." * 300_000 + "e.org") == ["http://e.org"]


def test_a_slice_of_a_column_is_read_where_it_is():
    column = pa.array(["http://x.org", None, "https://WWW.e.org/"], pa.string())

    assert canonical(column[1:]).to_pylist() == [None, "http://e.org"]
