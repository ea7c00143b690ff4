# ruff: noqa: RUF001 -- Chinese has its own comma
import pickle

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.language
from stages.base import part
from stages.config import dump_step, fingerprint, load_step
from stages.errors import SpecError
from stages.kernels.sample import sample
from stages.language import LanguageFilter, default_model, load

TEXTS = {
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. São dotados de razão.",
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos, dotados de razón.",
    "zh": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。",
    "ar": "يولد جميع الناس أحراراً متساوين في الكرامة والحقوق، وقد وهبوا عقلاً وضميراً.",
}


def column(*texts):
    return pa.array(texts, pa.large_string())


def batch(*texts):
    return pa.record_batch({"id": [str(i) for i in range(len(texts))], "text": column(*texts)})


def labels(*texts, **fields):
    return LanguageFilter(**fields)(batch(*texts))["language"].to_pylist()


def test_languages_are_named_and_without_a_list_nothing_is_dropped():
    out = LanguageFilter()(batch(*TEXTS.values()))
    assert out["language"].to_pylist() == list(TEXTS)
    assert all(0.6 < score <= 1 for score in out["language_score"].to_pylist())
    assert [out.schema.field(field.name) for field in LanguageFilter().adds] == list(
        LanguageFilter().adds
    )
    assert part(out)[0].num_rows == len(TEXTS)


def test_what_is_not_wanted_or_not_sure_leaves_with_its_score():
    sure = LanguageFilter(languages=("pt", "en"), score=0.5)(batch(*TEXTS.values(), "..."))
    kept, dropped, broken = part(sure)
    assert kept["language"].to_pylist() == ["pt", "en"]
    assert dropped["dropped"].to_pylist() == ["language.not_wanted"] * 4
    assert dropped["value"].to_pylist() == dropped["language_score"].to_pylist()
    assert broken is None
    assert sure["value"].to_pylist()[:2] == [None, None]
    unsure = LanguageFilter(languages=("pt",), score=1.0)(batch(TEXTS["pt"]))
    assert part(unsure)[1]["dropped"].to_pylist() == ["language.score"]


@pytest.mark.parametrize("text", ["", " \n\t", "\x00", "12.5 / 99 !?", "\n" * 5000])
def test_a_text_without_a_letter_has_no_language(text):
    out = LanguageFilter()(batch(text))
    assert out["language"].to_pylist() == ["und"]
    assert out["language_score"].to_pylist() == [0.0]


def test_line_ends_and_end_of_sentence_marks_do_not_hide_the_text_behind_them():
    pt = TEXTS["pt"]
    hidden = [pt.replace(" ", "\n"), "</s> " + pt, "\x00" + pt.replace(" ", "\x00"), "a </s>" + pt]
    assert labels(*hidden) == ["pt"] * 4


def test_the_middle_of_a_long_text_is_looked_at():
    menu = "Home About Contact Products Services Sign in\n" * 3
    page = menu + TEXTS["pt"] * 50
    assert labels(page, characters=200) == ["pt"]


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=5), characters=st.integers(1, 30))
def test_a_sample_holds_the_beginning_and_the_middle_and_cuts_no_character(texts, characters):
    lines, _ = sample(column(*texts), characters)
    for text, line in zip(texts, lines.to_pylist(), strict=True):
        shown = "".join(" " if c < " " or c == "\x7f" else c for c in text).replace("</s>", " /s>")
        line = line.decode()
        assert line[-1] == "\n"
        if len(text) <= characters:
            assert line[:-2] == shown
        else:
            head = characters - characters // 2
            assert line[:head] == shown[:head]
            assert line[head + 1 : -1] in shown[head:]
            assert len(line) <= characters + 2


@settings(deadline=None, max_examples=50)
@given(texts=st.lists(st.text(max_size=80), max_size=6), cut=st.integers(0, 6))
def test_labels_do_not_depend_on_how_documents_are_batched(texts, cut):
    stage, rows = LanguageFilter(languages=("pt",), score=0.1), batch(*texts)
    parts = [stage(rows[:cut]), stage(rows[cut:])]
    assert pa.Table.from_batches([stage(rows)]).equals(pa.Table.from_batches(parts))


def test_labels_agree_with_the_public_call_of_fasttext():
    import fasttext

    model = fasttext.load_model(default_model())
    out = LanguageFilter()(batch(*TEXTS.values()))
    for text, label, score in zip(
        TEXTS.values(), out["language"], out["language_score"], strict=True
    ):
        labels, scores = model.predict(text)
        assert labels == ("__label__" + label.as_py(),)
        assert score.as_py() == pytest.approx(min(1, scores[0]), abs=1e-3)


def test_a_language_that_the_model_does_not_know_is_found_before_the_run():
    with pytest.raises(
        SpecError, match=r"here\.LanguageFilter\.languages\[1\]: .*'pt-BR'; did you mean 'pt'"
    ):
        load_step({"stages.language.LanguageFilter": {"languages": ["en", "pt-BR"]}}, "here")
    with pytest.raises(SpecError, match="score"):
        load_step({"stages.language.LanguageFilter": {"score": 65}}, "here")


def test_a_file_that_is_no_model_is_a_mistake_of_the_pipeline(tmp_path):
    bad = tmp_path / "model.bin"
    bad.write_bytes(b"no model")
    for path in (bad, tmp_path / "absent"):
        with pytest.raises(SpecError, match="not a fastText model"):
            LanguageFilter(model=str(path)).check()


def test_another_model_is_used_and_is_part_of_the_fingerprint(tmp_path):
    import fasttext

    lines = tmp_path / "lines.txt"
    lines.write_text("__label__lower a b c d\n__label__upper A B C D\n" * 50)
    path = tmp_path / "case.bin"
    fasttext.train_supervised(str(lines), dim=4, epoch=50, lr=1.0, thread=1, verbose=0).save_model(
        str(path)
    )
    stage = LanguageFilter(model=str(path), languages=("upper",), score=0.5)
    stage.check()
    kept, dropped, _ = part(stage(batch("A B", "a b")))
    assert (kept["id"].to_pylist(), dropped["id"].to_pylist()) == (["0"], ["1"])
    before = fingerprint(stage)
    path.write_bytes(path.read_bytes() + b"\0")
    assert fingerprint(stage) != before


def test_a_default_model_of_other_content_is_refused(monkeypatch):
    monkeypatch.setattr(stages.language, "LID176", "0" * 64)
    default_model.cache_clear()
    with pytest.raises(SpecError, match="reinstall"):
        default_model()
    default_model.cache_clear()


def test_the_stage_travels_without_its_model_which_is_loaded_once():
    stage = LanguageFilter(languages=("pt",))
    assert len(pickle.dumps(stage)) < 500
    assert load_step(dump_step(stage), "here") == stage
    assert load(stage.path) is load(pickle.loads(pickle.dumps(stage)).path)
    assert stage(batch()).schema.names == [
        "id",
        "text",
        "language",
        "language_score",
        "dropped",
        "value",
    ]
