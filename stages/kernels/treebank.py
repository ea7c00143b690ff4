"""Tokens as NLTK 3.8.1's `NLTKWordTokenizer` cuts sentences, without its 33 regular expressions.

They only put blanks around characters and write quotation marks otherwise. What they do inside of a
chunk between two blanks depends on the chunk, on what stands on either side of it, and on which full
stop is the sentence's last. Most chunks need none of it; `stages.kernels.padding` has the rules for those that do.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import Bytes, decode, decode_long
from stages.kernels.eight import EVERY, HIGH, below, eight, first, letters
from stages.kernels.padding import (
    APOSTROPHE,
    BLANK_SPACE,
    COLONS,
    DASH,
    DOT,
    EARLY,
    EDGE,
    FULL_STOP,
    GAP,
    GRAVE,
    LATE,
    LEAST,
    OPENED,
    OPENING,
    OTHER,
    QUOTE,
    QUOTES,
    SPACE,
    WORD,
    Chunk,
    Classes,
    pad,
)
from stages.kernels.punkt import Sentences
from stages.kernels.streams import (
    BASE,
    BLANK,
    LETTER,
    PLAIN,
    POWERS,
    PUNCTUATION,
    STOP,
    Stream,
)

PARTS = OPENING | QUOTES | COLONS | EARLY | LATE
ONE = FULL_STOP | DASH  # put blanks around if there are several in a row
ALL = 0xFFFFFFFF
WORDS = np.uint32(WORD | LETTER | PLAIN)  # of letters of ASCII


class Seen(NamedTuple):
    """A token's hash, and what its characters are, some of them and every one."""

    code: np.uint64
    some: np.uint32
    every: np.uint32


@njit(cache=True)
def cut_tokens(data: Bytes, sentences: Sentences, classes: Classes) -> Stream:
    """The tokens of the sentences of each text."""
    room, most = 0, 0
    for one in range(len(sentences.begins)):
        size = sentences.ends[one] - sentences.begins[one]
        room, most = room + size, max(most, size)
    chunk = Chunk(np.empty(most + 1, np.uint32), np.empty(most + 1, np.uint8))
    starts = np.zeros_like(sentences.starts)
    out = Stream(
        np.empty(room, np.uint64), np.empty(room, np.int32), np.empty(room, np.uint8), starts
    )
    to = 0
    for row in range(len(starts) - 1):
        for one in range(sentences.starts[row], sentences.starts[row + 1]):
            begin, end = sentences.begins[one], sentences.ends[one]
            to = _sentence(data, begin, end, classes, chunk, out, to)
        starts[row + 1] = to
    return Stream(out.hashes[:to], out.lengths[:to], out.flags[:to], starts)


@lean
def _sentence(
    data: Bytes, begin: int, end: int, classes: Classes, chunk: Chunk, out: Stream, to: int
) -> int:
    """The tokens of one sentence, written from `to` on; the next place."""
    last = _last_stop(data, begin, end)
    at, left = begin, EDGE
    while at < end:
        size = _letters(data, at, end)
        if size:
            to = _put(out, to, _hashed(eight(data, at), size), WORDS, WORDS, size)
            at, left = at + size + 1, GAP
            continue
        start = at
        at, length, kind, twice, whole, head = _read(data, at, end, classes, chunk)
        final = start <= last < at
        simple = not twice & ONE
        if length == 0:
            pass
        elif simple and not final and not whole.some & PARTS and not _twins(chunk, length, whole):
            to = _put(out, to, whole.code, whole.some, whole.every, length)
        elif (
            simple
            and _parts(kind, final)
            and not head.some & PARTS
            and not _twins(chunk, length - 1, head)
        ):
            if length > 1:
                to = _put(out, to, head.code, head.some, head.every, length - 1)
            mark = np.uint64(chunk.points[np.uint64(length - 1)] + np.uint32(1))
            to = _put(out, to, mark, kind, kind, 1)
        else:
            right = GAP if last >= 0 else EDGE
            if at < end:
                right = GAP if data[at] == BLANK_SPACE else OTHER
            pad(chunk, length, classes, whole.some, left, right, final)
            to = _write(chunk, length, classes, out, to)
        while at < end:
            point, size = decode(data, at, end)
            if not classes[point] & SPACE:
                break
            left = GAP if point == BLANK_SPACE else OTHER
            at += size
    return to


@lean_inline
def _read(
    data: Bytes, at: int, end: int, classes: Classes, chunk: Chunk
) -> tuple[int, int, np.uint32, np.uint32, Seen, Seen]:
    """Read a chunk, with and without its last character.

    Returns where it ends, how many characters it has, the class of the last, what two next to each
    other have in common, and what is seen.
    """
    length, kind, twice = 0, np.uint32(0), np.uint32(0)
    code, some, every = np.uint64(0), np.uint32(0), np.uint32(ALL)
    head = Seen(code, some, every)
    while at < end:
        point, size = np.uint32(data[np.uint64(at)]), 1
        if point >= 0x80:
            point, size = decode_long(data, at, end)
        new = classes[point]
        if new & SPACE:
            break
        head = Seen(code, some, every)
        twice = np.uint32(twice | kind & new)
        kind = new
        chunk.points[np.uint64(length)] = point
        code = code * BASE + np.uint64(point + np.uint32(1))
        some, every = np.uint32(some | kind), np.uint32(every & kind)
        length += 1
        at += size
    return at, length, kind, twice, Seen(code, some, every), head


