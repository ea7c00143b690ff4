"""Tokens of white-space chunks, looked up in a table instead of tokenised again.

A rule-based tokenizer cuts what lies between two blanks the same way wherever it stands. What it made
of a chunk is kept under the chunk's hash; the kernels find the chunks of a text and copy their tokens.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels.characters import Bytes, decode
from stages.kernels.hashing import hash_bytes
from stages.kernels.ngrams import find
from stages.kernels.streams import BLANK, Lengths, Marks, Stream, token
from stages.kernels.words import Hashes, Numbers

LONGEST = 1_000  # characters of a chunk: spaCy takes quadratic time, 8 seconds for 5,000 `#`
SPACE = 0x20


class Chunks(NamedTuple):
    """The chunks of texts in order; a token of blanks is a chunk without a byte, of hash 0."""

    codes: Hashes
    begins: Numbers
    ends: Numbers
    starts: Numbers  # where each text's chunks begin, one more than texts


class Kept(NamedTuple):
    """The tokens of the chunks in a table: those of chunk i are `firsts[i]` to `firsts[i + 1]`."""

    firsts: Numbers
    hashes: Hashes
    lengths: Lengths
    flags: Bytes


@njit(cache=True)
def cut_chunks(data: Bytes, offsets: Numbers, marks: Marks) -> Chunks:
    """The chunks of each text. As in spaCy one space behind a chunk is no token, more blanks are."""
    room = offsets[-1] - offsets[0]
    codes, begins = np.empty(room, np.uint64), np.empty(room, np.int64)
    ends, starts = np.empty(room, np.int64), np.zeros(len(offsets), np.int64)
    many = 0
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        while at < end:
            begin, characters = at, 0
            point, size = decode(data, at, end)
            blank = marks[point] & BLANK != 0
            while (marks[point] & BLANK != 0) == blank and (blank or characters < LONGEST):
                at += size
                characters += 1
                if at == end:
                    break
                point, size = decode(data, at, end)
            if blank and data[begin] == SPACE and begin > offsets[row]:
                begin += 1
            if begin == at:
                continue
            codes[many] = np.uint64(0) if blank else hash_bytes(data, begin, at, np.uint64(0))
            begins[many], ends[many] = begin, at
            many += 1
        starts[row + 1] = many
    return Chunks(codes[:many], begins[:many], ends[:many], starts)


@njit(cache=True)
def look_up(codes: Hashes, keys: Hashes, places: Numbers, known: int, found: Numbers) -> Numbers:
    """Fill `found` with the place of each chunk in the table (-1: blanks); enter those not known.

    Returns which of the chunks are new, in order of their places: `known`, `known + 1`...
    """
    mask = np.uint64(len(keys) - 1)
    fresh = np.empty(len(codes), np.int64)
    many = 0
    for at in range(len(codes)):
        if codes[at] == 0:
            found[at] = -1
            continue
        slot = find(keys, mask, codes[at])
        if keys[slot] == 0:
            keys[slot], places[slot] = codes[at], known + many
            fresh[many] = at
            many += 1
        found[at] = places[slot]
    return fresh[:many]


@njit(cache=True)
def enter(keys: Hashes, places: Numbers, codes: Hashes, numbers: Numbers) -> None:
    """Put the entries of a smaller table into this one."""
    mask = np.uint64(len(keys) - 1)
    for at in range(len(codes)):
        if codes[at]:
            slot = find(keys, mask, codes[at])
            keys[slot], places[slot] = codes[at], numbers[at]


@njit(cache=True)
def describe_chunks(
    data: Bytes, begins: Numbers, ends: Numbers, sizes: Numbers, marks: Marks
) -> Kept:
    """The tokens of chunks, given the characters of each token in order; they add up to the chunks."""
    many = len(sizes)
    kept = Kept(
        np.zeros(len(begins) + 1, np.int64),
        np.empty(many, np.uint64),
        np.empty(many, np.int32),
        np.empty(many, np.uint8),
    )
    at = 0
    for chunk in range(len(begins)):
        place = begins[chunk]
        while place < ends[chunk]:
            begin = place
            for _ in range(sizes[at]):
                place += decode(data, place, ends[chunk])[1]
            kept.hashes[at], kept.lengths[at], kept.flags[at] = token(data, begin, place, marks)
            at += 1
        kept.firsts[chunk + 1] = at
    return kept


@njit(cache=True)
def stream_of(found: Numbers, starts: Numbers, kept: Kept) -> Stream:
    """The tokens of the texts whose chunks were found in the table."""
    many = 0
    for at in range(len(found)):
        many += kept.firsts[found[at] + 1] - kept.firsts[found[at]] if found[at] >= 0 else 1
    hashes, lengths = np.empty(many, np.uint64), np.empty(many, np.int32)
    flags, begins = np.empty(many, np.uint8), np.zeros(len(starts), np.int64)
    to = 0
    for row in range(len(starts) - 1):
        for at in range(starts[row], starts[row + 1]):
            if found[at] < 0:
                hashes[to], lengths[to], flags[to] = 0, 0, BLANK
                to += 1
                continue
            for one in range(kept.firsts[found[at]], kept.firsts[found[at] + 1]):
                hashes[to], lengths[to], flags[to] = (
                    kept.hashes[one],
                    kept.lengths[one],
                    kept.flags[one],
                )
                to += 1
        begins[row + 1] = to
    return Stream(hashes, lengths, flags, begins)
