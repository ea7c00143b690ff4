"""What a fastText classifier says of many texts at once: its own arithmetic, without its strings.

Joulin et al. 2016 (arXiv:1607.01759). Features are words and runs of characters in them; a text is the
mean of their vectors. Hashes, order and formulas are those of fastText 0.9 (src/dictionary.cc, loss.cc).
"""

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from numba import njit

from stages.kernels.hashing import Bytes

Hashes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]
Rows: TypeAlias = npt.NDArray[np.int32]
Floats: TypeAlias = npt.NDArray[np.float32]

BASIS32, PRIME32 = np.uint32(2166136261), np.uint32(16777619)  # FNV-1a
BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
MAGIC, VERSION = 793712314, 12
HIERARCHICAL, SOFTMAX = 1, 3  # losses
LABEL = np.frombuffer(b"__label__", np.uint8)
END = b"</s>"  # the word that every line ends with
NONE = -1


class Model(NamedTuple):
    """A classifier as arrays."""

    least: int  # characters of the shortest run; 0: only words
    most: int  # of the longest
    keys: Hashes  # open hash table of words (FNV-1a, 64 bits; 0 is free), a power of two of slots
    words: Rows  # the row of each slot
    buckets: Rows  # the row of each bucket of runs
    there: Bytes  # a bit for each bucket: whether it was not pruned; these stay in the cache
    vectors: Floats  # rows, dimensions
    weights: Floats  # labels, or inner nodes of the tree, and dimensions
    left: Numbers  # of each inner node of the tree; empty: softmax
    right: Numbers
    end: int  # the row of the word that every line ends with, -1 if there is none
    labels: int


def read(path: str, library: Any) -> Model | None:
    """The model in a file that fastText has loaded too; None if it is of a kind that is not known here."""
    data = np.fromfile(path, np.uint8)
    head = data[: 8 + 48].view(np.int32)
    if head[0] != MAGIC or head[1] != VERSION:
        return None
    ngrams, loss, kind, bucket, least, most = (int(head[at]) for at in (7, 8, 9, 10, 11, 12))
    if ngrams != 1 or kind != 3 or loss not in (HIERARCHICAL, SOFTMAX):
        return None
    names, counts, kinds, prunes, at = _dictionary(data)
    nwords = int((kinds == 0).sum())
    try:
        weights = np.array(library.getOutputMatrix(), dtype=np.float32)
    except RuntimeError:  # the output is quantized
        return None
    buckets = np.zeros(bucket if most else 0, np.int32)
    there = np.zeros(len(buckets), np.bool_)
    if prunes is None:
        buckets[:], there[:] = np.arange(nwords, nwords + len(buckets)), True
    else:
        buckets[prunes[:, 0]], there[prunes[:, 0]] = nwords + prunes[:, 1], True
    vectors = _dense(data, at + 1) if data[at] else np.asarray(library.getInputMatrix())
    keys, words = _table(names[:nwords])
    left, right = _tree(counts[nwords:]) if loss == HIERARCHICAL else (np.zeros(0, np.int64),) * 2
    end = names.index(END) if END in names else NONE
    bits = np.packbits(there, bitorder="little")
    labels = len(names) - nwords
    return Model(
        least, most, keys, words, buckets, bits, vectors, weights, left, right, end, labels
    )


def _dictionary(
    data: Bytes,
) -> tuple[list[bytes], Numbers, Numbers, npt.NDArray[np.int32] | None, int]:
    """The entries (words, then labels), how often each was seen, its kind; what pruning left; its end."""
    at = 8 + 48 + 8
    size = int(data[at : at + 4].copy().view(np.int32)[0])
    pruned = int(data[at + 20 : at + 28].copy().view(np.int64)[0])
    at += 28
    names, counts, kinds = [], [], []
    raw = data.tobytes()
    for _ in range(size):
        stop = raw.index(0, at)
        names.append(raw[at:stop])
        counts.append(int.from_bytes(raw[stop + 1 : stop + 9], "little"))
        kinds.append(raw[stop + 9])
        at = stop + 10
    pairs = None
    if pruned >= 0:
        pairs = np.frombuffer(raw, np.int32, 2 * pruned, at).reshape(-1, 2)
        at += 8 * pruned
    return names, np.array(counts), np.array(kinds), pairs, at


