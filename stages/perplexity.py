"""How well texts are predicted by an n-gram model of their language: trained here and applied."""

import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zipfile import BadZipFile, ZipFile, ZipInfo
from zipfile import Path as ZipPath

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Job, Resources, Stage, drop, replace
from stages.choice import Runs, batches, copied, limits, of, runs, taken
from stages.errors import DataError, SpecError
from stages.kernels.hashing import hash64, positions, string_buffers
from stages.mix import salt

if TYPE_CHECKING:
    from stages.kernels.arpa import Model

MODELS = "models.zip"  # what TrainPerplexity leaves
HEAD = 4096  # bytes at the beginning of an ARPA file in which its counts are
COUNT = re.compile(rb"^ngram +\d+ *= *(\d+)", re.MULTILINE)
CHARACTERS = 100_000  # of a text that a model is trained on
BORDER = np.uint64(1)  # the hash of the end of a line, while words are gathered


@dataclass(frozen=True, kw_only=True)
class PerplexityFilter(Stage):
    """Measure how much each text surprises an n-gram model of its language, and keep the expected.

    Adds `perplexity`: 10 ^ -(log10 of the text's probability per word and end of line), as CCNet has
    it (Wenzek et al. 2020, arXiv:1911.00359): every line is a sentence. Of a text the first 4 MB are
    looked at. It is null for languages without a model and texts without a word; those stay.
    Reason: `perplexity.at_most`, with the perplexity as value. For CCNet's head, middle and tail
    put `stages.rank.Buckets` behind it.

    `models`: `LANGUAGE.arpa` files (n-gram models as KenLM reads them) in a folder or zip, such as
    `flow:perplexity/models.zip` of `TrainPerplexity`, for texts in the form described there.
    """

    models: File
    at_most: float | None = None  # keep documents of so much perplexity and less
    by_language: dict[str, float | None] = field(default_factory=dict)  # other bounds, by language

    @property
    def needs(self) -> tuple[str, ...]:
        return ("text", "language")

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field("perplexity", pa.float64()),)

    @property
    def resources(self) -> Resources:
        return Resources(heavy=True)

    def check(self) -> None:
        known = ", ".join(self._languages)
        if not known:
            raise SpecError(f"models: {self.models}: no LANGUAGE.arpa is in it")
        for language in self.by_language:
            if language not in self._languages:
                raise SpecError(f"by_language.{language}: no model of it; there are: {known}")

    @cached_property
    def _languages(self) -> list[str]:
        """The languages there are models of."""
        try:
            home = root(self.models)
        except (OSError, BadZipFile) as wrong:
            raise SpecError(f"models: {self.models}: neither a folder nor a zip: {wrong}") from None
        return sorted(
            path.name.removesuffix(".arpa") for path in home.iterdir() if path.suffix == ".arpa"
        )

    @cached_property
    def _loaded(self) -> "dict[str, Model]":
        return {}

    def __call__(self, batch: Batch) -> Batch:
        from stages.kernels.arpa import score
        from stages.kernels.characters import table

        offsets, data = string_buffers(batch.column("text"))
        found = np.full(batch.num_rows, np.nan)
        bounds = np.full(batch.num_rows, np.inf)
        languages = batch.column("language")
        for language in pc.unique(languages).drop_null().to_pylist():
            if language not in self._languages:
                continue
            if language not in self._loaded:
                self._loaded[language] = load(self.models, f"{language}.arpa")
            rows = np.flatnonzero(pc.fill_null(pc.equal(languages, language), False))
            score(data, offsets, table(), rows, self._loaded[language], found)
            bound = self.by_language.get(language, self.at_most)
            bounds[rows] = np.inf if bound is None else bound
        column = pa.array(found, mask=np.isnan(found))
        batch = replace(batch, "perplexity", column)
        if self.at_most is None and not self.by_language:
            return batch
        out = pa.array(found > bounds)
        reasons = pc.if_else(out, "perplexity.at_most", pa.scalar(None, pa.string()))
        return drop(batch, reasons, values=pc.if_else(out, column, pa.scalar(None, pa.float64())))


def root(place: str) -> Path | ZipPath:
    """The folder, or what is like one in a zip."""
    return Path(place) if Path(place).is_dir() else ZipPath(place)


