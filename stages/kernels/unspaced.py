"""Runs of letters of scripts that write no spaces: how they are read, and where words end in them.

Chinese and Japanese are cut into words (`han`, `borders`), by the language of the text or, where it is
not known, by whether it has kana. In other such scripts each letter is a word.
"""

from functools import cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import borders as bd
from stages.kernels import han as hn
from stages.kernels import lean, lean_inline
from stages.kernels.characters import (
    ALPHABETIC,
    DIGIT,
    MARK,
    SINGLE,
    Bytes,
    Table,
    decode,
)

Numbers: TypeAlias = npt.NDArray[np.int64]

# How the letters of a text are cut, of the bits that say how its language writes words; none: by script.
LETTERS, CHINESE, JAPANESE = 4, 8, 16
MOST = 4096  # letters of a run that are looked at together; prose has a mark long before
LOOK = 4096  # bytes by which it is told whether a text is Japanese
KANA = 10  # it is, if one of so many letters is of kana


class Room(NamedTuple):
    """Where a run is read to and cut, MOST letters at a time."""

    points: npt.NDArray[np.uint32]  # from PAD on
    places: Numbers  # of the first byte of each letter, and the end
    ends: Bytes  # 1: a word ends with the letter
    costs: Numbers
    nexts: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.uint32]


class Cutter(NamedTuple):
    """What Chinese and Japanese are cut with, and room to do it."""

    han: hn.Han
    borders: bd.Borders
    room: Room


def room() -> Room:
    """Room for one thread."""
    size = MOST + 2 * bd.PAD
    return Room(
        np.zeros(size, np.uint32),
        np.zeros(size, np.int64),
        np.zeros(size, np.uint8),
        np.zeros(size, np.int64),
        np.zeros(size, np.int32),
        np.zeros(size, np.uint32),
    )


def cutter() -> Cutter:
    """A cutter for one thread."""
    return Cutter(*models(), room())


def letters_only() -> Cutter:
    """One without models, that must be asked for LETTERS."""
    none, pair = np.zeros(1, np.uint64), np.zeros((1, 1), np.int64)
    costs, bits = np.zeros(1, np.uint32), np.zeros(1, np.uint8)
    han = hn.Han(costs, none, none, bits, np.zeros(1, np.int64), pair, pair)
    return Cutter(han, bd.Borders(none, none, none, np.zeros(1, np.int16)), room())


@cache
def models() -> tuple[hn.Han, bd.Borders]:
    """The models in the files beside this one, which `benchmarks.taught` made."""
    with np.load(Path(__file__).with_name("han.npz"), allow_pickle=False) as file:
        model = [file[name].astype(np.int64) for name in ("begins", "turns", "emits")]
        chinese = hn.Han(
            np.full(hn.SPAN, file["total"], np.uint32),
            np.zeros(1 << 19, np.uint64),
            np.zeros(1 << 19, np.uint64),
            np.zeros(1 << 18, np.uint8),
            *model,
        )
        points = file["high"].astype(np.uint32) << np.uint32(8) | file["low"]
        hn.enter(file["shared"], file["added"], points, file["costs"], chinese)
    with np.load(Path(__file__).with_name("borders.npz"), allow_pickle=False) as file:
        japanese = bd.tables(*(file[name] for name in bd.PARTS))
    return chinese, japanese


@lean_inline
def in_words(point: np.uint32) -> bool:
    """Whether a letter without spaces around it is of Chinese or Japanese: Han, kana and their like."""
    return bool(0x3000 <= point < 0xA000 or point >= 0xF900)


@lean_inline
def kana(point: np.uint32) -> bool:
    """Whether a letter is hiragana or katakana, of any width."""
    return bool(0x3041 <= point < 0x3100 or 0x31F0 <= point < 0x3200 or 0xFF66 <= point < 0xFFA0)


@lean
def settled(customs: int, data: Bytes, at: int, end: int, table: Table) -> int:
    """The customs of a text with how its letters are cut, if the one at `at` asks for that."""
    if customs & (LETTERS | CHINESE | JAPANESE) or not in_words(decode(data, at, end)[0]):
        return customs
    return customs | _way(data, at, end, table)


