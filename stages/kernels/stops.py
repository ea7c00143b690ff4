"""Whether a sentence ends at a stop, as Punkt decides it (Kiss and Strunk 2006), like NLTK 3.8.1.

By the token that the stop ends, the token behind, and what a model knows of the two.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels import lean, lean_inline
from stages.kernels.characters import Bytes, decode
from stages.kernels.hashing import mix
from stages.kernels.ngrams import find
from stages.kernels.streams import BASE
from stages.kernels.words import Hashes, Numbers

# What a character is to Punkt: bits of `Model.kinds`.
BLANK = 1  # \s
OUTSIDE = 2  # ends a word, and behind a stop makes it one to decide about
NEVER_FIRST = 4  # does not begin a word
UPPER = 8
LOWER = 16
LETTER = 32  # [^\W\d]
DIGIT = 64  # \d
CLOSER = 128  # behind a stop it belongs to the sentence before

# What the model knows of a word: bits 1 to 6 are the contexts in which NLTK has seen it.
STARTER = 1  # it often begins a sentence
MIDDLE_UPPER, BEGIN_LOWER = 4, 16
ANY_UPPER, ANY_LOWER = 2 | 4 | 8, 16 | 32 | 64
ABBREVIATION = 128
PAIRED = 256  # with a full stop behind it and some other word, no sentence ends

YES, NO, UNKNOWN = 1, 0, 2
DOT, QUESTION, EXCLAMATION, COMMA, HYPHEN, LINE_FEED = 0x2E, 0x3F, 0x21, 0x2C, 0x2D, 0x0A
COLON, SEMICOLON = 0x3A, 0x3B
KELVIN, SMALL_K = 0x212A, 0x6B  # the one character beyond ASCII whose lower case is in it


Known: TypeAlias = npt.NDArray[np.uint16]


class Model(NamedTuple):
    """What was learned of a language, as open hash tables of `spelling`, and classes of characters."""

    kinds: Bytes
    words: Hashes
    known: Known  # of the word in the same slot
    pairs: Hashes  # of words with a full stop between them and no end of a sentence
    number: np.uint64  # what each number counts as


@lean
def spelling(data: Bytes, begin: int, end: int) -> np.uint64:
    """The key of bytes in lower case, not 0."""
    code, at = np.uint64(0), begin
    while at < end:
        point, size = decode(data, at, end)
        if 0x41 <= point <= 0x5A:
            point += np.uint32(0x20)
        elif point == KELVIN:
            point = np.uint32(SMALL_K)
        code = code * BASE + np.uint64(point) + np.uint64(1)
        at += size
    return mix(code) | np.uint64(1)


@lean_inline
def pair(one: np.uint64, other: np.uint64) -> np.uint64:
    """The key of two words."""
    return mix(one * BASE + other) | np.uint64(1)


@njit(cache=True)
def spellings(data: Bytes, edges: Numbers) -> Hashes:
    """The key of each string, one after the other in the data."""
    out = np.empty(len(edges) - 1, np.uint64)
    for at in range(len(out)):
        out[at] = spelling(data, edges[at], edges[at + 1])
    return out


@njit(cache=True)
def pairs_of(ones: Hashes, others: Hashes) -> Hashes:
    """The key of each two words."""
    out = np.empty(len(ones), np.uint64)
    for at in range(len(out)):
        out[at] = pair(ones[at], others[at])
    return out


@lean
def enter(keys: Hashes, values: Known, codes: Hashes, bits: Known) -> None:
    """Put keys into a table, with the bits that are known of each."""
    for at in range(len(codes)):
        slot = find(keys, np.uint64(len(keys) - 1), codes[at])
        keys[slot] = codes[at]
        values[slot] |= bits[at]


@lean
def has_break(data: Bytes, at: int, end: int, model: Model) -> bool:
    """Whether a sentence ends between two tokens of these bytes."""
    at = _not_blank(data, at, end, model.kinds)
    while at < end:
        last = _token(data, at, end, model.kinds)
        follower = _not_blank(data, last, end, model.kinds)
        if follower == end:
            break
        if data[last - 1] == DOT:
            if _breaks(data, at, last, follower, end, model):
                return True
        elif last == at + 1 and (data[at] == QUESTION or data[at] == EXCLAMATION):
            return True
        at = follower
    return False


@lean
def _not_blank(data: Bytes, at: int, end: int, kinds: Bytes) -> int:
    while at < end:
        point, size = decode(data, at, end)
        if not kinds[point] & BLANK:
            break
        at += size
    return at


@lean
def _token(data: Bytes, begin: int, end: int, kinds: Bytes) -> int:
    """Where Punkt's token that begins here ends."""
    at = _marks(data, begin, end, kinds)
    if at > begin:
        return at
    point, size = decode(data, begin, end)
    at = begin + size
    if kinds[point] & NEVER_FIRST:
        return at
    while at < end:
        point, size = decode(data, at, end)
        if kinds[point] & (BLANK | OUTSIDE):
            break
        if point in (DOT, HYPHEN) and _marks(data, at, end, kinds) > at:
            break
        if point == COMMA and _over(data, at + 1, end, kinds):
            break
        at += size
    return at


