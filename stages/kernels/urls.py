"""One form for all URLs that lead to the same page, as far as the URL alone can tell.

RFC 3986, section 6.2 (syntax and scheme), and what the web adds:

- `http` and `https` are the same, their default ports and a leading `www.` are left out
- scheme and host in lower case, without the dot at the end of the host
- what is percent-encoded and need not be is decoded, the rest is encoded in capitals; bytes beyond
  ASCII, blanks and control characters are encoded; those at the ends of the URL are left out
- `.` and `..` are resolved in the path, and a slash at its end is left out
- no fragment, no parameter of TRACKING, no empty one; parameters in order of their names (those of
  one name in their own order); `+` in them is a blank

A name in punycode is not compared with the same one in Unicode. A scheme other than `http` and `https`
keeps its port, and a URL without `://` only what is said above of encoding.
"""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numba import njit

from stages.kernels.hashing import Bytes, Offsets, string_buffers

# Names of parameters that say where a visitor came from, not which page; `utm_` is a beginning.
TRACKING = (
    "utm_", "gclid", "gclsrc", "gbraid", "wbraid", "dclid", "fbclid", "msclkid", "yclid", "twclid",
    "ttclid", "igshid", "mc_cid", "mc_eid", "_ga", "_gl", "_hsenc", "_hsmi", "mkt_tok", "oly_anon_id",
    "oly_enc_id", "vero_id", "wickedid", "srsltid", "phpsessid", "jsessionid",
)  # fmt: skip
COLON, SLASH, QUESTION, HASH, PERCENT, DOT, PLUS, AMPERSAND, EQUALS, AT = b":/?#%.+&=@"
DIGIT_0, DIGIT_9, LETTER_A, LETTER_Z, LETTER_S, LETTER_W = b"09AZsw"
BLANK, DELETE = 0x20, 0x7F
HTTP, MARKS, UNSAFE = tuple(b"http"), tuple(b"-._~"), tuple(b'"<>\\^`{|}')
HEXADECIMAL = np.frombuffer(b"0123456789ABCDEF", np.uint8)
PARAMETERS = 256  # of a URL with as many or more they are left in the order they have


def canonical(column: pa.Array) -> pa.Array:
    """The canonical form of each URL (large_string); null where there is none."""
    offsets, data = string_buffers(column)
    places, out = canonical_forms(data, offsets, *_tracking())
    nothing = pa.array(np.diff(places) == 0)
    forms = pa.LargeStringArray.from_buffers(len(column), pa.py_buffer(places), pa.py_buffer(out))
    return pc.if_else(nothing, pa.scalar(None, pa.large_string()), forms)


@cache
def _tracking() -> tuple[Bytes, Offsets]:
    """The names of TRACKING, one after the other, and where each begins."""
    names = [name.encode() for name in TRACKING]
    ends = np.cumsum([0, *(len(name) for name in names)])
    return np.frombuffer(b"".join(names), np.uint8), ends


@njit(cache=True)
def canonical_forms(
    data: Bytes, offsets: Offsets, tracking: Bytes, names: Offsets
) -> tuple[Offsets, Bytes]:
    """The canonical form of each stretch of bytes, as (offsets, bytes)."""
    places = np.zeros(len(offsets), np.int64)
    out = np.empty(3 * (offsets[-1] - offsets[0]), np.uint8)
    end = 0
    for row in range(len(offsets) - 1):
        plain = np.empty(3 * (offsets[row + 1] - offsets[row]), np.uint8)
        stop, query = _encoded(data, offsets[row], offsets[row + 1], plain)
        end = _url(plain, stop, query, tracking, names, out, end)
        places[row + 1] = end
    return places, out[:end].copy()


