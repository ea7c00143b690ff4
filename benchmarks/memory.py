"""How much memory the largest worker takes, whatever comes in.

    python -m benchmarks.memory [input]

Each input goes through every stage of a real recipe, in one worker of a process pool. Whatever a
crawl may hold, no worker may take more than LIMIT.
"""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.cost import ALONE, Cost, cost
from benchmarks.page import CACHE, circumstances, keep, table, words
from tests.crawls import page, response

LIMIT = 1_500_000_000
WARC_BYTES = 1_500_000_000  # uncompressed
TEXT = """o a de que e do da em um para com não uma os no se na por mais as dos como mas ao ele das tem
seu sua ou quando muito nos já eu também só pelo pela até isso ela entre depois sem mesmo aos seus quem
tempo casa vida mundo cidade ano dia homem mulher água terra luz porta livro trabalho escola caminho"""
SPEECH = TEXT.split()


def main() -> None:
    """Measure all, and rewrite the section of docs/benchmarks.md."""
    work = CACHE / "memory"
    work.mkdir(parents=True, exist_ok=True)
    about = circumstances("bateia", "pyarrow", "numba", "resiliparse")
    found = {name: spent(name, work) for name in INPUTS}
    rows = [
        (name, about_it, round(one.worker / 1e6), round(one.wall), round(one.cpu))
        for (name, (_, about_it)), one in zip(INPUTS.items(), found.values(), strict=True)
    ]
    text = f"""
## Memory

`python -m benchmarks.memory`: each input through extraction, normalising, language, quality, exact and near
copies and PII, in one worker of a pool. The bound is {LIMIT / 1e6:,.0f} MB for a worker.

{table(["input", "what it is", "MB, largest process", "wall s", "CPU s"], rows)}

{words(about)}
"""
    plain = {name: one.plain() for name, one in found.items()}
    keep("memory", {"about": about, "inputs": plain}, text)
    over = [name for name, one in found.items() if one.worker > LIMIT]
    if over:
        sys.exit(f"more than {LIMIT:,} bytes: {', '.join(over)}")


def spent(name: str, work: Path) -> Cost:
    """The cost of a run in processes of its own."""
    make, _ = INPUTS[name]
    path = work / name.replace(" ", "-")
    if not path.exists():
        aside = path.with_suffix(".part")
        make(aside)
        aside.rename(path)
    return cost([sys.executable, "-m", "benchmarks.memory", name], work / "log.txt", **ALONE)


def prose(chance: random.Random, count: int) -> str:
    """Sentences of made-up Portuguese, about 5.3 bytes for each word."""
    said = chance.choices(SPEECH, k=count)
    for at in range(11, count, 12):
        said[at] += ".\n" if at % 60 == 59 else "."
    return " ".join(said)


def write_pages(path: Path, pages: Iterator[str]) -> None:
    with open(path, "wb") as file:
        for at, html in enumerate(pages):
            file.write(response(f"http://{at % 997}.example/{at}", html))


def one_page(size: int) -> Iterator[str]:
    chance = random.Random(0)
    paragraphs = [prose(chance, 100) for _ in range(1_000)]
    yield page("large", *(chance.choice(paragraphs) for _ in range(size // 540)))
    yield page("small", prose(chance, 200))


def many_pages() -> Iterator[str]:
    """Pages of 20 kB to 200 kB, a tenth of the paragraphs shared between them."""
    chance, written = random.Random(1), 0
    shared = [prose(chance, 80) for _ in range(2_000)]
    while written < WARC_BYTES:
        fresh = [prose(chance, 80) for _ in range(4)]
        html = page("page", *fresh, *chance.choices(shared, k=chance.randint(45, 460)))
        written += len(html)
        yield html


def tiny_pages() -> Iterator[str]:
    chance = random.Random(2)
    for at in range(100_000):
        yield page(str(at), prose(chance, 12))


def near_copies() -> Iterator[str]:
    chance = random.Random(3)
    text = prose(chance, 2_000).split(" ")
    for at in range(20_000):
        text[at % 2_000] = chance.choice(SPEECH)
        again = text.copy()
        again[chance.randrange(2_000)] = f"nome{at}"
        yield page("copy", " ".join(again))


def long_copies() -> Iterator[str]:
    chance = random.Random(4)
    paragraphs = [prose(chance, 100) for _ in range(400)]
    for at in range(2_000):
        paragraphs[at % 400] = prose(chance, 100)
        yield page("copy", *paragraphs)


def tiny_rows(path: Path) -> None:
    chance = random.Random(5)
    texts = [prose(chance, 12) for _ in range(100_000)]
    pq.write_table(pa.table({"text": texts}), path)


INPUTS = {
    "one page of 100 MB": (
        lambda path: write_pages(path, one_page(100_000_000)),
        "beyond max_document_bytes: it leaves unread, its neighbour stays",
    ),
    "one page of 30 MB": (
        lambda path: write_pages(path, one_page(30_000_000)),
        "the largest that is read, if nothing is configured",
    ),
    "a WARC file of 1.5 GB": (
        lambda path: write_pages(path, many_pages()),
        "uncompressed size; pages of 20 to 200 kB",
    ),
    "100,000 tiny pages": (lambda path: write_pages(path, tiny_pages()), "12 words each"),
    "100,000 tiny rows": (tiny_rows, "12 words each, one row group of a Parquet file"),
    "20,000 near copies": (
        lambda path: write_pages(path, near_copies()),
        "of a page of 2,000 words: one cluster",
    ),
    "2,000 long near copies": (
        lambda path: write_pages(path, long_copies()),
        "of a page of 40,000 words: one cluster, 640 MB of shingles",
    ),
}


def work_through(name: str) -> None:
    """One run, into a store that is thrown away."""
    import tempfile

    from pipelines import Flow, Pipeline, Pool, run
    from stages.clean import NormalizeText
    from stages.dedup import ExactDedup, MinHashDedup
    from stages.extract import HtmlToText
    from stages.language import LanguageFilter
    from stages.pii import ScrubPII
    from stages.quality import GopherQuality, GopherRepetition
    from stages.read import Parquet, Warc

    path = CACHE / "memory" / name.replace(" ", "-")
    tables = name.endswith("rows")
    loose = GopherQuality(words=(1, 10**7), stop_words=None, mean_word_length=(1, 100))
    rest = [NormalizeText(), LanguageFilter(languages=("pt",), score=0.0), loose]
    rest += [GopherRepetition(**dict.fromkeys(GopherRepetition().senses, 1.0))]
    rest += [ExactDedup(), MinHashDedup(), ScrubPII()]
    source = Parquet(paths=str(path)) if tables else Warc(paths=str(path))
    recipe = Pipeline("memory", {"all": Flow([source], rest if tables else [HtmlToText(), *rest])})
    runner = Pool(1)
    with tempfile.TemporaryDirectory(dir=path.parent) as store:
        try:
            done = run(recipe, store, runner)
        finally:
            runner.close()
        from pipelines.report import report

        for stage in report(done)["flows"][0]["stages"]:
            print(stage["stage"], stage["in"], stage["out"], stage["dropped"], stage["quarantined"])


if __name__ == "__main__":
    work_through(sys.argv[1]) if sys.argv[1:] else main()
