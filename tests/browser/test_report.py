"""The report page in a real browser: what only a browser can prove."""

import json
import re
from pathlib import Path

import pytest

from deploy.pages import report_html
from tests.deploy.sample_report import NASTY, large_report


@pytest.fixture(scope="module")
def report() -> dict:
    return large_report()


@pytest.fixture(scope="module")
def address(report, tmp_path_factory) -> str:
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report_html(report), encoding="utf-8")
    return path.as_uri()


def scroll_through(page):
    height = page.evaluate("document.documentElement.scrollHeight")
    for y in range(0, height, 800):
        page.evaluate("(y) => scrollTo(0, y)", y)
        page.wait_for_timeout(25)


def tables(page, kind):
    """Each table of a kind as rows of what its cells say; the exact value where a title holds it."""
    return page.evaluate(
        """(kind) => [...document.querySelectorAll(`table[data-table="${kind}"]`)].map((table) =>
        [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) =>
        cell.classList.contains("n") && cell.title ? cell.title : cell.textContent)))""",
        kind,
    )


def numbers(cells):
    return [float(cell.replace(",", "")) for cell in cells]


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_chart_draws_without_an_error_a_violation_or_a_request(opened, width, theme):
    page = opened(width, theme)
    scroll_through(page)
    empty = "[...document.querySelectorAll('.chart')].filter((c) => !c.querySelector('svg path')).length"
    page.wait_for_function(f"{empty} === 0", timeout=5000)
    assert page.evaluate("document.querySelectorAll('.chart').length") == 55
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.heard == []


def test_the_listener_for_violations_would_hear_one(opened):
    """The test above would be worth nothing if a forbidden style went by in silence."""
    page = opened()
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    page.wait_for_timeout(100)
    assert any("style-src" in text for text in page.heard)


def test_hostile_text_is_text(opened):
    page = opened()
    scroll_through(page)
    assert "owned" not in page.title()
    shown = page.evaluate("document.querySelector('#quarantine').textContent")
    for nasty in NASTY[:2]:
        assert nasty in shown
    assert "{{ 7 * 7 }}" in shown
    assert not re.search("[\x00\x1b\u202e\u2066\u2028]", page.evaluate("document.body.textContent"))
    isolated = "[...document.querySelectorAll('.sample .text')].every((t) => t.firstElementChild.matches('bdi'))"
    assert page.evaluate(isolated)


def test_table_twins_hold_the_numbers_of_the_report(opened, report):
    page = opened()
    flow = report["flows"][0]
    stages = [row for row in tables(page, "funnel")[0] if row[1]]
    assert [numbers(row[1:5]) for row in stages] == [
        [s["in"], s["out"], sum(s["dropped"].values()), sum(s["quarantined"].values())]
        for s in flow["stages"]
    ]
    rules = {
        row[0]: float(row[3].replace(",", ""))
        for row in tables(page, "funnel")[0]
        if not row[1] and row[3]
    }
    assert rules == {rule: n for s in flow["stages"] for rule, n in s["dropped"].items()}
    by_measure = {d["measure"]: d for d in flow["distributions"]}
    names = page.evaluate(
        "[...document.querySelectorAll('.measures figcaption code')].map((c) => c.textContent)"
    )
    for measure, rows in list(zip(names, tables(page, "histogram"), strict=True))[:25]:
        one = by_measure[measure]
        columns = [one["edges"][:-1], one["edges"][1:], one["kept"], one["dropped"]]
        assert [numbers(row) for row in rows] == [list(row) for row in zip(*columns, strict=True)]
    assert [row[0] for row in tables(page, "languages")[0]][:3] == [
        row["name"] for row in flow["languages"][:3]
    ]
    shards = tables(page, "shards")[0]
    assert [numbers(row[2:4] + row[5:]) for row in shards] == [
        [s[k] for k in ("in", "kept", "dropped", "quarantined", "bytes", "seconds", "peak_memory")]
        for s in flow["shards"][: len(shards)]
    ]


def test_charts_and_twins_hold_the_same_numbers(opened):
    page = opened()
    charts = json.loads(page.evaluate("document.getElementById('data').textContent"))
    for kind, row in {
        "histogram": lambda c: list(
            zip(c["edges"], c["edges"][1:], c["kept"], c["dropped"], strict=False)
        ),
        "curve": lambda c: c["points"],
    }.items():
        drawn = [[list(map(float, r)) for r in row(c)] for c in charts if c["kind"] == kind]
        assert [[numbers(cells) for cells in rows] for rows in tables(page, kind)] == drawn


def test_the_theme_follows_the_system_and_the_button_turns_it(opened):
    page = opened(theme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    bars = "document.querySelector('.funnel svg path[fill^=\"#\"]').getAttribute('fill')"
    dark, dark_bars = page.evaluate(ground), page.evaluate(bars)
    page.click("#theme")
    assert page.evaluate(ground) != dark
    assert page.evaluate(bars) != dark_bars
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.click("#theme")
    assert (page.evaluate(ground), page.evaluate(bars)) == (dark, dark_bars)


def test_twins_open_and_tables_sort_from_the_keyboard(opened):
    page = opened()
    twin = page.locator("#funnel details").first
    twin.locator("summary").focus()
    page.keyboard.press("Enter")
    assert twin.evaluate("(d) => d.open")
    head = page.locator("#shards table").first.locator("th", has_text="Time")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    seconds = [float(row[8]) for row in tables(page, "shards")[0]]
    assert seconds == sorted(seconds, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Enter")
    assert [float(row[8]) for row in tables(page, "shards")[0]] == sorted(seconds)


def test_samples_are_found_by_verdict_rule_and_text(opened):
    page = opened()
    shown = "[...document.querySelectorAll('.sample[data-verdict]')].filter((s) => !s.hidden)"
    page.click("#reasons tr:has-text('dedup.minhash') .to-samples")
    rules = page.evaluate(f"{shown}.map((s) => s.dataset.rule)")
    assert rules
    assert set(rules) == {"dedup.minhash"}
    assert page.evaluate(f"{shown}.every((s) => s.textContent.includes('copy of'))")
    page.select_option("[name=rule]", "")
    page.select_option("[name=verdict]", "kept")
    page.fill("[name=text]", "GARIMPEIRO")
    assert page.evaluate(f"{shown}.every((s) => s.dataset.verdict === 'kept')")
    assert page.evaluate(f"{shown}.every((s) => /garimpeiro/i.test(s.textContent))")
    before = page.evaluate(f"{shown}.length")
    page.click("#more")
    assert page.evaluate(f"{shown}.length") > before
    page.fill("[name=text]", "no document says this")
    assert page.evaluate(f"{shown}.length") == 0


def test_paper_shows_every_chart_in_light_colours(opened):
    page = opened(theme="dark")
    assert page.pdf(format="A4", print_background=True).startswith(b"%PDF")
    assert page.evaluate("document.querySelectorAll('.chart:not(:has(svg))').length") == 0
    assert page.evaluate("document.documentElement.dataset.theme") is None
    assert page.heard == []
