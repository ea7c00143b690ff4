"""A small corpus with something for every filter, and a recipe over it, to move thresholds on."""

import json
import random
from pathlib import Path

NASTY = "</script><script>document.title='owned'</script> <img src=x onerror=alert(1)> \u202e"
WORDS = {
    "pt": "a bateia é de madeira em que o garimpeiro lava areia do rio até não ficar nada além do ouro "
    "nas margens ainda há quem conheça gesto girar inclinar deixar água levar cascalho pesa fundo dizem "
    "velhos paciência vale mais força ninguém enriqueceu depressa sem perder coração manhã também então",
    "en": "the gold pan is turned in moving water until lighter gravel has washed over its rim what "
    "remains heavy black sand now and then a flake method needs no machine hides nothing for every stone "
    "that leaves does so with sight of person who holds it people say patience is worth more than strength",
    "es": "la batea es un plato de madera con el que minero lava las arenas del río hasta que solo queda "
    "oro en orillas todavía hay quien conoce gesto girar inclinar dejar agua lleve grava lo pesa fondo "
    "dicen los viejos paciencia más fuerza nadie se hizo rico deprisa sin perder corazón mañana también",
}
RECIPE = """\
# Ours.
name: mine
flows:
  crawl:
    from: [{{stages.read.Jsonl: {{paths: {folder}/*.jsonl}}}}]
    stages:
      - stages.clean.NormalizeText
      - stages.language.LanguageFilter: {{languages: [pt, en, es], score: 0.2}}
      - stages.quality.GopherRepetition
      # prose
      - stages.quality.GopherQuality:
          words: [30, 100000]   # thirty words at least
          by_language: {{es: {{words: [60, null]}}}}
      - stages.quality.C4Quality: {{sentences: 3}}
      - stages.quality.FineWebQuality: {{repeated_line_characters: 0.1}}
      - stages.quality.GopherQuality: {{words: [45, null], stop_words: null}}
      - stages.dedup.ExactDedup
  last:
    from: [crawl]
    stages: [stages.quality.FineWebQuality: {{short_lines: 0.2, by_language: {{pt: {{short_lines: 0.9}}}}}}]
"""


def write_texts(folder: Path) -> Path:
    """Three files of pages in three languages: short, long, repetitive, with lists and with code."""
    chance = random.Random(7)
    rows = []

    def sentence(language: str) -> str:
        said = " ".join(chance.choices(WORDS[language].split(), k=chance.randint(5, 12)))
        return f"{said.capitalize()}."

    for n in range(360):
        language = list(WORDS)[n % 3]
        lines = [sentence(language) for _ in range(chance.randint(2, 24))]
        if n % 6 == 0:
            lines += chance.choices(lines, k=chance.randint(1, 4))
        if n % 7 == 0:
            lines += [f"{k}" for k in range(n % 9)]
        if n % 11 == 0:
            lines.append("if (x) { return 1; } e isto fica assim mesmo, sem mais nada.")
        if n % 4 == 0:
            lines.insert(0, NASTY)
        if n % 17 == 0 and rows:
            lines = rows[-3]["text"].split("\n")
        rows.append({"text": "\n".join(lines), "url": f"https://{language}{n % 4}.test/{n}"})
    for part in range(3):
        lines = [json.dumps(row) for row in rows[part::3]] + ([""] if part else [])
        (folder / f"{part}.jsonl").write_text("\n".join(lines))
    return folder


def write_recipe(folder: Path) -> Path:
    """The recipe over the corpus in a folder, beside it."""
    path = folder / "mine.yaml"
    path.write_text(RECIPE.format(folder=folder))
    return path