@njit(cache=True)
def _encoded(data: Bytes, at: int, stop: int, out: Bytes) -> tuple[int, int]:
    """Write a URL without its fragment, encoded where it must be: its end, and its query's begin."""
    while at < stop and data[at] <= BLANK:
        at += 1
    while at < stop and data[stop - 1] <= BLANK:
        stop -= 1
    end, query = 0, -1
    while at < stop and data[at] != HASH:
        byte, escaped = data[at], False
        if byte == PERCENT:
            escaped = True
            if at + 2 < stop and _digit(data[at + 1]) >= 0 and _digit(data[at + 2]) >= 0:
                byte = np.uint8(_digit(data[at + 1]) << 4 | _digit(data[at + 2]))
                escaped = not _unreserved(byte)
                at += 2
        elif byte == PLUS and query >= 0:
            byte, escaped = np.uint8(BLANK), True
        elif byte <= BLANK or byte >= DELETE or byte in UNSAFE:
            escaped = True
        at += 1
        if escaped:
            out[end] = PERCENT
            out[end + 1] = HEXADECIMAL[byte >> 4]
            out[end + 2] = HEXADECIMAL[byte & 15]
            end += 3
            continue
        out[end] = byte
        end += 1
        if byte == QUESTION and query < 0:
            query = end
    return end, query if query >= 0 else end + 1


@njit(cache=True)
def _url(
    url: Bytes, stop: int, query: int, tracking: Bytes, names: Offsets, out: Bytes, end: int
) -> int:
    """Write the canonical form of an encoded URL; where it ends."""
    scheme = 0
    while scheme < stop and (_unreserved(url[scheme]) or url[scheme] == PLUS):
        scheme += 1
    marked = scheme + 2 < stop and url[scheme + 1] == SLASH and url[scheme + 2] == SLASH
    if scheme == 0 or not marked or url[scheme] != COLON:
        out[end : end + stop] = url[:stop]
        return end + stop
    web = scheme in (4, 5) and (scheme == 4 or _lower(url[4]) == LETTER_S)
    for at in range(scheme):
        web &= at == 4 or (at < 4 and _lower(url[at]) == HTTP[at])
    for at in range(4 if web else scheme):
        out[end] = _lower(url[at])
        end += 1
    out[end : end + 3] = url[scheme : scheme + 3]
    end += 3
    host = scheme + 3
    path_end = min(query - 1, stop)
    path = host
    while path < path_end and url[path] != SLASH:
        path += 1
    end = _authority(url, host, path, web, out, end)
    end = _path(url, path, path_end, out, end)
    return _query(url, query, stop, tracking, names, out, end)


@njit(cache=True)
def _authority(url: Bytes, at: int, stop: int, web: bool, out: Bytes, end: int) -> int:
    """Write who (if said), host and port (if not the default)."""
    host = stop
    while host > at and url[host - 1] != AT:
        host -= 1
    out[end : end + host - at] = url[at:host]
    end += host - at
    while True:  # a port may stand there twice
        port = stop
        while port > host and DIGIT_0 <= url[port - 1] <= DIGIT_9:
            port -= 1
        none = port == host or url[port - 1] != COLON
        name_end = stop if none else port - 1
        while name_end > host and url[name_end - 1] == DOT:
            name_end -= 1
        number = 0
        for place in range(port, stop if stop - port < 6 else port):
            number = number * 10 + url[place] - DIGIT_0
        default = stop == port or (web and number in (80, 443))
        if (none and name_end == stop) or (not none and not default):
            break
        stop = name_end
    while web and name_end - host > 4 and _www(url, host, name_end):
        host += 4
    for place in range(host, name_end):
        out[end] = _lower(url[place])
        end += 1
    if not none:
        out[end : end + stop - port + 1] = url[port - 1 : stop]
        end += stop - port + 1
    return end


@njit(cache=True)
def _www(url: Bytes, at: int, stop: int) -> bool:
    """Whether a host begins with `www.` and has a dot behind it."""
    for place in range(3):
        if _lower(url[at + place]) != LETTER_W:
            return False
    place = at + 4
    while place < stop and url[place] != DOT:
        place += 1
    return bool(url[at + 3] == DOT and place < stop)


