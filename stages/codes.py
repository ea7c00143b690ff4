"""The codes of languages and of the scripts that they are written in."""

import re
from functools import cache
from pathlib import Path

UNDETERMINED = "und"  # ISO 639-2
NO_LANGUAGE = ("und", "zxx", "mis", "mul")  # of ISO 639-2: said by models of what is no language
_LABEL = re.compile(r"(?:__label__)?(?P<language>[a-z]{3})_(?P<script>[A-Z][a-z]{3})")


@cache
def _rows() -> tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]:
    """Code, its codes of ISO 639-3, its scripts; as in `codes.txt`."""
    text = Path(__file__).with_name("codes.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return tuple(
        (code, tuple(longer.split(",")), tuple(scripts.split(",")))
        for code, longer, scripts in rows
    )


@cache
def scripts_of() -> dict[str, tuple[str, ...]]:
    """The scripts (ISO 15924) that each language is written in, by its code."""
    return {code: scripts for code, _, scripts in _rows()}


@cache
def _shorter() -> dict[str, str]:
    return {longer: code for code, many, _ in _rows() for longer in many}


def language_code(label: str) -> str:
    """The code of a language, from what a fastText model calls it.

    `__label__pt` is pt. Labels of a language and a script, as GlotLID, OpenLID and NLLB have them,
    lose the script: `__label__por_Latn` is pt too, `cmn_Hani`, `zho_Hans` and `zho_Hant` are zh,
    and a language without a code of two letters keeps that of three (`yue_Hant`: yue). A label of
    another form stays as it is: in lid.176 `als` is Alemannic, in ISO 639-3 it is Albanian.
    """
    found = _LABEL.fullmatch(label)
    if not found:
        return label.removeprefix("__label__")
    code = found["language"]
    return UNDETERMINED if code in NO_LANGUAGE else _shorter().get(code, code)
