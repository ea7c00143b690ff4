"""The dictionary of Sudachi that is installed, as arrays for `stages.kernels.japanese`.

The file's format is that of sudachi.rs 0.7: a description with named blocks, among them the matrix of
connections, a double array over the spellings, pointers from there to entries, and the entries.
"""

import json
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stages.errors import SpecError
from stages.kernels import lattice as la
from stages.kernels.characters import SIZE
from stages.kernels.entries import LENGTH, UNIT, Parts, cut_parts, heads_of, pack, point_to
from stages.kernels.numerals import NUMERIC, Forms
from stages.kernels.respell import Spelling

Bytes = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.int64]

MAGIC, VERSION = b"SudachiBinaryDic", 1
NUMERAL = ("名詞", "数詞", "*", "*", "*", "*")
CATEGORIES = (
    "DEFAULT",
    "SPACE",
    "KANJI",
    "SYMBOL",
    "NUMERIC",
    "ALPHA",
    "HIRAGANA",
    "KATAKANA",
    "KANJINUMERIC",
    "GREEK",
    "CYRILLIC",
)
FURTHER = {"NOOOVBOW": la.NOT_FIRST, "NOOOVEOW": la.NOT_LAST, "ALL": (1 << len(CATEGORIES)) - 1}
LAST_CHANGED = 0x30000  # no character from here on is rewritten


class Model(NamedTuple):
    """All that Japanese is cut with."""

    spelling: Spelling
    lexicon: la.Lexicon
    parts: Parts
    forms: Forms


class _Reader:
    """Numbers and strings one after the other."""

    def __init__(self, data: Bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def number(self) -> int:
        found = shift = 0
        while True:
            byte = int(self.data[self.at])
            self.at += 1
            found |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return found

    def short(self) -> int:
        self.at += 2
        return int(self.data[self.at - 2]) | int(self.data[self.at - 1]) << 8

    def text(self, size: int, encoding: str) -> str:
        self.at += size
        return self.data[self.at - size : self.at].tobytes().decode(encoding)


def blocks(path: Path) -> dict[str, Bytes]:
    """The parts of a dictionary's file by their names."""
    data = np.memmap(path, np.uint8, "r")
    start = len(MAGIC)
    version = int(data[start : start + 8].view(np.int64)[0])
    if data[:start].tobytes() != MAGIC or version != VERSION:
        raise SpecError(
            f"mode: {path} is no dictionary of Sudachi that is read here: SudachiPy 0.7 has one, in "
            "sudachidict-core 20260723.1 or later"
        )
    reader = _Reader(data, start + 24)
    for _ in range(3):
        reader.text(reader.number(), "utf-8")
    reader.number()
    reader.number()
    found = {}
    for _ in range(reader.number()):
        name = reader.text(reader.number(), "utf-8")
        first, size = reader.number(), reader.number()
        found[name] = data[first : first + size]
    return found


@cache
def model() -> Model:
    """The dictionary as arrays, read once."""
    parts = blocks(Path(str(files("sudachidict_core") / "resources" / "system.dic")))
    kinds = categories(resource("char.def"))
    matrix = parts["ConnMatrix"]
    right, left = (int(size) for size in matrix[:4].view(np.int16))
    costs = matrix[4:].view(np.int16).reshape(left, right)
    trie, entries, last = point_to(parts["WordPointers"], parts["TrieIndex"].view(np.uint32))
    numeral = kinds_of_words(parts["POS"]).index(NUMERAL)
    often = [[int(row[column]) for row in unknown_rows()] for column in (1, 2)]
    lefts, rights = orders(parts["Entries"], entries, left, often)
    words = pack(parts["Entries"], entries, last, lefts, rights, numeral)
    costs, reach = la.tiled(costs, lefts, rights)
    forms = forms_of(trie, entries, words, kinds)
    lexicon = la.Lexicon(trie, heads_of(trie), words, costs, reach, left, unknown(lefts, rights))
    return Model(
        spelling(resource("rewrite.def"), kinds),
        lexicon,
        cut_parts(parts["Entries"], entries, words),
        forms,
    )


def resource(name: str) -> list[str]:
    """The lines of a file of SudachiPy, without comments."""
    text = (files("sudachipy") / "resources" / name).read_text("utf-8")
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in lines if line]


def kinds_of_words(data: Bytes) -> list[tuple[str, ...]]:
    """The parts of speech, each of six levels, in the order of their numbers."""
    reader = _Reader(data)
    return [
        tuple(reader.text(2 * reader.short(), "utf-16-le") for _ in range(6))
        for _ in range(reader.short())
    ]


