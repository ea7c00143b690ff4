"""The beginning and the middle of every text, cut in one pass that reads no more than it keeps."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from stages.kernels.hashing import string_buffers

Bytes: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[np.int64]
SPACE, NEWLINE, DELETE = 0x20, 0x0A, 0x7F
LESS, GREATER, SLASH, LETTER_S = 0x3C, 0x3E, 0x2F, 0x73


def sample(column: pa.Array, characters: int) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """One line per text, ended by a newline (large_binary), and whether it holds a letter.

    A text of more characters is cut to its first half as many and as many from its middle on.
    Control characters become spaces, and `</s>`, at which fastText stops to read, ` /s>`.
    """
    offsets, data = string_buffers(column)
    spans = np.empty((len(offsets) - 1, 4), np.int64)
    cut_rows(offsets, data, characters, spans)
    places = np.zeros(len(offsets), np.int64)
    np.cumsum(spans[:, 1] - spans[:, 0] + spans[:, 3] - spans[:, 2] + 2, out=places[1:])
    out = np.empty(places[-1], np.uint8)
    letters = np.zeros(len(spans), np.bool_)
    copy_rows(data, spans, places, out, letters)
    buffers = [None, pa.py_buffer(places), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.large_binary(), len(spans), buffers), letters


@njit(cache=True)
def cut_rows(offsets: Numbers, data: Bytes, characters: int, spans: Numbers) -> None:
    """Where the two parts of every text begin and stop."""
    half = characters // 2
    for row in range(len(spans)):
        start, end = offsets[row], offsets[row + 1]
        spans[row, 0], spans[row, 1] = start, walk(data, start, end, characters)
        spans[row, 2] = spans[row, 3] = end
        if spans[row, 1] < end:
            spans[row, 1] = walk(data, start, end, characters - half)
            middle = max(spans[row, 1], (start + end) // 2)
            while middle < end and data[middle] & 0xC0 == 0x80:
                middle += 1
            spans[row, 2], spans[row, 3] = middle, walk(data, middle, end, half)


@njit(cache=True)
def walk(data: Bytes, at: int, end: int, characters: int) -> int:
    """The place after so many characters, at most `end`."""
    while at < end:
        if data[at] & 0xC0 != 0x80:
            if characters == 0:
                return at
            characters -= 1
        at += 1
    return end


@njit(cache=True)
def copy_rows(
    data: Bytes, spans: Numbers, places: Numbers, out: Bytes, letters: npt.NDArray[np.bool_]
) -> None:
    """Both parts of every text, a space between them, in one line."""
    for row in range(len(spans)):
        to = places[row]
        for part in (0, 2):
            for at in range(spans[row, part], spans[row, part + 1]):
                byte = data[at]
                if byte < SPACE or byte == DELETE:
                    byte = np.uint8(SPACE)
                elif byte >= 0x80 or 0x61 <= byte | 0x20 <= 0x7A:
                    letters[row] = True
                elif byte == GREATER and to >= places[row] + 3 and ends(out, to):
                    out[to - 3] = SPACE
                out[to] = byte
                to += 1
            out[to] = SPACE if part == 0 else NEWLINE
            to += 1


@njit(cache=True, inline="always")
def ends(out: Bytes, to: int) -> bool:
    """Whether a `>` to be written here would complete `</s>`."""
    return bool(out[to - 3] == LESS and out[to - 2] == SLASH and out[to - 1] == LETTER_S)
