"""Any filter, extractor or formatter of datatrove as a stage, so that a pipeline can move step by step."""

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from typing import Any, ClassVar

import pyarrow as pa

from stages.base import DOCUMENT, Batch, Stage, drop, fault, replace
from stages.errors import DataError, SpecError

HOME = "datatrove.pipeline."
OURS = {"id", "text", "meta"}  # columns that are not metadata to datatrove


@dataclass(frozen=True, kw_only=True)
class Datatrove(Stage):
    """A filter, extractor or formatter of datatrove, document by document, in this process.

    `step` is its dotted name, `options` its arguments:
    `{step: datatrove.pipeline.filters.RegexFilter, options: {regex_exp: casino}}`. A document that a
    filter drops leaves by `datatrove.RegexFilter` or, with datatrove's reason,
    `datatrove.GopherQualityFilter.gopher_short_doc`; one that an extractor finds nothing in leaves by
    `datatrove.Trafilatura.empty`; one on which the step raises is quarantined, alone. Metadata are
    all columns and, before them, what is in `meta`; what the step adds or changes goes to `meta`,
    what is no string as JSON.

    Not to be had: steps whose result depends on other documents (samplers, trafilatura with
    `deduplicate`), and arguments that are code. Files that options name are read by datatrove, and
    their content is no part of the fingerprint. A step that downloads stops the run where it cannot.
    """

    rewrites: ClassVar[bool] = True

    step: str  # `datatrove.pipeline.filters.URLFilter`
    options: dict[str, Any] = field(default_factory=dict, hash=False)  # its arguments, by name

    def check(self) -> None:
        """Refuse what is not there, is no such step, or has other arguments; the step is made once."""
        _ = self.made

    @cached_property
    def made(self) -> Any:
        """The step itself. SpecError if it cannot be made, or cannot be used document by document."""
        kind = find(self.step)
        _check_arguments(kind, self.options)
        try:
            made = kind(**self.options)
        except Exception as wrong:
            raise SpecError(f"options: {kind.__name__}: {type(wrong).__name__}: {wrong}") from wrong
        chances = [name for name, value in vars(made).items() if _draws(value)]
        if chances and getattr(made, "keep_fraction", None) != 0:
            raise SpecError(
                f"step: {kind.__name__} draws lots in the order of documents; stages.mix.Split "
                "draws them by document"
            )
        if getattr(made, "deduplicate", False):
            raise SpecError(
                "options.deduplicate: trafilatura remembers earlier documents; set it to false"
            )
        if type(getattr(made, "tldextractor", None)).__name__ == "TLDExtract":
            made.tldextractor = type(made.tldextractor)(suffix_list_urls=())  # the list it brings
        return made

    @cached_property
    def kind(self) -> str:
        """`filter`, `extract` or `format`: the method that does the work."""
        kind = find(self.step)
        return next(name for name, base in _bases().items() if issubclass(kind, base))

    def __call__(self, batch: Batch) -> Batch:
        rows = [self._judge(*row) for row in zip(*self._documents(batch), strict=True)]
        texts, metas, reasons, faults = map(list, zip(*rows, strict=True)) if rows else ([],) * 4
        batch = replace(batch, "text", pa.array(texts, DOCUMENT.field("text").type))
        if "meta" in batch.schema.names and any(meta is not None for meta in metas):
            old = batch.column("meta").to_pylist()
            new = [was if meta is None else meta for was, meta in zip(old, metas, strict=True)]
            batch = replace(batch, "meta", pa.array(new, DOCUMENT.field("meta").type))
        if any(faults):
            batch = fault(batch, faults)
        return drop(batch, reasons)

    def _documents(
        self, batch: Batch
    ) -> tuple[list[Any], list[Any], list[dict[str, Any]], list[list[tuple[str, str]]]]:
        """Ids, texts, metadata, and which of those are in `meta`."""
        names = [name for name in batch.schema.names if name not in OURS]
        columns = [batch.column(name).to_pylist() for name in names]
        metadata: list[dict[str, Any]] = [
            {n: _shown(v) for n, v in zip(names, values, strict=True) if v is not None}
            for values in (zip(*columns, strict=True) if columns else [()] * batch.num_rows)
        ]
        metas: list[list[tuple[str, str]]] = [[] for _ in metadata]
        if "meta" in batch.schema.names:
            metas = [list(own or ()) for own in batch.column("meta").to_pylist()]
        for known, own in zip(metadata, metas, strict=True):
            known |= dict(own)
        return batch.column("id").to_pylist(), batch.column("text").to_pylist(), metadata, metas

    def _judge(
        self, name: str, text: str, metadata: dict[str, Any], meta: list[tuple[str, str]]
    ) -> tuple[str, list[tuple[str, str]] | None, str | None, str | None]:
        """The text, the new `meta` if it changed, why the document leaves, how it broke."""
        from datatrove.data import Document

        title = type(self.made).__name__
        document = Document(text=text, id=name, metadata=dict(metadata))
        reason = None
        try:
            if self.kind == "filter":
                reason = _reason(title, self.made.filter(document))
            else:
                work: Callable[[str], str | None] = getattr(self.made, self.kind)
                document.text = work(text) or ""
                if self.kind == "extract" and not document.text:
                    reason = f"datatrove.{title}.empty"
            document.text.encode()
        except OSError as wrong:
            raise DataError(
                f"{self.step} could not get what it needs: {type(wrong).__name__}: {wrong}"
            ) from wrong
        except Exception as wrong:
            words = " ".join(str(wrong).split())[:200] or "no message"
            return text, None, None, f"{type(wrong).__name__}: {words}"
        changed = None
        if document.metadata != metadata:
            changed = _meta(metadata, document.metadata, dict(meta))
        return text if reason else document.text, changed, reason, None


