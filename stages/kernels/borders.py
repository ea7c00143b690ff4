"""Words of Japanese: for each place between two letters, whether a word ends there, by what is around it.

A linear model over the letters, pairs and triples of letters of six, and the scripts of six (pointwise
prediction: Neubig, Nakata, Mori 2011, ACL, "Pointwise prediction for robust, adaptable Japanese
morphological analysis"). What each n-gram adds to the four places that it can touch are four small
numbers in one word, which are added up at once. It was taught by Sudachi's words, mode A.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import lean, lean_inline
from stages.kernels.forms import STEP

Hashes: TypeAlias = npt.NDArray[np.uint64]
Points: TypeAlias = npt.NDArray[np.uint32]

PAD = 2  # entries of `points` before the first letter, and behind the last
OTHER, DIGIT_BESIDE, LETTER_BESIDE = 1, 2, 3  # what may stand beside a run of letters
SCRIPTS = 1 << 12  # six scripts of two bits
LANE = 128  # is 0
NEUTRAL = np.uint64(0x0080008000800080)
NOTHING = np.uint64(0x80808080)


class Borders(NamedTuple):
    """The model: of each n-gram, 32 bits of its hash and four weights of eight bits, 128 for none."""

    letters: Hashes  # by code point: script << 32 | weights
    pairs: Hashes  # open hash tables: hash << 32 | weights
    triples: Hashes
    scripts: npt.NDArray[np.int16]  # by the scripts of six letters


@lean_inline
def _key(code: np.uint64) -> np.uint64:
    key = code * STEP
    return key ^ key >> np.uint64(32)


@lean_inline
def _slot(entries: Hashes, key: np.uint64) -> np.uint64:
    """The slot of a key, or the empty one where it belongs."""
    mask = np.uint64(len(entries) - 1)
    slot = key >> np.uint64(40) & mask
    check = key & np.uint64(0xFFFFFFFF)
    while entries[slot] and entries[slot] >> np.uint64(32) != check:
        slot = (slot + np.uint64(1)) & mask
    return slot


@lean_inline
def _apart(weights: np.uint64) -> np.uint64:
    """Four numbers of eight bits with eight bits between them."""
    weights = (weights | weights << np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return (weights | weights << np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)


@lean
def enter(codes: Hashes, weights: Points, entries: Hashes) -> None:
    """Fill an open hash table with n-grams, whose letters have 21 bits each in a code."""
    for at in range(len(codes)):
        key = _key(codes[at])
        entries[_slot(entries, key)] = key << np.uint64(32) | np.uint64(weights[at])


@lean
def cut_kana(points: Points, many: int, borders: Borders, ends: npt.NDArray[np.uint8]) -> None:
    """Mark in `ends` the letters that end a word; of `points` the first of `many` stands at PAD.

    Beside them stand what is beside the run (OTHER...) and a 0.
    """
    letters, pairs, triples, scripts = borders
    # The sums for four places in 16 bits each; of each three letters before the first added nothing.
    sums = np.uint64(9 * LANE) | np.uint64(6 * LANE) << np.uint64(16)
    sums |= np.uint64(3 * LANE) << np.uint64(32)
    window = np.uint64(0)
    for at in range(many + PAD):  # the place before `points[at]` has all that it gets
        second, third = np.uint64(points[at + 1]), np.uint64(points[at + 2])
        if second < 0x10000:
            sums += _apart(letters[second] & np.uint64(0xFFFFFFFF))
        else:
            sums += NEUTRAL
        entry = letters[third] if third < 0x10000 else np.uint64(0)
        window = (window << np.uint64(2) | entry >> np.uint64(32)) & np.uint64(SCRIPTS - 1)
        pair = np.uint64(points[at]) << np.uint64(21) | second
        found = pairs[_slot(pairs, _key(pair))]
        sums += _apart(found & np.uint64(0xFFFFFFFF)) if found else NEUTRAL
        if found:
            found = triples[_slot(triples, _key(pair << np.uint64(21) | third))]
        sums += _apart(found & np.uint64(0xFFFFFFFF)) if found else NEUTRAL
        if at > PAD:
            score = np.int64(sums & np.uint64(0xFFFF)) - 12 * LANE + scripts[window]
            ends[at - PAD - 1] = score > 0
        sums >>= np.uint64(16)
    ends[many - 1] = 1


PARTS = ("letters", "pairs", "triples", "weights", "scripts")


def script_of(points: Points) -> npt.NDArray[np.uint8]:
    """0 to 3: hiragana, katakana and Han are told from the rest."""
    found = np.zeros(points.shape, np.uint8)
    found[(points >= 0x3041) & (points < 0x30A0)] = 1
    found[(points >= 0x30A0) & (points < 0x3100)] = 2
    found[(points >= 0x3400) & (points < 0xA000) | (points == 0x3005)] = 3
    return found


def tables(
    letters: Points,
    pairs: Points,
    triples: Points,
    weights: npt.NDArray[np.int8],
    scripts: npt.NDArray[np.int16],
) -> Borders:
    """The model from n-grams (rows of code points in order) and the weights of all of them."""
    lanes = (weights.astype(np.int64) + LANE).astype(np.uint8)
    packed = np.ascontiguousarray(lanes).view(np.uint32)[:, 0]
    edges = np.cumsum([len(letters), len(pairs)])
    ones = script_of(np.arange(1 << 16, dtype=np.uint32)).astype(np.uint64) << np.uint64(32)
    ones |= NOTHING
    ones[letters] = ones[letters] & ~np.uint64(0xFFFFFFFF) | packed[: edges[0]]
    twos, threes = (
        _entered(pairs, packed[edges[0] : edges[1]]),
        _entered(triples, packed[edges[1] :]),
    )
    return Borders(ones, twos, threes, scripts)


def _entered(grams: Points, weights: Points) -> Hashes:
    """The hash table of n-grams."""
    codes = np.zeros(len(grams), np.uint64)
    for column in grams.T.astype(np.uint64):
        codes = codes << np.uint64(21) | column
    entries = np.zeros(1 << int(2 * len(grams)).bit_length(), np.uint64)
    enter(codes, weights, entries)
    return entries
