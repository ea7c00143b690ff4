"""The page of thresholds in a real browser, from a moved line to the recipe and the next run."""

import http.client
import re
import subprocess
import sys

import pytest

from pipelines import Pipeline, run
from pipelines.bounds import with_bounds
from pipelines.report import report
from tests.tuned import write_recipe, write_texts

WORDS = '[data-rule="GopherQuality.words"]'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return write_recipe(write_texts(tmp_path_factory.mktemp("texts")))


@pytest.fixture(scope="module")
def done(recipe, tmp_path_factory):
    return run(Pipeline.load(recipe), str(tmp_path_factory.mktemp("store")))


@pytest.fixture(scope="module")
def address(done):
    command = [sys.executable, "-m", "deploy.cli", "tune", done.id, "--store", done.store.url]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield re.search(r"http://\S+", server.stdout.readline())[0]
    finally:
        server.terminate()
        assert server.wait(20) == 0


@pytest.fixture
def opened(opened, done):
    def unsaved(*how, **more):
        done.store.home.delete(f"runs/{done.id}/bounds.json")  # what another test saved
        page = opened(*how, **more)
        page.wait_for_selector('main[aria-busy="false"]')
        return page

    return unsaved


def move(page, rule, tenths):
    """Move the first line of a rule by tenths of its axis, and wait until the page has settled."""
    slider = page.locator(f"{rule} .plot input").first
    slider.focus()
    for _ in range(abs(tenths)):
        slider.press("PageUp" if tenths > 0 else "PageDown")
    page.wait_for_selector('main[aria-busy="false"]')


def number(text):
    return int(re.search(r"[\d,]+", text)[0].replace(",", ""))


def tiles(page):
    names, values = page.locator("#totals dt"), page.locator("#totals dd:not(.note)")
    return dict(zip(names.all_inner_texts(), map(number, values.all_inner_texts()), strict=True))


def passes(page, name):
    """What the head of a filter says passes: now, and then."""
    text = page.inner_text(f'[data-passes="{name}"]')
    return [number(part) for part in text.partition(",")[0].split("→")]


def test_a_moved_line_is_written_to_the_recipe_and_the_next_run_keeps_what_the_page_said(
    opened, done, recipe
):
    before = recipe.read_text()
    page = opened()
    move(page, WORDS, 3)
    said, kept = passes(page, "GopherQuality"), tiles(page)
    assert page.inner_text(f"{WORDS} .drops b").count("→") == 1
    assert kept["Would leave"] > 0
    assert kept["Go on, not yet judged"] == 0
    page.click("#apply")
    page.wait_for_selector("#done:has-text('Written to')")
    after = recipe.read_text()
    again = run(Pipeline.load(recipe), done.store)
    recipe.write_text(before)
    (bound,) = re.findall(r"words: \[(\d+), 100000\]   # thirty words at least", after)
    assert after == before.replace("words: [30,", f"words: [{bound},")
    now, then = (
        next(s["out"] for s in report(one)["flows"][0]["stages"] if s["stage"] == "GopherQuality")
        for one in (done, again)
    )
    assert said == [now, then]
    assert page.heard == []


def test_bounds_of_one_language_are_its_own(opened, done):
    page = opened()
    page.select_option("[name=language]", "pt")
    move(page, WORDS, 2)
    shown = page.inner_text("#difference")
    (bound,) = re.findall(r"\+.*pt: \{words: \[(\d+), 100000\]\}", shown)
    again = run(
        with_bounds(
            done.pipeline(),
            {"crawl.GopherQuality.by_language.pt.words": [int(bound), 100_000]},
        ),
        done.store,
    )
    out = next(
        s["out"] for s in report(again)["flows"][0]["stages"] if s["stage"] == "GopherQuality"
    )
    assert passes(page, "GopherQuality")[1] == out
    rows = page.locator("#languages tbody tr").all_inner_texts()
    changed = [row.split("\t")[0] for row in rows if "\N{MINUS SIGN}" in row]
    assert changed == ["pt"]