def find(name: str) -> type[Any]:
    """The class of that name. SpecError unless it is a filter, extractor or formatter of datatrove."""
    if not name.startswith(HOME):
        raise SpecError(f"step: {name!r} is not under {HOME[:-1]}")
    module, _, symbol = name.rpartition(".")
    try:
        home = import_module(module)
        bases = tuple(_bases().values())
    except ImportError as wrong:
        raise SpecError(f"step: {name}: {wrong}; pip install 'bateia[interop]'") from wrong
    kind = getattr(home, symbol, None)
    if not (isinstance(kind, type) and issubclass(kind, bases) and not inspect.isabstract(kind)):
        known = [n for n, k in vars(home).items() if isinstance(k, type) and issubclass(k, bases)]
        near = get_close_matches(symbol, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise SpecError(f"step: {name} is no filter, extractor or formatter of datatrove; {hint}")
    return kind


def _bases() -> dict[str, type[Any]]:
    from datatrove.pipeline.extractors.base import BaseExtractor
    from datatrove.pipeline.filters.base_filter import BaseFilter
    from datatrove.pipeline.formatters.base import BaseFormatter

    return {"filter": BaseFilter, "extract": BaseExtractor, "format": BaseFormatter}


def _check_arguments(kind: type[Any], options: dict[str, Any]) -> None:
    """Refuse arguments that the class does not take, lacks, or that cannot stand in a recipe."""
    known = {n: p for n, p in inspect.signature(kind.__init__).parameters.items() if n != "self"}
    more = any(p.kind is p.VAR_KEYWORD for p in known.values())
    named = {n: p for n, p in known.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
    for name in options:
        if name not in named and not more:
            near = get_close_matches(name, named, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(named)}"
            raise SpecError(f"options.{name}: {kind.__name__} has no such argument; {hint}")
    if "exclusion_writer" in options:
        raise SpecError("options.exclusion_writer: what leaves is in the rejects of every run")
    for name, parameter in named.items():
        if "Callable" in str(parameter.annotation):
            raise SpecError(
                f"options.{name}: {kind.__name__} takes code, which a recipe cannot hold; write a stage"
            )
        if parameter.default is parameter.empty and name not in options:
            raise SpecError(f"options.{name}: {kind.__name__} needs this argument")


def _draws(value: object) -> bool:
    """Whether a value is a source of chance, or one of its methods."""
    owner = getattr(value, "__self__", value)
    return type(owner).__module__.split(".")[0] in ("random",) or "numpy.random" in str(type(owner))


def _reason(title: str, verdict: object) -> str | None:
    """Why a filter drops a document; None if it keeps it."""
    keeps, reason = verdict if isinstance(verdict, tuple) else (verdict, None)
    if keeps:
        return None
    words = re.sub(r"[^A-Za-z0-9_-]+", "_", str(reason or "")).strip("_")
    return f"datatrove.{title}.{words}" if words else f"datatrove.{title}"


def _shown(value: object) -> object:
    """A value as datatrove's readers give it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _meta(
    before: dict[str, Any], after: dict[str, Any], own: dict[str, str]
) -> list[tuple[str, str]]:
    """What was in `meta` and still is metadata, and what the step added or changed."""
    return [
        (key, value if isinstance(value, str) else json.dumps(value, default=str))
        for key, value in after.items()
        if key in own or key not in before or before[key] != value
    ]
