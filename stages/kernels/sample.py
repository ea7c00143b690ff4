"""Stretches of every text, spread over it and cut in one pass that reads no more than it keeps."""

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
SEEK = 48  # bytes that are looked through for the beginning of a word


def sample(column: pa.Array, characters: int, parts: int) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """One line per text, ended by a newline (large_binary), and whether it holds a letter.

    Of a text of more characters, as many are kept: in so many stretches of equal length, the first
    at its beginning and the others at even distances, each from the beginning of a word if one is near.
    Control characters become spaces, and `</s>`, at which fastText stops to read, ` /s>`.
    """
    offsets, data = string_buffers(column)
    spans = np.empty((len(offsets) - 1, parts, 2), np.int64)
    cut_rows(offsets, data, characters, spans)
    return _lines(data, spans)


def stretches(
    column: pa.Array, characters: int, parts: int
) -> tuple[pa.Array, npt.NDArray[np.bool_], Numbers]:
    """Stretches of so many characters, each a line of its own, at most so many parts of a text.

    Also whether each holds a letter, and the text it is of. They are at even distances; a text too
    short for two has none.
    """
    offsets, data = string_buffers(column)
    counts = np.zeros(len(offsets) - 1, np.int64)
    count_stretches(offsets, data, characters, parts, counts)
    spans = np.empty((int(counts.sum()), 1, 2), np.int64)
    cut_stretches(offsets, data, characters, counts, spans)
    return *_lines(data, spans), np.repeat(np.arange(len(counts)), counts)


def _lines(data: Bytes, spans: Numbers) -> tuple[pa.Array, npt.NDArray[np.bool_]]:
    """One line for each row of spans."""
    rows, parts = spans.shape[:2]
    places = np.zeros(rows + 1, np.int64)
    np.cumsum((spans[:, :, 1] - spans[:, :, 0]).sum(axis=1) + parts, out=places[1:])
    out = np.empty(places[-1], np.uint8)
    letters = np.zeros(rows, np.bool_)
    copy_rows(data, spans, places, out, letters)
    buffers = [None, pa.py_buffer(places), pa.py_buffer(out)]
    return pa.Array.from_buffers(pa.large_binary(), rows, buffers), letters


@njit(cache=True)
def cut_rows(offsets: Numbers, data: Bytes, characters: int, spans: Numbers) -> None:
    """Where the stretches of every text begin and stop."""
    parts = spans.shape[1]
    for row in range(len(spans)):
        start, end = offsets[row], offsets[row + 1]
        spans[row] = end
        spans[row, 0, 0] = start
        if end - start > characters:  # a character is a byte or more
            spans[row, 0, 1] = walk(data, start, end, characters)
        if spans[row, 0, 1] < end:
            after = start
            for part in range(parts):
                at = start + (end - start) * part // parts
                if part:
                    at = word(data, max(at, after), end)
                share = characters // parts + (part < characters % parts)
                after = walk(data, at, end, share)
                spans[row, part, 0], spans[row, part, 1] = at, after


@njit(cache=True)
def count_stretches(
    offsets: Numbers, data: Bytes, characters: int, parts: int, counts: Numbers
) -> None:
    """How many stretches every text has: as many as fill it, at most `parts`; 0 in place of 1."""
    for row in range(len(counts)):
        at, end = offsets[row], offsets[row + 1]
        while at < end and counts[row] < parts:
            at = walk(data, at, end, characters)
            counts[row] += 1
        if counts[row] == 1:
            counts[row] = 0


@njit(cache=True)
def cut_stretches(
    offsets: Numbers, data: Bytes, characters: int, counts: Numbers, spans: Numbers
) -> None:
    """Where every stretch begins and stops; none begins before the one before it stops."""
    line = 0
    for row in range(len(counts)):
        start, end, after = offsets[row], offsets[row + 1], offsets[row]
        for part in range(counts[row]):
            at = start + (end - start) * part // counts[row]
            if part:
                at = word(data, max(at, after), end)
            after = walk(data, at, end, characters)
            spans[line, 0, 0], spans[line, 0, 1] = at, after
            line += 1


@njit(cache=True)
def word(data: Bytes, at: int, end: int) -> int:
    """The place behind the next blank, or of the next character if there is none near."""
    while at < end and data[at] & 0xC0 == 0x80:
        at += 1
    for ahead in range(at, min(end, at + SEEK)):
        if data[ahead] <= SPACE:
            return ahead + 1
    return at


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
    """The stretches of every text, spaces between them, in one line."""
    parts = spans.shape[1]
    for row in range(len(spans)):
        to, letter = places[row], False
        for part in range(parts):
            for at in range(spans[row, part, 0], spans[row, part, 1]):
                byte = data[np.uint64(at)]
                if byte >= 0x80 or 0x61 <= byte | 0x20 <= 0x7A:
                    letter = True
                elif byte < SPACE or byte == DELETE:
                    byte = np.uint8(SPACE)
                elif byte == GREATER and to >= places[row] + 3 and ends(out, to):
                    out[to - 3] = SPACE
                out[np.uint64(to)] = byte
                to += 1
            out[to] = SPACE if part < parts - 1 else NEWLINE
            to += 1
        letters[row] = letter


@njit(cache=True, inline="always")
def ends(out: Bytes, to: int) -> bool:
    """Whether a `>` to be written here would complete `</s>`."""
    return bool(out[to - 3] == LESS and out[to - 2] == SLASH and out[to - 1] == LETTER_S)
