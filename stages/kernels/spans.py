"""Spans of units as keys, those repeated within a text, and the sampled windows of words."""

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.characters import Bytes, Table
from stages.kernels.forms import STEP
from stages.kernels.hashing import P1, P2, mix
from stages.kernels.measures import word_room
from stages.kernels.ngrams import find, table_size
from stages.kernels.units import EXACT, WORD, cut_units, units_room, window_of
from stages.kernels.words import Hashes, Numbers

Rows = npt.NDArray[np.uint32]


@njit(cache=True)
def span_keys(
    data: Bytes, offsets: Numbers, table: Table, kind: int, form: int, window: int, least: int
) -> tuple[Hashes, Rows, Rows, Rows]:
    """Key, check, row and first unit of every run of `window` units with at least `least` words."""
    units = units_room(offsets)
    room = word_room(offsets, True)
    keys, checks = np.empty(room, np.uint64), np.empty(room, np.uint32)
    rows, spans = np.empty(room, np.uint32), np.empty(room, np.uint32)
    found = 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, kind, form, units)
        for at in range(count - window + 1):
            key, check, words = window_of(units, at, window)
            if words >= least:
                keys[found], checks[found] = key, check >> np.uint64(32)
                rows[found], spans[found] = row, at
                found += 1
    return keys[:found].copy(), checks[:found].copy(), rows[:found].copy(), spans[:found].copy()


@njit(cache=True)
def repeats(
    data: Bytes, offsets: Numbers, table: Table, kind: int, form: int, window: int, least: int
) -> tuple[Numbers, Numbers]:
    """First units of runs of `window` units that were there before in the same text.

    As (places, units): those of text `row` are from `places[row]` to `places[row + 1]`. A repeat
    shares no unit with what it repeats.
    """
    units = units_room(offsets)
    places = np.zeros(len(offsets), np.int64)
    found = np.empty(word_room(offsets, True), np.int64)
    many = 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, kind, form, units)
        size = table_size(max(0, count - window + 1))
        mask = np.uint64(size - 1)
        seen, firsts = np.zeros(size, np.uint64), np.empty(size, np.int64)
        for at in range(count - window + 1):
            key, check, words = window_of(units, at, window)
            if words < least:
                continue
            key = mix(key ^ check) | np.uint64(1)
            slot = find(seen, mask, key)
            if seen[slot] == 0:
                seen[slot], firsts[slot] = key, at
            elif at >= firsts[slot] + window:
                found[many] = at
                many += 1
        places[row + 1] = many
    return places, found[:many].copy()


@njit(cache=True)
def grams_of(hashes: Hashes, count: int, size: int, step: np.uint64, out: Hashes) -> int:
    """Hash every run of `size` hashes; how many there are. Rolling: a sum of powers of `step`."""
    many = count - size + 1
    if many < 1:
        return 0
    power, total = np.uint64(1), np.uint64(0)
    for at in range(size):
        total = total * step + hashes[at]
        power = power * step if at else power
    out[0] = mix(total)
    for at in range(1, many):
        total = (total - hashes[at - 1] * power) * step + hashes[at + size - 1]
        out[at] = mix(total)
    return many


@njit(cache=True)
def _choose(grams: Hashes, many: int, width: int, chosen: Numbers) -> int:
    """The place of the least gram of each run of `width` of them; how many runs there are.

    Of equals, that chosen before, else the last (robust winnowing, Schleimer et al. 2003).
    """
    best = -1
    for at in range(many):
        if best < 0 or best <= at - width:
            best = max(0, at - width + 1)
            for other in range(best + 1, at + 1):
                if grams[other] <= grams[best]:
                    best = other
        elif grams[at] < grams[best]:
            best = at
        if at >= width - 1:
            chosen[at - width + 1] = best
    return max(0, many - width + 1)