def test_documents_are_read_on_both_sides_and_hostile_text_is_text(opened):
    page = opened()
    move(page, WORDS, -2)
    assert tiles(page)["Go on, not yet judged"] > 0
    page.locator("#won article").first.wait_for()
    page.locator(f"{WORDS} .drops button").first.click()
    for side in ("outside", "inside"):
        page.locator(f"#{side} article").first.wait_for()
        assert page.locator(f"#{side} article .text bdi").count() > 0
    page.keyboard.press("Escape")
    every = "#won, #outside, #inside"
    for card in page.locator('.rule .drops button:has-text("read")').all():
        card.click()
        page.wait_for_selector("#inside article")
        if any("</script>" in text for text in page.locator(every).all_inner_texts()):
            break
        page.keyboard.press("Escape")
    else:
        pytest.fail("no document with hostile text came to be shown")
    assert "owned" not in page.title()
    assert not re.search("[\x00\u202e]", page.inner_text("body"))
    assert page.heard == []


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_and_breaks_no_policy(opened, width, theme):
    page = opened(width, theme)
    move(page, WORDS, 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    empty = "[...document.querySelectorAll('.plot svg')].filter((s) => !s.querySelector('path[d*=M0]')).length"
    assert page.evaluate(empty) == 0
    assert page.evaluate("document.querySelectorAll('.rule').length") > 25
    page.click("#theme")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == ("rgb(250, 248, 244)" if theme == "dark" else "rgb(21, 20, 17)")
    assert page.heard == []


def test_typed_numbers_undo_and_reset(opened):
    page = opened()
    field = page.locator(f"{WORDS} .set input").first
    field.fill("61")
    field.press("Enter")
    page.wait_for_selector("#difference .add:has-text('[61, 100000]')")
    field.fill("200000")
    field.press("Enter")
    page.wait_for_selector("#alarm:has-text('above the upper bound')")
    page.locator(f"{WORDS} .drops button:has-text('undo')").click()
    page.wait_for_selector("#difference .note")
    page.wait_for_selector("#alarm", state="hidden")
    assert page.is_disabled("#apply")
    field.fill("")
    field.press("Enter")
    page.wait_for_selector("#difference .add:has-text('[null, 100000]')")
    page.click("#reset")
    page.wait_for_selector("#difference .note")
    assert field.input_value() == "30"


def test_what_is_saved_on_the_page_is_applied_by_the_command(opened, done, recipe):
    from deploy.cli import main

    before = recipe.read_text()
    page = opened()
    move(page, WORDS, 2)
    page.click("#save")
    page.wait_for_selector("#done:has-text('Saved')")
    try:
        assert main(["tune", done.id, "--store", done.store.url, "--apply"]) == 0
        assert recipe.read_text() != before
        assert Pipeline.load(recipe) != Pipeline.loads(before, "before")
    finally:
        recipe.write_text(before)


def asked(address, path="", method="GET", body=None, **headers):
    host, _, secret = address.removeprefix("http://").rstrip("/").partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path.replace("SECRET", secret), body, named)
    return connection.getresponse().status


def test_nobody_else_is_answered(address):
    host = address.split("/")[2]
    port = host.partition(":")[2]
    page, save = "/SECRET/", "/SECRET/save"
    json_from = {"Content_Type": "application/json", "Origin": f"http://{host}"}
    assert asked(address, page) == 200
    assert asked(address, page, Host=f"localhost:{port}") == 200
    assert asked(address, "/") == 403
    assert asked(address, "/guessed/") == 403
    assert asked(address, page, Host=f"evil.test:{port}") == 403
    assert asked(address, page, Host="127.0.0.1:1") == 403
    assert asked(address, page, Origin="http://evil.test") == 403
    assert asked(address, save, "POST", '{"settings": {}}', **json_from) == 200
    for wrong in (
        {"Origin": "http://evil.test"}, {"Origin": "null"}, {"Content_Type": "text/plain"},
    ):  # fmt: skip
        assert asked(address, save, "POST", '{"settings": {}}', **{**json_from, **wrong}) == 403
    assert asked(address, save, "POST", '{"settings": {}}', Content_Type="application/json") == 403
    assert asked(address, "/SECRET/docs") == 404
    assert asked(address, save, "POST", '{"settings": {"a.B.c": 1}}', **json_from) == 422


def test_the_page_is_served_to_this_machine_only(address):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{20,}/", address)
