# ruff: noqa: RUF001 -- Chinese has its own comma
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import stages.codes
import stages.language
from stages.base import part
from stages.codes import language_code, scripts_of
from stages.config import dump_step, fingerprint, load_step
from stages.errors import SpecError
from stages.kernels.hashing import string_buffers
from stages.kernels.linear import predict, read
from stages.kernels.linear import score as score_labels
from stages.kernels.sample import cut_rows, sample, stretches
from stages.kernels.scripts import names, script_table
from stages.kernels.stopwords import languages as with_stop_words
from stages.language import LanguageFilter, MixedLanguage, ScriptFilter, default_model, load

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
@given(
    texts=st.lists(st.text(max_size=60), max_size=5),
    characters=st.integers(1, 30),
    parts=st.integers(1, 5),
)
def test_a_sample_is_stretches_in_order_that_cut_no_character(texts, characters, parts):
    offsets, data = string_buffers(column(*texts))
    spans = np.empty((len(texts), parts, 2), np.int64)
    cut_rows(offsets, data, characters, spans)
    lines, _ = sample(column(*texts), characters, parts)
    for text, row, line in zip(texts, spans.tolist(), lines.to_pylist(), strict=True):
        pieces = [data[start:stop].tobytes().decode() for start, stop in row]
        shown = " ".join("".join(" " if c < " " or c == "\x7f" else c for c in p) for p in pieces)
        assert line.decode().replace(" /s>", "</s>") == shown + "\n"
        edges = [edge for span in row for edge in span]
        assert edges == sorted(edges)
        if len(text) <= characters:
            assert pieces == [text, *[""] * (parts - 1)]
        else:
            shares = [characters // parts + (part < characters % parts) for part in range(parts)]
            assert pieces[0] == text[: shares[0]]
            assert all(len(p) <= share for p, share in zip(pieces, shares, strict=True))


@settings(deadline=None)
@given(texts=st.lists(st.text(max_size=60), max_size=5), length=st.integers(1, 20))
def test_stretches_lie_one_behind_the_other_and_short_texts_have_none(texts, length):
    lines, letters, rows = stretches(column(*texts), length, 4)
    for at, text in enumerate(texts):
        own = [lines[line].as_py().decode()[:-1] for line in np.flatnonzero(rows == at)]
        assert len(own) == (0 if len(text) <= length else min(4, -(-len(text) // length)))
        assert all(len(piece) <= length for piece in own)
        rest = text.translate({**dict.fromkeys(range(32), " "), 127: " "})
        for piece in own:
            assert piece.replace(" /s>", "</s>") in rest
            rest = rest[rest.index(piece.replace(" /s>", "</s>")) + len(piece) :]
    assert len(letters) == len(lines) == len(rows)


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


@pytest.mark.parametrize(
    "label, code",
    [
        ("__label__pt", "pt"),
        ("__label__por_Latn", "pt"),
        ("glg_Latn", "gl"),
        ("__label__cmn_Hani", "zh"),
        ("__label__zho_Hant", "zh"),
        ("__label__yue_Hant", "yue"),
        ("__label__arb_Arab", "ar"),
        ("__label__arz_Arab", "arz"),
        ("__label__nob_Latn", "no"),
        ("__label__nno_Latn", "nn"),
        ("__label__als_Latn", "sq"),
        ("__label__als", "als"),
        ("__label__zxx_Zxxx", "und"),
        ("__label__ayl_Arab", "ayl"),
        ("__label__hq", "hq"),
    ],
)
def test_labels_of_any_model_become_the_same_codes(label, code):
    assert language_code(label) == code


def test_every_code_of_stop_words_and_of_the_default_model_has_a_script():
    known = {one.removeprefix("__label__") for one in load(default_model()).getLabels("strict")[0]}
    assert {*known, *with_stop_words()} <= scripts_of().keys()
    assert {one for many in scripts_of().values() for one in many} <= set(names())
    text = Path(stages.codes.__file__).with_name("codes.txt").read_text("utf-8")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    longer = [code for row in rows for code in row[1].split(",") if code != "-"]
    assert len(longer) == len(set(longer)), "a code of three letters means one language"


def test_a_model_with_labels_of_language_and_script_gives_and_takes_codes(tmp_path):
    import fasttext

    lines = tmp_path / "lines.txt"
    lines.write_text("__label__por_Latn a b c d\n__label__cmn_Hani A B C D\n" * 50)
    path = str(tmp_path / "glot.bin")
    fasttext.train_supervised(str(lines), dim=4, epoch=50, lr=1.0, thread=1, verbose=0).save_model(
        path
    )
    stage = LanguageFilter(model=path, languages=("pt",), score=0.5)
    stage.check()
    assert stage(batch("a b", "A B"))["language"].to_pylist() == ["pt", "zh"]
    with pytest.raises(SpecError, match=r"languages\[0\]: .*'por_Latn'; did you mean 'pt'"):
        LanguageFilter(model=path, languages=("por_Latn",)).check()


def test_a_language_has_a_bound_of_its_own():
    stage = LanguageFilter(languages=("pt", "en"), score=0, scores={"pt": 1.0})
    stage.check()
    kept, dropped, _ = part(stage(batch(TEXTS["pt"], TEXTS["en"])))
    assert kept["language"].to_pylist() == ["en"]
    assert dropped["dropped"].to_pylist() == ["language.score"]
    with pytest.raises(SpecError, match=r"scores\.es: 'es' is not one of `languages`"):
        LanguageFilter(languages=("pt",), scores={"es": 0.5}).check()
    with pytest.raises(SpecError, match=r"scores\.por: .*no language 'por'"):
        LanguageFilter(scores={"por": 0.5}).check()
    with pytest.raises(SpecError, match=r"scores"):
        load_step({"stages.language.LanguageFilter": {"scores": {"pt": 70}}}, "here")


SCRIPTS = [
    ("Olá, mundo! 123 ½ 😀", "Latn", 1.0),
    ("Привет, мир", "Cyrl", 1.0),
    ("مرحبا بالعالم", "Arab", 1.0),
    ("नमस्ते दुनिया", "Deva", 1.0),
    ("中文字符", "Hani", 1.0),
    ("日本語の文字です", "Jpan", 1.0),
    ("안녕하세요 세계", "Hang", 1.0),
    ("Γειά abcd", "Grek", 0.5),
    ("ภาษาไทย", "Thai", 1.0),
    ("12.5 / 99 😀", "Zyyy", 0.0),
    ("", "Zyyy", 0.0),
]


def test_the_script_of_a_text_is_named_with_its_share():
    out = ScriptFilter(of_language=False, share=0)(batch(*(text for text, _, _ in SCRIPTS)))
    assert out["script"].to_pylist() == [script for _, script, _ in SCRIPTS]
    assert out["script_share"].to_pylist() == pytest.approx(
        [share for *_, share in SCRIPTS], abs=0.06
    )
    assert out["dropped"].null_count == len(SCRIPTS)


def test_scripts_are_those_of_unicode():
    import regex

    for name in names()[1:]:
        kinds = ("Hira", "Kana") if name == "Jpan" else (name,)
        pattern = regex.compile("[" + "".join(rf"\p{{Script={kind}}}" for kind in kinds) + "]")
        number = names().index(name)
        for point in [*range(0, 0x3000, 7), *range(0x3000, 0x20000, 97)]:
            assert (script_table()[point] == number) == bool(pattern.match(chr(point))), hex(point)


def test_a_text_in_a_script_that_its_language_is_not_written_in_leaves():
    rows = batch("Olá", "Привет", "namaste", "zdravo", "здраво", "漢字", "x")
    codes = ["pt", "pt", "hi", "sr", "sr", "ja", None]
    rows = rows.append_column("language", pa.array(codes, pa.string()))
    assert ScriptFilter()(rows)["dropped"].to_pylist() == [
        None,
        "script.language",
        "script.language",
        *[None] * 4,
    ]
    assert ScriptFilter(scripts=("Cyrl",))(rows)["dropped"].to_pylist() == [
        "script.not_wanted",
        "script.language",
        "script.not_wanted",
        "script.not_wanted",
        None,
        "script.not_wanted",
        "script.not_wanted",
    ]
    mixed = batch("Привет мир hello")
    assert part(ScriptFilter(of_language=False, share=0.7)(mixed))[1]["dropped"].to_pylist() == [
        "script.share"
    ]
    with pytest.raises(SpecError, match=r"scripts\[0\]: .*'Latin'; did you mean 'Latn'"):
        ScriptFilter(scripts=("Latin",)).check()


def test_a_text_in_two_languages_is_mixed_and_one_in_one_is_not():
    pt, en = TEXTS["pt"] * 20, TEXTS["en"] * 20
    rows = batch(pt, en, pt + " " + en, TEXTS["pt"], "")
    labelled = LanguageFilter()(rows)
    shares = MixedLanguage()(labelled)["other_language"].to_pylist()
    assert shares[:2] == [0, 0]
    assert 0.3 < shares[2] < 0.7
    assert shares[3:] == [0, 0]
    dropped = part(MixedLanguage(at_most=0.2)(labelled))[1]
    assert (dropped["id"].to_pylist(), dropped["dropped"].to_pylist()) == (
        ["2"],
        ["language.mixed"],
    )
    assert dropped["value"].to_pylist() == [shares[2]]


def trained(path, **options):
    import fasttext

    lines = path.with_suffix(".txt")
    lines.write_text(
        "__label__pt o gato não está em casa\n__label__en the cat is not at home\n"
        "__label__zh 猫 不在 家\n__label__x \u0301e\u0301 😀\n" * 30
    )
    options = {"dim": 5, "epoch": 20, "lr": 0.5, "thread": 1, "verbose": 0, **options}
    model = fasttext.train_supervised(str(lines), **options)
    if path.suffix == ".ftz":
        model.quantize(str(lines), retrain=False, qnorm=True, cutoff=300, thread=1, verbose=0)
    model.save_model(str(path))
    return str(path)


MODELS = [
    ("words.bin", {}),
    ("runs.bin", {"minn": 1, "maxn": 4, "bucket": 300}),
    ("tree.bin", {"minn": 2, "maxn": 3, "bucket": 1000, "loss": "hs"}),
    ("pruned.ftz", {"minn": 2, "maxn": 3, "bucket": 1000, "loss": "hs", "dim": 7}),
    ("pairs.bin", {"wordNgrams": 2, "bucket": 100}),
    ("rows.bin", {"wordNgrams": 4, "minn": 2, "maxn": 3, "bucket": 5000}),
    ("pairs-tree.bin", {"wordNgrams": 2, "bucket": 1000, "loss": "hs"}),
    ("pairs-pruned.ftz", {"wordNgrams": 3, "bucket": 1000, "dim": 7}),
    ("default", {}),
]


@pytest.mark.parametrize("name, options", MODELS, ids=[name for name, _ in MODELS])
def test_the_kernel_says_what_the_library_says(tmp_path, name, options):
    path = default_model() if name == "default" else trained(tmp_path / name, **options)
    library = load(path)
    model = read(path, library)
    names = library.getLabels("strict")[0]

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(
            st.lists(
                st.one_of(
                    st.text(max_size=12),
                    st.sampled_from(["gato", "the", "casa", "家", "__label__pt"]),
                ),
                max_size=8,
            ).map(" ".join),
            min_size=1,
            max_size=5,
        )
    )
    def compare(texts):
        lines, _ = sample(column(*texts), 1000, 1)
        offsets, data = string_buffers(lines)
        numbers, chances = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.float32)
        predict(data, offsets, model, numbers, chances)
        every = np.zeros((len(texts), len(names)), np.float32)
        score_labels(data, offsets, model, np.arange(len(names)), every)
        labels, scores = library.multilinePredict(lines.to_pylist(), -1, 0.0, "strict")
        rows = zip(numbers, chances, every, labels, scores, strict=True)
        for number, chance, found, label, values in rows:
            by = dict(zip(label, values, strict=True))
            assert (number >= 0) == (len(label) > 0)
            np.testing.assert_allclose(found, [by.get(name, 0) for name in names], atol=1e-5)
            if len(label):
                assert chance == pytest.approx(values[0], abs=1e-5)
                close = len(values) > 1 and values[0] - values[1] < 1e-5
                assert names[number] in (label[:2] if close else label[:1])

    assert model is not None
    compare()


def test_a_model_that_the_kernel_does_not_know_is_left_to_the_library(tmp_path):
    path = trained(tmp_path / "ova.bin", loss="ova")
    assert read(path, load(path)) is None
    assert labels("o gato não está", "the cat is", "", model=path) == ["pt", "en", "und"]
