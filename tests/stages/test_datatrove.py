"""Steps of datatrove as stages: what they say is what datatrove's own pipeline says."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from stages.base import DROPPED, FAULT, part
from stages.config import load_step
from stages.datatrove import Datatrove
from stages.errors import DataError, SpecError
from tests.documents import ENGLISH, PORTUGUESE, documents

FILTERS = "datatrove.pipeline.filters."
TEXTS = [
    ENGLISH * 4,
    ENGLISH,
    "\n".join([ENGLISH] * 9),
    f"{ENGLISH} {ENGLISH.upper()} \n Too short [1] \nUse javascript, please. {ENGLISH}",
    "A { curly } one that is long enough, and it ends here.",
    PORTUGUESE * 3,
    "Buy at casino.example now.",
    "",
]
PAGE = (
    f"<html><body><article><h1>T</h1><p>{ENGLISH * 3}</p></article><footer>x</footer></body></html>"
)


def pipeline(step: Any, written: list[str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What datatrove's own pipeline keeps (id -> text), and why it excludes the rest."""
    from datatrove.data import Document
    from datatrove.pipeline.writers import JsonlWriter

    if hasattr(step, "exclusion_writer"):
        step.exclusion_writer = JsonlWriter(str(folder), compression=None)
    given = [Document(text=text, id=f"test#{at}") for at, text in enumerate(written)]
    kept = {document.id: document.text for document in step.run(iter(given))}
    import json

    lines = [line for file in folder.glob("*") for line in file.read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    return kept, {row["id"]: row.get("metadata", {}).get("filter_reason", "") for row in rows}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("GopherQualityFilter", {}),
        ("GopherQualityFilter", {"language": "pt", "stop_words": ["a", "o"], "min_doc_words": 20}),
        ("GopherRepetitionFilter", {"top_n_grams": [[2, 0.2]]}),
        ("C4QualityFilter", {"min_num_sentences": 2}),
        ("C4ParagraphFilter", {}),
        ("FineWebQualityFilter", {"char_duplicates_ratio": 0.5}),
        ("RegexFilter", {"regex_exp": r"casino\.\w+"}),
    ],
)
def test_a_filter_keeps_and_drops_for_the_reasons_of_its_own_pipeline(name, options, tmp_path):
    from datatrove.pipeline import filters

    kept, excluded = pipeline(getattr(filters, name)(**options), TEXTS, tmp_path)
    stays, leaves, broke = part(Datatrove(step=FILTERS + name, options=options)(documents(*TEXTS)))
    reasons = dict(zip(leaves["id"].to_pylist(), leaves[DROPPED.name].to_pylist(), strict=True))

    assert dict(zip(stays["id"].to_pylist(), stays["text"].to_pylist(), strict=True)) == kept
    assert broke is None
    assert len(kept) + len(excluded) == len(TEXTS)
    assert set(reasons) == set(excluded)
    for each, reason in excluded.items():
        words = reason.replace("< 3 paragraphs", "3_paragraphs")
        assert reasons[each] == f"datatrove.{name}" + (f".{words}" if words else "")


def test_urls_are_judged_by_the_column():
    options = {"extra_domains": ["bad.com"], "use_integrated_lists": False}
    urls = ["https://bad.com/x", "https://good.com/y", None]
    step = Datatrove(step=FILTERS + "URLFilter", options=options)
    stays, leaves, broke = part(step(documents("a", "b", "c", url=urls)))

    assert stays["text"].to_pylist() == ["b"]
    assert leaves[DROPPED.name].to_pylist() == ["datatrove.URLFilter.domain"]
    assert broke["text"].to_pylist() == ["c"]
    assert broke[FAULT.name][0].as_py().startswith("AssertionError: ")


def test_a_formatter_rewrites():
    batch = documents("mail a@b.com or 1.2.3.4", "schÃ¶n")
    pii = Datatrove(step="datatrove.pipeline.formatters.PIIFormatter")
    ftfy = Datatrove(step="datatrove.pipeline.formatters.FTFYFormatter")
    (scrubbed, same) = pii(batch)["text"].to_pylist()

    assert "a@b.com" not in scrubbed
    assert same == "schÃ¶n"
    assert ftfy(batch)["text"].to_pylist()[1] == "schön"


