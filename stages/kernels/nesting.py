"""How deeply the elements of HTML pages nest, without parsing them."""

from typing import Any

import numpy as np
import pyarrow as pa
from numba import njit

# Names as in the HTML Standard, 13.1.2 and 13.2. Elements that hold no other one, or are closed by the
# next of their kind, do not nest, however many follow each other:
FLAT = """a area base body br button col colgroup dd dt embed form head hr html img input li link meta
    nobr optgroup option p param rp rt select source tbody td tfoot th thead tr track wbr"""
RAW = "script style textarea title xmp iframe noembed noframes"  # hold text alone
FOREIGN = "svg math"  # within these, and only there, `/>` closes an element
BACK = "foreignobject desc title mi mo mn ms mtext annotation-xml"  # HTML within the foreign
OUT = """b big blockquote center code div dl em h1 h2 h3 h4 h5 h6 i listing menu ol pre ruby s small span
    strong strike sub sup table tt u ul var"""  # end the foreign
SCOPE = "table template applet object marquee caption"  # no end tag reaches beyond these
SPECIAL = f"""{SCOPE} {BACK} address article aside blockquote center details dir div dl fieldset
    figcaption figure footer frameset h1 h2 h3 h4 h5 h6 header hgroup listing main menu nav noscript ol
    plaintext pre search section summary ul"""  # only the end tag of one reaches beyond these
SETS = (FLAT, RAW, FOREIGN, BACK, OUT, SCOPE, SPECIAL)
IS_FLAT, IS_RAW, IS_FOREIGN, IS_BACK, IS_OUT, IS_SCOPE, IS_SPECIAL = (
    1 << k for k in range(len(SETS))
)


def nesting(pages: pa.LargeStringArray, most: int) -> Any:
    """How deeply the elements of each page nest, counted up to `most`: int64 per page.

    A linear scan of the markup: it follows open elements by name and knows comments, attributes,
    scripts, and which elements nest. In doubt it counts too many, so that a page cannot hide.
    """
    depths = np.zeros(len(pages), np.int64)
    _, offsets, data = pages.buffers()
    if not len(pages) or data is None or not data.size:
        return depths
    bounds = np.frombuffer(offsets, np.int64)[pages.offset : pages.offset + len(pages) + 1]
    _scan(np.frombuffer(data, np.uint8), bounds, most, _NAMES, _KINDS, depths)
    return depths


def _hash(name: str) -> int:
    """The hash that `_name_at` gives an element's name."""
    value = 5381
    for byte in name.encode():
        value = (value * 33 ^ byte) & 0xFFFFFFFF
    return value


def _tables() -> tuple[Any, Any]:
    """The hashes of all names, sorted, and the sets each is in, one bit per set."""
    kinds: dict[int, int] = {}
    for at, names in enumerate(SETS):
        for name in names.split():
            kinds[_hash(name)] = kinds.get(_hash(name), 0) | 1 << at
    order = sorted(kinds)
    return np.array(order, np.int64), np.array([kinds[key] for key in order], np.int64)


_NAMES, _KINDS = _tables()


@njit(cache=True, nogil=True)
def _kind(name: Any, names: Any, kinds: Any) -> Any:
    at = np.searchsorted(names, name)
    return kinds[at] if at < names.size and names[at] == name else 0


@njit(cache=True, nogil=True)
def _name_at(markup: Any, at: Any, end: Any) -> Any:
    """The hash of the element name that begins here, in lower case, and where it ends."""
    value: Any = 5381
    while at < end:
        byte = np.int64(markup[at])
        if byte in (9, 10, 12, 13, 32, 47, 62):  # space, `/`, `>`
            break
        if 65 <= byte <= 90:
            byte += 32
        value = (value * 33 ^ byte) & 0xFFFFFFFF
        at += 1
    return value, at


@njit(cache=True, nogil=True)
def _tag_end(markup: Any, at: Any, end: Any) -> Any:
    """The first byte behind a tag, and whether it ends in `/>`; quoted values are passed over."""
    quote: Any = 0
    before: Any = 0
    while at < end:
        byte = np.int64(markup[at])
        if quote:
            if byte == quote:
                quote = 0
        elif byte == 62:
            return at + 1, before == 47
        elif (byte == 34 or byte == 39) and before == 61:  # a quote behind `=`
            quote = byte
        if byte > 32:
            before = byte
        at += 1
    return end, False


@njit(cache=True, nogil=True)
def _raw_end(markup: Any, at: Any, end: Any, name: Any) -> Any:
    """Where the end tag of an element that holds text alone begins, or the end of the page."""
    while at + 1 < end:
        if markup[at] == 60 and markup[at + 1] == 47 and _name_at(markup, at + 2, end)[0] == name:
            return at
        at += 1
    return end


@njit(cache=True, nogil=True)
def _aside_end(markup: Any, at: Any, end: Any) -> Any:
    """Where a comment, a document type or an instruction of XML ends."""
    if at + 3 < end and markup[at + 1] == 33 and markup[at + 2] == 45 and markup[at + 3] == 45:
        at += 2  # `<!-->` is a whole comment
        while at + 2 < end:
            bang = markup[at + 2] == 33 and at + 3 < end and markup[at + 3] == 62  # `--!>`
            if markup[at] == 45 and markup[at + 1] == 45 and (markup[at + 2] == 62 or bang):
                return at + 3
            at += 1
        return end
    while at < end and markup[at] != 62:
        at += 1
    return at + 1


@njit(cache=True, nogil=True)
def _close(stack: Any, sorts: Any, depth: Any, name: Any, kind: Any) -> Any:
    """The depth behind an end tag: that of what it ends, or as it is if it ends nothing."""
    border = IS_SCOPE if kind & IS_SPECIAL else IS_SPECIAL
    for at in range(depth - 1, -1, -1):
        if stack[at] == name:
            return at
        if sorts[at] & border:
            break
    return depth


@njit(cache=True, nogil=True)
def _scan(markup: Any, bounds: Any, most: Any, names: Any, kinds: Any, depths: Any) -> None:
    stack, sorts = np.zeros(most, np.int64), np.zeros(most, np.int64)
    for row in range(depths.size):
        at, end = bounds[row], bounds[row + 1]
        depth, deepest = 0, 0
        foreign, mixed = 0, False  # the depth of the foreign element around, HTML within it
        while at + 1 < end and deepest < most:
            if markup[at] != 60:
                at += 1
                continue
            second = markup[at + 1]
            if second == 33 or second == 63:  # `<!` and `<?`
                at = _aside_end(markup, at, end)
                continue
            first = at + 2 if second == 47 else at + 1
            if first >= end or not (97 <= (markup[first] | 32) <= 122):
                at += 1
                continue
            name, at = _name_at(markup, first, end)
            at, itself = _tag_end(markup, at, end)
            kind = _kind(name, names, kinds)
            if foreign and not mixed and kind & IS_OUT and second != 47:
                depth, foreign = foreign - 1, 0
            if kind & IS_FLAT:
                continue
            if second == 47:
                depth = _close(stack, sorts, depth, name, kind)
                if depth < foreign:
                    foreign, mixed = 0, False
            elif kind & IS_RAW and not foreign:
                at = _raw_end(markup, at, end, name)
            elif not (itself and foreign and not mixed):
                stack[depth], sorts[depth] = name, kind
                depth += 1
                deepest = max(deepest, depth)
                if foreign:
                    mixed = mixed or kind & IS_BACK != 0
                elif kind & IS_FOREIGN:
                    foreign = depth
        depths[row] = deepest
