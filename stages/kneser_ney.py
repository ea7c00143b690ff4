"""Estimation of n-gram language models: interpolated modified Kneser-Ney, on sorted arrays.

The method is that of Chen and Goodman 1998 as Heafield et al. 2013 ("Scalable Modified Kneser-Ney
Language Model Estimation") do it; the models are those of KenLM's `lmplz`, pruning and unknown words
included.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ids: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

UNKNOWN, BEGIN, END = 0, 1, 2  # the ids of `<unk>`, `<s>`, `</s>`; other words follow
SPECIAL = ("<unk>", "<s>", "</s>")
FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # discounts where counts of counts give none (lmplz's)
TINY = 1e-37
LINES = 1 << 16  # of an ARPA file that are written at once


class Grams(NamedTuple):
    """The different n-grams of one order, and what is known of each."""

    prefix: Ids  # the (n-1)-gram it begins with, as a row of the order before
    suffix: Ids  # the (n-1)-gram it ends with
    last: Ids  # its last word
    counts: Ids  # how often it occurs


class Order(NamedTuple):
    """The n-grams of one order that are in the model."""

    words: tuple[Ids, ...]  # n columns
    chances: Floats  # log10 of the probability of the last word behind the others
    backoffs: Floats | None  # log10; None for the highest order


def estimate(tokens: Ids, vocabulary: int, order: int, prune: Sequence[int]) -> list[Order]:
    """The model of a text: sentences of ids, each between BEGIN and END, one after the other.

    `prune`: for each order, n-grams that occur no more often than so are left out of the model (0:
    none); rising, the first 0. Takes about 40 bytes of memory for each token, and 60 for each n-gram.
    """
    levels = count(tokens, vocabulary, order)
    first = np.arange(vocabulary)
    begins = [first == BEGIN]
    for grams in levels[1:]:
        begins.append(begins[-1][grams.prefix])
    chance: Floats | None = None
    found: list[tuple[Floats, npt.NDArray[np.bool_]]] = []
    weights: list[Floats] = []
    for at, grams in enumerate(levels):
        adjusted = grams.counts
        if at + 1 < order:
            left = np.bincount(levels[at + 1].suffix, minlength=len(adjusted))
            adjusted = np.where(begins[at], adjusted, left)
        if at == 0:
            adjusted[[UNKNOWN, BEGIN]] = 0
        kept = grams.counts > prune[at] if at else np.ones(len(adjusted), np.bool_)
        chance, weight = smooth(grams, adjusted, kept, chance)
        found.append((chance, kept))
        weights.append(weight)
    return _orders(levels, found, weights)


def count(tokens: Ids, vocabulary: int, order: int) -> list[Grams]:
    """All n-grams up to an order. Those that begin at the same place share a row number's array."""
    none = np.zeros(vocabulary, np.int64)
    occurs = np.bincount(tokens, minlength=vocabulary)
    levels = [Grams(none, none, np.arange(vocabulary), occurs)]
    places = np.arange(len(tokens))
    rows = tokens  # of the n-gram that begins at a place
    for size in range(2, order + 1):
        places = places[tokens[places + size - 2] != END]
        keys = rows[places] * vocabulary + tokens[places + size - 1]
        different, back, counts = np.unique(keys, return_inverse=True, return_counts=True)
        suffix = np.zeros(len(different), np.int64)
        suffix[back] = rows[places + 1]
        levels.append(Grams(different // vocabulary, suffix, different % vocabulary, counts))
        rows = np.full(len(tokens), -1)
        rows[places] = back
    return levels


def discounts(adjusted: Ids) -> Floats:
    """What is taken off counts of 0, 1, 2, and 3 or more (Chen and Goodman, equation 26)."""
    some = np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5].astype(np.float64)
    if not some[:3].all():
        return FALLBACK
    share = some[0] / (some[0] + 2 * some[1])
    steps = np.arange(1, 4)
    taken = steps - (steps + 1) * share * some[1:] / some[:3]
    if (taken < 0).any() or (taken > steps).any():
        return FALLBACK
    return np.array([0.0, *taken])


def smooth(
    grams: Grams, adjusted: Ids, kept: npt.NDArray[np.bool_], before: Floats | None
) -> tuple[Floats, Floats]:
    """The probability of each n-gram, and of each context the weight of the order below.

    `before`: the probabilities of the order below; below the first order all words but `<s>` are
    alike. The mass of what is pruned goes to the order below too.
    """
    contexts = 1 if before is None else len(before)
    taken = discounts(adjusted)[np.minimum(adjusted, 3)]
    freed = np.where(kept, taken, adjusted)
    whole = np.bincount(grams.prefix, adjusted, contexts)
    weight = np.ones(contexts)  # a context that nothing follows has the order below alone
    np.divide(np.bincount(grams.prefix, freed, contexts), whole, out=weight, where=whole > 0)
    alike = np.full(len(adjusted), 1 / (len(adjusted) - 1)) if before is None else before
    chance = (adjusted - taken) / whole[grams.prefix] + weight[grams.prefix] * alike[grams.suffix]
    if before is None:
        chance[BEGIN] = 1.0
    return chance, weight


def _orders(
    levels: list[Grams],
    found: list[tuple[Floats, npt.NDArray[np.bool_]]],
    weights: list[Floats],
) -> list[Order]:
    """The n-grams that are kept, spelled in words."""
    words: list[Ids] = [levels[0].last]
    orders = []
    for at, (grams, (chance, kept)) in enumerate(zip(levels, found, strict=True)):
        if at:
            words = [*(column[grams.prefix] for column in words), grams.last]
        backoff = _log(weights[at + 1][kept]) if at + 1 < len(levels) else None
        columns = tuple(column[kept] for column in words)
        orders.append(Order(columns, _log(chance[kept]), backoff))
    return orders


def _log(shares: Floats) -> Floats:
    """log10; of 0, which a discount of 0 may give, what still is a number."""
    found: Floats = np.log10(np.maximum(shares, TINY))
    return found


def write(orders: Sequence[Order], words: pa.Array, path: Path) -> None:
    """The model as an ARPA file; `words` are all words by id."""
    with open(path, "wb") as file:
        head = [f"ngram {at}={len(order.chances)}" for at, order in enumerate(orders, 1)]
        file.write("\n".join(["\\data\\", *head, ""]).encode())
        for at, order in enumerate(orders, 1):
            file.write(f"\n\\{at}-grams:\n".encode())
            for lines in _lines(order, words):
                file.write(lines)
        file.write(b"\n\\end\\\n")


def _lines(order: Order, words: pa.Array) -> Iterator[bytes]:
    for start in range(0, len(order.chances), LINES):
        some = slice(start, start + LINES)
        grams = [words.take(pa.array(column[some])) for column in order.words]
        columns = [_number(order.chances[some]), pc.binary_join_element_wise(*grams, " ")]
        if order.backoffs is not None:
            columns.append(_number(order.backoffs[some]))
        lines = pc.binary_join_element_wise(*columns, "\t")
        yield ("\n".join(lines.to_pylist()) + "\n").encode()


def _number(values: Floats) -> pa.Array:
    """As decimal numbers, the shortest that are the same float32."""
    return pa.array(values.astype(np.float32) + np.float32(0)).cast(pa.string())
