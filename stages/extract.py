"""Pages to text: what a reader of the page would read."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from stages.base import Batch, Stage, drop, replace
from stages.errors import SpecError
from stages.kernels.nesting import nesting
from stages.rows import sound


@dataclass(frozen=True, kw_only=True)
class HtmlToText(Stage):
    """The text of HTML pages, one line per block; pages that are plain text stay as they are.

    `resiliparse` is fast; `trafilatura` keeps less boilerplate at a tenth of its speed. Pages with
    nothing left leave as `extract.empty`.
    """

    rewrites = True
    costly = True

    engine: Literal["resiliparse", "trafilatura"] = "resiliparse"  # what finds the text
    main_content: bool = True  # leave out navigation, headers, footers and the like
    title: bool = False  # begin with the page's title, unless the text does
    # Finding the main content takes time quadratic in the nesting of elements (16,000: 6 s). Pages
    # nested deeper than this are extracted whole, in linear time, so that none is lost.
    max_depth: int = 512

    @property
    def needs(self) -> tuple[str, ...]:
        return ("text", "meta")

    def check(self) -> None:
        if self.max_depth < 1:
            raise SpecError(f"max_depth: expected at least 1, got {self.max_depth}")
        if self.engine == "trafilatura":
            if not self.main_content:
                raise SpecError("main_content: trafilatura knows no other way; use resiliparse")
            try:
                import trafilatura  # noqa: F401
            except ImportError:
                raise SpecError(
                    "engine: trafilatura is not installed; install bateia[trafilatura]"
                ) from None

    def __call__(self, batch: Batch) -> Batch:
        pages = batch.column("text")
        as_is = pc.equal(pc.map_lookup(batch.column("meta"), "content_type", "first"), "text/plain")
        markup = ~pc.fill_null(as_is, False).to_numpy(zero_copy_only=False)
        depths = nesting(pages, self.max_depth + 1)
        texts = [
            self.extract(page.as_py(), int(depth)) if html else page.as_py()
            for page, html, depth in zip(pages, markup, depths, strict=True)
        ]
        batch = replace(batch, "text", pa.array(texts, pa.large_string()))
        empty = [None if text.strip() else "extract.empty" for text in texts]
        return drop(batch, empty) if any(empty) else batch

    def extract(self, page: str, depth: int = 0) -> str:
        """The text of one page whose elements nest so deeply."""
        deep = depth > self.max_depth
        if not deep and self.engine == "trafilatura":
            text = self._with_trafilatura(page)
        else:
            text = self._with_resiliparse(page, self.main_content and not deep)
        return sound(text)

    def _with_resiliparse(self, page: str, main_content: bool) -> str:
        parse, extract = self._resiliparse
        tree = parse(page)
        text: str = extract(tree, preserve_formatting=True, main_content=main_content)
        return _titled(tree.title, text) if self.title else text

    def _with_trafilatura(self, page: str) -> str:
        found = self._trafilatura(page, deduplicate=False, with_metadata=False)
        text: str = found or ""
        return _titled(self._resiliparse[0](page).title, text) if self.title else text

    @cached_property
    def _resiliparse(self) -> tuple[Callable[..., Any], Callable[..., str]]:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.html import HTMLTree

        return HTMLTree.parse, extract_plain_text

    @cached_property
    def _trafilatura(self) -> Callable[..., str | None]:
        import trafilatura

        extract: Callable[..., str | None] = trafilatura.extract
        return extract


def _titled(title: str | None, text: str) -> str:
    """The text under its title; a page without text has none."""
    title = " ".join((title or "").split())
    return f"{title}\n\n{text}" if title and text and not text.startswith(title) else text