@lean
def _way(data: Bytes, at: int, end: int, table: Table) -> int:
    """CHINESE or JAPANESE, by the letters of either script from here on."""
    stop, every, some = min(end, at + LOOK), 0, 0
    while at < stop:
        point, size = decode(data, at, end)
        if table[point] & SINGLE and in_words(point):
            every += 1
            some += kana(point)
        at += size
    return JAPANESE if some * KANA >= every else CHINESE


@lean_inline
def _han(data: Bytes, at: int, end: int) -> np.uint32:
    """The character at `at` if it is one of Han that is well-formed, else 0."""
    if at + 2 >= end:
        return np.uint32(0)
    here = np.uint64(at)
    lead = np.uint32(data[here]) ^ np.uint32(0xE0)
    second = np.uint32(data[here + np.uint64(1)]) ^ np.uint32(0x80)
    third = np.uint32(data[here + np.uint64(2)]) ^ np.uint32(0x80)
    point = lead << np.uint32(12) | second << np.uint32(6) | third
    well = lead < 16 and (second | third) < 64
    return point if well and hn.FIRST <= point <= hn.LAST else np.uint32(0)


@lean
def read(
    data: Bytes, start: int, at: int, end: int, table: Table, customs: int, room: Room
) -> tuple[int, int]:
    """Read the run that begins at `at` of a text that begins at `start`: how many letters, its end.

    Marks on a letter are between its place and the next. A run ends where letters of Chinese and
    Japanese and those of other scripts meet. What is beside it is told where JAPANESE asks for it.
    """
    points, places = room.points, room.places
    many, of_words, kind = 0, False, np.uint32(0)
    while at < end:
        point, size, kind = _han(data, at, end), 3, np.uint32(SINGLE | ALPHABETIC)
        if not point:
            point, size = decode(data, at, end)
            kind = table[point]
        if kind & SINGLE:
            if many == 0:
                of_words = in_words(point)
            elif many == MOST or in_words(point) != of_words:
                break
            points[bd.PAD + many], places[many] = point, at
            many += 1
        elif not kind & MARK:
            break
        at += size
    places[many] = at
    if not customs & JAPANESE:
        return many, at
    points[0], points[bd.PAD + many + 1] = 0, 0
    points[1] = _beside(_before(data, start, places[0], table))
    points[bd.PAD + many] = _beside(kind if at < end else np.uint32(0))
    return many, at


@lean
def _before(data: Bytes, start: int, at: int, table: Table) -> np.uint32:
    """The class of the character before `at`, 0 if there is none."""
    here = at - 1
    while here > start and here > at - 4 and data[here] & 0xC0 == 0x80:
        here -= 1
    return table[decode(data, here, at)[0]] if at > start else np.uint32(0)


@lean_inline
def _beside(kind: np.uint32) -> np.uint32:
    if kind & DIGIT:
        return np.uint32(bd.DIGIT_BESIDE)
    return np.uint32(bd.LETTER_BESIDE if kind & ALPHABETIC else bd.OTHER)


@lean
def mark_words(many: int, customs: int, cutter: Cutter) -> int:
    """Mark in `room.ends` the letters that end a word of the run in `room`.

    How many letters they are, 0 where each is a word because none are cut into words.
    """
    points, _, ends, costs, nexts, ranks = cutter.room
    ends[:many] = 1
    if customs & LETTERS or not in_words(points[bd.PAD]):
        return 0
    if customs & JAPANESE:
        bd.cut_kana(points, many, cutter.borders, ends)
        return many
    first = 0
    letters = points[bd.PAD :]
    while first < many:
        last = first
        while last < many and hn.FIRST <= letters[last] <= hn.LAST:
            last += 1
        if last - first > 1:
            hn.cut_han(letters, first, last, cutter.han, costs, nexts, ranks, ends)
        first = last + 1
    return many