def test_an_extractor_finds_the_text_and_drops_what_has_none():
    step = Datatrove(
        step="datatrove.pipeline.extractors.Trafilatura", options={"deduplicate": False}
    )
    stays, leaves, _ = part(step(documents(PAGE, "<html><body></body></html>")))

    assert ENGLISH in stays["text"][0].as_py()
    assert leaves[DROPPED.name].to_pylist() == ["datatrove.Trafilatura.empty"]


def test_metadata_go_in_from_all_columns_and_come_out_in_meta(monkeypatch):
    from datatrove.pipeline.filters import RegexFilter

    seen = []

    def look(_: Any, document: Any) -> bool:
        seen.append(dict(document.metadata))
        document.metadata |= {"url": "https://changed.example", "score": {"a": 0.5}}
        return True

    monkeypatch.setattr(RegexFilter, "filter", look)
    batch = documents(
        "text", url=["https://a.example"], date=[datetime(2024, 1, 2)], meta=[[("k", "v")]]
    )
    out = Datatrove(step=FILTERS + "RegexFilter", options={"regex_exp": "x"})(batch)

    assert seen == [
        {"source": "test", "url": "https://a.example", "date": "2024-01-02T00:00:00", "k": "v"}
    ]
    assert dict(out["meta"][0].as_py()) == {
        "k": "v", "url": "https://changed.example", "score": '{"a": 0.5}',
    }  # fmt: skip
    assert out["url"].to_pylist() == ["https://a.example"]


def test_a_document_on_which_it_raises_goes_alone(monkeypatch):
    from datatrove.pipeline.formatters import FTFYFormatter

    def explode(_: Any, text: str) -> str:
        if "bad" in text:
            raise ValueError("no\nsuch thing")
        return text.upper() + "\ud800" * ("lone" in text)

    monkeypatch.setattr(FTFYFormatter, "format", explode)
    step = Datatrove(step="datatrove.pipeline.formatters.FTFYFormatter")
    stays, leaves, broke = part(step(documents("one", "bad", "lone", "two")))

    assert stays["text"].to_pylist() == ["ONE", "TWO"]
    assert leaves is None
    assert broke["text"].to_pylist() == ["bad", "lone"]
    assert broke[FAULT.name][0].as_py() == "ValueError: no such thing"
    assert broke[FAULT.name][1].as_py().startswith("UnicodeEncodeError: ")


def test_what_cannot_be_downloaded_stops_the_run(monkeypatch):
    from datatrove.pipeline.filters import c4_filters

    def offline(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route")

    monkeypatch.setattr(c4_filters, "cached_asset_path_or_download", offline)
    with pytest.raises(DataError, match=r"C4BadWordsFilter could not get .* no route"):
        Datatrove(step=FILTERS + "C4BadWordsFilter")(documents("text"))


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        ("os.path.join", {}, "step: 'os.path.join' is not under datatrove.pipeline"),
        (FILTERS + "GopherQualtyFilter", {}, "did you mean GopherQualityFilter"),
        ("datatrove.pipeline.readers.JsonlReader", {}, "no filter, extractor or formatter"),
        ("datatrove.pipeline.nothing.Here", {}, "No module named"),
        (FILTERS + "GopherQualityFilter", {"xyz": 3}, "options.xyz: .*known: min_doc_"),
        (FILTERS + "GopherQualityFilter", {"min_doc_word": 3}, "did you mean 'min_doc_words'"),
        (FILTERS + "RegexFilter", {}, "options.regex_exp: RegexFilter needs this argument"),
        (FILTERS + "RegexFilter", {"regex_exp": "("}, "options: RegexFilter: "),
        (FILTERS + "LambdaFilter", {"filter_function": "x"}, "takes code"),
        (FILTERS + "SamplerFilter", {"rate": 0.1, "seed": 1}, "draws lots"),
        (FILTERS + "C4BadWordsFilter", {"keep_fraction": 0.1, "seed": 1}, "draws lots"),
        (FILTERS + "RegexFilter", {"regex_exp": "x", "exclusion_writer": "y"}, "rejects"),
        ("datatrove.pipeline.extractors.Trafilatura", {}, "options.deduplicate"),
    ],
)
def test_mistakes_are_told_before_work_starts(step, options, words):
    with pytest.raises(SpecError, match=words):
        load_step({"stages.datatrove.Datatrove": {"step": step, "options": options}}, "here")