@njit(cache=True)
def _path(url: Bytes, at: int, stop: int, out: Bytes, end: int) -> int:
    """Write a path (empty, or beginning with a slash) without dots to resolve or a last slash."""
    base = end
    while at < stop:
        first = at + 1
        at = first
        while at < stop and url[at] != SLASH:
            at += 1
        dots = at - first if np.all(url[first:at] == DOT) else 0
        if dots == 2:
            while end > base and out[end - 1] != SLASH:
                end -= 1
            end = max(base, end - 1)
        elif dots != 1:
            out[end : end + at - first + 1] = url[first - 1 : at]
            end += at - first + 1
    while end > base and out[end - 1] == SLASH:
        end -= 1
    return end


@njit(cache=True)
def _query(
    url: Bytes, at: int, stop: int, tracking: Bytes, names: Offsets, out: Bytes, end: int
) -> int:
    """Write the parameters that tell pages apart, in order of their names."""
    starts = np.empty(PARAMETERS + 1, np.int64)
    count, sign = 0, QUESTION
    ordered = np.sum(url[at:stop] == AMPERSAND) < PARAMETERS
    while at < stop:
        first = at
        while at < stop and url[at] != AMPERSAND:
            at += 1
        if at > first and not _tracks(url, first, at, tracking, names):
            if ordered:
                place = count
                while place and _before(url, first, starts[place - 1], stop):
                    starts[place] = starts[place - 1]
                    place -= 1
                starts[place] = first
                count += 1
            else:
                end = _parameter(url, first, stop, sign, out, end)
                sign = AMPERSAND
        at += 1
    for place in range(count):
        end = _parameter(url, starts[place], stop, sign, out, end)
        sign = AMPERSAND
    return end


@njit(cache=True)
def _parameter(url: Bytes, at: int, stop: int, sign: int, out: Bytes, end: int) -> int:
    """Write a sign and the parameter that begins here."""
    out[end] = sign
    end += 1
    while at < stop and url[at] != AMPERSAND:
        out[end] = url[at]
        end += 1
        at += 1
    return end


@njit(cache=True)
def _before(url: Bytes, a: int, b: int, stop: int) -> bool:
    """Whether the name that begins at `a` sorts before the one at `b`."""
    while True:
        a_ends = a >= stop or url[a] == AMPERSAND or url[a] == EQUALS
        b_ends = b >= stop or url[b] == AMPERSAND or url[b] == EQUALS
        if a_ends or b_ends:
            return a_ends and not b_ends
        if url[a] != url[b]:
            return bool(url[a] < url[b])
        a += 1
        b += 1


@njit(cache=True)
def _tracks(url: Bytes, at: int, stop: int, tracking: Bytes, names: Offsets) -> bool:
    """Whether a parameter is one of TRACKING."""
    for name in range(len(names) - 1):
        length = names[name + 1] - names[name]
        if stop - at < length:
            continue
        same = True
        for place in range(length):
            if _lower(url[at + place]) != tracking[names[name] + place]:
                same = False
                break
        whole = name == 0 or stop - at == length or url[at + length] == EQUALS
        if same and whole:
            return True
    return False


@njit(cache=True, inline="always")
def _lower(byte: np.uint8) -> np.uint8:
    return np.uint8(byte + 32) if LETTER_A <= byte <= LETTER_Z else byte


@njit(cache=True, inline="always")
def _digit(byte: np.uint8) -> int:
    """The value of a hexadecimal digit, or -1."""
    if DIGIT_0 <= byte <= DIGIT_9:
        return int(byte) - DIGIT_0
    low = int(_lower(byte)) - LETTER_A - 32
    return low + 10 if 0 <= low < 6 else -1


@njit(cache=True, inline="always")
def _unreserved(byte: np.uint8) -> bool:
    """Whether a byte stands for itself in every part of a URL: a letter, a digit, one of `-._~`."""
    letter = LETTER_A <= byte <= LETTER_Z or LETTER_A + 32 <= byte <= LETTER_Z + 32
    return bool(letter or DIGIT_0 <= byte <= DIGIT_9 or byte in MARKS)
