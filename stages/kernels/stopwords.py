"""Counting the stop words of a text, by the hashes of its words."""

from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from stages.kernels import lean
from stages.kernels.characters import Bytes, table
from stages.kernels.eight import lowest
from stages.kernels.ngrams import find, table_size
from stages.kernels.unspaced import LETTERS, letters_only
from stages.kernels.words import COUNTS, Asked, Hashes, Numbers, cut

Stops: TypeAlias = tuple[Bytes, Hashes, Numbers, Hashes]

SIEVE = np.uint64(50)  # 14 bits are left of a hash
ANY = -1  # the language is not known, or has no list


@cache
def languages() -> dict[str, tuple[str, ...]]:
    """The stop words of each language (ISO 639-1), as in `stop_words.txt`."""
    text = Path(__file__).with_name("stop_words.txt").read_text(encoding="utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {row[0]: tuple(row[1:]) for row in rows}


@cache
def stop_table() -> Stops:
    """Open hash table of stop words: hash, number of the word, set of its languages as bits.

    Before them a sieve: 1 at the highest bits of the hash of each, for most words of a text are none.

    A word is in it as it is listed, with a capital, and in capitals: three hashes, one number.
    Language i of `languages()` is bit i.
    """
    masks: dict[str, int] = {}
    for bit, words in enumerate(languages().values()):
        for word in words:
            masks[word] = masks.get(word, 0) | 1 << bit
    size = table_size(3 * len(masks))
    keys, numbers = np.zeros(size, np.uint64), np.zeros(size, np.int64)
    bits = np.zeros(size, np.uint64)
    sieve = np.zeros(1 << 14, np.uint8)
    for number, (word, mask) in enumerate(masks.items()):
        for form in {word, word.capitalize(), word.upper()}:
            key = _hash(form)
            slot = find(keys, np.uint64(size - 1), key)
            if keys[slot] == 0:
                keys[slot], numbers[slot] = key, number
            bits[slot] |= np.uint64(mask)
            sieve[key >> SIEVE] = 1
    return sieve, keys, numbers, bits


def _hash(word: str) -> np.uint64:
    data = np.frombuffer(word.encode(), np.uint8)
    hashes, ends = np.zeros(len(data), np.uint64), np.zeros(len(data) + 1, np.int64)
    counts = np.zeros(COUNTS, np.int64)
    asked = Asked(hashes, ends, hashes[:0], ends[:0])
    tokens = cut(data, 0, len(data), table(), LETTERS, letters_only(), asked, counts)
    assert tokens == 1, f"stop word {word!r} is not one word"
    found: np.uint64 = hashes[0]
    return found


@lean
def count_stop_words(
    hashes: Hashes,
    tokens: int,
    language: int,
    stops: Stops,
    seen: Bytes,
    tallies: Numbers,
) -> tuple[int, int]:
    """How many different stop words of the language there are, and how many in all.

    Where the language is not known, those of the language that has most different ones in the text.
    `seen` (one entry per number of a word) and `tallies` (two per language) are scratch.
    """
    sieve, keys, numbers, bits = stops
    mask = np.uint64(len(keys) - 1)
    seen[:] = 0
    tallies[:] = 0
    for at in range(tokens):
        if not sieve[hashes[at] >> SIEVE]:
            continue
        slot = find(keys, mask, hashes[at])
        if keys[slot] == 0:
            continue
        new = not seen[numbers[slot]]
        seen[numbers[slot]] = 1
        left = bits[slot] if language == ANY else bits[slot] & np.uint64(1) << np.uint64(language)
        while left:
            bit = lowest(left)
            left &= left - np.uint64(1)
            tallies[bit, 0] += new
            tallies[bit, 1] += 1
    if language == ANY:
        language = int(tallies[:, 0].argmax())
    return tallies[language, 0], tallies[language, 1]
