"""What a fastText classifier says of many texts at once: its own arithmetic, without its strings.

Joulin et al. 2016 (arXiv:1607.01759). Features are words, runs of characters in them, and words in a row;
a text is the mean of their vectors. Hashes, order and formulas are those of fastText 0.9
(src/dictionary.cc, loss.cc).
"""

import mmap
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
IN_A_ROW = np.uint64(116049371)  # what the hash of words in a row is multiplied by at each word
EXTRA = 1e-5  # what fastText adds to a probability before its logarithm
MAGIC, VERSION = 793712314, 12
HIERARCHICAL, SOFTMAX = 1, 3  # losses
LABEL = np.frombuffer(b"__label__", np.uint8)
END = b"</s>"  # the word that every line ends with
END_CODE = np.uint64(0xFFFFFFFFD79C9359)  # its hash, a signed number
NONE = -1


class Model(NamedTuple):
    """A classifier as arrays."""

    least: int  # characters of the shortest run; 0: only words
    most: int  # of the longest
    ngrams: int  # words of the longest row of them
    keys: Hashes  # open hash table of words (FNV-1a, 64 bits; 0 is free), a power of two of slots
    words: Rows  # the row of each slot
    size: int  # buckets that runs and words in a row are hashed to
    first: int  # the row of the first bucket, those of the others behind it; -1 if some were pruned
    buckets: Rows  # where some were pruned, the row of each
    there: Bytes  # and a bit for each: whether it was not pruned; these stay in the cache
    vectors: Floats  # rows, dimensions
    weights: Floats  # labels, or inner nodes of the tree, and dimensions
    left: Numbers  # of each inner node of the tree; empty: softmax
    right: Numbers
    end: int  # the row of the word that every line ends with, -1 if there is none
    labels: int


def read(path: str, library: Any) -> Model | None:
    """The model in a file that fastText has loaded too; None if it is of a kind that is not known here."""
    with open(path, "rb") as file:
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    data = np.frombuffer(raw, np.uint8)
    head = data[: 8 + 48].view(np.int32)
    if head[0] != MAGIC or head[1] != VERSION:
        return None
    ngrams, loss, kind, bucket, least, most = (int(head[at]) for at in (7, 8, 9, 10, 11, 12))
    if kind != 3 or loss not in (HIERARCHICAL, SOFTMAX):
        return None
    names, counts, kinds, prunes, at = _dictionary(raw)
    nwords = int((kinds == 0).sum())
    try:
        weights = np.array(library.getOutputMatrix(), dtype=np.float32)
    except RuntimeError:  # the output is quantized
        return None
    first, buckets, there = nwords, np.zeros(0, np.int32), np.zeros(0, np.bool_)
    if prunes is not None:
        first, buckets, there = NONE, np.zeros(bucket, np.int32), np.zeros(bucket, np.bool_)
        buckets[prunes[:, 0]], there[prunes[:, 0]] = nwords + prunes[:, 1], True
    vectors = _dense(data, at + 1) if data[at] else np.asarray(library.getInputMatrix())
    keys, words = _table(names[:nwords])
    left, right = _tree(counts[nwords:]) if loss == HIERARCHICAL else (np.zeros(0, np.int64),) * 2
    end = names.index(END) if END in names else NONE
    bits = np.packbits(there, bitorder="little")
    return Model(
        least, most, ngrams, keys, words, bucket, first, buckets, bits, vectors, weights, left,
        right, end, len(names) - nwords,
    )  # fmt: skip


def _dictionary(
    raw: mmap.mmap,
) -> tuple[list[bytes], Numbers, Numbers, npt.NDArray[np.int32] | None, int]:
    """The entries (words, then labels), how often each was seen, its kind; what pruning left; its end."""
    at = 8 + 48 + 8
    size = int.from_bytes(raw[at : at + 4], "little")
    pruned = int.from_bytes(raw[at + 20 : at + 28], "little", signed=True)
    at += 28
    names, counts, kinds = [], [], []
    for _ in range(size):
        stop = raw.find(b"\0", at)
        names.append(raw[at:stop])
        counts.append(int.from_bytes(raw[stop + 1 : stop + 9], "little"))
        kinds.append(raw[stop + 9])
        at = stop + 10
    pairs = None
    if pruned >= 0:
        pairs = np.frombuffer(raw[at : at + 8 * pruned], np.int32).reshape(-1, 2)
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
    ends = np.cumsum([len(name) for name in names], dtype=np.int64)
    _enter(np.frombuffer(b"".join(names), np.uint8), ends, keys, rows)
    return keys, rows


@njit(cache=True)
def _enter(data: Bytes, ends: Numbers, keys: Hashes, rows: Rows) -> None:
    """Put the words, one behind the other, into the table."""
    at = 0
    for row in range(len(ends)):
        code = BASIS
        while at < ends[row]:
            code = (code ^ np.uint64(data[at])) * PRIME
            at += 1
        code |= np.uint64(1)
        slot = _slot(keys, code)
        keys[slot], rows[slot] = code, row


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
    """The likeliest label of every line and its probability; -1 for a line without a feature.

    The 1e-5 that fastText adds before a logarithm is in it, so that it may pass 1.
    """
    mean, scores, codes, rows = _room(offsets, model)
    for line in range(len(labels)):
        if not _mean(data, offsets[line], offsets[line + 1], model, mean, codes, rows):
            labels[line], chances[line] = NONE, 0
            continue
        _judge(mean, model, scores)
        best = int(np.argmax(scores[: model.labels]))
        labels[line], chances[line] = best, np.exp(scores[best])