def load(place: str, name: str) -> "Model":
    """The model in an ARPA file of a folder or zip. SpecError if it is none."""
    from stages.kernels.arpa import empty, fill

    home = root(place)
    data: npt.NDArray[np.uint8]
    if isinstance(home, Path):
        data = np.memmap(home / name, np.uint8, "r")
    else:
        data = np.frombuffer((home / name).read_bytes(), np.uint8)
    head = data[:HEAD].tobytes()
    start = head.find(b"\\1-grams:")
    counts = [int(number) for number in COUNT.findall(head[: max(start, 0)])]
    if not counts:
        raise SpecError(f"models: {place}: {name} is no ARPA file")
    model = empty(sum(counts), len(counts))
    many, failed = fill(data, start, model.slots, model.values, model.order)
    if failed >= 0 or many != sum(counts):
        line = int((data[: max(failed, 0)] == ord("\n")).sum()) + 1
        raise SpecError(
            f"models: {place}: {name}:{line}: not the n-grams that its head promises: "
            f"{many:,} of {sum(counts):,} read"
        )
    return model


@dataclass(frozen=True, kw_only=True)
class TrainPerplexity(Job):
    """Train an n-gram model of each language; writes `models.zip` of `LANGUAGE.arpa` files.

    Models are those of KenLM's lmplz: interpolated modified Kneser-Ney (Heafield et al. 2013), an
    unknown word as likely as one word more in the vocabulary. Texts are taken line by line, as
    words and marks of `stages.kernels.folded`: lower case without accents, a run of digits as 0,
    letters of scripts without spaces one by one, of a run of one mark the first.

    Of each language documents are taken as their hash of `id` has it, about `sample` bytes of text,
    each cut at 100,000 characters; of those, `heldout` are only for measuring. The report has the
    perplexity of these for each language, without those that the model has seen: more than half of
    their runs of 8 words are in what it is trained on. It says how many these are; where they are
    many, deduplicate first. The same documents give the same files. It holds 16 bytes for each word
    of all samples, and while a model is made about 30 times the text that it is made of.
    """

    version = 2

    languages: tuple[str, ...] = ()  # of which a model is made; empty: of all (column `language`)
    order: Annotated[int, Field(ge=2, le=9)] = 5  # words of the longest n-grams
    # By order, n-grams that occur no more often are left out of the model; the last for the rest.
    prune: tuple[int, ...] = (0, 0, 1)
    minimum: int = 100_000  # bytes of text; of a language with less no model is made
    sample: int = 50_000_000  # bytes of text of each language, about
    heldout: Annotated[float, Field(gt=0, lt=1)] = 0.02  # share of the documents
    seed: int = 0  # another seed, other documents

    @property
    def needs(self) -> tuple[str, ...]:
        """The language, of each text."""
        return ("id", "text", "language")

    def check(self) -> None:
        if not self.prune or self.prune[0] != 0 or list(self.prune) != sorted(self.prune):
            raise SpecError(
                f"prune: expected 0 first, then numbers that do not fall, got {self.prune}"
            )

    def run(
        self,
        inputs: Mapping[str, Sequence[Path]],
        output: Path,
        work: Path,
    ) -> dict[str, Any]:
        from stages.kernels.arpa import score
        from stages.kernels.characters import table

        samples = self._samples(inputs)
        scores: list[dict[str, Any]] = []
        models = words = grams = 0
        for language in sorted(samples):
            sample = samples.pop(language)
            path = work / f"{language}.arpa"
            held, copies = sample.measured()
            tokens, counts = self._train(sample, path)
            models, words, grams = models + 1, words + tokens, grams + sum(counts)
            found = np.full(len(held), np.nan)
            offsets, data = string_buffers(held)
            score(data, offsets, table(), np.arange(len(held)), load(str(work), path.name), found)
            about = ZipInfo(path.name)  # dated 1980, for the same models are the same file
            with (
                open(path, "rb") as file,
                ZipFile(output / MODELS, "a") as archive,
                archive.open(about, "w", force_zip64=True) as member,
            ):
                shutil.copyfileobj(file, member)
            path.unlink()
            for what, value, unit in (
                ("perplexity, median of held-out documents", _median(found), "perplexity"),
                ("held-out documents", len(held), "documents"),
                ("held-out documents left out, seen in training", copies, "documents"),
                ("words trained on", tokens, "words"),
                ("n-grams", sum(counts), "n-grams"),
            ):
                scores.append({"name": what, "group": language, "after": value, "unit": unit})
        if not scores:
            raise DataError(
                f"TrainPerplexity: no language in `from` has {self.minimum:,} bytes of text"
            )
        numbers = {"models": models, "words": words, "n_grams": grams}
        return {"numbers": numbers, "series": [], "scores": scores}

    def _samples(self, inputs: Mapping[str, Sequence[Path]]) -> dict[str, "Sample"]:
        """The words of the chosen documents by language, and the texts that are held out."""

        def documents() -> Iterator[tuple[Batch, Any, pa.Array]]:
            for _, batch in batches(inputs, ("id", "text", "language")):
                language = batch["language"]
                if self.languages:
                    wanted = pc.is_in(language, value_set=pa.array(self.languages, pa.string()))
                    language = pc.if_else(wanted, language, pa.scalar(None, pa.string()))
                yield batch, hash64(batch["id"], salt("perplexity", self.seed)), language

        totals: dict[str, int] = {}

        def sized() -> Iterator[tuple[Any, pa.Array, pa.Array]]:
            for batch, ranks, language in documents():
                sizes = pc.binary_length(batch["text"])
                rows = pa.table({"name": language, "bytes": sizes})
                sums = rows.group_by("name").aggregate([("bytes", "sum")])
                for row in sums.to_pylist():
                    totals[row["name"]] = totals.get(row["name"], 0) + row["bytes_sum"]
                yield ranks, language, sizes

        chosen = limits(sized(), self.sample)
        limit = {name: rank for name, rank in chosen.items() if totals[name] >= self.minimum}
        samples = {name: Sample() for name in limit}
        for batch, ranks, language in documents():
            rows = taken(ranks, language, limit)
            aside = positions(batch["id"], salt("heldout", self.seed)) < self.heldout
            for name in pc.unique(language.filter(pa.array(rows))).to_pylist():
                mine = rows & of(language, name)
                samples[name].held.append(batch["text"].filter(pa.array(mine & aside)))
                samples[name].add(batch["text"].filter(pa.array(mine & ~aside)))
        return samples

    def _train(self, sample: "Sample", path: Path) -> tuple[int, list[int]]:
        """Estimate a model and write it; how many words it was made from, and n-grams by order."""
        from stages import kneser_ney

        ids, vocabulary = sample.ids()
        prune = [*self.prune, *[self.prune[-1]] * self.order][: self.order]
        orders = kneser_ney.estimate(ids, len(vocabulary), self.order, prune)
        kneser_ney.write(orders, vocabulary, path)
        return len(ids), [len(order.chances) for order in orders]


