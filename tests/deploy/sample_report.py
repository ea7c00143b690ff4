"""A report as the largest run would write it, with every hostile string we know of."""

import math
import random

NASTY = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\"> <!-- <style>body{display:none}</style>",
    "line\u2028separator\u2029paragraph \\u003c {{ 7 * 7 }} {% raw %} ${7*7}",
    "price \u202e0001 RLO \u2066isolate never closed",
    "NUL \x00\x00\x00 bell \x07 escape \x1b[31m delete \x7f c1 \x9b bom \ufeff",
    "lone \ud800 surrogate, zalgo z" + "\u0301\u0316" * 40 + "o",
    "عربى وإنجليزي mixed with English, עברית too",
    "👩‍👩‍👧‍👦🏳️‍🌈" * 5 + "\u0301",
    "a" * 30_000,
    "' onmouseover='document.title=1' \" style=\"position:fixed\" javascript:alert(1)",
]
PORTUGUESE = (
    "A bateia é a gamela de madeira em que o garimpeiro lava a areia do rio até que só fique o ouro. "
    "Nas margens do Rio das Velhas, em Minas Gerais, ainda há quem conheça o gesto: girar, inclinar, "
    "deixar a água levar o cascalho. O que pesa fica no fundo. Dizem os mais velhos que a paciência "
    "vale mais do que a força, e que ninguém enriqueceu depressa sem perder depressa."
)
ENGLISH = (
    "A gold pan is turned in moving water until the lighter gravel has washed over its rim. What "
    "remains is heavy: black sand, now and then a flake. The method needs no machine and hides "
    "nothing, for every stone that leaves the pan does so in sight of the person who holds it."
)
SPAM = "COMPRE AGORA!!! Melhores preços >>> clique aqui <<< frete grátis * cupom * oferta * " * 6
SENTENCES = (PORTUGUESE, ENGLISH, SPAM)

STAGES = {
    "Warc": {},
    "UrlFilter": {"url.blocked_domain": 0.021, "url.words": 0.008},
    "HtmlToText": {"extract.empty": 0.062, "extract.too_deep": 0.0002},
    "NormalizeText": {},
    "LanguageFilter": {"language.other": 0.31, "language.score": 0.043},
    "GopherRepetition": {
        f"repetition.{rule}": 0.013 / (i + 1)
        for i, rule in enumerate(
            ["duplicate_lines", "duplicate_paragraphs", "duplicate_line_characters"]
            + ["duplicate_paragraph_characters"]
            + [f"top_{n}_gram" for n in (2, 3, 4)]
            + [f"duplicate_{n}_grams" for n in range(5, 11)]
        )
    },
    "GopherQuality": {
        "gopher.words": 0.121, "gopher.mean_word_length": 0.004, "gopher.symbols_per_word": 0.011,
        "gopher.bulleted_lines": 0.0031, "gopher.trailing_off_lines": 0.002,
        "gopher.alphabetic_words": 0.019, "gopher.stop_words": 0.009,
    },
    "C4Quality": {"c4.sentences": 0.08, "c4.lorem_ipsum": 0.00003, "c4.curly_bracket": 0.006},
    "FineWebQuality": {"fineweb.line_punctuation": 0.07, "fineweb.short_lines": 0.021},
    "KeywordFilter": {"keywords.blocked": 0.0065},
    "MinHashDedup": {"dedup.minhash": 0.183},
    "ScrubPII": {},
}  # fmt: skip
CONFIG = {
    "LanguageFilter": {"languages": ["pt", "en"], "score": 0.65},
    "GopherQuality": {"words": [50, 100000], "mean_word_length": [3, 10]},
    "MinHashDedup": {"bands": 14, "rows": 8, "words": 5},
}
MEASURES = [
    "words", "mean_word_length", "symbols_per_word", "bulleted_lines", "trailing_off_lines",
    "alphabetic_words", "stop_words", "duplicate_lines", "duplicate_paragraphs",
    "duplicate_line_characters", "duplicate_paragraph_characters", "top_2_gram", "top_3_gram",
    "top_4_gram", "duplicate_5_grams", "duplicate_6_grams", "duplicate_7_grams",
    "duplicate_8_grams", "duplicate_9_grams", "duplicate_10_grams", "language_score", "sentences",
    "line_punctuation", "short_lines", "characters",
]  # fmt: skip
LANGUAGES = [
    "pt",
    "en",
    "es",
    "fr",
    "de",
    "it",
    "nl",
    "ru",
    "zh",
    "ja",
    "ko",
    "ar",
    "he",
    "fa",
    "tr",
    "pl",
    "cs",
    "sk",
    "sl",
    "hr",
    "sr",
    "bg",
    "uk",
    "ro",
    "hu",
    "fi",
    "sv",
    "no",
    "da",
    "is",
    "el",
    "hi",
    "bn",
    "ta",
    "th",
    "vi",
    "id",
    "ms",
    "ca",
    "gl",
]