def _dense(data: Bytes, at: int) -> Floats:
    """The matrix that is quantized here: codes of parts of each row, and of its length."""
    normed = bool(data[at])
    rows, columns = (int(size) for size in data[at + 1 : at + 17].copy().view(np.int64))
    size = int(data[at + 17 : at + 21].copy().view(np.int32)[0])
    codes = data[at + 21 : at + 21 + size].reshape(rows, -1)
    parts, at = _centroids(data, at + 21 + size)
    out = np.concatenate([part[codes[:, place]] for place, part in enumerate(parts)], axis=1)
    if normed:
        lengths = _centroids(data, at + rows)[0][0]
        out = out * lengths[data[at : at + rows]]
    assert out.shape == (rows, columns), f"{out.shape} of {rows} rows of {columns}"
    return out


def _centroids(data: Bytes, at: int) -> tuple[list[Floats], int]:
    """For each part of a row, the 256 vectors that codes stand for; and where they end."""
    dim, many, width, last = (int(size) for size in data[at : at + 16].copy().view(np.int32))
    stop = at + 16 + 4 * 256 * dim
    floats = data[at + 16 : stop].copy().view(np.float32)
    edges = [256 * width * part for part in range(many)] + [256 * dim]
    widths = [width] * (many - 1) + [last]
    pairs = zip(edges, edges[1:], widths, strict=False)
    return [floats[start:end].reshape(256, wide) for start, end, wide in pairs], stop


def _table(names: list[bytes]) -> tuple[Hashes, Rows]:
    size = 2
    while size < 2 * len(names) + 2:
        size *= 2
    keys, rows = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for row, name in enumerate(names):
        key = np.uint64(_hash(np.frombuffer(name, np.uint8)))
        slot = int(_slot(keys, key))
        keys[slot], rows[slot] = key, row
    return keys, rows


@njit(cache=True)
def _hash(data: Bytes) -> np.uint64:
    code = BASIS
    for byte in data:
        code = (code ^ np.uint64(byte)) * PRIME
    return code | np.uint64(1)


@njit(cache=True, inline="always")
def _slot(keys: Hashes, key: np.uint64) -> np.uint64:
    mask = np.uint64(len(keys) - 1)
    slot = key >> np.uint64(20) & mask
    while keys[slot] != key and keys[slot] != 0:
        slot = (slot + np.uint64(1)) & mask
    return slot


def _tree(counts: Numbers) -> tuple[Numbers, Numbers]:
    """The children of the inner nodes of fastText's Huffman tree; leaves are 0 to labels - 1."""
    many = len(counts)
    sizes = np.full(2 * many - 1, 10**15, np.int64)
    sizes[:many] = counts
    left, right = np.zeros(many - 1, np.int64), np.zeros(many - 1, np.int64)
    leaf, node = many - 1, many
    for inner in range(many, 2 * many - 1):
        pair = []
        for _ in range(2):
            if leaf >= 0 and sizes[leaf] < sizes[node]:
                pair.append(leaf)
                leaf -= 1
            else:
                pair.append(node)
                node += 1
        left[inner - many], right[inner - many] = pair
        sizes[inner] = sizes[pair].sum()
    return left, right


@njit(cache=True)
def predict(data: Bytes, offsets: Numbers, model: Model, labels: Numbers, chances: Floats) -> None:
    """The likeliest label of every line and its probability; -1 for a line without a feature."""
    mean = np.zeros(model.vectors.shape[1], np.float32)
    scores = np.zeros(2 * model.labels, np.float32)
    for line in range(len(labels)):
        mean[:] = 0
        features = _sum(data, offsets[line], offsets[line + 1], model, mean)
        if features == 0:
            labels[line], chances[line] = NONE, 0
            continue
        mean /= np.float32(features)
        if len(model.left):
            labels[line], chances[line] = _descend(mean, model, scores)
        else:
            labels[line], chances[line] = _softmax(mean, model, scores)


@njit(cache=True)
def _sum(data: Bytes, at: int, end: int, model: Model, mean: Floats) -> int:
    """Add up the vectors of the features of a line; how many."""
    features = 0
    while at < end:
        while at < end and (data[at] == 32 or 9 <= data[at] <= 13 or data[at] == 0):
            at += 1
        start, code = at, BASIS
        while at < end and not (data[at] == 32 or 9 <= data[at] <= 13 or data[at] == 0):
            code = (code ^ np.uint64(data[at])) * PRIME
            at += 1
        if at == start or _is_label(data, start, at):
            continue
        code |= np.uint64(1)
        slot = _slot(model.keys, code)
        if model.keys[slot] == code:
            _add(mean, model.vectors, model.words[slot])
            features += 1
        if model.most:
            features += _runs(data, start, at, model, mean)
    if model.end >= 0:
        _add(mean, model.vectors, model.end)
        features += 1
    return features


