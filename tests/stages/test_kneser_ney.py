"""The estimator against a plain reading of the formulas, and its models as kenlm reads them."""

import math
from collections import Counter, defaultdict

import kenlm
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.kneser_ney import BEGIN, END, SPECIAL, estimate, write

WORDS = list("abcdefghij")
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=9), min_size=1, max_size=40)


def ids(sentences):
    found = []
    for sentence in sentences:
        found += [BEGIN, *(WORDS.index(word) + len(SPECIAL) for word in sentence), END]
    return np.array(found)


def model(sentences, order, prune):
    """Log10 chance and backoff of every n-gram, by its words."""
    names = [*SPECIAL, *WORDS]
    found = {}
    for one in estimate(ids(sentences), len(names), order, prune):
        backoffs = one.backoffs if one.backoffs is not None else np.zeros(len(one.chances))
        for *words, chance, backoff in zip(*one.words, one.chances, backoffs, strict=True):
            found[tuple(names[word] for word in words)] = chance, backoff
    return found


def slow(sentences, order, prune):
    """Chen and Goodman's interpolated modified Kneser-Ney, n-gram by n-gram."""
    raw = [Counter() for _ in range(order + 1)]
    for sentence in sentences:
        words = ("<s>", *sentence, "</s>")
        for size in range(1, order + 1):
            raw[size].update(words[at : at + size] for at in range(len(words) - size + 1))
    for word in WORDS:
        raw[1].setdefault((word,), 0)
    raw[1].update({("<unk>",): 0})
    adjusted = [None] * (order + 1)
    for size in range(1, order + 1):
        adjusted[size] = dict(raw[size])
        if size < order:
            left = Counter(gram[1:] for gram in raw[size + 1])
            for gram in raw[size]:
                adjusted[size][gram] = raw[size][gram] if gram[0] == "<s>" else left[gram]
    adjusted[1][("<s>",)] = 0
    found, chance = {}, {}
    for size in range(1, order + 1):
        taken = discounts(adjusted[size].values())
        following = defaultdict(list)
        for gram, count in adjusted[size].items():
            following[gram[:-1]].append((gram, count))
        for context, grams in following.items():
            whole = sum(count for _, count in grams)
            pruned = {g for g, _ in grams if size > 1 and raw[size][g] <= prune[size - 1]}
            freed = sum(count if g in pruned else taken[min(count, 3)] for g, count in grams)
            weight = freed / whole
            if context in found:
                found[context] = found[context][0], math.log10(max(weight, 1e-37))
            for gram, count in grams:
                below = chance[gram[1:]] if size > 1 else 1 / (len(grams) - 1)
                chance[gram] = (count - taken[min(count, 3)]) / whole + weight * below
                if gram not in pruned:
                    found[gram] = math.log10(max(chance[gram], 1e-37)), 0.0
    found[("<s>",)] = 0.0, found[("<s>",)][1]
    return found


def discounts(counts):
    n = [sum(count == k for count in counts) for k in range(5)]
    if not all(n[1:4]):
        return 0, 0.5, 1, 1.5
    y = n[1] / (n[1] + 2 * n[2])
    found = [0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))]
    return found if all(0 <= found[k] <= k for k in (1, 2, 3)) else (0, 0.5, 1, 1.5)


@given(SENTENCES, st.sampled_from([(0, 0, 0), (0, 0, 1), (0, 1, 2), (0, 0, 0, 0, 0), (0, 0, 1, 1)]))
@settings(max_examples=60, deadline=None)
def test_every_chance_and_backoff_is_that_of_the_formulas(sentences, prune):
    ours, plain = model(sentences, len(prune), prune), slow(sentences, len(prune), prune)

    assert ours.keys() == plain.keys()
    for gram, values in plain.items():
        assert ours[gram] == pytest.approx(values, abs=1e-9), gram


@given(SENTENCES, st.lists(st.sampled_from([*WORDS, "never seen"]), max_size=3))
@settings(max_examples=20, deadline=None)
def test_the_chances_of_all_words_behind_any_words_make_one(tmp_path_factory, sentences, context):
    path = tmp_path_factory.mktemp("model") / "a.arpa"
    orders = estimate(ids(sentences), len(SPECIAL) + len(WORDS), 3, (0, 0, 1))
    write(orders, pa.array([*SPECIAL, *WORDS]), path)
    ours = kenlm.Model(str(path))
    before, after = kenlm.State(), kenlm.State()
    ours.BeginSentenceWrite(before)
    for word in context:
        ours.BaseScore(before, word, after)
        before, after = after, kenlm.State()
    every = [*WORDS, "</s>", "<unk>"]

    whole = sum(10 ** ours.BaseScore(before, word, after) for word in every)
    assert whole == pytest.approx(1, abs=1e-5)