def large_report() -> dict:
    """Two flows of 12 stages, 25 measures, 40 languages, 300 domains, 500 shards, 200 samples."""
    rng = random.Random(7)
    crawl = flow(rng, "crawl", ["commoncrawl"], 18_432_907)
    books = flow(rng, "books", ["livros", "gutenberg"], 231_554)
    corpus = flow(rng, "corpus", ["crawl", "books"], crawl["out"] + books["out"], short=True)
    corpus["counts"] = {
        "documents": corpus["out"], "tokens": 4_812_345_678, "rows": 1_176_001, "padding": 4_554_418,
    }  # fmt: skip
    model = {"name": "model", "from": ["corpus"], "stages": []}
    scores = {"name": "report", "from": ["model"], "stages": []}
    return {
        "schema": 1,
        "run": {
            "id": "2026-10-11T09-12-44-portuguese-7f3a", "pipeline": "portuguese", "state": "done",
            "started": "2026-10-11T09:12:44+00:00", "ended": "2026-10-11T12:31:02+00:00",
            "seconds": 11898.4, "version": "0.1.0", "runner": "RayRunner(workers=64)",
            "store": "s3://runs/portuguese", "recipe": RECIPE, "reused": 312, "computed": 9688,
            "versions": {"pyarrow": "26.0.0", "numba": "0.63.1", "ray": "2.60.0", "torch": "2.13.0",
                         "python": "3.11.9", "transformers": "5.2.0"},
        },
        "flows": [crawl, books, corpus, model, scores],
        "jobs": jobs(rng),
    }  # fmt: skip


def flow(rng, name, sources, documents, short=False):
    stages, alive = [], documents
    size = documents * 21_000
    for stage, rules in STAGES.items():
        if short and stage not in ("MinHashDedup", "ScrubPII", "KeywordFilter"):
            continue
        dropped = {rule: int(alive * part) for rule, part in rules.items()}
        broken = (
            {"ValueError": int(alive * 2e-5), "TimeoutError": 3} if stage == "HtmlToText" else {}
        )
        out = alive - sum(dropped.values()) - sum(broken.values())
        after = int(size * out / alive * (0.21 if stage == "HtmlToText" else 1))
        stages.append({
            "stage": stage, "step": f"stages.made.{stage}", "config": CONFIG.get(stage, {}),
            "in": alive, "out": out, "dropped": dropped, "quarantined": broken,
            "seconds": alive * rng.uniform(2e-5, 9e-4), "bytes_in": size, "bytes_out": after,
        })  # fmt: skip
        alive, size = out, after
    return {
        "name": name, "from": sources, "stages": stages, "seconds": documents / 1900, "out": alive,
        "peak_memory": 1_934_217_216, "counts": {}, "shards": shards(rng), "shards_total": 10_000,
        "distributions": [] if short else [distribution(rng, m, alive) for m in MEASURES],
        "languages": groups(rng, LANGUAGES + NASTY[:2]),
        "domains": groups(rng, [f"{w}{i}.example.{t}" for i in range(100) for w, t in
                                (("jornal", "br"), ("blog", "pt"), ("news", "com"))] + NASTY[3:5]),
        "sources": shares(sources, documents, alive), "samples": samples(rng, stages),
        "copies": [copies(documents)],
        "quarantine": [
            {"id": f"{name}/{i}", "url": f"https://exemplo{i}.br/p?q=%00", "stage": "HtmlToText",
             "fault": "ValueError: nesting deeper than 4,000 " + NASTY[i % 5], "text": NASTY[i % len(NASTY)]}
            for i in range(12)
        ],
    }  # fmt: skip