@njit(cache=True)
def _is_label(data: Bytes, start: int, end: int) -> bool:
    if end - start < len(LABEL) or data[start] != 95:
        return False
    return bool(np.all(data[start : start + len(LABEL)] == LABEL))


@njit(cache=True, inline="always")
def _add(mean: Floats, vectors: Floats, row: int) -> None:
    place = np.uint64(row)
    for at in range(np.uint64(len(mean))):
        mean[at] += vectors[place, at]


@njit(cache=True, inline="always")
def _step(code: np.uint32, byte: np.uint8) -> np.uint32:
    """FNV-1a as fastText has it, which takes a byte for a signed number."""
    wide = np.uint32(byte) | (np.uint32(0xFFFFFF00) if byte >= 0x80 else np.uint32(0))
    return np.uint32((code ^ wide) * PRIME32)


@njit(cache=True)
def _runs(data: Bytes, start: int, end: int, model: Model, mean: Floats) -> int:
    """Add the vectors of the runs of characters of `<word>`; how many."""
    features = 0
    size = np.uint64(len(model.buckets))
    share = 1.0 / max(1, len(model.buckets))
    last = end - start + 2
    for first in range(last):
        if first and first < last - 1 and data[start + first - 1] & 0xC0 == 0x80:
            continue
        code, at = BASIS32, first
        for length in range(1, model.most + 1):
            if at >= last:
                break
            code = _step(code, _letter(data, start, at, last))
            at += 1
            while at < last - 1 and data[start + at - 1] & 0xC0 == 0x80:
                code = _step(code, data[start + at - 1])
                at += 1
            if length >= model.least and not (length == 1 and (first == 0 or at == last)):
                bucket = _remainder(code, size, share)
                if model.there[bucket >> np.uint64(3)] >> (bucket & np.uint64(7)) & np.uint64(1):
                    _add(mean, model.vectors, model.buckets[bucket])
                    features += 1
    return features


@njit(cache=True, inline="always")
def _remainder(code: np.uint32, size: np.uint64, share: float) -> np.uint64:
    """`code % size`, without a division: the quotient from a float is right or one too large."""
    left = np.int64(code) - np.int64(np.float64(code) * share) * np.int64(size)
    if left < 0:
        left += np.int64(size)
    elif left >= np.int64(size):
        left -= np.int64(size)
    return np.uint64(left)


@njit(cache=True, inline="always")
def _letter(data: Bytes, start: int, at: int, last: int) -> np.uint8:
    """Byte `at` of `<word>`."""
    if at == 0:
        return np.uint8(60)
    if at == last - 1:
        return np.uint8(62)
    return np.uint8(data[start + at - 1])


@njit(cache=True, inline="always")
def _dot(mean: Floats, weights: Floats, row: int) -> np.float32:
    total = np.float32(0)
    for at in range(len(mean)):
        total += mean[at] * weights[row, at]
    return total


@njit(cache=True)
def _descend(mean: Floats, model: Model, scores: Floats) -> tuple[int, float]:
    """The likeliest leaf of the tree; log(x + 1e-5) as in fastText, so that it may pass 1."""
    many = model.labels
    scores[2 * many - 2] = 0
    for node in range(2 * many - 2, many - 1, -1):
        share = 1.0 / (1.0 + np.exp(-np.float64(_dot(mean, model.weights, node - many))))
        scores[model.left[node - many]] = scores[node] + np.log(1.0 - share + 1e-5)
        scores[model.right[node - many]] = scores[node] + np.log(share + 1e-5)
    best = int(np.argmax(scores[:many]))
    return best, float(np.exp(scores[best]))


@njit(cache=True)
def _softmax(mean: Floats, model: Model, scores: Floats) -> tuple[int, float]:
    """The likeliest label; with the 1e-5 that fastText adds before its logarithm."""
    for label in range(model.labels):
        scores[label] = _dot(mean, model.weights, label)
    best = int(np.argmax(scores[: model.labels]))
    return best, float(1 / np.exp(scores[: model.labels] - scores[best]).sum() + 1e-5)
