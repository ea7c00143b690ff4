"""A small corpus with something for every filter, and a recipe over it, to move thresholds on."""

import json
from pathlib import Path

NASTY = "</script><script>document.title='owned'</script> <img src=x onerror=alert(1)> \u202e"
SENTENCES = {
    "pt": "A bateia é a gamela de madeira em que o garimpeiro lava a areia do rio, número {}. ",
    "en": "The gold pan is turned in the moving water until the gravel has left it, number {}. ",
    "es": "La batea es el plato de madera con que el minero lava la arena del río, número {}. ",
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
    rows = []
    for n in range(360):
        language = list(SENTENCES)[n % 3]
        sentence = SENTENCES[language]
        lines = [sentence.format(n * 100 + k).strip() for k in range(1 + (n * 7) % 23)]
        if n % 5 == 0:
            lines += [lines[0]] * (n % 4)
        if n % 7 == 0:
            lines += [f"{k}" for k in range(n % 9)]
        if n % 11 == 0:
            lines.append("if (x) { return 1; } " + "e isto fica assim mesmo, sem mais nada.")
        if n % 13 == 0:
            lines.insert(0, NASTY)
        if n % 17 == 0:
            lines = [SENTENCES["pt"].format(k).strip() for k in range(12)]
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
