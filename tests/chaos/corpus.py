"""The small pipeline over a corpus large enough to be killed in the middle of."""

import random
from pathlib import Path

from tests.pipelines.conftest import WORDS, pipeline


def write(folder: Path, files: int, lines: int = 200) -> Path:
    """A corpus, and the recipe that reads it."""
    chance = random.Random(7)
    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    for number in range(files):
        texts = [" ".join(chance.choices(WORDS, k=40)) for _ in range(lines)]
        texts += [texts[3], f"{texts[4]} again", "ab"]
        (corpus / f"{number:03}.txt").write_text("\n".join(texts))
    recipe = folder / "recipe.yaml"
    recipe.write_text(pipeline(corpus).dump())
    return recipe
