"""Terms, bad words and blocked addresses, against what others do with the same lists.

python -m benchmarks.keywords [documents.parquet]
"""

import json
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.corpus import corpus
from benchmarks.page import CACHE, ROOT, circumstances, keep, table, words
from stages.base import Batch
from stages.keywords import KeywordFilter, UrlFilter
from stages.language import LanguageFilter
from stages.lists import DATATROVE, datatrove_file
from stages.toxicity import BadWords

HOME = CACHE / "keywords"
PYTHON = HOME / "peers" / "bin" / "python"
PEERS = (
    "datatrove==0.10.1",
    "pyahocorasick",
    "ahocorasick-rs",
    "tldextract",
    "fasteners",
    "regex",
    "xxhash<3.7",
)
TERMS = 100_000


def main(path: Path | None) -> None:
    """Measure, and rewrite the section of docs/benchmarks.md."""
    batch = LanguageFilter()(corpus(path, 8))
    terms, urls = terms_of(batch), urls_of(batch)
    theirs = run_theirs(batch, terms, [one for group in urls.values() for one in group])
    mb = pc.sum(pc.binary_length(batch["text"])).as_py() / 1e6
    results = {
        "about": circumstances("bateia", "pyarrow", "numba"),
        "documents": batch.num_rows,
        "mb": mb,
        "terms": compare_terms(batch, terms, theirs, mb),
        "bad_words": compare_bad_words(batch, theirs["bad_words"], mb),
        "urls": compare_urls(urls, theirs["urls"]),
    }
    keep("keywords", results, page(results))