@njit(cache=True)
def anchors(data: Bytes, offsets: Numbers, table: Table, words: int) -> tuple[Hashes, Rows, Rows]:
    """Key, row and first word of the sampled grams, of which every run of `words` words has one.

    A gram is half a run long, and the least of each run is taken: one of 7.4 % for runs of 50. Equal
    runs have the same key.
    """
    units = units_room(offsets)
    room = len(units.codes)
    grams, chosen = np.empty(room, np.uint64), np.empty(room, np.int64)
    most = word_room(offsets, True)
    keys, rows, ats = (
        np.empty(most, np.uint64),
        np.empty(most, np.uint32),
        np.empty(most, np.uint32),
    )
    size, found = (words + 1) // 2, 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, WORD, EXACT, units)
        many = grams_of(units.codes, count, size, STEP, grams)
        runs = _choose(grams, many, words - size + 1, chosen)
        for run in range(runs):
            if run == 0 or chosen[run] != chosen[run - 1]:
                keys[found], rows[found], ats[found] = grams[chosen[run]], row, chosen[run]
                found += 1
    return keys[:found].copy(), rows[:found].copy(), ats[:found].copy()


@njit(cache=True)
def runs_at(
    data: Bytes, offsets: Numbers, table: Table, words: int, places: Numbers, ats: Numbers
) -> tuple[Hashes, Hashes, Rows, Rows]:
    """Key, check, row and first word of every run of words whose sampled gram is at one of `ats`.

    Those of text `row` are, in order, from `places[row]` to `places[row + 1]`. The check hashes all
    words of the run by another pair of hashes than the key, which hashes half of them.
    """
    units = units_room(offsets)
    room = len(units.codes)
    grams, wholes = np.empty(room, np.uint64), np.empty(room, np.uint64)
    chosen = np.empty(room, np.int64)
    most = word_room(offsets, True)
    keys, checks = np.empty(most, np.uint64), np.empty(most, np.uint64)
    rows, starts = np.empty(most, np.uint32), np.empty(most, np.uint32)
    size, found = (words + 1) // 2, 0
    for row in range(len(offsets) - 1):
        count = cut_units(data, offsets[row], offsets[row + 1], table, WORD, EXACT, units)
        many = grams_of(units.codes, count, size, STEP, grams)
        runs = _choose(grams, many, words - size + 1, chosen)
        grams_of(units.checks, count, words, P2 ^ P1 | np.uint64(1), wholes)
        at = places[row]
        for run in range(runs):
            while at < places[row + 1] and ats[at] < chosen[run]:
                at += 1
            if at < places[row + 1] and ats[at] == chosen[run]:
                keys[found], checks[found] = grams[chosen[run]], wholes[run]
                rows[found], starts[found] = row, run
                found += 1
    return keys[:found].copy(), checks[:found].copy(), rows[:found].copy(), starts[:found].copy()


@njit(cache=True)
def repeated(
    keys: Hashes, checks: Hashes, docs: Hashes, starts: Rows, length: int
) -> npt.NDArray[np.bool_]:
    """Whether each run of `length` words, known by key and check, stands elsewhere before.

    In an earlier document, or in its own without overlap. Rows may come in any order.
    """
    size = table_size(len(keys))
    mask = np.uint64(size - 1)
    firsts, slots = np.full(size, -1), np.empty(len(keys), np.uint64)
    for at in range(len(keys)):
        slot = checks[at] & mask
        while firsts[slot] >= 0:
            first = firsts[slot]
            if checks[first] == checks[at] and keys[first] == keys[at]:
                break
            slot = (slot + np.uint64(1)) & mask
        slots[at], first = slot, firsts[slot]
        earlier = docs[at] == docs[first] and starts[at] < starts[first]
        if first < 0 or docs[at] < docs[first] or earlier:
            firsts[slot] = at
    found = np.empty(len(keys), np.bool_)
    for at in range(len(keys)):
        first = firsts[slots[at]]
        found[at] = docs[at] != docs[first] or starts[at] >= starts[first] + length
    return found


@njit(cache=True)
def merged(docs: Hashes, froms: Numbers, tos: Numbers) -> tuple[Hashes, Numbers, Numbers]:
    """Stretches that touch or overlap as one; given in order of document and beginning."""
    found = 0
    out, starts, stops = np.empty_like(docs), np.empty_like(froms), np.empty_like(tos)
    for at in range(len(docs)):
        if found and out[found - 1] == docs[at] and froms[at] <= stops[found - 1]:
            stops[found - 1] = max(stops[found - 1], tos[at])
        else:
            out[found], starts[found], stops[found] = docs[at], froms[at], tos[at]
            found += 1
    return out[:found].copy(), starts[:found].copy(), stops[:found].copy()
