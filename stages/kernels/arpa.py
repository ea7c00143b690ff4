"""n-gram language models as hash tables: filled from an ARPA file, asked for the chance of a text.

The key of an n-gram is made from its words, the last one first, so that a longer context goes on
from the key of the shorter. 64 bits: of 10^8 n-grams, one in 10^11 lookups finds another's.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import Bytes, Table
from stages.kernels.folded import Hashes, Numbers, hash_points, next_token
from stages.kernels.hashing import P1, mix
from stages.kernels.ngrams import table_size

Floats: TypeAlias = npt.NDArray[np.float32]
Places: TypeAlias = npt.NDArray[np.int32]
Scores: TypeAlias = npt.NDArray[np.float64]

TAB, LINE, BLANK, BACKSLASH, MINUS, PLUS, DOT, LETTER_E, ZERO = 9, 10, 32, 92, 45, 43, 46, 101, 48
LONGEST = 4_000_000  # bytes of a text that are looked at: at most 200 MB of memory
ROOT = np.uint64(0x9E3779B97F4A7C15)  # the key of no word


class Model(NamedTuple):
    """All n-grams of a model in an open hash table of (key, values), one row each, key 0 if empty."""

    slots: Hashes  # two columns, so that a lookup is one line of the processor's cache
    values: Floats  # the same memory; columns 2 and 3: log10 of probability and backoff
    order: int
    begin: np.uint64  # the hashes of `<s>`, `</s>`, `<unk>`
    end: np.uint64
    unknown: np.uint64


def empty(entries: int, order: int) -> Model:
    """A model with room for so many n-grams, and none yet: any word is as likely as KenLM has it."""
    slots = np.zeros((table_size(entries), 2), np.uint64)
    values = slots.view(np.float32)
    values[:, 2] = -100
    special = [np.frombuffer(word, np.uint8) for word in (b"<s>", b"</s>", b"<unk>")]
    begin, end, unknown = (np.uint64(hash_points(word, 0, len(word))) for word in special)
    return Model(slots, values, order, begin, end, unknown)


@njit(cache=True, inline="always")
def further(key: np.uint64, word: np.uint64) -> np.uint64:
    """The key of an n-gram with one more word on its left."""
    return mix((key ^ word) * P1 + ROOT)


@njit(cache=True, inline="always")
def slot_of(slots: Hashes, key: np.uint64) -> np.uint64:
    """The row that holds the key, or the empty one where it belongs."""
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot, 0] != 0 and slots[slot, 0] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True)
def fill(data: Bytes, at: int, slots: Hashes, values: Floats, order: int) -> tuple[int, int]:
    """Read the n-grams of an ARPA file from its first `\\1-grams:` on.

    How many there were, and the place where the file is not as it should be, or -1.
    """
    words = np.zeros(order, np.uint64)
    many, size, end = 0, 0, len(data)
    while at < end:
        if data[at] == LINE or data[at] == BLANK or data[at] == TAB:
            at += 1
            continue
        if data[at] == BACKSLASH:
            size = data[at + 1] - ZERO if at + 1 < end else 0
            if size < 1 or size > order:
                return many, -1 if at + 1 < end and data[at + 1] == LETTER_E else at
            while at < end and data[at] != LINE:
                at += 1
            continue
        begin = at
        chance, at, sound = number(data, at, end)
        for position in range(size):
            at = skip(data, at, end)
            start = at
            while at < end and data[at] != BLANK and data[at] != TAB and data[at] != LINE:
                at += 1
            sound = sound and at > start
            words[position] = hash_points(data, start, at)
        at = skip(data, at, end)
        backoff = 0.0
        if at < end and data[at] != LINE:
            backoff, at, good = number(data, at, end)
            sound = sound and good
        if not sound or size == 0 or 2 * (many + 1) > len(slots):
            return many, begin
        key = ROOT
        for position in range(size - 1, -1, -1):
            key = further(key, words[position])
        slot = slot_of(slots, key)
        slots[slot, 0] = key
        values[slot, 2], values[slot, 3] = chance, backoff
        many += 1
    return many, end


@njit(cache=True)
def skip(data: Bytes, at: int, end: int) -> int:
    """The place behind blanks and tabs."""
    while at < end and (data[at] == BLANK or data[at] == TAB):
        at += 1
    return at


@njit(cache=True)
def number(data: Bytes, at: int, end: int) -> tuple[float, int, bool]:
    """The decimal number here, the place behind it, and whether there is one."""
    negative = at < end and data[at] == MINUS
    at += negative or (at < end and data[at] == PLUS)
    value, digits, places, power = 0.0, 0, 0, 0
    point = False
    while at < end and (ZERO <= data[at] < ZERO + 10 or (data[at] == DOT and not point)):
        if data[at] == DOT:
            point = True
        else:
            value = value * 10 + (data[at] - ZERO)
            digits += 1
            places += point
        at += 1
    if at + 1 < end and digits and data[at] | 0x20 == LETTER_E:
        at += 1
        below = data[at] == MINUS
        at += below or data[at] == PLUS
        while at < end and ZERO <= data[at] < ZERO + 10:
            power = min(power * 10 + (data[at] - ZERO), 400)
            at += 1
        power = -power if below else power
    value *= 10.0 ** (power - places)
    return -value if negative else value, at, digits > 0


@njit(cache=True)
def score(
    data: Bytes, offsets: Numbers, table: Table, rows: Numbers, model: Model, out: Scores
) -> None:
    """The perplexity of some texts: 10 ^ -(log10 of their chance per word and end of line).

    Every line with a token is a sentence. A text without one is left as it is in `out`. All words of
    a text are looked up order by order, so that the processor waits for many of them at once.
    """
    longest = 0
    for row in rows:
        longest = max(longest, min(offsets[row + 1] - offsets[row], LONGEST))
    room = 2 * longest + 2
    words, lengths = np.empty(room, np.uint64), np.empty(room, np.int32)
    depths, active = np.empty(room, np.int32), np.empty(room, np.int32)
    chances, backoffs = np.empty(room, np.float32), np.empty((room, model.order), np.float32)
    keys = np.empty(room, np.uint64)
    for row in rows:
        span = offsets[row], min(offsets[row + 1], offsets[row] + LONGEST)
        many = read(data, span, table, model.begin, model.end, words, depths)
        for at in range(many):
            words[at] = first(
                model.slots, model.values, words[at], model.unknown, at, keys, chances, backoffs
            )
        climb(
            model.slots, model.values, words, depths, many, keys, active, chances, backoffs, lengths
        )
        total, count = 0.0, 0
        for at in range(many):
            if depths[at]:
                total += chances[at]
                count += 1
                for context in range(lengths[at], min(lengths[at - 1], model.order - 1) + 1):
                    total += backoffs[at - 1, context - 1]
        if count:
            out[row] = 10.0 ** (-total / count)


@njit(cache=True)
def read(
    data: Bytes, span: tuple[int, int], table: Table, begin: np.uint64, border: np.uint64,
    words: Hashes, depths: Places,
) -> int:  # fmt: skip
    """The words of a text's lines, each with its begin and border, and how many are before them."""
    counts = np.zeros(7, np.int64)
    at, end = span
    many, depth = 0, 0
    while at < end or depth:
        _, at, code = next_token(data, at, end, table, counts)
        if code == 0 and depth == 0:
            continue
        if depth == 0:
            words[many], depths[many] = begin, 0
            many, depth = many + 1, 1
        words[many], depths[many] = border if code == 0 else code, depth
        many, depth = many + 1, 0 if code == 0 else depth + 1
    return many


