"""What every Unicode character is, and how to read one from UTF-8 bytes that may be malformed."""

from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from stages.kernels import lean, lean_inline

Bytes: TypeAlias = npt.NDArray[np.uint8]
Table: TypeAlias = npt.NDArray[np.uint32]

SIZE = 0x110000  # code points

# The class of a character. SPACE, PUNCTUATION, SINGLE and MARK exclude each other; a character
# with none of them makes up words with its neighbours (letters, digits, unassigned).
ALPHABETIC = 1  # str.isalpha
DIGIT = 2  # decimal digits of all scripts
SPACE = 4  # str.isspace
PUNCTUATION = 8  # punctuation, symbols (emoji too) and control characters: never a word
SINGLE = 16  # letters of Han, kana, Thai, Lao, Khmer, Burmese: no spaces are written between words
TERMINAL = 32  # ends a sentence, in any script (Unicode Sentence_Terminal)
MARK = 64  # combining marks and format characters: belong to what is before them
UPPER = 128
LINE_END = 256  # those of str.splitlines
QUOTE = 512  # quotation marks that may follow the end of a sentence

CLASS_BITS = 11  # an entry of the table is `folded code point << CLASS_BITS | class`
REPLACEMENT = 0xFFFD


@cache
def table() -> Table:
    """Class and folded form (0: it folds away) of every code point.

    Folding is lower case without accents (vowel signs of Indic scripts stay), decimal digits as 0.
    """
    with np.load(Path(__file__).with_name("characters.npz"), allow_pickle=False) as file:
        folds = np.arange(SIZE, dtype=np.uint32)
        folds[file["changed"]] = file["folds"]
        entries: Table = folds << np.uint32(CLASS_BITS) | file["classes"]
        return entries


@lean_inline
def decode(data: Bytes, at: int, end: int) -> tuple[np.uint32, int]:
    """The code point at `at` and its length in bytes; reads no byte at or after `end`.

    A byte that does not begin a well-formed character (overlong, surrogate, cut off) is U+FFFD.
    """
    lead = np.uint32(data[at])
    if lead < 0x80:
        return lead, 1
    return decode_long(data, at, end)


@lean
def decode_long(data: Bytes, at: int, end: int) -> tuple[np.uint32, int]:
    """`decode` of a character that is not ASCII."""
    lead = np.uint32(data[at])
    bad = np.uint32(REPLACEMENT), 1
    if lead < 0xC2 or lead > 0xF4 or at + 1 >= end:
        return bad
    second = np.uint32(data[at + 1])
    if second & 0xC0 != 0x80:
        return bad
    if lead < 0xE0:
        return (lead & np.uint32(0x1F)) << np.uint32(6) | second & np.uint32(0x3F), 2
    if at + 2 >= end:
        return bad
    third = np.uint32(data[at + 2])
    if third & 0xC0 != 0x80:
        return bad
    point = (second & np.uint32(0x3F)) << np.uint32(6) | third & np.uint32(0x3F)
    if lead < 0xF0:
        point |= (lead & np.uint32(0x0F)) << np.uint32(12)
        if point < 0x800 or 0xD800 <= point < 0xE000:
            return bad
        return point, 3
    if at + 3 >= end:
        return bad
    fourth = np.uint32(data[at + 3])
    if fourth & 0xC0 != 0x80:
        return bad
    point = (lead & np.uint32(0x07)) << np.uint32(18) | point << np.uint32(6)
    point |= fourth & np.uint32(0x3F)
    if point < 0x10000 or point >= SIZE:
        return bad
    return point, 4


@lean
def stripped(data: Bytes, start: int, end: int, kinds: Bytes, blank: int) -> int:
    """Where bytes end without the characters at their end that have this bit among their kinds."""
    while end > start:
        at = end - 1
        while at > max(start, end - 4) and data[at] & 0xC0 == 0x80:
            at -= 1
        point, size = decode(data, at, end)
        if at + size < end or not kinds[point] & blank:
            break
        end = at
    return end
