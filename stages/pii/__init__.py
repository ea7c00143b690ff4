"""Personal data: found by its shape and its check digits, replaced, and counted by type."""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from stages.base import Batch, Stage, fault, replace
from stages.errors import SpecError
from stages.pii.patterns import REGIONS, TYPES, Region, Type
from stages.pii.spans import count, find, name, rewrite

__all__ = ["REGIONS", "TYPES", "ScrubPII", "find"]


@dataclass(frozen=True, kw_only=True)
class ScrubPII(Stage):
    """Replace personal data in the text.

    Adds `pii_spans` (how many were replaced) and `pii_types` (how many of each type).

    `types`: what is looked for. Cards (Luhn), IBAN (modulo 97), CPF and CNPJ (also with letters)
    count only with right check digits; addresses of the net only if public: private, reserved and
    documentation ranges stay, as do versions.
    `regions`: the plans of numbering of phones; `international` is +, country and number. Numbers
    that could be something else (digits without marks) count only after a word such as `tel`.
    `replacement`: `tag` writes `<EMAIL>`; `pseudonym` writes `<EMAIL_2>` for the second address of
    a document wherever it comes again in it, and tells nothing between documents.
    `engine`: `scan` is ours; `presidio` has the pattern recognisers of that package, far slower; a
    text on which one of them gives up is faulty.
    """

    rewrites = True

    types: tuple[Type, ...] = TYPES
    regions: tuple[Region, ...] = REGIONS
    replacement: Literal["tag", "pseudonym"] = "tag"
    engine: Literal["scan", "presidio"] = "scan"

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        return (
            pa.field("pii_spans", pa.int64()),
            pa.field("pii_types", pa.map_(pa.string(), pa.int64())),
        )

    def check(self) -> None:
        if not self.types:
            raise SpecError("types: nothing to look for; leave it out for all types")
        if self.engine == "presidio":
            try:
                import presidio_analyzer  # noqa: F401
            except ModuleNotFoundError:
                raise SpecError(
                    "engine: presidio needs the package presidio-analyzer; install bateia[pii]"
                ) from None

    def __call__(self, batch: Batch) -> Batch:
        column, errors = batch.column("text"), None
        if self.engine == "scan":
            spans = find(column, self.types, self.regions)
        else:
            from stages.pii.presidio import find_presidio

            spans, errors = find_presidio(batch, self.types, self.regions)
        words = name(column, spans, self.replacement == "pseudonym")
        batch = replace(batch, "text", rewrite(column, spans, words))
        for field, counts in zip(self.adds, count(spans, batch.num_rows), strict=True):
            batch = replace(batch, field.name, counts)
        return fault(batch, errors) if errors is not None and any(errors) else batch
