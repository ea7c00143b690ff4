"""A transformer's scores are its own, whatever stands beside a text."""

import pytest

from stages.embedding import EmbeddingClassifier
from stages.errors import SpecError
from tests.documents import ENGLISH, PORTUGUESE, documents
from tests.models import transformer

TEXTS = [ENGLISH, PORTUGUESE, "", "fox", f"{ENGLISH} {PORTUGUESE}" * 5, "rio " * 300]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("transformers")
    return {labels: str(transformer(home / str(labels), labels)) for labels in (1, 3)}


def plain(folder, text):
    """The outputs as transformers gives them for one text alone."""
    import torch
    from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{folder}/tokenizer.json")
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32").eval()
    taken = tokenizer(text, truncation=True, max_length=128, return_tensors="pt")
    with torch.inference_mode():
        return model(taken["input_ids"], attention_mask=taken["attention_mask"]).logits[0]


def test_scores_are_those_of_plain_transformers(folders):
    found = EmbeddingClassifier(model=folders[1], tokens=128)(documents(*TEXTS))["edu_score"]
    for text, score in zip(TEXTS, found.to_pylist(), strict=True):
        assert score == pytest.approx(float(plain(folders[1], text)[0]), abs=2e-4)
    assert len(set(found.to_pylist())) == len(TEXTS)


def test_with_a_label_the_score_is_its_probability(folders):
    step = EmbeddingClassifier(model=folders[3], tokens=128, label="LABEL_2", name="third")
    step.check()
    found = step(documents(*TEXTS))["third_score"].to_pylist()
    for text, score in zip(TEXTS, found, strict=True):
        assert score == pytest.approx(float(plain(folders[3], text).softmax(-1)[2]), abs=2e-4)


def test_a_score_does_not_depend_on_neighbours(folders):
    step = EmbeddingClassifier(model=folders[1], tokens=128, rows=4)
    alone = [step(documents(text))["edu_score"][0].as_py() for text in TEXTS]

    assert step(documents(*TEXTS, *TEXTS[::-1]))["edu_score"].to_pylist() == [*alone, *alone[::-1]]


def test_mistakes_in_fields_are_named(folders, tmp_path):
    with pytest.raises(SpecError, match=r"config\.json"):
        EmbeddingClassifier(model=str(tmp_path)).check()
    with pytest.raises(SpecError, match="name the one to score: LABEL_0, LABEL_1, LABEL_2"):
        EmbeddingClassifier(model=folders[3]).check()
    with pytest.raises(SpecError, match="no label 'edu'"):
        EmbeddingClassifier(model=folders[3], label="edu").check()
