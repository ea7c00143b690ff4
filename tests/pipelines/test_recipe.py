"""Pipeline files: strict YAML, and every mistake named by its file, line and path."""

import pytest

from pipelines.graph import Flow, Pipeline
from pipelines.recipe import parse
from stages.errors import SpecError
from stages.language import LanguageFilter
from stages.perplexity import TrainPerplexity
from stages.quality import GopherQuality
from tests.steps import Count, Lines, Longer, Upper

GOOD = """
name: demo
max_errors: 0.02
flows:
  crawl:
    from: [{stages.read.Text: {paths: "*.txt"}}]
    stages:
      - stages.clean.NormalizeText
      - stages.quality.GopherQuality: {words: [5, 1000], alphabetic_words: null}
  all:
    from: [crawl]
    stages: [stages.dedup.ExactDedup]
"""


def load(text):
    return Pipeline.loads(text, "demo.yaml")


def test_yaml_and_python_are_the_same_object():
    pipeline = load(GOOD)
    assert Pipeline.loads(pipeline.dump(), "again.yaml") == pipeline
    assert pipeline.flows["crawl"].steps[1] == GopherQuality(words=(5, 1000), alphabetic_words=None)
    assert list(pipeline.order()) == ["crawl", "all"]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("words: [5, 1000]", "words: [5, few]", r"demo.yaml:9: flows.crawl.stages\[1\].GopherQuality.words\[1\]: .*got 'few'"),
        ("words: [5, 1000]", "wrds: [5, 1000]", r"demo.yaml:9: .*GopherQuality.wrds: unknown key; did you mean 'words'\?"),
        ("GopherQuality", "GopherQualty", r"demo.yaml:9: .*there is no step 'stages.quality.GopherQualty'; did you mean stages.quality.GopherQuality\?"),
        ("stages.quality.GopherQuality", "stages.qualty.GopherQuality", r"demo.yaml:9: .*no module 'stages.qualty'"),
        ("stages.clean.NormalizeText", "os.system", r"demo.yaml:8: .*'os.system' is not under stages., training., evaluation."),
        ("max_errors: 0.02", "max_error: 0.02", r"demo.yaml:3: max_error: unknown key; did you mean 'max_errors'\?"),
        ("max_errors: 0.02", "max_errors: few", r"demo.yaml:3: max_errors: expected a number, got 'few'"),
        ("from: [crawl]", "from: [crwl]", r"demo.yaml:11: flows.all.from\[0\]: 'crwl' is neither a flow nor a source; did you mean 'crawl'\?"),
        ("from: [crawl]", "from: [all]", r"demo.yaml:11: .*flows feed themselves: all -> all"),
        ("from: [crawl]", "from: []", r"demo.yaml:11: .*needs at least one source or flow"),
        ("stages: [stages.dedup.ExactDedup]", "stages: [stages.read.Text: {paths: x}]", r"demo.yaml:12: .*a source stands under `from`"),
        ("name: demo", "name: demo\nname: twice", r"demo.yaml:3: name: this key stands twice"),
        ("name: demo", "nam: demo", r"demo.yaml:2: nam: unknown key; did you mean 'name'\?"),
        ("name: demo", "name: ../demo", r"name: '../demo' is not a plain name"),
        ("max_errors: 0.02", "max_errors: !!python/object:os.system x", r"demo.yaml:3: .*tag .* is not allowed"),
        ("from: [crawl]", "from: [*crawl]", r"demo.yaml:11: found undefined alias"),
    ],
)  # fmt: skip
def test_every_mistake_is_named_by_its_place(old, new, message):
    assert old in GOOD
    with pytest.raises(SpecError, match=message):
        load(GOOD.replace(old, new))


def test_a_file_that_is_not_there_or_not_text_says_so(tmp_path):
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        Pipeline.load(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="is not UTF-8 text"):
        Pipeline.load(tmp_path / "bytes.yaml")


def test_norwegian_and_times_stay_strings():
    data, _ = parse("a: [no, 12:30:45, 012, 1e9, 20e9, true, null, 2026-01-01]", "x")
    assert data == {"a": ["no", "12:30:45", "012", 1e9, 20e9, True, None, "2026-01-01"]}


def test_aliases_are_refused_before_they_multiply():
    with pytest.raises(SpecError, match="aliases"):
        parse("a: &a [x]\nb: [*a, *a]", "x")


@pytest.mark.parametrize(
    "flows, message",
    [
        ({"a": Flow([Lines(paths="x")], [Count()])}, "a job reads flows"),
        ({"a": Flow([Lines(paths="x")], [Upper()]), "b": Flow(["a"], [Count(), Count()])}, "ends its flow"),
        ({"a": Flow([Lines(paths="x")]), "b": Flow(["a"], [Count()]), "c": Flow(["b"], [Upper()])}, "ends in no documents"),
    ],
)  # fmt: skip
def test_steps_that_do_not_fit_together_are_refused(flows, message):
    with pytest.raises(SpecError, match=message):
        Pipeline("p", flows)


def test_a_missing_column_is_found_before_work_starts():
    with pytest.raises(SpecError, match=r"flows.a.stages\[0\].Needy: needs the column 'language'"):
        Pipeline("p", {"a": Flow([Lines(paths="x")], [Needy()])})


def test_a_column_that_a_job_needs_of_documents_is_missed_before_work_starts():
    flows = {"a": Flow([Lines(paths="x")]), "b": Flow(["a"], [TrainPerplexity()])}
    with pytest.raises(SpecError, match=r"flows.b.stages\[0\].TrainPerplexity: needs the column"):
        Pipeline("p", flows)
    flows["a"] = Flow([Lines(paths="x")], [LanguageFilter()])
    assert Pipeline("p", flows).order() == ["a", "b"]


class Needy(Longer):
    """Needs what nobody adds."""

    needs = ("text", "language")


def test_a_step_made_in_python_is_no_less_strict():
    with pytest.raises(SpecError, match=r"p: flows.a.stages\[0\].GopherQuality.words: .*got 'few'"):
        Pipeline("p", {"a": Flow([Lines(paths="x")], [GopherQuality(words="few")])})
