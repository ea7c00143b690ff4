"""The recognisers of Presidio, as a second engine and as the reference of our own.

Only those that are patterns and check digits: no language model, nothing is downloaded. Some five
hundred times slower than the scan. A pattern of Presidio that times out (60 s, or the environment's
REGEX_TIMEOUT_SECONDS) is skipped by it with a line in its log; here the text is faulty instead.
"""

import logging
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from stages.base import texts
from stages.kernels.checksums import is_cnpj, is_cpf
from stages.pii.patterns import REGIONS, TYPES, Region, Type
from stages.pii.spans import resolve, table

COUNTRIES = {"pt-BR": ("BR",), "pt-PT": ("PT",), "en-US": ("US", "CA"), "international": ("ZZ",)}
CPF = r"\b\d{3}[. ]?\d{3}[. ]?\d{3}[-./ ]?\d{2}\b"
CNPJ = r"\b[0-9A-Z]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/?[0-9A-Z]{4}-?\d{2}\b"


def find_presidio(
    batch: pa.RecordBatch, types: tuple[Type, ...] = TYPES, regions: tuple[Region, ...] = REGIONS
) -> tuple[pa.Table, list[str | None]]:
    """The spans, as `stages.pii.spans.find` gives them, and for every text what went wrong."""
    rows: list[tuple[int, int, int, int]] = []
    errors: list[str | None] = []
    for row, text in enumerate(texts(batch)):
        watch = Watch()
        logger = logging.getLogger("presidio-analyzer")
        logger.addHandler(watch)
        try:
            found = [span for kind in types for span in recognise(kind, text, regions)]
        except Exception as wrong:
            watch.trouble = f"{type(wrong).__name__}: {wrong}"
        finally:
            logger.removeHandler(watch)
        errors.append(watch.trouble)
        if watch.trouble is None:
            rows += [(row, *span) for span in resolve(found)]
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return table(*columns), errors


def recognise(kind: Type, text: str, regions: tuple[Region, ...]) -> list[tuple[int, int, int]]:
    """The spans of one type, as (place in TYPES, start, stop) in bytes."""
    found = []
    widths = np.fromiter((len(c.encode()) for c in text), np.int64) if not text.isascii() else None
    places = None if widths is None else np.concatenate(([0], np.cumsum(widths)))
    for result in recogniser(kind, regions).analyze(text, [], None):
        start, stop = result.start, result.end
        if kind in ("ipv4", "ipv6") and (":" in text[start:stop]) != (kind == "ipv6"):
            continue
        if places is not None:
            start, stop = int(places[start]), int(places[stop])
        found.append((TYPES.index(kind), start, stop))
    return found


class Watch(logging.Handler):
    """Notes that a recogniser gave up, which Presidio only logs."""

    trouble: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first warning about a time-out; it names the pattern, never the text."""
        message = record.getMessage()
        if self.trouble is None and "timed out" in message:
            self.trouble = f"TimeoutError: {message}"


@lru_cache(64)
def recogniser(kind: Type, regions: tuple[Region, ...]) -> Any:
    """Presidio's recogniser of a type, or ours on its base class where it has none."""
    import tldextract
    from presidio_analyzer import Pattern, PatternRecognizer
    from presidio_analyzer import predefined_recognizers as known

    offline = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(known.EmailRecognizer):
        """Its own validation fetches the list of public suffixes: here the list inside the package."""

        def validate_result(self, pattern_text: str) -> bool:
            return bool(offline(pattern_text).fqdn)

    class Checked(PatternRecognizer):
        """A shape with the check digits of Brazil."""

        def validate_result(self, pattern_text: str) -> bool:
            digits = np.array([ord(c) - 48 for c in pattern_text if c.isalnum()], np.int64)
            return bool(is_cpf(digits) if kind == "cpf" else is_cnpj(digits))

    if kind == "email":
        return Email()
    if kind == "phone":
        countries = tuple(code for region in regions for code in COUNTRIES[region])
        return known.PhoneRecognizer(supported_regions=countries)
    if kind in ("cpf", "cnpj"):
        shape = Pattern(kind, CPF if kind == "cpf" else CNPJ, 0.5)
        return Checked(supported_entity=kind.upper(), patterns=[shape])
    if kind in ("ipv4", "ipv6"):
        return known.IpRecognizer()
    return known.CreditCardRecognizer() if kind == "card" else known.IbanRecognizer()
