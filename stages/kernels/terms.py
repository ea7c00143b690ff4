"""Finding many terms at once, on the boundaries of words: a trie over tokens, in one hash table.

A token is a word, a mark of punctuation or, in scripts that write no spaces, a letter; white space
parts tokens and is none. So a term matches whole words only where words are parted at all. Cost
is one look-up per token for any number of terms; entries are 64-bit hashes of prefixes of terms.

What is written together with a word without being of it does not hide it: the vowel points and the
long stroke of Arabic and Hebrew, invisible characters (soft hyphen, joiners, variation selectors), the
article and one-letter words of Arabic before it, the particles of Korean behind it.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stages.kernels.characters import CLASS_BITS, MARK, PUNCTUATION, SINGLE, SPACE, decode, table
from stages.kernels.hashing import (
    P1,
    P5,
    Bytes,
    Hashes,
    Offsets,
    mix,
    string_buffers,
)

Counts: TypeAlias = npt.NDArray[np.int64]
Table: TypeAlias = npt.NDArray[np.uint32]

ALONE, CLASS = np.uint32(SINGLE | PUNCTUATION), np.uint32((1 << CLASS_BITS) - 1)
GOES_ON = -1  # the lists of a prefix that is not a term itself
TATWEEL = (
    0x640  # the long stroke; other points that fold away (see `characters.table`) are no letters
)
ACCENTS = (0x300, 0x36F)  # fold away too, but are letters here: `coco` is not `cocô`

# And, so, in, as, for; the article, alone and behind them. Before terms of three letters and more.
_ARABIC = "و ف ب ك ل ال وال فال بال كال لل ولل"
# Of subject, topic, object, possession, place, direction, company, limit, plural, quotation, copula.
# Behind terms of two syllables and more.
_KOREAN = (
    "이 가 은 는 을 를 의 에 에는 에서 에서는 에도 에게 한테 로 으로 와 과 랑 이랑 도 만 까지 부터 보다 처럼 나 이나 "
    "들 들이 들은 들을 들의 들도 라고 이라고 라는 이라는 이다 입니다"
)
ATTACHED = (  # to which terms, what, whether before them
    (r"^\p{Arabic}{3}", tuple(_ARABIC.split()), True),
    (r"\p{Hangul}{2}$", tuple(_KOREAN.split()), False),
)


class Terms:
    """Lists of terms, compiled. Case does not matter; a term in several lists is in the first."""

    def __init__(self, lists: Sequence[pa.Array]) -> None:
        every = pc.utf8_normalize(pa.concat_arrays(lists), "NFC")
        kinds = np.repeat(np.arange(len(lists)), [len(terms) for terms in lists])
        every, kinds = _attached(every, kinds)
        self.lists = len(lists)
        self.keys, self.kinds, self.sketch = _build(*_lower(every), table(), kinds)

    def count(self, column: pa.Array) -> tuple[Counts, Counts]:
        """For each text: hits of each list (texts, lists), and how many words it has.

        Of terms that overlap, the one that begins first counts, of those the longest.
        """
        found: tuple[Counts, Counts] = _count(
            *_lower(column), table(), self.keys, self.kinds, self.sketch, self.lists
        )
        return found


def _attached(terms: pa.Array, kinds: Counts) -> tuple[pa.Array, Counts]:
    """The terms and, behind all of them, those forms of them that are written with other words."""
    forms, lists = [terms], [kinds]
    for pattern, parts, before in ATTACHED:
        found = pc.match_substring_regex(terms, pattern)
        some, own = terms.filter(found), kinds[found.to_numpy(zero_copy_only=False)]
        for part in parts if len(some) else ():
            own_form = pa.scalar(part, some.type)
            pair = (own_form, some) if before else (some, own_form)
            forms.append(pc.binary_join_element_wise(*pair, pa.scalar("", some.type)))
            lists.append(own)
    return pa.concat_arrays(forms), np.concatenate(lists)


def _lower(column: pa.Array) -> tuple[Offsets, Bytes]:
    return string_buffers(pc.utf8_lower(column))


@njit(cache=True)
def _tokens(data: Bytes, at: int, end: int, classes: Table, out: Hashes) -> tuple[int, int]:
    """Write the hash of every token to `out`, one place per byte; how many, and how many words."""
    many, words = 0, 0
    h = np.uint64(0)  # of the token that is being read; 0 between tokens
    alone = False  # the token is one character with its marks
    while at < end:
        point, length = decode(data, at, end)
        kind = classes[point] & CLASS
        mark = kind & MARK != 0
        if point == TATWEEL or (mark and _invisible(point, classes)):
            at += length
            continue
        single = kind & ALONE != 0
        space = kind & SPACE != 0
        if h and not mark and (alone or single or space):
            out[many] = mix(h)
            many += 1
            h = np.uint64(0)
        if not space:
            if not h:
                alone = single
                words += kind & PUNCTUATION == 0
                h = P5
            h = (h ^ np.uint64(point)) * P1
        at += length
    if h:
        out[many] = mix(h)
        many += 1
    return many, words


@njit(cache=True, inline="always")
def _invisible(point: np.uint32, classes: Table) -> bool:
    """Whether a mark is neither an accent nor a vowel of a word."""
    accent = ACCENTS[0] <= point <= ACCENTS[1]
    return bool(classes[point] >> np.uint32(CLASS_BITS) == 0 and not accent)


@njit(cache=True)
def _room(offsets: Offsets) -> Hashes:
    """Room for the tokens of the longest text; pages that are not written to cost nothing."""
    longest = 0
    for text in range(len(offsets) - 1):
        longest = max(longest, offsets[text + 1] - offsets[text])
    return np.empty(longest, np.uint64)


@njit(cache=True, inline="always")
def _find(keys: Hashes, key: np.uint64) -> np.uint64:
    """The slot of a key, or the free slot where it belongs. 0 marks a free slot."""
    mask = np.uint64(len(keys) - 1)
    slot = key >> np.uint64(1) & mask
    while keys[slot] != key and keys[slot] != 0:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True, inline="always")
def _extend(key: np.uint64, token: np.uint64) -> np.uint64:
    return mix(key * P1 + token) | np.uint64(1)


@njit(cache=True)
def _build(
    offsets: Offsets, data: Bytes, classes: Table, lists: Counts
) -> tuple[Hashes, Counts, Bytes]:
    """The table: keys (a power of two of slots, half of them free), the list of each prefix, a sketch.

    The sketch has eight bits for each slot, those of keys set. It stays in the cache of the core, where
    a large table does not, and answers for nearly all that is not there.
    """
    room, total = _room(offsets), 0
    for term in range(len(lists)):
        many, _ = _tokens(data, offsets[term], offsets[term + 1], classes, room)
        total += many
    slots = 2
    while slots < 2 * total + 2:
        slots *= 2
    keys, kinds, sketch = (
        np.zeros(slots, np.uint64),
        np.full(slots, GOES_ON),
        np.zeros(slots, np.uint8),
    )
    for term in range(len(lists)):
        many, _ = _tokens(data, offsets[term], offsets[term + 1], classes, room)
        key, slot = np.uint64(0), np.uint64(0)
        for token in range(many):
            key = _extend(key, room[token])
            slot = _find(keys, key)
            keys[slot] = key
            byte, bit = _bit(sketch, key)
            sketch[byte] |= bit
        if many and kinds[slot] == GOES_ON:
            kinds[slot] = lists[term]
    return keys, kinds, sketch


@njit(cache=True, inline="always")
def _bit(sketch: Bytes, key: np.uint64) -> tuple[np.uint64, np.uint8]:
    """The byte and the bit of a key."""
    byte = key >> np.uint64(24) & np.uint64(len(sketch) - 1)
    return byte, np.uint8(np.uint64(1) << (key >> np.uint64(61)))


@njit(cache=True)
def _count(
    offsets: Offsets,
    data: Bytes,
    classes: Table,
    keys: Hashes,
    kinds: Counts,
    sketch: Bytes,
    lists: int,
) -> tuple[Counts, Counts]:
    hits = np.zeros((len(offsets) - 1, lists), np.int64)
    words = np.zeros(len(offsets) - 1, np.int64)
    room = _room(offsets)
    for text in range(len(hits)):
        many, words[text] = _tokens(data, offsets[text], offsets[text + 1], classes, room)
        at = 0
        while at < many:
            key, found, after = np.uint64(0), GOES_ON, at + 1
            for token in range(at, many):
                key = _extend(key, room[token])
                byte, bit = _bit(sketch, key)
                if not sketch[byte] & bit:
                    break
                slot = _find(keys, key)
                if keys[slot] == 0:
                    break
                if kinds[slot] != GOES_ON:
                    found, after = kinds[slot], token + 1
            if found != GOES_ON:
                hits[text, found] += 1
            at = after
    return hits, words
