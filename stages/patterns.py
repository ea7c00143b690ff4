"""What a list of alternatives that is written as a regular expression may match, taken apart.

For expressions of short alternatives with at most one look behind and one ahead, as spaCy's rules of
prefixes, suffixes and infixes are.
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, product
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from stages.kernels.characters import SIZE

OUTSIDE = SIZE  # what is before the first character of a string and behind its last
FINITE = 10  # repetitions up to which a bounded one is written out
MANY = 5_000  # alternatives of one expression

Ranges: TypeAlias = tuple[tuple[int, int], ...]  # first and last code point of each

NOTHING: Ranges = ((OUTSIDE, OUTSIDE),)


class NotSimpleError(Exception):
    """A regular expression that is no list of simple alternatives."""


class Around(NamedTuple):
    """What has to be before (`side` -1) or behind (1) an alternative."""

    side: int
    characters: tuple[Ranges, ...]


class Loop(NamedTuple):
    """The `size` characters before this may come again, and again; `skip`: or not at all."""

    size: int
    skip: bool


Part: TypeAlias = Ranges | Around | Loop


class Path(NamedTuple):
    """A sequence of characters, any of the places `first` to `end` of which may repeat."""

    characters: tuple[Ranges, ...]
    loops: tuple[tuple[int, int, bool], ...]  # first, end, whether none will do


class Alternative(NamedTuple):
    """One way for an expression to match."""

    before: tuple[Ranges, ...]
    body: Path
    behind: tuple[Ranges, ...]


def needed(pattern: str) -> Ranges:
    """Characters that are no letters, of which each string that matches has one; () if it need not."""
    return _needed(_parsed(pattern))


def _needed(items: Any) -> Ranges:
    """The same of a sequence of its parts."""
    for kind, value in items:
        match str(kind), value:
            case (("LITERAL" | "IN"), _):
                points = _points(kind, value)
                found = () if any(map(_lettered, points)) else points
            case "BRANCH", (_, branches):
                parts = [_needed(branch) for branch in branches]
                found = tuple(points for part in parts for points in part) if all(parts) else ()
            case (("SUBPATTERN" | "ASSERT"), (*_, inner)):
                found = _needed(inner)
            case "MAX_REPEAT", (least, _, inner):
                found = _needed(inner) if least else ()
            case _:
                found = ()
        if found:
            return tuple(sorted(found))
    return ()


def _lettered(points: tuple[int, int]) -> bool:
    return any(chr(point).isalpha() for point in range(points[0], min(points[1], SIZE - 1) + 1))


def _parsed(pattern: str) -> Any:
    from re import _parser  # type: ignore[attr-defined]

    return _parser.parse(pattern)


def alternatives(
    search: Any, *, begins: bool = False, ends: bool = False
) -> tuple[list[Alternative], Ranges]:
    """The alternatives of an expression, the one that is tried first first.

    `begins`, `ends`: they match only where a string does. Those that are not simple are left out: the
    second are characters of which each string has one in which one of these matches.
    """
    found: list[Alternative] = []
    others: list[tuple[int, int]] = []
    if search is None:
        return found, ()
    pattern = search.__self__
    if pattern.flags != 32:  # re.UNICODE: no other
        raise NotSimpleError(f"flags {pattern.flags}")
    for items in _branches(list(_parsed(pattern.pattern))):
        try:
            ways = [_alternative(way) for way in _ways(items)]
            if not ends and not all(_told(way.body) for way in ways):
                raise NotSimpleError("a repetition of which the end is not plain")
            if any(
                (begins and way.before != (NOTHING,)) or (ends and way.behind != (NOTHING,))
                for way in ways
            ):
                raise NotSimpleError("it matches anywhere")
            found += ways
        except NotSimpleError:
            others += _needed(items)
            if not _needed(items):
                raise
    return found, tuple(sorted(set(others)))


def _told(path: Path) -> bool:
    """Whether the next character always tells where on a path one is.

    Only then is what an expression takes, as many of what repeats as it can, the longest match.
    """
    for at in range(len(path.characters)):
        following = [
            path.characters[place] for place in reach(path, at) if place < len(path.characters)
        ]
        for one, other in combinations(following, 2):
            if any(a <= d and c <= b for a, b in one for c, d in other):
                return False
    return True


def _branches(items: list[Any]) -> Iterator[list[Any]]:
    """The sequences that an expression is the choice of."""
    for at, (kind, value) in enumerate(items):
        if str(kind) == "BRANCH":
            for branch in value[1]:
                yield [*items[:at], *branch, *items[at + 1 :]]
            return
    yield items


def _alternative(way: tuple[Part, ...]) -> Alternative:
    around = [part for part in way if isinstance(part, Around)]
    sides = [part.side if isinstance(part, Around) else 0 for part in way]
    if sides != sorted(sides) or sides.count(-1) > 1 or sides.count(1) > 1:
        raise NotSimpleError("more than one look behind or ahead, or one in the midst")
    before = [part.characters for part in around if part.side < 0]
    behind = [part.characters for part in around if part.side > 0]
    characters: list[Ranges] = []
    loops = []
    for part in way:
        if isinstance(part, Loop):
            loops.append((len(characters) - part.size, len(characters), part.skip))
        elif not isinstance(part, Around):
            characters.append(part)
    body = Path(tuple(characters), tuple(loops))
    return Alternative(before[0] if before else (), body, behind[0] if behind else ())


def _ways(items: Any) -> list[tuple[Part, ...]]:
    """All ways in which a sequence may match, in the order in which they are tried."""
    found: list[tuple[Part, ...]] = [()]
    for kind, value in items:
        found = [way + more for way, more in product(found, list(_of_one(kind, value)))]
        if len(found) > MANY:
            raise NotSimpleError(f"more than {MANY} alternatives")
    return found


def _of_one(kind: Any, value: Any) -> Iterator[tuple[Part, ...]]:
    """The same of one part of a sequence."""
    match str(kind), value:
        case (("LITERAL" | "NOT_LITERAL" | "IN" | "ANY"), _):
            yield (_points(kind, value),)
        case "BRANCH", (_, branches):
            for branch in branches:
                yield from _ways(branch)
        case "SUBPATTERN", (_, 0, 0, inner):
            yield from _ways(inner)
        case "AT", where:
            side = {"AT_BEGINNING": -1, "AT_END": 1}.get(str(where))
            if side is None:
                raise NotSimpleError(str(where))
            yield (Around(side, (NOTHING,)),)
        case "ASSERT", (side, inner):
            for way in _ways(inner):
                yield (Around(side, _plain(way)),)
        case "ASSERT_NOT", (side, inner):
            ways = [_plain(way) for way in _ways(inner)]
            if any(len(way) != 1 for way in ways):
                raise NotSimpleError("a negative look at more than one character")
            points = tuple(one for (some,) in ways for one in some)
            yield (Around(side, (_others(points, OUTSIDE),)),)
        case "MAX_REPEAT", (least, most, inner):
            yield from _repeated(least, most, _ways(inner))
        case _:
            raise NotSimpleError(str(kind))


def _repeated(least: int, most: int, ways: list[tuple[Part, ...]]) -> Iterator[tuple[Part, ...]]:
    """As many as there are first: an expression is greedy."""
    if most <= FINITE:
        for times in range(most, least - 1, -1):
            for chosen in product(ways, repeat=times):
                yield tuple(part for way in chosen for part in way)
        return
    if len(ways) > 1 or any(isinstance(part, Around) for part in ways[0]):
        raise NotSimpleError("an endless repetition of alternatives")
    size = sum(not isinstance(part, Loop) for part in ways[0])
    yield (*ways[0] * max(least, 1), Loop(size, least == 0))


def _plain(way: tuple[Part, ...]) -> tuple[Ranges, ...]:
    found = tuple(part for part in way if not isinstance(part, Around | Loop))
    if len(found) < len(way):
        raise NotSimpleError("a look around, or an endless repetition, within a look")
    return found


def _points(kind: Any, value: Any) -> Ranges:
    """The characters that one character of an expression may be."""
    if str(kind) == "ANY":
        return _others(((10, 10),), OUTSIDE - 1)
    if str(kind) == "LITERAL":
        return ((value, value),)
    if str(kind) == "NOT_LITERAL":
        return _others(((value, value),), OUTSIDE - 1)
    found: list[tuple[int, int]] = []
    negated = str(value[0][0]) == "NEGATE"
    for what, which in value[negated:]:
        match str(what):
            case "LITERAL":
                found.append((which, which))
            case "RANGE":
                found.append(which)
            case "CATEGORY":
                found.extend(_category(str(which)))
            case _:
                raise NotSimpleError(str(what))
    return _others(tuple(found), OUTSIDE - 1) if negated else tuple(sorted(found))


@cache
def _category(name: str) -> Ranges:
    """The characters of `\\w`, `\\d`, `\\s`."""
    import re

    if name not in ("CATEGORY_WORD", "CATEGORY_DIGIT", "CATEGORY_SPACE"):
        raise NotSimpleError(name)
    sign = re.compile("\\" + name.removeprefix("CATEGORY_")[0].lower())
    inside = np.array([sign.match(chr(point)) is not None for point in range(SIZE)], np.int8)
    edges = np.flatnonzero(np.diff(inside, prepend=0, append=0)).reshape(-1, 2)
    return tuple((int(first), int(end) - 1) for first, end in edges)


def _others(points: Ranges, last: int) -> Ranges:
    """All characters up to `last` but these."""
    found, start = [], 0
    for first, end in sorted(points):
        if start < first:
            found.append((start, first - 1))
        start = max(start, end + 1)
    return (*found, (start, last)) if start <= last else tuple(found)


def reach(path: Path, at: int) -> set[int]:
    """The places of a path where one is behind its character `at - 1`, by repeating and by skipping.

    Who skips what may repeat can go back only to before it.
    """
    waiting = [(at, at)]
    for place, before in waiting:
        for first, end, skip in path.loops:
            others = [(first, 0)] if place == end and first < before else []
            others += [(end, first)] if skip and place == first else []
            waiting.extend(other for other in others if other not in waiting)
    return {place for place, _ in waiting}
