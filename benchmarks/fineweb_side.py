"""The filters of datatrove 0.2.0 with NLTK 3.8.1, as FineWeb was made; in an environment of its own, by path.

python fineweb_side.py TEXTS.json OUT.json: the reason of each text and the CPU seconds, by filter

NLTK's model of English is read from the package that has it without a pickle.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import nltk
import nltk.tokenize
from datatrove.data import Document
from datatrove.pipeline.filters.c4_quality_filter import C4QualityFilter
from datatrove.pipeline.filters.fineweb_quality_filter import FineWebQualityFilter
from datatrove.pipeline.filters.gopher_quality_filter import GopherQualityFilter
from datatrove.pipeline.filters.gopher_repetition_filter import GopherRepetitionFilter
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from punkt import load_model


def main() -> None:
    texts = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    read_model()
    filters = {
        "GopherQuality": GopherQualityFilter(),
        "GopherRepetition": GopherRepetitionFilter(),
        "C4Quality": C4QualityFilter(),
        "FineWebQuality": FineWebQualityFilter(None),
    }
    found = {name: judge(step, texts) for name, step in filters.items()}
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")


def read_model() -> None:
    """Put the model where NLTK's own functions would look for its download."""
    model, learned, words = load_model("english"), PunktParameters(), NLTKWordTokenizer()
    for name in ("abbrev_types", "collocations", "sent_starters"):
        setattr(learned, name, set(getattr(model, name)))
    learned.ortho_context.update({kind: int(seen) for kind, seen in model.ortho_context.items()})
    punkt = PunktSentenceTokenizer(learned)

    def sent_tokenize(text: str, *_: str, **__: str) -> list[str]:
        return punkt.tokenize(text)

    def word_tokenize(text: str, *_: str, **__: str) -> list[str]:
        return [token for sentence in punkt.tokenize(text) for token in words.tokenize(sentence)]

    for module in (nltk, nltk.tokenize):
        module.sent_tokenize, module.word_tokenize = sent_tokenize, word_tokenize


def judge(step: Any, texts: list[str]) -> dict[str, Any]:
    documents = [Document(text=text, id="") for text in texts]
    step.filter(Document(text="A text to warm up.", id=""))
    begin = time.process_time()
    verdicts = [step.filter(document) for document in documents]
    spent = time.process_time() - begin
    reasons = [None if verdict is True else verdict[1] for verdict in verdicts]
    return {"reasons": reasons, "seconds": spent}


if __name__ == "__main__":
    main()
