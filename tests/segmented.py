"""Words of Chinese and Japanese by a plain Python reading of the models that the kernels cut with."""

from functools import cache
from itertools import accumulate, groupby
from math import inf
from pathlib import Path

import numpy as np

KERNELS = Path(__file__).parents[1] / "stages" / "kernels"
HAN = range(0x4E00, 0x9FD6)
BEGIN, MIDDLE, END, SINGLE = range(4)


def in_words(letter):
    """Whether a letter of a script without spaces is of Chinese or Japanese."""
    return 0x3000 <= ord(letter) < 0xA000 or ord(letter) >= 0xF900


def is_japanese(letters):
    """Whether one letter of ten, or more, is of kana."""
    kana = (range(0x3041, 0x3100), range(0x31F0, 0x3200), range(0xFF66, 0xFFA0))
    return sum(any(ord(c) in span for span in kana) for c in letters) * 10 >= len(letters)


@cache
def dictionary():
    with np.load(KERNELS / "han.npz") as file:
        added = (chr(int(a) << 8 | int(b)) for a, b in zip(file["high"], file["low"], strict=True))
        costs, word = {}, ""
        for shared, more, cost in zip(file["shared"], file["added"], file["costs"], strict=True):
            word = word[:shared] + "".join(next(added) for _ in range(more))
            costs[word] = int(cost)
        model = [file[name].astype(int).tolist() for name in ("begins", "turns", "emits")]
        return costs, int(file["total"]), model


def chinese(letters):
    """The words of letters that stand together."""
    found = []
    for han, some in groupby(letters, lambda letter: ord(letter) in HAN):
        run = list(some)
        found += _block("".join(run)) if han else run
    return found


def _block(text):
    costs, unknown, _ = dictionary()
    best = [(0, 0)] * (len(text) + 1)
    for at in reversed(range(len(text))):
        ways = [(costs.get(text[at], unknown) + best[at + 1][0], at + 1)]
        for end in range(at + 2, min(len(text), at + 16) + 1):
            if text[at:end] in costs:
                ways.append((costs[text[at:end]] + best[end][0], end))
        best[at] = min(ways, key=lambda way: (way[0], -way[1]))
    words, at = [], 0
    while at < len(text):
        words.append(text[at : best[at][1]])
        at = best[at][1]
    found = []
    for single, some in groupby(words, lambda word: len(word) == 1):
        run = list(some)
        joined = "".join(run)
        found += _model(joined) if single and len(run) > 1 and joined not in costs else run
    return found


def _model(text):
    """The cheapest states; of equal ones the state of the later letter of the alphabet."""
    begins, turns, emits = dictionary()[2]
    before = {BEGIN: (END, SINGLE), MIDDLE: (BEGIN, MIDDLE), END: (BEGIN, MIDDLE)}
    before[SINGLE] = (END, SINGLE)
    emit = [emits[ord(letter) - HAN.start] for letter in text]
    costs, backs = [begins[state] + emit[0][state] for state in range(4)], []
    for own in emit[1:]:
        ways = [
            min((costs[old] + turns[old][state], -old) for old in before[state])
            for state in range(4)
        ]
        costs = [way[0] + own[state] for state, way in enumerate(ways)]
        backs.append([-way[1] for way in ways])
    states = [SINGLE if costs[SINGLE] <= costs[END] else END]
    for back in reversed(backs):
        states.append(back[states[-1]])
    words = [""]
    for letter, state in zip(text, reversed(states), strict=True):
        words[-1] += letter
        if state in (END, SINGLE):
            words.append("")
    return words[:-1]


@cache
def borders():
    with np.load(KERNELS / "borders.npz") as file:
        letters = [(point,) for point in file["letters"].tolist()]
        grams = [
            *letters,
            *map(tuple, file["pairs"].tolist()),
            *map(tuple, file["triples"].tolist()),
        ]
        weights = dict(zip(grams, file["weights"].astype(int).tolist(), strict=True))
        return weights, file["scripts"].astype(int).tolist()


def _script(point):
    if 0x3041 <= point < 0x3100:
        return 1 if point < 0x30A0 else 2
    return 3 if 0x3400 <= point < 0xA000 or point == 0x3005 else 0


def _beside(character):
    if not character:
        return 1
    return 2 if character.isdecimal() else 3 if character.isalpha() else 1


def japanese(letters, before="", behind=""):
    """The words of letters that stand together between two characters, or nothing."""
    weights, scripts = borders()
    points = [0, 0, _beside(before), *map(ord, letters), _beside(behind), 0, 0]
    words = [""]
    for at, letter in enumerate(letters, 3):
        score, window = 0, 0
        for lane in range(4):
            score += weights.get((points[at + 1 - lane],), [0] * 4)[lane]
            start = at - lane
            for size in (2, 3):
                gram = tuple(points[max(start, 0) : start + size])
                score += weights.get(gram, [0] * 4)[lane] if start >= 0 else 0
        for point in points[at - 3 : at + 3]:
            window = window * 4 + _script(point)
        if at > 3 and score + scripts[window] > 0:
            words.append("")
        words[-1] += letter
    return words


def f1(mine, theirs):
    """Of the words of two ways to cut one text, the share that both have."""
    both = [
        {
            (end - len(word), end)
            for word, end in zip(words, accumulate(map(len, words)), strict=True)
        }
        for words in (mine, theirs)
    ]
    return 2 * len(both[0] & both[1]) / (len(both[0]) + len(both[1])) if any(both) else inf