def orders(
    entries: Bytes, words: Numbers, size: int, often: list[list[int]]
) -> tuple[la.Ids, la.Ids]:
    """New numbers for the ids of the left and of the right, so that what is frequent stands together.

    Words of few letters are found wherever one looks: the ids of most of them come first.
    """
    shorts = entries.view(np.int16)
    places = words * (UNIT // 2)
    short = 64.0 ** -(shorts[places + LENGTH // 2] / 3)
    found = []
    for column in range(2):
        ids = shorts[places + column].astype(np.int64)
        weights = np.bincount(ids[ids >= 0], short[ids >= 0], minlength=size)
        weights[often[column]] = np.inf
        order = np.argsort(-weights, kind="stable")
        order = np.concatenate(([0], order[order != 0]))  # 0 is the beginning and the end of a text
        numbers = np.empty(size, np.int32)
        numbers[order] = np.arange(size, dtype=np.int32)
        found.append(numbers)
    return found[0], found[1]


def categories(lines: list[str]) -> la.Kinds:
    """The categories of each code point."""
    bits = {name: 1 << at for at, name in enumerate(CATEGORIES)} | FURTHER
    kinds = np.zeros(SIZE, np.uint32)
    for line in lines:
        points, *names = line.split()
        if points.startswith("0x"):
            first, _, last = points.partition("..")
            for name in names:
                kinds[int(first, 16) : int(last or first, 16) + 1] |= np.uint32(bits[name])
    kinds[kinds == 0] = 1
    return kinds


def unknown(lefts: la.Ids, rights: la.Ids) -> la.Unknown:
    """What is made of characters of each category."""
    told = {line.split()[0]: line.split()[1:4] for line in resource("char.def") if line[:2] != "0x"}
    rows: list[list[int]] = []
    ways, always = np.zeros((len(CATEGORIES), 4), np.int32), 0
    for at, name in enumerate(CATEGORIES):
        first = len(rows)
        rows += [
            [int(lefts[int(left)]), int(rights[int(right)]), int(cost), words_of(kind)]
            for category, left, right, cost, *kind in unknown_rows()
            if category == name
        ]
        invoke, group, length = map(int, told[name])
        ways[at] = group, length, first, len(rows)
        always |= invoke << at
    settings = json.loads((files("sudachipy") / "resources" / "sudachi.json").read_text("utf-8"))
    rest = settings["oovProviderPlugin"][-1]
    ids = int(lefts[rest["leftId"]]), int(rights[rest["rightId"]])
    rows.append([*ids, rest["cost"], la.UNKNOWN])
    return la.Unknown(always, ways, np.array(rows, np.int32))


def unknown_rows() -> list[list[str]]:
    """Category, left id, right id, cost and part of speech of what the dictionary does not know."""
    return [line.split(",") for line in resource("unk.def")]


def words_of(kind: list[str]) -> int:
    return la.UNKNOWN_NUMBER if tuple(kind) == NUMERAL else la.UNKNOWN


def spelling(lines: list[str], kinds: la.Kinds) -> Spelling:
    """What each character and some pairs of them are rewritten to."""
    rules = [line.split() for line in lines]
    stay = {rule[0] for rule in rules if len(rule) == 1}
    pairs = sorted(
        (ord(rule[0][0]) << 32 | ord(rule[0][1]), ord(rule[1])) for rule in rules if len(rule) == 2
    )
    changes, points = np.full(SIZE, -1, np.int32), [0]
    for point in range(LAST_CHANGED):
        character = chr(point)
        lower = character.lower() if character.isupper() else character
        new = lower
        if character not in stay and not unicodedata.is_normalized("NFKC", character):
            new = unicodedata.normalize("NFKC", lower)
        if new[0] != character:
            changes[point] = len(points)
            points += [len(new), *map(ord, new)]
    return Spelling(
        changes,
        np.array(points, np.uint32),
        np.array([pair for pair, _ in pairs], np.int64),
        np.array([one for _, one in pairs], np.uint32),
        kinds,
    )


def forms_of(trie: la.Kinds, entries: Numbers, words: Numbers, kinds: la.Kinds) -> Forms:
    """What numeric words are read as that are not read as they are spelled; marks them in `words`."""
    from sudachipy import Dictionary  # type: ignore[import-untyped]

    dictionary, found = Dictionary(), {}
    for spelled, place in numeric_words(trie, kinds):
        forms = {word.word_id(): word.normalized_form() for word in dictionary.lookup(spelled)}
        last = False
        while not last:
            form = forms.get(int(entries[place]), spelled)
            if form != spelled:
                found[place] = [ord(character) for character in form]
                words[place] |= la.STRANGE
            last = bool(words[place] & la.LAST)
            place += 1
    places = sorted(found)
    return Forms(
        np.array(places, np.int64),
        np.cumsum([0, *(len(found[place]) for place in places)], dtype=np.int32),
        np.array([point for place in places for point in found[place]], np.uint32),
    )


def numeric_words(trie: la.Kinds, kinds: la.Kinds) -> list[tuple[str, int]]:
    """The spellings of the dictionary of which all characters are numeric, and their first words."""
    numeric = [
        chr(point) for point in np.flatnonzero(kinds & NUMERIC) if not kinds[point] & la.NOT_FIRST
    ]
    found, rest = [], [("", step_of(int(trie[0])))]
    while rest:
        before, node = rest.pop()
        for character in numeric:
            to = node
            for byte in character.encode():
                to = int(to) ^ byte
                unit = int(trie[to])
                if unit & 0x800000FF != byte:
                    break
                to ^= step_of(unit)
            else:
                rest.append((before + character, to))
                if unit >> 8 & 1:
                    found.append((before + character, int(trie[to]) & 0x7FFFFFFF))
    return found


def step_of(unit: int) -> int:
    """How far the units behind one of a double array are."""
    return (unit >> 10) << ((unit & 512) >> 6)