@lean
def _over(data: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    """Whether no word goes on here."""
    if at == end:
        return True
    if kinds[decode(data, at, end)[0]] & (BLANK | OUTSIDE):
        return True
    return bool(_marks(data, at, end, kinds) > at)


@lean
def _marks(data: Bytes, begin: int, end: int, kinds: Bytes) -> int:
    """Where marks that are one token end: two hyphens and more, full stops, full stops with blanks."""
    mark, at = data[begin], begin + 1
    if mark != DOT and mark != HYPHEN:
        return begin
    while at < end and data[at] == mark:
        at += 1
    if at > begin + 1 or mark == HYPHEN:
        return at if at > begin + 1 else begin
    spaced, last = 0, begin
    while at < end and data[at] != LINE_FEED:
        point, size = decode(data, at, end)
        if not kinds[point] & BLANK or at + size == end or data[at + size] != DOT:
            break
        spaced, last = spaced + 1, at + size + 1
        at = last
    return last if spaced > 1 else begin


@lean
def _breaks(data: Bytes, begin: int, end: int, first: int, stop: int, model: Model) -> bool:
    """Whether a sentence ends behind a token with a full stop at its end, before the one at `first`."""
    if end == begin + 1:
        return True
    dots = data[end - 2] == DOT
    if dots and not _only_dots(data, begin, end):
        return False
    number = _is_number(data, begin, end, model.kinds)
    word = model.number if number else spelling(data, begin, end - 1)
    about = _known(word, model)
    short = not dots and (about & ABBREVIATION or _ends_abbreviated(data, begin, end, model))
    point, size = decode(data, begin, end)
    initial = begin + size + 1 == end and model.kinds[point] & LETTER != 0
    if not (dots or short or initial or number or about & PAIRED):
        return True
    last = _token(data, first, stop, model.kinds)
    follower = _type(data, first, last, model)
    code = pair(word, follower)
    if about & PAIRED and model.pairs[find(model.pairs, np.uint64(len(model.pairs) - 1), code)]:
        return False
    kind, about = model.kinds[decode(data, first, last)[0]], _known(follower, model)
    starts = _starts(data, first, last, kind, about)
    likely = starts == YES or (kind & UPPER and about & STARTER)
    if (short or dots) and not initial and likely:
        return True
    if initial or number:
        if starts == NO:
            return False
        if starts == UNKNOWN and initial and kind & UPPER and not about & ANY_LOWER:
            return False
    return not short and not dots


@lean_inline
def _known(code: np.uint64, model: Model) -> int:
    """What is known of a word."""
    slot = find(model.words, np.uint64(len(model.words) - 1), code)
    return int(model.known[slot])


@lean
def _only_dots(data: Bytes, begin: int, end: int) -> bool:
    while begin < end and data[begin] == DOT:
        begin += 1
    return begin == end


@lean
def _ends_abbreviated(data: Bytes, begin: int, end: int, model: Model) -> bool:
    """Whether what stands between the last hyphen of a token and its full stop is an abbreviation."""
    at = end - 1
    while at > begin and data[at - 1] != HYPHEN:
        at -= 1
    if at == begin:
        return False
    return _known(spelling(data, at, end - 1), model) & ABBREVIATION != 0


@lean
def _is_number(data: Bytes, begin: int, end: int, kinds: Bytes) -> bool:
    """Whether a token is a number: -?[.,]?\\d[\\d,.-]*, in re."""
    at = begin
    at += data[at] == HYPHEN
    at += at < end and (data[at] == DOT or data[at] == COMMA)
    if at == end or not kinds[decode(data, at, end)[0]] & DIGIT:
        return False
    while at < end:
        point, size = decode(data, at, end)
        if not kinds[point] & DIGIT and point != DOT and point != COMMA and point != HYPHEN:
            return False
        at += size
    return True


@lean
def _type(data: Bytes, begin: int, end: int, model: Model) -> np.uint64:
    """The key of the token behind a stop, without a full stop if it seems to end a sentence."""
    if _is_number(data, begin, end, model.kinds):
        return model.number
    if end > begin + 1 and data[end - 1] == DOT and data[end - 2] != DOT:
        code = spelling(data, begin, end - 1)
        short = _known(code, model) & ABBREVIATION != 0
        if not short and not _ends_abbreviated(data, begin, end, model):
            return code
    return spelling(data, begin, end)


@lean
def _starts(data: Bytes, begin: int, end: int, kind: np.uint8, about: int) -> int:
    """Whether a token begins a sentence, by how it is written there and was elsewhere."""
    mark = data[begin]
    if end == begin + 1 and mark in (DOT, QUESTION, EXCLAMATION, COMMA, COLON, SEMICOLON):
        return NO
    if kind & UPPER and about & ANY_LOWER and not about & MIDDLE_UPPER:
        return YES
    if kind & LOWER and (about & ANY_UPPER or not about & BEGIN_LOWER):
        return NO
    return UNKNOWN
