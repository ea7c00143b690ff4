"""Cutting a chunk between two blanks into tokens by a language's rules, as spaCy's `Tokenizer` does.

What stands at the ends is taken off, one prefix and one suffix in turn, until neither or a special case
is left; that is parted at infixes. The rules come as automata (`stages.affixes`).
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean
from stages.kernels.characters import Bytes, decode
from stages.kernels.hashing import hash_bytes
from stages.kernels.ngrams import find
from stages.kernels.words import Hashes, Numbers

Kinds: TypeAlias = npt.NDArray[np.uint16]

# What else is known of a class of characters.
FOREIGN = 1  # a chunk with one may be cut by a rule that is not among the automata
KEPT = 8  # a chunk with one may stay whole though rules would cut it
DOT = 2
LATER = 4  # may begin the last part of a domain's name
ADDRESS_DOTS = 3  # of an IP address

DEAD, START = 0, 1
WORST = np.int32(1 << 30)


class Automaton(NamedTuple):
    """Alternatives at once. What it finds is the one of the lowest rank, and of that the longest."""

    steps: npt.NDArray[np.int16]  # states x classes: the next state, 0 a dead end, 1 the start
    found: npt.NDArray[np.int32]  # states x 2: rank of what ends here (-1: nothing), how far ahead
    back: int  # it begins so many characters before the place


class Rules(NamedTuple):
    """The rules of a tokenizer."""

    kinds: Kinds  # the class of each code point, and last that of what is outside of a string
    flags: Bytes  # of each class
    prefixes: Automaton
    suffixes: Automaton  # walked from the end
    infixes: Automaton


class Specials(NamedTuple):
    """Strings that are cut as listed; those of `whole` also where rules have cut them apart."""

    keys: Hashes  # an open hash table of their texts
    places: Numbers
    firsts: Numbers  # the tokens of special case i are `firsts[i]` to `firsts[i + 1]`
    sizes: Numbers  # characters of each token
    whole: npt.NDArray[np.bool_]
    longest: int  # characters


@lean
def list_specials(data: Bytes, edges: Numbers, keys: Hashes, places: Numbers) -> None:
    """Enter texts, one after the other in the data, into a table under their numbers."""
    for at in range(len(edges) - 1):
        code = hash_bytes(data, edges[at], edges[at + 1], np.uint64(0))
        slot = find(keys, np.uint64(len(keys) - 1), code)
        keys[slot], places[slot] = code, at


@njit(cache=True)
def cut_by_rules(
    data: Bytes,
    begins: Numbers,
    ends: Numbers,
    rules: Rules,
    specials: Specials,
    counts: Numbers,
    sizes: Numbers,
) -> int:
    """The tokens of each chunk, in `counts` how many and in `sizes` their characters; how many in all.

    A count of -1: the rules do not tell. `sizes` has to have room for a token per byte.
    """
    most = 0
    for chunk in range(len(begins)):
        most = max(most, ends[chunk] - begins[chunk])
    kinds, places = np.empty(most, np.uint16), np.empty(most + 1, np.int64)
    tail = np.empty(most, np.int64)
    many = 0
    for chunk in range(len(begins)):
        length, seen = _read(data, begins[chunk], ends[chunk], rules, kinds, places)
        counts[chunk] = -1
        if not seen & FOREIGN:
            some = _cut(data, kinds, places, length, rules, specials, tail, sizes, many)
            counts[chunk] = -1 if seen & KEPT and some > 1 else some
        many += max(counts[chunk], 0)
    return many


@lean
def _read(
    data: Bytes, begin: int, end: int, rules: Rules, kinds: Kinds, places: Numbers
) -> tuple[int, int]:
    """The classes of a chunk's characters and where each begins; how many, and their flags together."""
    at, length, seen = begin, 0, np.uint8(0)
    while at < end:
        point, size = decode(data, at, end)
        kinds[length], places[length] = rules.kinds[point], at
        seen |= rules.flags[kinds[length]]
        length += 1
        at += size
    places[length] = end
    return length, int(seen)


