import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser

import pytest

from deploy.pages import LIMIT, Bounds, rebin, render, report_html, thin
from deploy.wording import duration, name, share, short, show, size
from tests.deploy.sample_report import NASTY, large_report


@pytest.fixture(scope="module")
def report() -> dict:
    return large_report()


@pytest.fixture(scope="module")
def page(report) -> str:
    return report_html(report)


class Tags(HTMLParser):
    """Every tag and attribute of a page, and the texts of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.within = False
        self.tags: list[tuple[str, dict]] = []
        self.blocks: list[tuple[str, dict, str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.within = True
            self.blocks.append((tag, dict(attrs), ""))

    def handle_endtag(self, tag):
        self.within = self.within and tag not in ("script", "style")

    def handle_data(self, data):
        if self.within:
            tag, attributes, text = self.blocks[-1]
            self.blocks[-1] = (tag, attributes, text + data)


def test_the_largest_report_stays_below_the_limit(page):
    assert len(page.encode()) <= LIMIT


def test_a_corpus_ten_times_too_large_is_cut_to_the_limit_and_says_so(report):
    huge = copy.deepcopy(report)
    for flow in huge["flows"][:3]:
        flow["samples"] = [{**s, "text": "\x00\x01" * 9_000} for s in flow["samples"] * 5]
        flow["shards"] *= 20
        flow["domains"] *= 20
        flow["distributions"] *= 4
    page = report_html(huge)
    assert len(page.encode()) <= LIMIT
    assert "more characters" in page
    assert re.search(r"The worst \d+ of 10,000 shards", page)


def test_the_policy_allows_these_scripts_and_this_style_and_nothing_else(page):
    parsed = Tags(page)
    [policy] = [a["content"] for _, a in parsed.tags if a.get("http-equiv")]
    allowed = {
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for tag, attributes, text in parsed.blocks
        if tag in ("script", "style") and "type" not in attributes
    }
    assert set(re.findall(r"'sha256-[^']+'", policy)) == allowed
    assert len(allowed) == 3
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert " ".join(re.sub(r"'sha256-[^']+'", "#", policy).split()) == (
        "default-src 'none'; script-src # #; style-src #; img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_no_tag_asks_the_network_or_carries_code(page):
    for tag, attributes in Tags(page).tags:
        assert tag not in ("iframe", "object", "embed", "img", "base"), tag
        assert not [key for key in attributes if key.startswith("on") or key == "style"], attributes
        for key in ("src", "href", "action"):
            assert attributes.get(key, "#").startswith(("#", "data:image/svg+xml,")), attributes


@pytest.mark.parametrize("nasty", NASTY)
def test_hostile_text_adds_no_tag_wherever_it_stands(nasty):
    """The same report with a harmless word has the same tags: nothing was parsed as markup."""

    def tags(word: str) -> list[str]:
        row = {"name": word, "in": 3, "kept": 1, "bytes": 5}
        flow = {
            "name": word, "from": [word],
            "stages": [{"stage": word, "step": word, "config": {word: word}, "in": 3, "out": 1,
                        "dropped": {word: 1}, "quarantined": {word: 1}, "seconds": 1.0}],
            "shards": [{"key": word, "input": word, "in": 3}], "languages": [row], "domains": [row],
            "sources": [row], "counts": {word: 3},
            "distributions": [{"measure": word, "edges": [0, 1], "kept": [1], "dropped": [2],
                               "rules": [{"stage": word, "low": 1, "high": None}]}],
            "samples": [{"verdict": word, "stage": word, "rule": word, "value": word, "bound": word,
                         "copy_of": word, "id": word, "url": word, "language": word, "text": word}],
            "quarantine": [{"id": word, "url": word, "stage": word, "fault": word, "text": word}],
            "copies": [{"stage": word, "copies": 1, "sizes": {"2": 1}, "domains": [{"name": word, "in": 2, "copies": 1}],
                        "largest": [{"size": 2, "id": word, "url": word, "copies": [
                            {"id": word, "url": word, "similarity": 1, "segments": [[word, word], [word, ""], ["", word]]}]}]}],
        }  # fmt: skip
        job = {
            "flow": word, "job": word, "config": {word: word}, "numbers": {word: 1},
            "series": [{"name": word, "x": word, "y": word, "points": [[0, 1]]}],
            "scores": [{"name": word, "group": word, "before": 1, "after": 2, "low": 1, "high": 3,
                        "unit": word, "signature": word}],
        }  # fmt: skip
        run = dict.fromkeys(
            ("id", "pipeline", "state", "started", "version", "runner", "store"), word
        )
        run |= {"recipe": word, "versions": {word: word}}
        page = render({"run": run, "flows": [flow], "jobs": [job]}, Bounds())
        page.encode()
        return [tag for tag, _ in Tags(page).tags if tag not in ("i", "b")]

    assert tags(nasty) == tags("harmless")


def test_what_does_not_print_is_shown_by_its_code_and_isolated():
    assert show("a\u202eb\x00\x00\x00c", 99) == (
        '<bdi dir="auto">a<i>U+202E</i>b<i>U+0000\u00d73</i>c</bdi>'
    )
    assert show("<b>&", 2) == (
        '<bdi dir="auto">&lt;b</bdi> <b class="cut">\u2026 2 more characters</b>'
    )
    assert name("a\u2028b\x07") == "a bU+0007"


def test_the_funnel_says_that_it_adds_up_only_if_it_does(report, page):
    assert page.count("It adds up: ") == 3
    assert 'class="alarm"' not in page
    wrong = copy.deepcopy(report)
    wrong["flows"][0]["stages"][4]["dropped"]["language.other"] -= 1
    page = report_html(wrong)
    assert page.count("It adds up: ") == 2
    alarm = page.split('class="alarm"')[1]
    assert f"LanguageFilter: {wrong['flows'][0]['stages'][4]['in']:,} in, but " in alarm


def test_jobs_hang_on_the_flows_they_take_and_a_stopped_run_says_why():
    flow = {
        "name": "corpus",
        "from": ["Warc"],
        "stages": [{"stage": "A", "in": 2, "out": 1, "dropped": {"a.b": 1}}],
    }
    job = {"flow": "model", "from": ["corpus"], "job": "Pretrain", "seconds": 3.0}
    run = {"state": "failed", "error": "StageError: A <failed>", "started": "2026-10-11T09:00:00+00:00",
           "ended": "2026-10-11T09:00:04.5+00:00"}  # fmt: skip
    page = report_html({"run": run, "flows": [flow], "jobs": [job]})
    assert (
        page.count('class="edge"') == 2 * 2
    )  # source to corpus to model, in the wide and the narrow drawing
    assert report_html(large_report()).count('class="edge"') == 2 * 7
    assert "StageError: A &lt;failed&gt;" in page
    assert "4.5 s</span>" in page


def test_documents_lost_between_two_stages_raise_the_alarm():
    stages = [{"stage": "A", "in": 10, "out": 10}, {"stage": "B", "in": 9, "out": 9}]
    page = report_html({"flows": [{"name": "f", "stages": stages}]})
    assert "A let 10 through, but B got 9" in page
    assert "It adds up: " not in page


def test_the_head_counts_each_document_once_over_flows_that_feed_flows(report, page):
    crawl, books, corpus = report["flows"][:3]
    entered = crawl["stages"][0]["in"] + books["stages"][0]["in"]
    assert f"Of {entered:,} documents, {corpus['out']:,} (" in page


def test_sections_without_data_are_left_out():
    sections = re.findall(r'<section id="(\w+)"', report_html({"schema": 1}))
    assert sections == []
    stage = {"stage": "A", "in": 2, "out": 2}
    sections = re.findall(r'<section id="(\w+)"', report_html({"flows": [{"stages": [stage]}]}))
    assert sections == ["flows", "funnel"]


def test_sections_stand_in_the_order_of_the_story(page):
    assert " ".join(re.findall(r'<section id="(\w+)"', page)) == (
        "flows funnel reasons measures languages domains sources tokens copies samples quarantine time "
        "shards training scores recipe versions"
    )


def test_the_data_block_is_json_that_cannot_leave_its_script(page):
    [block] = [text for _, a, text in Tags(page).blocks if a.get("type") == "application/json"]
    assert block.isascii()
    assert not set("<>&") & set(block)
    kinds = [chart["kind"] for chart in json.loads(block)]
    assert {kind: kinds.count(kind) for kind in kinds} == {"funnel": 3, "histogram": 50, "curve": 2}


def test_merging_bins_and_thinning_curves_lose_nothing_that_matters():
    one = {"edges": list(range(102)), "kept": list(range(101)), "dropped": [1] * 101}
    merged = rebin(one, 16)
    assert len(merged["kept"]) == len(merged["edges"]) - 1 <= 16
    assert (sum(merged["kept"]), sum(merged["dropped"])) == (sum(range(101)), 101)
    assert (merged["edges"][0], merged["edges"][-1]) == (0, 101)
    words = {"edges": [i / 50 for i in range(51)] + [2, 4], "kept": [3] + [0] * 50 + [5]}
    counted = rebin(words, 64)
    assert (counted["edges"], counted["kept"]) == ([0, 0.02, 1, 2, 4], [3, 0, 0, 5])
    points = [[i, 100.0 if i == 777 else i % 7] for i in range(5000)]
    thinned = thin(points, 100)
    assert len(thinned) <= 100
    assert [777, 100.0] in thinned
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])


@pytest.mark.parametrize(
    "shown, expected",
    [
        (share(65, 10_000), "0.65 %"), (share(1, 10**9), "< 0.01 %"), (share(9999, 10_000), "> 99.9 %"),
        (share(1, 0), "\u2013"), (share(10, 10), "100.0 %"), (size(3_400_000), "3.4 MB"), (size(999), "999 B"),
        (size(999_999), "1.0 MB"), (size(None), "\u2013"), (short(12_345), "12,345"), (short(12_345_678), "12.3 M"),
        (duration(0.0451), "45 ms"), (duration(245), "4 min 5 s"), (duration(12_000), "3 h 20 min"),
        (duration(93_600), "1 d 2 h"), (short(float("nan")), "\u2013"),
    ],
)  # fmt: skip
def test_numbers_are_short_for_people(shown, expected):
    assert shown.replace("\u00a0", " ") == expected
