"""A crawl with everything broken that a crawl can hold, through a whole recipe, end to end."""

import random
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import Flow, Pipeline, Pool, run
from pipelines.audit import explain, verify
from pipelines.report import report
from stages.clean import NormalizeText
from stages.dedup import ExactDedup, MinHashDedup
from stages.extract import HtmlToText
from stages.language import LanguageFilter
from stages.pii import ScrubPII
from stages.quality import GopherQuality
from stages.read import Parquet, Warc
from tests.chaos.steps import HANGS, KILLS, Fatal
from tests.crawls import broken_parquet, faulty_crawl, page, response
from tests.pipelines.conftest import shelf

LIMIT = 1 << 20  # bytes of the largest page
WORDS = "a manhã o rio da serra desce lento entre pedras antigas e os moradores abrem janelas"


def prose(url):
    """Portuguese of its own for every page, with an address to scrub."""
    chance, words = random.Random(url), WORDS.split()
    sentences = [" ".join(chance.choices(words, k=12)).capitalize() + "." for _ in range(8)]
    return page(url, *sentences, f"Escreva para {chance.randrange(10**6)}@exemplo.com.br hoje.")


@pytest.fixture(scope="module")
def crawl(tmp_path_factory):
    """Every fault there is between good pages, pages that are fatal, and tables sound and broken."""
    crawl = faulty_crawl(tmp_path_factory.mktemp("faulty"), large=2 * LIMIT, depth=50_000)
    mixed = crawl.folder / "a-mixed.warc.gz"
    content = mixed.read_bytes()
    for url in crawl.good:  # each good page says something else, so that none is a copy
        content = content.replace(response(url, page(url)), response(url, prose(url)))
    mixed.write_bytes(content)
    urls = [f"http://good.test/fatal/{at}" for at in range(2)]
    members = [response(url, prose(url)) for url in urls]
    members.insert(1, response("http://bad.test/kills", page("kills", KILLS)))
    members.append(response("http://bad.test/hangs", page("hangs", HANGS)))
    (crawl.folder / "d-fatal.warc.gz").write_bytes(b"".join(members))
    crawl.good += urls
    crawl.faults += ["WorkerDied"] * 2
    table = pa.table({"text": [prose("table")], "url": ["http://good.test/table"]})
    pq.write_table(table, crawl.folder / "a.parquet")
    crawl.good.append("http://good.test/table")
    broken_parquet(crawl.folder / "b.parquet")
    crawl.faults.append("CorruptFile")
    (crawl.folder / "c.parquet").write_bytes(b"")
    return crawl


def recipe(crawl):
    """The steps of a real recipe, their bounds so loose that only copies leave by them."""
    loose = GopherQuality(
        words=(1, 10**6), mean_word_length=(1, 100), alphabetic_words=0.1, stop_words=None
    )
    steps = [
        Fatal(),
        HtmlToText(),
        NormalizeText(),
        LanguageFilter(languages=("pt",), score=0.2),
        loose,
        ExactDedup(),
        MinHashDedup(),
        ScrubPII(),
    ]
    tables = Parquet(paths=str(crawl.folder / "*.parquet"), max_document_bytes=LIMIT)
    sources = [Warc(paths=crawl.paths, max_document_bytes=LIMIT), tables]
    return Pipeline("faulty", {"crawl": Flow(sources, steps)}, seconds=2)


@pytest.fixture(scope="module")
def done(crawl, tmp_path_factory):
    runner = Pool(2)
    try:
        return run(recipe(crawl), str(tmp_path_factory.mktemp("pool")), runner)
    finally:
        runner.close()


@pytest.fixture(scope="module")
def verdicts(done):
    """Every verdict on every document, by id, in the order of the passes."""
    found = defaultdict(list)
    for stretch in done.record["stretches"]:
        for key in stretch["keys"]:
            rows = pq.read_table(done.store.open(key, "features.parquet")).to_pylist()
            broken = pq.read_table(done.store.open(key, "quarantine.parquet"))
            faults = dict(zip(broken["id"].to_pylist(), broken["fault"].to_pylist(), strict=True))
            for row in rows:
                found[row["id"]].append({**row, "fault": faults.get(row["id"])})
    return found


def test_every_stage_adds_up_and_the_store_proves_it(done, crawl):
    (flow,) = report(done)["flows"]
    before = None
    for stage in flow["stages"]:
        gone = sum(stage["dropped"].values()) + sum(stage["quarantined"].values())
        assert stage["in"] == stage["out"] + gone, stage
        assert before in (None, stage["in"]), stage
        before = stage["out"]
    assert flow["stages"][0]["in"] == crawl.rows
    assert list(verify(done)) == []


def test_every_good_page_reaches_the_end(verdicts, crawl):
    last = {rows[-1]["url"]: rows[-1]["verdict"] for rows in verdicts.values()}
    assert {url: last.get(url) for url in crawl.good} == dict.fromkeys(crawl.good, "kept")


def test_a_document_leaves_once_and_for_all(verdicts, crawl):
    assert len(verdicts) == crawl.rows
    for rows in verdicts.values():
        assert all(row["verdict"] == "kept" for row in rows[:-1]), rows


def test_every_planted_fault_is_in_quarantine_and_every_page_that_is_none_in_rejects(
    verdicts, crawl
):
    last = [rows[-1] for rows in verdicts.values()]
    kinds = [row["fault"].partition(":")[0] for row in last if row["verdict"] == "quarantined"]
    assert Counter(kinds) == Counter(crawl.faults)
    unread = {row["url"]: row["rule"] for row in last if (row["rule"] or "").startswith("read.")}
    assert unread == crawl.dropped


def test_strange_pages_are_kept_or_leave_for_a_reason(verdicts, crawl):
    last = [rows[-1] for rows in verdicts.values() if rows[-1]["url"] in crawl.hostile]
    assert len(last) == len(crawl.hostile)
    reasons = Counter(row["rule"] or row["verdict"] for row in last)
    assert set(reasons) <= {
        "kept", "extract.empty", "language.not_wanted", "dedup.exact", "dedup.minhash"
    }  # fmt: skip
    assert reasons["kept"] >= 1
    kept = {id for id, rows in verdicts.items() if rows[-1]["verdict"] == "kept"}
    assert all(row["copy_of"] in kept for row in last if row["rule"] == "dedup.minhash")


def test_the_pages_that_kill_and_hang_are_named_with_what_they_did(done):
    for name in ("kills", "hangs"):
        (chapter,) = explain(done, f"http://bad.test/{name}")
        assert chapter["verdict"] == "quarantined"
        assert chapter["fault"].startswith("WorkerDied: this document, even alone, kills")


def test_what_is_kept_is_clean(done):
    keys = done.record["stretches"][-1]["keys"]
    texts = [
        text
        for key in keys
        for text in pq.read_table(done.store.open(key, "documents.parquet"))["text"].to_pylist()
    ]
    assert sum("<EMAIL>" in text for text in texts) > 20
    assert not any("@exemplo" in text or "<p>" in text or "\0" in text for text in texts)


def test_ray_leaves_the_same_bytes(done, crawl, tmp_path, ray_runner):
    run(recipe(crawl), str(tmp_path), ray_runner)
    assert shelf(tmp_path) == shelf(Path(done.store.url))