@lean
def _cut(
    data: Bytes,
    kinds: Kinds,
    places: Numbers,
    length: int,
    rules: Rules,
    specials: Specials,
    tail: Numbers,
    sizes: Numbers,
    first: int,
) -> int:
    """The tokens of one chunk, written from `first` on; how many, -1 if the rules do not tell."""
    begin, end, to, behind, size, special = 0, length, first, 0, -1, -1
    while begin < end and end - begin != size:
        special = _special(data, places, begin, end, specials)
        if special >= 0:
            break
        size = end - begin
        before = max(0, _ahead(rules, rules.prefixes, kinds, begin, end, begin, 1))
        if before and begin + before < end:
            special = _special(data, places, begin + before, end, specials)
            if special >= 0:
                sizes[to], to, begin = before, to + 1, begin + before
                break
        after = _suffix(rules, kinds, begin + before, end)
        if after and begin < end - after:
            special = _special(data, places, begin, end - after, specials)
            if special >= 0:
                tail[behind], behind, end = after, behind + 1, end - after
                break
        if before:
            sizes[to], to = before, to + 1
        if after and (before == 0 or before + after <= size):
            tail[behind], behind, end = after, behind + 1, end - after
        begin += before
    if special >= 0:
        for one in range(specials.firsts[special], specials.firsts[special + 1]):
            sizes[to], to = specials.sizes[one], to + 1
    elif begin < end:
        inner = _part(rules, kinds, begin, end, sizes, to)
        if inner > 1 and _may_be_address(rules, kinds, begin, end):
            return -1
        to += inner
    for one in range(behind - 1, -1, -1):
        sizes[to], to = tail[one], to + 1
    return -1 if _joined(data, places, sizes, first, to, specials) else to - first


@lean
def _special(data: Bytes, places: Numbers, begin: int, end: int, specials: Specials) -> int:
    """Which special case the characters from `begin` to `end` are, -1 if none."""
    if end - begin > specials.longest:
        return -1
    code = hash_bytes(data, places[begin], places[end], np.uint64(0))
    slot = find(specials.keys, np.uint64(len(specials.keys) - 1), code)
    return int(specials.places[slot]) if specials.keys[slot] == code else -1


@lean
def _ahead(
    rules: Rules, how: Automaton, kinds: Kinds, begin: int, end: int, at: int, least: int
) -> int:
    """The length of what an automaton finds at a place of the string from `begin` to `end`, or -1."""
    state, here, rank, length = np.int64(START), at - how.back, WORST, -1
    while state != DEAD:
        kind = kinds[here] if begin <= here < end else rules.kinds[len(rules.kinds) - 1]
        state = np.int64(how.steps[state, kind])
        here += 1
        some = here - at - how.found[state, 1]
        if 0 <= how.found[state, 0] <= rank and some >= least:
            rank, length = how.found[state, 0], some
    return length


@lean
def _suffix(rules: Rules, kinds: Kinds, begin: int, end: int) -> int:
    """The length of the longest suffix of the characters from `begin` to `end`, or 0."""
    how, state, here, length = rules.suffixes, np.int64(START), end, 0
    while state != DEAD:
        here -= 1
        kind = kinds[here] if begin <= here < end else rules.kinds[len(rules.kinds) - 1]
        state = np.int64(how.steps[state, kind])
        if how.found[state, 0] >= 0:
            length = max(length, end - here - how.found[state, 1])
    return length


@lean
def _part(rules: Rules, kinds: Kinds, begin: int, end: int, sizes: Numbers, to: int) -> int:
    """Part the characters from `begin` to `end` at infixes, but not at one that begins them; how many.

    An infix without a character parts too. As in Python there may be another one at its place.
    """
    first, at, last, least = to, begin, begin, 0
    while at < end:
        length = _ahead(rules, rules.infixes, kinds, begin, end, at, least)
        if length >= 0 and at > begin:
            if at > last:
                sizes[to], to = at - last, to + 1
            if length:
                sizes[to], to = length, to + 1
            last = at + length
        least = 1 if length == 0 else 0
        at += 1 if length < 0 else length
    if last < end:
        sizes[to], to = end - last, to + 1
    return to - first


@lean
def _may_be_address(rules: Rules, kinds: Kinds, begin: int, end: int) -> bool:
    """Whether the characters have what a URL needs: a domain with a full stop, or an IP address."""
    dots = 0
    for at in range(begin, end):
        if rules.flags[kinds[at]] & DOT:
            dots += 1
            if at + 2 < end and rules.flags[kinds[at + 1]] & rules.flags[kinds[at + 2]] & LATER:
                return True
    return dots >= ADDRESS_DOTS


@lean
def _joined(
    data: Bytes, places: Numbers, sizes: Numbers, first: int, to: int, specials: Specials
) -> bool:
    """Whether tokens next to each other are, together, a special case that rules cut otherwise."""
    begin = 0
    for one in range(first, to):
        end = begin
        for other in range(one, to):
            end += sizes[other]
            if end - begin > specials.longest:
                break
            special = _special(data, places, begin, end, specials)
            if special >= 0 and specials.whole[special]:
                start = specials.firsts[special]
                same = specials.firsts[special + 1] - start == other + 1 - one
                for at in range(one, other + 1):
                    same = same and sizes[at] == specials.sizes[start + at - one]
                if not same:
                    return True
        begin += sizes[one]
    return False
