"""Classifiers that judge a text by its words: trained here, or brought, on fastText."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from stages.base import Batch, File, Job, Stage, drop, replace
from stages.choice import Ranks, Runs, batches, copied, limits, runs, taken
from stages.errors import DataError, SpecError
from stages.kernels.hashing import hash64, positions, string_buffers
from stages.kernels.sample import sample
from stages.language import load
from stages.mix import salt

Scores = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

LABEL = "__label__"  # what fastText's labels begin with
CHARACTERS = 100_000  # of a text that are looked at, half from its beginning, half from its middle
NAME = re.compile(r"[a-z][a-z0-9_]*")


def lines_of(column: pa.Array) -> pa.Array:
    """Each text as one line, as models are trained on it and asked about it (large_binary).

    Control characters are spaces; nothing in a text is fastText's end of line or a label.
    """
    return pc.replace_substring(sample(column, CHARACTERS, 2)[0], LABEL.encode(), b"__label_")


class Classifier:
    """A fastText model that says how probable its labels are: by our kernel, which is the faster one.

    A model of a kind that the kernel does not know (one against all, a quantized output) is left to
    the library; both say the same to six digits.
    """

    def __init__(self, path: str) -> None:
        from stages.kernels.linear import read

        self._library = load(path)
        self._model = read(path, self._library)
        self.labels = [name.removeprefix(LABEL) for name in self._library.getLabels("strict")[0]]

    def chances(self, lines: pa.Array, names: Sequence[str]) -> Scores:
        """The probability of some labels, a column each, for every line; 0 where no word is known."""
        from stages.kernels.linear import score

        scores = np.zeros((len(lines), len(names)), np.float32)
        known = [at for at, name in enumerate(names) if name in self.labels]
        if self._model:
            offsets, data = string_buffers(lines)
            wanted = np.array([self.labels.index(names[at]) for at in known], np.int64)
            found = np.zeros((len(lines), len(known)), np.float32)
            score(data, offsets, self._model, wanted, found)
            scores[:, known] = found
        else:
            labels, values = self._library.multilinePredict(lines.to_pylist(), -1, 0.0, "strict")
            columns = {LABEL + name: at for at, name in enumerate(names)}
            at = np.array([columns.get(label, -1) for label in chain.from_iterable(labels)], int)
            rows = np.repeat(np.arange(len(lines)), [len(some) for some in labels])
            if len(at):
                scores[rows[at >= 0], at[at >= 0]] = np.concatenate(values)[at >= 0]
        return np.clip(scores.astype(np.float64), 0, 1)


@dataclass(frozen=True, kw_only=True)
class ClassifierFilter(Stage):
    """Score every text by a fastText classifier, and keep those within the bounds.

    Adds `NAME_score`: the probability of the label, 0 to 1, and 0 for a text of which the model
    knows no word. Reason: `NAME.score`, with the score as value. The model is one that
    `TrainClassifier` left (`flow:quality/model.bin`) or any other with labels, as those of DCLM, of
    dolma (Jigsaw's kinds of toxicity) or a language model: each document is one line, case as it is.
    Without bounds it only scores, for `stages.rank.KeepTop` or a threshold found later.
    """

    version = 2

    model: File  # a fastText model with labels, `.bin` or `.ftz`
    label: str  # the label that is scored, without `__label__`
    at_least: Annotated[float, Field(ge=0, le=1)] | None = None  # keep documents that score so much
    at_most: Annotated[float, Field(ge=0, le=1)] | None = None  # keep documents that score no more
    name: str = "quality"  # of the column and the reason; two classifiers in one flow need two

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (pa.field(f"{self.name}_score", pa.float64()),)

    def check(self) -> None:
        check_bounds(self.name, self.at_least, self.at_most)
        known = self._model.labels
        if self.label not in known:
            near = get_close_matches(self.label, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known[:9])}"
            raise SpecError(f"label: the model has no label {self.label!r}; {hint}")

    @cached_property
    def _model(self) -> Classifier:
        return Classifier(self.model)

    def __call__(self, batch: Batch) -> Batch:
        scores = self._model.chances(lines_of(batch.column("text")), [self.label])[:, 0]
        return judge(batch, self.name, pa.array(scores), self.at_least, self.at_most)


def check_bounds(name: str, at_least: float | None, at_most: float | None) -> None:
    """Refuse a name that is none, and bounds that leave nothing."""
    if not NAME.fullmatch(name):
        raise SpecError(f"name: expected small letters, digits and `_`, got {name!r}")
    if at_least is not None and at_most is not None and at_least > at_most:
        raise SpecError(f"at_least: the lower bound {at_least:g} is above at_most, {at_most:g}")


def judge(
    batch: Batch, name: str, scores: pa.Array, at_least: float | None, at_most: float | None
) -> Batch:
    """The batch with the scores as a column; rows outside of the bounds leave."""
    batch = replace(batch, f"{name}_score", scores)
    if at_least is None and at_most is None:
        return batch
    low, high = (
        at_least if at_least is not None else -np.inf,
        np.inf if at_most is None else at_most,
    )
    within = pc.and_(pc.greater_equal(scores, low), pc.less_equal(scores, high))
    reasons = pc.if_else(within, pa.scalar(None, pa.string()), f"{name}.score")
    return drop(batch, reasons, values=pc.if_else(within, pa.scalar(None, pa.float64()), scores))


class Documents(NamedTuple):
    """What a classifier is trained on and tried with: one line and one label each."""

    lines: list[bytes]
    labels: npt.NDArray[np.int64]  # index into the sorted names of the labels


@dataclass(frozen=True, kw_only=True)
class TrainClassifier(Job):
    """Train a fastText classifier; writes `model.bin`, and `model.ftz` where it is to be small.

    The labels are the names of the flows in `from`, or what `by` says. As many documents of each
    label are taken as the scarcest has, and no more than `sample` allows: those with the lowest hash
    of `id`. A part of them (`heldout`, by another hash of `id`) is never trained on. Of these the report
    has the AUC, precision and recall at thresholds, the curve of the two, and who was taken for whom:
    without those that the model has seen, more than half of whose runs of 8 words are in what it is
    trained on. It says how many these are; where they are many, deduplicate first. The same documents
    give the same file. For the settings of DCLM (Li et al. 2024,
    arXiv:2406.11794) take 100 dimensions and 2,000,000 buckets: a model of 800 MB, no better here.
    """

    version = 2

    by: str | None = None  # the key of `meta` whose value is the label; None: the flow is
    labels: dict[str, str] = field(default_factory=dict)  # other labels for flows or values of `by`
    sample: int = 50_000_000  # bytes of text of each label, about
    heldout: Annotated[float, Field(gt=0, lt=1)] = 0.1  # share of the documents
    epochs: int = 10  # times that each document is seen
    learning_rate: float = 0.5  # at the start; it falls to 0
    word_ngrams: int = 2  # words in a row that are known together
    dimensions: int = 32  # numbers for each word
    buckets: int = 500_000  # rows for the hashes of words in a row
    minimum: int = 3  # times a word must occur
    quantize: bool = False  # also write model.ftz, of about a tenth of the size
    seed: int = 0  # of the training

    def run(self, inputs: Mapping[str, Sequence[Path]], output: Path, work: Path) -> dict[str, Any]:
        names, trained, held, copies = self._documents(inputs)
        prefixes = [f"{LABEL}{name} ".encode() for name in names]
        path = work / "train.txt"
        with open(path, "wb") as file:
            labelled = zip(trained.labels.tolist(), trained.lines, strict=True)
            file.writelines(prefixes[label] + line for label, line in labelled)
        self._train(path, output)
        numbers = {"trained_on": len(trained.lines), "held_out": len(held.lines)}
        numbers["held_out_copies"] = copies  # not judged, for the model has seen them
        lines = pa.array(held.lines, pa.large_binary())
        chance = Classifier(str(output / "model.bin")).chances(lines, names)
        judged = report(names, held.labels, chance)
        judged["numbers"] = numbers | judged["numbers"]
        if self.quantize:
            small = Classifier(str(output / "model.ftz")).chances(lines, names)
            judged["numbers"]["auc_quantized"] = report(names, held.labels, small)["numbers"]["auc"]
        return judged

    def _train(self, path: Path, output: Path) -> None:
        import fasttext

        model = fasttext.train_supervised(
            str(path), epoch=self.epochs, lr=self.learning_rate, wordNgrams=self.word_ngrams,
            dim=self.dimensions, bucket=self.buckets, minCount=self.minimum, seed=self.seed,
            thread=1, verbose=0,
        )  # fmt: skip
        model.save_model(str(output / "model.bin"))
        if self.quantize:
            model.quantize(str(path), qnorm=True, thread=1, verbose=0)
            model.save_model(str(output / "model.ftz"))

    def _documents(
        self, inputs: Mapping[str, Sequence[Path]]
    ) -> tuple[list[str], Documents, Documents, int]:
        """The labels, what is trained on in order of the ids' hashes, what is held out, what that left."""
        known = ((ranks, label, _bytes(b)) for b, ranks, label in self._labelled(inputs))
        limit = limits(known, self.sample, even=True)
        names = list(limit)
        if len(names) < 2:
            given = f", by {self.by!r} in `meta`" if self.by else ""
            raise DataError(
                f"TrainClassifier: expected documents of two labels or more{given}, got those of "
                f"{', '.join(names) or 'none'}"
            )
        lines: list[bytes] = []
        trained_runs: list[Runs] = []
        found: list[tuple[Any, ...]] = []
        for batch, ranks, label in self._labelled(inputs):
            rows = taken(ranks, label, limit)
            some = lines_of(batch["text"].filter(pa.array(rows)))
            lines += some.to_pylist()
            aside = positions(batch["id"], salt("heldout", self.seed)) < self.heldout
            trained_runs.append(runs(some.filter(pa.array(~aside[rows])))[0])
            at = pc.index_in(label, pa.array(names)).fill_null(-1).to_numpy()
            found.append((ranks[rows], at[rows], aside[rows]))
        ranks, labels, aside = (np.concatenate(column) for column in zip(*found, strict=True))
        order = np.lexsort((labels, ranks))

        def part(rows: npt.NDArray[np.int64], what: str) -> Documents:
            if len(np.unique(labels[rows])) < len(names):
                raise DataError(f"TrainClassifier: too few documents: a label has none {what}")
            return Documents([lines[row] for row in rows.tolist()], labels[rows])

        held = order[aside[order]]
        seen = copied(
            pa.array([lines[row] for row in held.tolist()], pa.large_binary()), trained_runs
        )
        trained = part(order[~aside[order]], "to train on")
        fresh = part(held[~seen], "held out that it has not seen in training")
        return names, trained, fresh, int(seen.sum())

    def _labelled(
        self, inputs: Mapping[str, Sequence[Path]]
    ) -> Iterator[tuple[Batch, Ranks, pa.Array]]:
        """All documents, batch by batch, with the hash of each id and the label (null: none)."""
        for flow, batch in batches(inputs, ("id", "text", "meta")):
            names = pa.repeat(pa.scalar(flow), batch.num_rows)
            if self.by is not None:
                names = pc.map_lookup(batch["meta"], self.by, "first")
            if self.labels:
                at = pc.index_in(names, pa.array(self.labels, pa.string()))
                own = pa.array(self.labels.values(), pa.string()).take(at)
                names = pc.coalesce(own, names)
            yield batch, hash64(batch["id"], salt("classifier", self.seed)), names


def _bytes(batch: Batch) -> pa.Array:
    return pc.min_element_wise(pc.binary_length(batch["text"]), CHARACTERS)


THRESHOLDS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
POINTS = 200  # of a curve


def report(names: list[str], labels: npt.NDArray[np.int64], chance: Scores) -> dict[str, Any]:
    """What held-out documents say of a classifier; `chance` has a column for each label."""
    scores: list[dict[str, Any]] = []
    areas = [area(labels == at, chance[:, at]) for at in range(len(names))]
    for at, name in enumerate(names):
        truth = labels == at
        scores.append({"name": "AUC", "group": name, "after": areas[at], "unit": "area"})
        for bound in THRESHOLDS:
            found = chance[:, at] >= bound
            for what, of in (("precision", found), ("recall", truth)):
                share = float((found & truth).sum() / of.sum()) if of.any() else None
                row = {"name": f"{what} at {bound}", "group": name, "after": share, "unit": "share"}
                scores.append(row)
    guess = chance.argmax(1)
    for at, other in np.ndindex(len(names), len(names)):
        count = int(((labels == at) & (guess == other)).sum())
        what = f"{names[at]} taken for {names[other]}"
        scores.append({"name": what, "group": "confusion", "after": count, "unit": "documents"})
    numbers = {"auc": float(np.mean(areas)), "accuracy": float((guess == labels).mean())}
    series = [curve(name, labels == at, chance[:, at]) for at, name in enumerate(names)]
    return {"numbers": numbers, "series": series, "scores": scores}


def area(truth: Flags, scores: Scores) -> float:
    """The area under the ROC curve: how often a true one outscores a false one, a tie for a half."""
    _, at, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    true, false = int(truth.sum()), int((~truth).sum())
    return float((ranks[at][truth].sum() - true * (true + 1) / 2) / (true * false))


def curve(name: str, truth: Flags, scores: Scores) -> dict[str, Any]:
    """Precision by recall over all thresholds, thinned to POINTS."""
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of those that share a score
    hits = np.cumsum(truth[order])[last]
    precision, recall = hits / (np.flatnonzero(last) + 1), hits / truth.sum()
    some = np.unique(np.linspace(0, len(hits) - 1, POINTS).astype(np.int64))
    points = np.column_stack([recall, precision])[some].tolist()
    return {"name": f"precision of {name}", "x": "recall", "y": "precision", "points": points}
