"""Why the default mode and datatrove 0.10.1 differ about a document: every class of difference, by program."""

import re
from collections import Counter
from typing import Any

from stages.base import DROPPED, Batch, Stage
from stages.filter import PREFIX, Filter
from stages.measure import Measure
from stages.quality import CHINESE_AND_JAPANESE, C4Quality
from stages.segment import names

MODE: Any = "datatrove-0.10"
UNSPACED = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")  # kana and Han, in any language
Reasons = list[str | None]

# What datatrove does wrong, then what is defined otherwise.
ONCE = "its top n-gram occurs once"
BLANKS = "C4: words between blanks and stops of Latin script, in a script without them"
LENGTH = "words of Chinese or Japanese need three letters"
WRONG = (ONCE, BLANKS, LENGTH)
WHOLE = "spaCy keeps `f(x;y)` whole: alphabetic words within 0.02 of the bound"
OTHERWISE = "the words of jieba or Sudachi are not quite ours"
NEAR = "words are cut otherwise, both measures within a tenth of the bound"
FAR = "signs of code and tables are cut otherwise: runs of words, line feeds per word"
SENTENCES = "sentences are counted otherwise"
LINES = "C4: a line stays on one side only"
OTHER = "other"
MEANING = {
    ONCE: "datatrove takes the first n-gram as the most frequent where none occurs twice, so that a "
    "short text, almost any of under 25 words, repeats itself",
    BLANKS: "datatrove counts the words of a line by its blanks and knows no stop but those of ASCII, so "
    "that a sentence of Chinese or Japanese is one word, has no end, and leaves, until too few are left; "
    "with those lines it would have found sentences enough",
    LENGTH: "most words of Chinese and Japanese have one or two letters; datatrove asks for three in any "
    "language, bateia for none in these",
    WHOLE: "code without blanks is one word of spaCy's with a letter in it, and several signs and "
    "words to Unicode's rules and to bateia",
    OTHERWISE: "bateia's words of Chinese and Japanese are those of jieba and Sudachi but for some, so that a "
    "text just on one side of a bound is just on the other; so are those of Chinese within other languages",
    NEAR: "abbreviations, hyphens, clitics and signs are cut by other rules, so that a text just on one "
    "side of a bound is just on the other",
    FAR: "what has no blanks is one word of spaCy's and many words and marks of bateia's, so that they "
    "repeat themselves otherwise, and line feeds are shared among more or fewer of them",
    SENTENCES: "datatrove takes spaCy's sentencizer, which starts one behind any stop; bateia's begin "
    "with a letter or digit and know initials, ellipses and names of files (`c:\\autoexec.bat`)",
    LINES: "bateia knows policy phrases of 28 languages, quotation marks and stops of any script, and "
    "counts words when citations are gone; a line that stays may bring its brace",
    OTHER: "none of these",
}


def differences(
    default: Stage, strict: Stage, code: str, batch: Batch, theirs: Reasons, ours: Reasons
) -> dict[str, int]:
    """How many documents of a batch are judged otherwise, by class, the most frequent first.

    `default` and `strict`: our filter, and in datatrove's mode, whose verdicts are theirs.
    """
    rows = [at for at, (a, b) in enumerate(zip(theirs, ours, strict=True)) if bool(a) != bool(b)]
    found: Counter[str] = Counter()
    for at in rows:
        found[_class_of(default, strict, code, batch.slice(at, 1), ours[at])] += 1
    return dict(found.most_common())


def _class_of(default: Stage, strict: Stage, code: str, one: Batch, reason: str | None) -> str:
    """The class of a document that one side drops: ours, if there is a reason."""
    unspaced = code in CHINESE_AND_JAPANESE
    if not isinstance(default, Filter):
        return _class_of_lines(one, reason, unspaced)
    blame = reason or judged(strict, one)[0]
    if blame is None:
        return OTHER
    rule = blame.split(".")[1]
    if not reason and rule.startswith("top_") and _once(one, code, int(rule.split("_")[1])):
        return ONCE
    if not reason and unspaced and rule == "mean_word_length":
        return LENGTH
    bound = getattr(default, rule)
    pair = Measure(names=(rule, PREFIX[MODE] + rule))(one)
    values = [pair[name][0].as_py() for name in (rule, PREFIX[MODE] + rule)]
    if rule == "alphabetic_words" and any(abs(value - bound) <= 0.02 for value in values):
        return WHOLE
    text = one["text"][0].as_py()
    if unspaced or len(UNSPACED.findall(text)) > len(text) / 10:
        return OTHERWISE
    ends = [end for end in (bound if isinstance(bound, tuple) else (bound,)) if end]
    if any(all(abs(value - end) <= end / 10 for value in values) for end in ends):
        return NEAR
    return FAR if rule == "newlines_per_word" or "_gram" in rule else OTHER


def _class_of_lines(one: Batch, reason: str | None, unspaced: bool) -> str:
    """The same for C4."""
    blame = reason or judged(C4Quality(mode=MODE), one)[0]
    if unspaced and not reason and blame == "c4.sentences":
        # Whether it is short of sentences only for the lines that it leaves out; those may have braces.
        lenient = C4Quality(
            mode=MODE, words_per_line=None, no_terminal_punctuation=False, curly_bracket=False
        )
        if judged(lenient, one)[0] is None:
            return BLANKS
    return SENTENCES if blame == "c4.sentences" else LINES


def _once(one: Batch, code: str, n: int) -> bool:
    """Whether no run of n of datatrove's words occurs twice in the text."""
    from datatrove.utils.text import split_into_words

    words = split_into_words(one["text"][0].as_py(), names()[code])
    grams = Counter(" ".join(words[at : at + n]) for at in range(len(words) - n + 1))
    return max(grams.values(), default=0) < 2


def judged(step: Stage, batch: Batch) -> Reasons:
    """Why a filter drops each document, its measures taken before."""
    out = step(Measure(names=step.measures)(batch) if step.measures else batch)
    reasons: Reasons = out[DROPPED.name].to_pylist()
    return reasons