@lean_inline
def _letters(data: Bytes, at: int, end: int) -> int:
    """How many letters of ASCII there are before the next space; 0 if not only they, or too many."""
    if at + 8 > end:
        return 0
    some = eight(data, at)
    size = int(np.int64(first(~letters(some) & HIGH)))
    if size == 8 or some >> np.uint64(8 * size) & np.uint64(0xFF) != BLANK_SPACE:
        return 0
    both = some >> np.uint64(16)  # the third letter, and the fourth; alike, it may be cut in two
    alike = (both ^ both >> np.uint64(8)) & np.uint64(0xDF) == 0
    return 0 if alike and size > LEAST else size


@lean_inline
def _hashed(some: np.uint64, size: int) -> np.uint64:
    """The hash, as in `stages.kernels.streams`, of the first characters of eight of ASCII."""
    some = (some & below(size)) + (EVERY & below(size)) << np.uint64(8 * (8 - size))
    code = some >> np.uint64(56)
    for place in range(7):
        byte = some >> np.uint64(8 * place) & np.uint64(0xFF)
        code += byte * POWERS[7 - place]
    return code


@lean_inline
def _put(
    out: Stream, to: int, code: np.uint64, some: np.uint32, every: np.uint32, length: int
) -> int:
    """Write a token with its flags, as in `stages.kernels.streams`; the next place."""
    flags = some & np.uint32(LETTER | PLAIN) | every & np.uint32(PUNCTUATION | BLANK)
    if length == 1:
        flags |= some & np.uint32(STOP)
    place = np.uint64(to)
    out.hashes[place], out.lengths[place], out.flags[place] = code, length, flags
    return to + 1


@lean_inline
def _parts(kind: np.uint32, final: bool) -> bool:
    """Whether the last character of a chunk is parted from it, and nothing else by its marks."""
    parted = FULL_STOP if final else COLONS | EARLY | LATE
    return bool(kind & np.uint32(parted))


@lean_inline
def _twins(chunk: Chunk, length: int, seen: Seen) -> bool:
    """Whether a chunk without quotation marks may hold a word that is cut: each has a letter twice."""
    if length <= LEAST:
        return False
    if seen.every & WORD:
        return bool(length <= LEAST + 2 and chunk.points[2] | 0x20 == chunk.points[3] | 0x20)
    return _has_twins(chunk, length)


@lean
def _has_twins(chunk: Chunk, length: int) -> bool:
    for at in range(np.uint64(3), np.uint64(length)):
        if chunk.points[at] | 0x20 == chunk.points[at - np.uint64(1)] | 0x20:
            return True
    return False


@lean
def _last_stop(data: Bytes, begin: int, end: int) -> int:
    """Where the full stop is that ends the sentence, with closing marks and spaces behind it; or -1.

    A quotation mark behind a space opens, and closes nothing.
    """
    at = end
    while at > begin:
        size = _closing(data, begin, at)
        if size == 0:
            break
        mark = data[at - 1]
        twice = mark == QUOTE or (mark == APOSTROPHE and at < end and data[at] == APOSTROPHE)
        if twice and at - 1 > begin and data[at - 2] == BLANK_SPACE:
            return -1
        at -= size
    stops = at - 1 > begin and data[at - 1] == DOT and data[at - 2] != DOT
    return at - 1 if stops else -1


@lean
def _closing(data: Bytes, begin: int, end: int) -> int:
    """The bytes of the closing mark or the space that ends here, 0 if there is none."""
    mark = data[end - 1]
    if mark in (QUOTE, APOSTROPHE, BLANK_SPACE, 0x5D, 0x29, 0x7D, 0x3E):
        return 1
    if mark == 0xBB and end - 2 >= begin and data[end - 2] == 0xC2:  # guillemet
        return 2
    if mark in (0x9D, 0x99) and end - 3 >= begin and data[end - 2] == 0x80:  # of print
        return 3 if data[end - 3] == 0xE2 else 0
    return 0


@lean
def _write(chunk: Chunk, length: int, classes: Classes, out: Stream, to: int) -> int:
    """The tokens of a chunk; the next place."""
    begin = 0
    while begin < length:
        end = begin + 1
        while end < length and not chunk.cuts[end]:
            end += 1
        size, twice = end - begin, np.uint32(0)
        if size == 1 and (chunk.points[begin] == QUOTE or chunk.points[begin] == OPENED):
            twice = np.uint32(APOSTROPHE if chunk.points[begin] == QUOTE else GRAVE)
            size = 2
        code, some, every = np.uint64(0), np.uint32(0), np.uint32(ALL)
        for at in range(size):
            point = twice if twice else chunk.points[begin + at]
            code = code * BASE + np.uint64(point + np.uint32(1))
            some, every = np.uint32(some | classes[point]), np.uint32(every & classes[point])
        to = _put(out, to, code, some, every, size)
        begin = end
    return to