def _median(found: npt.NDArray[np.float64]) -> float | None:
    return float(np.nanmedian(found)) if np.isfinite(found).any() else None


class Sample:
    """The words of some texts: their hashes in order, and how each is spelled."""

    def __init__(self) -> None:
        self.held: list[pa.Array] = []
        self.runs: list[Runs] = []
        self.hashes: list[npt.NDArray[np.uint64]] = []
        self.words: dict[int, str] = {}

    def add(self, column: pa.Array) -> None:
        """Cut some more texts."""
        from stages.kernels.characters import table
        from stages.kernels.folded import spell, tokens_of

        column = pc.utf8_slice_codeunits(column, 0, CHARACTERS)
        self.runs.append(runs(column)[0])
        offsets, data = string_buffers(column)
        room = 2 * int(offsets[-1] - offsets[0]) + len(offsets)
        hashes, places = np.empty(room, np.uint64), np.empty((room, 2), np.int64)
        many = tokens_of(data, offsets, table(), BORDER, hashes, places)
        self.hashes.append(hashes[:many].copy())
        different, first = np.unique(hashes[:many], return_index=True)
        names = different.tolist()
        fresh = [at for at, name in enumerate(names) if name not in self.words and name != BORDER]
        where = places[first[fresh]]
        out = np.empty(2 * int((where[:, 1] - where[:, 0]).sum()), np.uint8)
        ends = np.zeros(len(where) + 1, np.int64)
        spell(data, where, table(), out, ends)
        buffers = [None, pa.py_buffer(ends), pa.py_buffer(out)]
        spelled = pa.Array.from_buffers(pa.large_string(), len(where), buffers).to_pylist()
        self.words.update(zip((names[at] for at in fresh), spelled, strict=True))

    def measured(self) -> tuple[pa.ChunkedArray, int]:
        """The texts held out, and how many others the model will have seen; forgets the runs."""
        held = pa.chunked_array(self.held, pa.large_string())
        seen = copied(held, self.runs)
        self.runs.clear()
        return held.filter(pa.array(~seen)), int(seen.sum())

    def ids(self) -> tuple[npt.NDArray[np.int64], pa.Array]:
        """The text as `kneser_ney.estimate` takes it, and all words by id, in order of their hashes."""
        from stages.kneser_ney import BEGIN, END, SPECIAL

        names = np.array(sorted(self.words), np.uint64)
        hashes = np.concatenate([np.zeros(0, np.uint64), *self.hashes])
        ids = np.searchsorted(names, hashes) + len(SPECIAL)
        ids[hashes == BORDER] = END
        begins = np.append(0, np.flatnonzero(ids == END) + 1)[:-1]
        spelled = [*SPECIAL, *(self.words[name] for name in names.tolist())]
        return np.insert(ids, begins, BEGIN), pa.array(spelled, pa.string())