def run_theirs(batch: Batch, terms: Sequence[str], urls: Sequence[str]) -> dict[str, Any]:
    """Verdicts and seconds of the others."""
    HOME.mkdir(parents=True, exist_ok=True)
    uv = [sys.executable, "-m", "uv"]
    subprocess.run(
        [*uv, "venv", "-q", "--allow-existing", "-p", sys.executable, PYTHON.parent.parent],
        check=True,
    )
    subprocess.run([*uv, "pip", "install", "-q", "-p", PYTHON, *PEERS], check=True)
    texts = batch.select(["text", "language"]).to_pylist()
    for name, value in (("texts", texts), ("terms", terms), ("urls", urls)):
        (HOME / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    (HOME / "lists").mkdir(exist_ok=True)
    lists = (ROOT / "stages" / "bad_words.txt").read_text(encoding="utf-8").splitlines()
    for language, *own in (line.split("\t") for line in lists if not line.startswith("#")):
        (HOME / "lists" / language).write_text("\n".join(own), encoding="utf-8")
    subprocess.run([PYTHON, ROOT / "benchmarks" / "keywords_side.py", HOME], check=True)
    found: dict[str, Any] = json.loads((HOME / "theirs.json").read_text(encoding="utf-8"))
    return found


def terms_of(batch: Batch) -> list[str]:
    """Words, pairs and triples out of texts, each with a letter changed in nine of ten cases."""
    draw = random.Random(1)
    found: dict[str, None] = {}
    texts = batch["text"].to_pylist()
    while len(found) < TERMS:
        cut = draw.choice(texts).lower().split()
        if len(cut) < 4:
            continue
        at = draw.randrange(len(cut) - 3)
        term = " ".join(cut[at : at + draw.choice((1, 2, 2, 3))])
        if draw.random() < 0.9:
            place = draw.randrange(len(term))
            term = term[:place] + draw.choice("aeioustrnxqz") + term[place + 1 :]
        if 5 <= len(term) <= 40 and term[0].isalnum() and term[-1].isalnum():
            found[" ".join(term.split())] = None
    return list(found)


def urls_of(batch: Batch) -> dict[str, list[str]]:
    """The documents' addresses, and ones made of datatrove's lists, in groups."""
    draw = random.Random(2)
    with tarfile.open(datatrove_file(DATATROVE)) as archive:
        domains, pages = (
            archive.extractfile(name).read().decode().split() for name in ("domains", "urls")
        )
    paths = ("", "/", "/index.html", "/a/b?c=d", "/noticias/2024/05/politica-economia")
    listed = draw.sample(domains, 20_000)

    def url(host: str) -> str:
        return f"http://{host}{draw.choice(paths)}"

    return {
        "documents": [one for one in batch["url"].to_pylist() if one],
        "listed domains": [url(one) for one in listed],
        "under `www.`": [url(f"www.{one}") for one in listed],
        "under `a.b.`": [url(f"a.b.{one}") for one in listed],
        "with `not` before it": [url(f"not{one}") for one in listed],
        "with a letter changed": [url(one[:3] + "q" + one[4:]) for one in listed],
        "listed pages": [f"https://{one}" for one in draw.sample(pages, 5_000)],
        "with words": [
            f"http://example.org/{draw.choice(path)}/{at}"
            for at in range(3_000)
            for path in (
                ("free/live-cams", "xxx-videos", "essex", "girls", "jailbait", "FREE/CAMS"),
            )
        ],
    }


def spent(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result of some work, done once before, and its CPU seconds."""
    work()
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def compare_terms(
    batch: Batch, terms: list[str], theirs: dict[str, Any], mb: float
) -> list[tuple[str, float, str]]:
    """MB per second, and documents with a hit in which all agree with us."""
    few = KeywordFilter(words=tuple(terms[:100]))
    step = KeywordFilter(words=tuple(terms))
    out, seconds = spent(lambda: step(batch))
    ours = pc.is_valid(out["dropped"]).to_pylist()
    rows = [
        ("bateia, 100 terms", mb / spent(lambda: few(batch))[1], ""),
        ("bateia, 100,000 terms", mb / seconds, ""),
    ]
    for name in ("pyahocorasick", "ahocorasick_rs"):
        verdicts, took = theirs[name]
        same = sum(a == b for a, b in zip(ours, verdicts, strict=True)) / len(ours)
        rows.append((f"{name}, 100,000 terms", mb / took, f"{same:.2%}"))
    return rows


def compare_bad_words(batch: Batch, theirs: Sequence[Any], mb: float) -> dict[str, Any]:
    """Speeds, and by language how often the verdicts are the same."""
    out, seconds = spent(lambda: BadWords()(batch))
    verdicts, took = theirs
    rows = []
    judged = list(
        zip(
            batch["language"].to_pylist(),
            pc.is_valid(out["dropped"]).to_pylist(),
            verdicts,
            strict=True,
        )
    )
    known = {
        language
        for language, hits in zip(out["language"].to_pylist(), out["bad_words"], strict=True)
        if hits.is_valid
    }
    for language in sorted(known):
        own = [(ours, other) for name, ours, other in judged if name == language]
        same = sum(ours == other for ours, other in own)
        rows.append(
            (
                language,
                len(own),
                f"{same / len(own):.1%}",
                sum(ours and other for ours, other in own),
                sum(other and not ours for ours, other in own),
                sum(ours and not other for ours, other in own),
            )
        )
    rows.sort(key=lambda row: -row[1])
    return {"theirs": mb / took, "ours": mb / seconds, "rows": rows}


def compare_urls(groups: dict[str, list[str]], theirs: Sequence[Any]) -> dict[str, Any]:
    """Speeds, load times, and how often the verdicts are the same."""
    urls = [one for group in groups.values() for one in group]
    step, bare = UrlFilter(datatrove=True), pa.record_batch({"url": pa.array(urls, pa.string())})
    step(bare[:10])  # compiled, loaded
    start = time.process_time()
    again = UrlFilter(datatrove=True).blocked
    loading = time.process_time() - start
    out, seconds = spent(lambda: step(bare))
    verdicts, took, their_loading = theirs
    rows, at = [], 0
    for name, group in groups.items():
        both = slice(at, at + len(group))
        pairs = list(zip(verdicts[both], out["dropped"].to_pylist()[both], strict=True))
        same = sum(bool(a) == bool(b) for a, b in pairs)
        only = [sum(bool(a) and not b for a, b in pairs), sum(bool(b) and not a for a, b in pairs)]
        rows.append((name, len(group), f"{same / len(group):.2%}", *only))
        at += len(group)
    parts = (again.domains, again.pages)
    memory = sum(p.hashes.nbytes + p.categories.nbytes + p.starts.nbytes for p in parts)
    return {
        "speeds": [
            ("datatrove", len(urls) / took, their_loading),
            ("bateia", len(urls) / seconds, loading),
        ],
        "memory_mb": memory / 1e6,
        "addresses": sum(len(p.hashes) for p in parts),
        "groups": rows,
    }


def page(results: dict[str, Any]) -> str:
    bad, urls = results["bad_words"], results["urls"]
    return f"""
## Terms, bad words, addresses

`python -m benchmarks.keywords`, {results["documents"]:,} documents, {results["mb"]:.1f} MB of text out of the larger
demo crawl; everything in one thread. Terms are words, pairs and triples out of these texts, a letter of
nine in ten of them changed.

{table(["", "MB of text per second of CPU", "documents with or without a hit, as ours"], results["terms"])}

### Bad words, against datatrove 0.10.1's C4BadWordsFilter

The same lists: {bad["theirs"]:.3g} MB per second of CPU there, **{bad["ours"]:.0f}** here. {WHY_WORDS}

{table(["language", "documents", "same verdict", "both drop", "only datatrove", "only bateia"], bad["rows"])}

### Addresses, against datatrove 0.10.1's URLFilter

Its own lists, {urls["addresses"]:,} addresses, {urls["memory_mb"]:.0f} MB of memory here, on the URLs of the
documents and on ones made of the lists. {WHY_URLS}

{table(["", "URLs per second of CPU", "CPU seconds to load"], urls["speeds"])}

{table(["URLs", "", "same verdict", "only datatrove drops", "only bateia drops"], urls["groups"])}

{words(results["about"])}
"""


WHY_WORDS = """Where they differ: datatrove finds
Latin letters within words in Japanese (`3p`, `xx`), and never a term with a capital in the list (es
`Asesinato`), for it puts only the text in lower case."""
WHY_URLS = """Where they
differ: datatrove looks up the host and its registered domain, not what lies between them, nor the
top-level domains on the list (`xxx`); its pages are listed without a scheme and compared with URLs that
have one, so that none is ever found; and its words are found in lower case only."""

if __name__ == "__main__":
    assert find_spec("datatrove"), (
        "the lists of addresses are datatrove's: install the extra interop"
    )
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