def copies(documents):
    """What a deduplication of many documents finds."""
    largest = [
        {"size": documents // 40 // (at + 1), "id": f"warc/{at}#0", "url": f"https://www.exemplo{at}.br/",
         "copies": [{"id": f"warc/{at}#{copy}", "url": NASTY[copy], "similarity": 0.8 + copy / 40, "skipped": 40_000 * copy,
                     "more": copy > 0, "segments": [[PORTUGUESE, PORTUGUESE], [f" {NASTY[at]}", f" {NASTY[-at]}"],
                                                    ["", ENGLISH], [SPAM, ""], [ENGLISH, ENGLISH]]} for copy in range(3)]}
        for at in range(8)
    ]  # fmt: skip
    pairs = [0] * 5 + [documents // (3 + (at - 9) ** 2) for at in range(15)]
    return {
        "stage": "MinHashDedup", "copies": documents // 5, "compared": documents, "alike": documents // 4,
        "similarity": 0.8, "by_similarity": pairs, "sizes": {str(2**at): documents // 4**at for at in range(1, 12)},
        "recall": [1 - (1 - ((at + 0.5) / 20) ** 8) ** 14 for at in range(20)],
        "candidates": {str(2**at): documents // 3**at for at in range(1, 14)}, "giant": {"size": documents // 9, "leave": 3},
        "largest": largest, "sources": [{"name": "warc", "in": documents, "copies": documents // 5, "elsewhere": documents // 9}],
        "domains": [{"name": f"{'x' * at}.exemplo.br", "in": documents // (at + 1), "copies": documents // (at + 2) // 3}
                    for at in range(48)] + [{"name": NASTY[1], "in": 3, "copies": 1}, {"name": "", "in": 2, "copies": 1}],
    }  # fmt: skip


def shares(names, total, kept):
    """Two thirds to the first name and so on; the last takes the rest, so that it adds up."""
    rows = []
    for name in names:
        last = name == names[-1]
        n, k = (total, kept) if last else (total * 2 // 3, kept * 2 // 3)
        rows.append({"name": name, "in": n, "kept": k, "bytes": k * 4321})
        total, kept = total - n, kept - k
    return rows


def distribution(rng, measure, alive):
    bins = 40
    if measure in ("words", "characters"):
        edges = [10 ** (i * 6 / bins) for i in range(bins + 1)]
    else:
        edges = [i / bins * (20 if measure == "mean_word_length" else 1) for i in range(bins + 1)]
    middle, width = rng.uniform(10, 26), rng.uniform(2.5, 6)
    kept = [int(alive / 9 * math.exp(-(((i - middle) / width) ** 2))) for i in range(bins)]
    dropped = [
        int(alive / 22 * math.exp(-(((i - middle / 2) / width / 1.3) ** 2))) for i in range(bins)
    ]
    rules = {
        "words": [{"stage": "GopherQuality", "low": 50, "high": 100_000}],
        "mean_word_length": [{"stage": "GopherQuality", "low": 3, "high": 10}],
        "symbols_per_word": [{"stage": "GopherQuality", "low": None, "high": 0.1}],
        "language_score": [{"stage": "LanguageFilter", "low": 0.65, "high": None}],
        "top_2_gram": [{"stage": "GopherRepetition", "low": None, "high": 0.2}],
        "line_punctuation": [{"stage": "FineWebQuality", "low": 0.12, "high": None}],
    }.get(measure, [])
    return {"measure": measure, "edges": edges, "kept": kept, "dropped": dropped, "rules": rules}


def groups(rng, names):
    rows = []
    for rank, name in enumerate(names):
        total = int(9e6 / (rank + 1) ** 1.3 * rng.uniform(0.8, 1.2)) + 2
        kept = int(total * rng.uniform(0.05, 0.7))
        rows.append({"name": name, "in": total, "kept": kept, "bytes": kept * 4321})
    return rows


def shards(rng):
    rows = []
    for i in range(500):
        total, kept = rng.randint(30_000, 45_000), rng.randint(9_000, 20_000)
        broken = max(0, 40 - i)
        rows.append({
            "key": f"{rng.getrandbits(128):032x}", "in": total, "kept": kept,
            "input": f"s3://commoncrawl/crawl-data/CC-MAIN-2026-40/segments/17{i:05}/warc/{i:05}.warc.gz",
            "dropped": total - kept - broken, "quarantined": broken, "bytes": rng.randint(10**7, 9 * 10**8),
            "seconds": rng.uniform(20, 190), "peak_memory": rng.randint(4 * 10**8, 2 * 10**9), "counts": {},
        })  # fmt: skip
    return rows


def samples(rng, stages):
    rules = [(s["stage"], rule) for s in stages for rule in s["dropped"]]
    rows = []
    for i in range(200):
        kept = i % 4 == 0
        stage, rule = ("", None) if kept else rules[i % len(rules)]
        text = (
            NASTY[i % len(NASTY)]
            if i % 13 == 5
            else SENTENCES[i % 3] + "\n\n" + " ".join([SENTENCES[(i + 1) % 3]] * (1 + i % 4))
        )
        rows.append({
            "verdict": "kept" if kept else "dropped", "stage": stage, "rule": rule,
            "value": None if kept else round(rng.uniform(0, 40), 4), "bound": None if kept else [50, 100_000],
            "copy_of": f"crawl/00017/{i}" if rule == "dedup.minhash" else None, "id": f"00042/{i * 7919}",
            "url": f"https://www.exemplo{i}.com.br/noticias/{i}?{'x' * (i % 90)}", "language": "en" if i % 3 == 1 else "pt",
            "text": text,
        })  # fmt: skip
    return rows


def jobs(rng):
    loss = [[i * 100, 2.1 + 8.7 * math.exp(-i / 160) + rng.gauss(0, 0.04)] for i in range(2000)]
    rate = [
        [i * 100, 3e-4 * min(1, i / 100) * (0.1 + 0.9 * (1 + math.cos(math.pi * i / 2000)) / 2)]
        for i in range(2000)
    ]
    scores = []
    for group in ("pt", "en", "es"):
        before = rng.uniform(1.0, 1.3)
        after = before - rng.uniform(-0.01, 0.2)
        scores.append({"name": "held-out", "group": group, "before": before, "after": after, "low": after - 0.012,
                       "high": after + 0.012, "unit": "bits per byte", "signature": f"likelihood|{group}|v1|seed:7"})  # fmt: skip
        for name in ("MMLU", "ARC", "HellaSwag"):
            before = rng.uniform(0.25, 0.5)
            after = before + rng.uniform(-0.02, 0.12)
            scores.append({"name": name, "group": group, "before": before, "after": after, "low": after - 0.02,
                           "high": after + 0.02, "unit": "accuracy", "signature": f"{name}|{group}|5-shot"})  # fmt: skip
    return [
        {"flow": "model", "job": "Pretrain", "config": {"base": "s3://models/base", "tokens": 2e10}, "seconds": 81234.5,
         "numbers": {"steps": 200_000, "tokens": 20_000_000_000, "tokens_per_second": 246_190.2, "final_loss": 2.0913},
         "series": [{"name": "loss", "x": "step", "y": "nats per token", "points": loss},
                    {"name": "learning rate", "x": "step", "y": "", "points": rate}], "scores": []},
        {"flow": "report", "job": "Evaluate", "config": {"benchmarks": ["mmlu-pt"]}, "seconds": 3210.0, "numbers": {},
         "series": [], "scores": scores},
    ]  # fmt: skip


RECIPE = """# One language out of a crawl, next to books, for continued pretraining.
name: portuguese
max_errors: 0.001            # share of documents a stage may fail on

flows:
  crawl:
    from: [{stages.read.Warc: {paths: s3://commoncrawl/crawl-data/CC-MAIN-2026-40/**/*.warc.gz}}]
    stages:
      - stages.extract.HtmlToText
      - stages.language.LanguageFilter: {languages: [pt], score: 0.65}
      - stages.quality.GopherQuality: {words: [50, 100000]}   # </script><b>not bold</b>
  corpus:
    from: [crawl, {stages.read.Parquet: {paths: s3://books/pt/*.parquet}}]
    stages:
      - stages.dedup.MinHashDedup: {bands: 14, rows: 8, words: 5}
"""
