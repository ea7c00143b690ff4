"""Writes `characters.npz` and `scripts.txt`, the Unicode tables of the kernels.

Run as `python -m stages.kernels.unicode`. Files, because tables made by the running Python would give
other results on the next Python.
Needs the package `regex` (scripts, sentence terminals), which nothing needs at run time.
Source: Unicode Character Database; the versions used are stored in the file.
"""

import unicodedata
from pathlib import Path

import numpy as np

from stages.codes import scripts_of
from stages.kernels import characters as c

LINE_ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"  # those of str.splitlines
QUOTES = "\"'\u201d\u2019\xbb\u203a\u300d\u300f"  # the closing ones of all scripts
UNSPACED = ("Han", "Hiragana", "Katakana", "Thai", "Lao", "Khmer", "Myanmar")
KANA_MARKS = "ー々〆ヽヾゝゞｰ"  # belong to several scripts
# Marks that fold away. Not those of the Indic scripts, which are vowels.
ACCENTS = (
    (0x0300, 0x036F),
    (0x0591, 0x05C7),
    (0x064B, 0x065F),
    (0x0670, 0x0670),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
)


def build() -> dict[str, np.ndarray]:
    """The arrays of the file: class bits of every code point, and what does not fold to itself."""
    import regex  # type: ignore[import-untyped]

    unspaced = regex.compile(
        r"[\p{L}\p{Nl}&&[" + "".join(rf"\p{{{s}}}" for s in UNSPACED) + "]]", regex.V1
    )
    terminal = regex.compile(r"\p{STerm}")
    classes = np.zeros(c.SIZE, np.uint16)
    folds = np.arange(c.SIZE, dtype=np.uint32)
    for point in range(c.SIZE):
        character = chr(point)
        kind = unicodedata.category(character)
        bits = _kind(character, kind)
        if not bits & (c.SPACE | c.PUNCTUATION | c.MARK) and (
            unspaced.match(character) or character in KANA_MARKS
        ):
            bits |= c.SINGLE
        bits |= c.ALPHABETIC * character.isalpha() | c.DIGIT * (kind == "Nd")
        bits |= c.UPPER * (kind in ("Lu", "Lt"))
        bits |= c.LINE_END * (character in LINE_ENDS) | c.QUOTE * (character in QUOTES)
        if kind != "Cs":
            bits |= c.TERMINAL * bool(terminal.match(character))
        classes[point] = bits
        folds[point] = _fold(point, kind)
    changed = np.flatnonzero(folds != np.arange(c.SIZE)).astype(np.uint32)
    versions = f"Unicode {unicodedata.unidata_version}, regex {regex.__version__}"
    return {
        "classes": classes,
        "changed": changed,
        "folds": folds[changed],
        "versions": np.array(versions),
    }


def _kind(character: str, kind: str) -> int:
    """The one of the bits that exclude each other; none of them for what makes up words."""
    if character.isspace():
        return c.SPACE
    if kind[0] == "M" or kind == "Cf":
        return c.MARK
    if kind[0] in "PS" or kind == "Cc":
        return c.PUNCTUATION
    return 0


def _fold(point: int, kind: str) -> int:
    """Lower case without accents; 0 for what folds away."""
    if kind in ("Cc", "Cf", "Cs") or any(low <= point <= high for low, high in ACCENTS):
        return 0
    if kind == "Nd":
        return ord("0")
    lower = chr(point).lower()
    bare = [
        mark
        for mark in unicodedata.normalize("NFD", lower)
        if not any(low <= ord(mark) <= high for low, high in ACCENTS)
    ]
    if len(bare) == 1:
        return ord(bare[0])
    return ord(lower) if len(lower) == 1 else point


def scripts() -> str:
    """The lines of `scripts.txt`: a script and the ranges of its characters, in hexadecimal."""
    import regex

    used = sorted({script for many in scripts_of().values() for script in many} - {"Jpan"})
    lines = []
    for name, kinds in {**{name: (name,) for name in used}, "Jpan": ("Hira", "Kana")}.items():
        pattern = regex.compile("[" + "".join(rf"\p{{Script={kind}}}" for kind in kinds) + "]")
        points = [at for at in range(c.SIZE) if pattern.match(chr(at))]
        starts = [at for at, before in zip(points, [-2, *points], strict=False) if at != before + 1]
        stops = [at for at, after in zip(points, [*points[1:], -2], strict=True) if at + 1 != after]
        ranges = (f"{a:x}-{b:x}" for a, b in zip(starts, stops, strict=True))
        lines.append(" ".join([name, *ranges]))
    return "\n".join(
        [f"# Unicode {unicodedata.unidata_version}, regex {regex.__version__}", *lines, ""]
    )


if __name__ == "__main__":
    home = Path(__file__).parent
    np.savez_compressed(home / "characters.npz", allow_pickle=False, **build())
    (home / "scripts.txt").write_text(scripts(), encoding="utf-8")