@njit(cache=True)
def score(data: Bytes, offsets: Numbers, model: Model, wanted: Numbers, out: Floats) -> None:
    """The probability of some labels, a column each, for every line; 0 for a line without a feature."""
    mean, scores, codes, rows = _room(offsets, model)
    for line in range(len(out)):
        if not _mean(data, offsets[line], offsets[line + 1], model, mean, codes, rows):
            out[line] = 0
            continue
        _judge(mean, model, scores)
        for at in range(len(wanted)):
            found = np.exp(scores[wanted[at]])
            out[line, at] = found if found >= EXTRA else 0  # fastText does not name it


@njit(cache=True)
def _room(offsets: Numbers, model: Model) -> tuple[Floats, Floats, Hashes, Rows]:
    """Where the mean of a line, the scores of labels and nodes, hashes of words and rows are put."""
    longest = 0
    for line in range(len(offsets) - 1):
        longest = max(longest, offsets[line + 1] - offsets[line])
    words = longest // 2 + 2
    return (
        np.zeros(model.vectors.shape[1], np.float32),
        np.zeros(2 * model.labels, np.float32),
        np.zeros(words, np.uint64),
        np.zeros(words * model.ngrams, np.int32),
    )


@njit(cache=True)
def _mean(
    data: Bytes, at: int, end: int, model: Model, mean: Floats, codes: Hashes, rows: Rows
) -> int:
    """The mean of the vectors of the features of a line; how many there are.

    Those of words are added at last, in a loop in which one look into memory waits for no other.
    """
    words, found, runs = 0, 0, 0
    mean[:] = 0
    while at < end:
        while at < end and _space(data[np.uint64(at)]):
            at += 1
        start, code, short = at, BASIS, BASIS32
        while at < end and not _space(data[np.uint64(at)]):
            byte = data[np.uint64(at)]
            code = (code ^ np.uint64(byte)) * PRIME
            short = _step(short, byte)
            at += 1
        if at == start or _is_label(data, start, at):
            continue
        code |= np.uint64(1)
        slot = _slot(model.keys, code)
        if model.keys[slot] == code:
            rows[found] = model.words[slot]
            found += 1
        if model.most:
            runs += _runs(data, start, at, model, mean)
        codes[words] = np.uint64(np.int64(np.int32(short)))
        words += 1
    if model.end >= 0:
        rows[found] = model.end
        found += 1
    codes[words] = END_CODE
    found += _rows_of_words(codes[: words + 1], model, rows[found:])
    for place in range(found):
        _add(mean, model.vectors, rows[place])
    if found + runs:
        mean /= np.float32(found + runs)
    return found + runs


@njit(cache=True)
def _rows_of_words(codes: Hashes, model: Model, rows: Rows) -> int:
    """The vectors of two words in a row, and of more; how many. Words are known by their hashes only."""
    found = 0
    size = np.uint64(model.size)
    for first in range(len(codes)):
        code = codes[first]
        for last in range(first + 1, min(len(codes), first + model.ngrams)):
            code = code * IN_A_ROW + codes[last]
            row = _bucket(code % size, model)
            if row >= 0:
                rows[found] = row
                found += 1
    return found


@njit(cache=True, inline="always")
def _bucket(bucket: np.uint64, model: Model) -> int:
    """The row of a bucket; -1 if it was pruned."""
    if model.first >= 0:
        return int(model.first + np.int64(bucket))
    if model.there[bucket >> np.uint64(3)] >> (bucket & np.uint64(7)) & np.uint64(1):
        return int(model.buckets[bucket])
    return NONE


@njit(cache=True, inline="always")
def _space(byte: np.uint8) -> bool:
    """Whether fastText ends a word here."""
    return bool(byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0))


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
    wide = np.uint32(np.int32(np.int8(byte)))
    return np.uint32((code ^ wide) * PRIME32)


@njit(cache=True)
def _runs(data: Bytes, start: int, end: int, model: Model, mean: Floats) -> int:
    """Add the vectors of the runs of characters of `<word>`; how many."""
    features = 0
    size = np.uint64(model.size)
    share = 1.0 / max(1, model.size)
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
                row = _bucket(_remainder(code, size, share), model)
                if row >= 0:
                    _add(mean, model.vectors, row)
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
def _judge(mean: Floats, model: Model, scores: Floats) -> None:
    """The logarithm of each label's probability: of leaves of the tree, or by softmax."""
    many = model.labels
    if len(model.left):
        scores[2 * many - 2] = 0
        for node in range(2 * many - 2, many - 1, -1):
            share = 1.0 / (1.0 + np.exp(-np.float64(_dot(mean, model.weights, node - many))))
            scores[model.left[node - many]] = scores[node] + np.log(1.0 - share + EXTRA)
            scores[model.right[node - many]] = scores[node] + np.log(share + EXTRA)
        return
    for label in range(many):
        scores[label] = _dot(mean, model.weights, label)
    shares = np.exp(scores[:many] - scores[:many].max())
    scores[:many] = np.log(shares / shares.sum() + EXTRA)