@njit(cache=True, inline="always")
def first(
    slots: Hashes, values: Floats, word: np.uint64, unknown: np.uint64, at: int, keys: Hashes,
    chances: Floats, backoffs: Floats,
) -> np.uint64:  # fmt: skip
    """Look up one word alone; the word itself, or the unknown one."""
    key = further(ROOT, word)
    slot = slot_of(slots, key)
    if slots[slot, 0] == 0:
        word = unknown
        key = further(ROOT, word)
        slot = slot_of(slots, key)
    keys[at], chances[at], backoffs[at, 0] = key, values[slot, 2], values[slot, 3]
    return word


@njit(cache=True)
def climb(
    slots: Hashes, values: Floats, words: Hashes, depths: Places, many: int, keys: Hashes,
    active: Places, chances: Floats, backoffs: Floats, lengths: Places,
) -> None:  # fmt: skip
    """The longest n-gram that ends with each word: its length, chance, and all backoffs up to it.

    A model holds every end of its n-grams, so that the first that is not there is the end.
    """
    left = 0
    for at in range(many):
        lengths[at] = 1
        if depths[at]:
            active[left] = at
            left += 1
    for size in range(2, backoffs.shape[1] + 1):
        still = 0
        for index in range(left):
            at = active[index]
            key = further(keys[at], words[at - size + 1])
            slot = slot_of(slots, key)
            if slots[slot, 0] != 0:
                keys[at], chances[at], backoffs[at, size - 1] = (
                    key,
                    values[slot, 2],
                    values[slot, 3],
                )
                lengths[at] = size
                if depths[at] >= size:
                    active[still] = at
                    still += 1
        left = still
