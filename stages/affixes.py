"""spaCy's rules of prefixes, suffixes and infixes as automata that a kernel walks.

Over classes of characters that the rules do not tell apart; a chunk of which they do not tell all, spaCy
itself has to be asked about.
"""

from typing import Any

import numpy as np

from stages.kernels.affixes import (
    DOT,
    FOREIGN,
    KEPT,
    LATER,
    Automaton,
    Rules,
    Specials,
    list_specials,
)
from stages.kernels.characters import SIZE
from stages.patterns import OUTSIDE, Alternative, Path, Ranges, alternatives, needed, reach

# What the name of a top-level domain may begin with, by spaCy's pattern of URLs, and some more.
LATIN: Ranges = ((ord("a"), ord("z")), (0x80, SIZE - 1))


def compiled(tokenizer: Any) -> Rules:
    """The rules of a spaCy tokenizer for `stages.kernels.affixes`.

    Raises NotSimpleError if an expression has another alternative, which letters alone may match.
    """
    found = [
        alternatives(tokenizer.prefix_search, begins=True),
        alternatives(tokenizer.suffix_search, ends=True),
        alternatives(tokenizer.infix_finditer),
    ]
    every = {
        points
        for ways, _ in found
        for one in ways
        for points in (*one.before, *one.body.characters, *one.behind)
    }
    flagged = {
        FOREIGN: tuple(points for _, others in found for points in others),
        KEPT: _of_tokens(tokenizer.token_match),
        DOT: ((ord("."), ord(".")),),
        LATER: LATIN,
    }
    kinds = _kinds(sorted(every | set(flagged.values())))
    flags = np.zeros(kinds.max() + 1, np.uint8)
    for flag, points in flagged.items():
        flags[_within(points, kinds)] |= np.uint8(flag)
    prefixes, suffixes, infixes = (ways for ways, _ in found)
    return Rules(
        kinds,
        flags,
        _forward(prefixes, kinds),
        _backward(suffixes, kinds),
        _forward(infixes, kinds),
    )


def special_cases(tokenizer: Any) -> Specials:
    """The strings that a spaCy tokenizer cuts as they are listed."""
    from spacy.attrs import ORTH  # type: ignore[import-not-found]

    texts = [text for text in tokenizer.rules if not any(map(str.isspace, text))]
    spelled = [[len(part[ORTH]) for part in tokenizer.rules[text]] for text in texts]
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    edges = np.cumsum([0, *(len(text.encode()) for text in texts)], dtype=np.int64)
    keys = np.zeros(1 << (4 * len(texts)).bit_length(), np.uint64)
    places = np.zeros(len(keys), np.int64)
    list_specials(data, edges, keys, places)
    finds = tokenizer.find_prefix, tokenizer.find_suffix, tokenizer.find_infix
    return Specials(
        keys,
        places,
        np.cumsum([0, *map(len, spelled)], dtype=np.int64),
        np.array([size for sizes in spelled for size in sizes], np.int64),
        np.array([any(find(text) for find in finds) for text in texts]),
        max(map(len, texts), default=0),
    )


def _of_tokens(match: Any) -> Ranges:
    """Characters of which each string has one that an expression says to be a token; all if it may be any."""
    if match is None:
        return ()
    return needed(match.__self__.pattern) or ((0, OUTSIDE),)


def _kinds(sets: list[Ranges]) -> np.ndarray:
    """The class of each code point and of OUTSIDE: one for all that are in the same of these sets."""
    keys = np.random.default_rng(0).integers(1, 1 << 63, len(sets), np.uint64)
    codes = np.zeros(SIZE + 1, np.uint64)
    for points, key in zip(sets, keys, strict=True):
        inside = np.zeros(SIZE + 1, np.bool_)
        for first, last in points:
            inside[first : last + 1] = True
        codes[inside] ^= key
    kinds: np.ndarray = np.unique(codes, return_inverse=True)[1].astype(np.uint16)
    return kinds


def _within(points: Ranges, kinds: np.ndarray) -> np.ndarray:
    """The classes of these characters."""
    parts = [np.unique(kinds[first : last + 1]) for first, last in points]
    return np.unique(np.concatenate(parts)) if parts else np.zeros(0, np.uint16)


def _forward(ways: list[Alternative], kinds: np.ndarray) -> Automaton:
    """What is tried at a place: it begins `back` characters before it, where a look behind does."""
    back = max((len(way.before) for way in ways), default=0)
    paths = []
    for way in ways:
        front = (((0, OUTSIDE),),) * (back - len(way.before)) + way.before
        loops = tuple((first + back, end + back, skip) for first, end, skip in way.body.loops)
        paths.append(Path(front + way.body.characters + way.behind, loops))
    looks = [len(way.behind) for way in ways]
    return _automaton(paths, looks, list(range(len(ways))), back, kinds)


def _backward(ways: list[Alternative], kinds: np.ndarray) -> Automaton:
    """The same from the end of a string; the longest is the one that begins first."""
    paths = []
    for way in ways:
        size = len(way.body.characters)
        loops = tuple((size - end, size - first, skip) for first, end, skip in way.body.loops)
        paths.append(Path(way.body.characters[::-1] + way.before[::-1], loops))
    return _automaton(paths, [len(way.before) for way in ways], [0] * len(ways), 0, kinds)


def _automaton(
    paths: list[Path],
    looks: list[int],
    ranks: list[int],
    back: int,
    kinds: np.ndarray,
) -> Automaton:
    """All paths at once (Rabin and Scott's subsets): state 0 is a dead end, 1 the start."""
    classes = {
        points: _within(points, kinds).tolist() for path in paths for points in path.characters
    }
    onward = [[reach(path, at) for at in range(len(path.characters) + 1)] for path in paths]
    start = frozenset((path, at) for path in range(len(paths)) for at in onward[path][0])
    numbers = {frozenset[tuple[int, int]](): 0, start: 1}
    waiting, rows = [start], [np.zeros(int(kinds.max()) + 1, np.int16)]
    for state in waiting:
        to: dict[int, set[tuple[int, int]]] = {}
        for path, at in sorted(state):
            if at < len(paths[path].characters):
                following = [(path, place) for place in onward[path][at + 1]]
                for kind in classes[paths[path].characters[at]]:
                    to.setdefault(kind, set()).update(following)
        row = np.zeros_like(rows[0])
        for kind, places in sorted(to.items()):
            new = frozenset(places)
            if new not in numbers:
                numbers[new] = len(numbers)
                waiting.append(new)
            row[kind] = numbers[new]
        rows.append(row)
    found = np.full((len(rows), 2), -1, np.int32)
    for state, number in numbers.items():
        ends = [
            (ranks[path], looks[path]) for path, at in state if at == len(paths[path].characters)
        ]
        if ends:
            found[number] = min(ends)
    return Automaton(np.stack(rows), found, back)
