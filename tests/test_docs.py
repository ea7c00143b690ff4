"""What is written about the project is true of it."""

import contextlib
import io
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.catalogue import catalogue, defaults, meanings, steps
from deploy.cli import parser
from pipelines import Pipeline
from pipelines.plan import passes
from pipelines.report import report
from pipelines.tasks import KINDS
from stages.errors import SpecError
from stages.filter import Filter
from stages.measure import ABOUT, MEASURES
from tests.crawls import page, write_crawl

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "pipelines" / "recipes" / "demo.yaml"
MADE = runpy.run_path(str(ROOT / "docs" / "make.py"), run_name="docs")["pages"]()
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
written = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, *languages: str) -> list[str]:
    """The fenced blocks of a page in some languages."""
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    return [body for language, body in found if language in languages]


def commands(page: Path, program: str) -> list[str]:
    """The lines of shell blocks that start a program, prompt and comment taken off."""
    lines = "\n".join(blocks(page, "", "sh", "bash", "console")).replace("\\\n", " ").splitlines()
    bare = [line.strip().removeprefix("$ ").split("  #")[0] for line in lines]
    return [line for line in bare if line.startswith(f"{program} ")]


@pytest.mark.parametrize("name", MADE)
def test_pages_made_from_the_code_are_those_of_this_code(name):
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == MADE[name], "run `make docs`"


@written
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    here = [target for target in targets if target and "://" not in target]

    assert [target for target in here if not (page.parent / target).exists()] == []


@written
def test_make_knows_what_readers_are_told_to_make(page):
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))

    assert {line.split()[1] for line in commands(page, "make")} <= known


@written
def test_commands_that_readers_are_told_to_type_are_understood(page):
    refused = []
    for line in commands(page, "bateia"):
        complaint = io.StringIO()
        try:
            with contextlib.redirect_stderr(complaint), contextlib.redirect_stdout(complaint):
                parser().parse_args(shlex.split(line)[1:])
        except SystemExit as end:
            refused += [f"{line}: {complaint.getvalue()}"] if end.code else []

    assert refused == []


@written
def test_recipes_that_readers_are_shown_are_recipes(page):
    for text in blocks(page, "yaml"):
        if text.lstrip().startswith(("name:", "#")) and "flows:" in text:
            problem = ""
            try:
                Pipeline.loads(text, page.name)
            except SpecError as wrong:
                problem = str(wrong)
            # the reader's own files are not here
            assert not problem or "no such file" in problem.lower()


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / target.split("#")[0]).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }

    assert [page.name for page in PAGES if page.parent != ROOT and page not in linked] == []


def test_every_step_and_every_measure_has_its_place_on_the_page_of_stages():
    headings = re.findall(r"^## (\S+)$", MADE["stages.md"], re.M)
    measures = MADE["stages.md"].partition("## Measures")[2]

    assert headings == [*steps(), "Measures"]
    assert re.findall(r"^\| `(\w+)` \|", measures, re.M) == list(MEASURES)
    for name, kind in steps().items():
        part = MADE["stages.md"].partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", part, re.M) == [*defaults(kind)]


def test_a_rule_of_a_filter_is_told_by_its_measure():
    filters = [kind for kind in steps().values() if issubclass(kind, Filter)]

    assert filters
    for kind in filters:
        for name in kind().measures:
            assert meanings(kind)[name] == ABOUT[name]


def test_the_command_lists_every_step_there_is():
    listed = catalogue().splitlines()

    assert [line.split()[0] for line in listed if re.match(r"\S", line)] == list(steps())


def test_the_recipe_in_the_readme_is_part_of_the_demo():
    (shown,) = blocks(ROOT / "README.md", "yaml")
    lines = iter(RECIPE.read_text(encoding="utf-8").splitlines())

    assert [
        line for line in shown.splitlines() if line.strip() != "..." and line not in lines
    ] == []


def test_the_pipeline_in_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_crawl(tmp_path / "crawl" / "a.warc.gz", [(f"http://a.test/{n}", page(n)) for n in "ab"])
    code = next(code for code in blocks(ROOT / "README.md", "python") if "Pipeline(" in code)
    names = execute(code)

    assert names["done"].record["state"] == "succeeded"
    assert report(names["done"])["flows"][0]["stages"][0]["in"] == 2


def test_the_stage_in_the_readme_is_all_that_is_needed(tmp_path):
    code = next(code for code in blocks(ROOT / "README.md", "python") if "Stage" in code)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "shouting.py").write_text(code, encoding="utf-8")
    (tmp_path / "quiet.txt").write_text("Olá, mundo. Nobody shouts here.")
    (tmp_path / "loud.txt").write_text("OLÁ, MUNDO. ÉVERYBODY SHOUTS.")
    (tmp_path / "empty.txt").write_text("")
    source, stage = "{stages.read.Text: {paths: '*.txt'}}", "mine.shouting.Capitals: {share: 0.2}"
    recipe = f"name: mine\nflows:\n  all: {{from: [{source}], stages: [{stage}]}}\n"
    (tmp_path / "my.yaml").write_text(recipe, encoding="utf-8")
    bateia = [sys.executable, "-m", "deploy.cli"]
    plan, run = (
        subprocess.run(
            [*bateia, *command, "my.yaml", "--allow", "mine"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )
        for command in (["plan"], ["run", "--quiet"])
    )  # fmt: skip

    assert "mine: the recipe is sound" in plan.stdout, plan.stderr
    assert run.returncode == 0, run.stderr
    assert "Capitals                     1 stay; capitals.share 1" in run.stdout


def test_the_filter_that_contributors_are_shown_is_one():
    (code,) = blocks(ROOT / "CONTRIBUTING.md", "python")
    kind = execute(code)["NoLists"]

    assert set(kind().measures) <= MEASURES.keys()
    assert kind(lines=None).rules == (("short_lines", -float("inf"), 0.5),)


def test_the_demo_in_python_is_the_demo(monkeypatch):
    monkeypatch.chdir(ROOT)
    (code,) = blocks(ROOT / "docs" / "recipes.md", "python")

    assert execute(code)["pipeline"] == Pipeline.load(RECIPE)  # as the block itself asserts


def test_the_mistake_that_authors_are_shown_is_told_so():
    recipe = blocks(ROOT / "docs" / "recipes.md", "yaml")[0].replace("languages:", "langages:")
    (told,) = [b for b in blocks(ROOT / "docs" / "recipes.md", "") if "did you mean" in b]
    with pytest.raises(SpecError) as wrong:
        Pipeline.loads(recipe, "portuguese.yaml")

    assert str(wrong.value) == told.strip()


def test_the_architecture_shows_the_passes_of_the_demo():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = [" ".join(b.split()) for b in blocks(ROOT / "docs" / "architecture.md", "")]
    (shown,) = [block for block in found if block.startswith("pass 1")]
    found = [part.strip() for part in re.split(r"pass \d+ ", shown)[1:]]
    wanted = []
    for work in passes("crawl", Pipeline.load(RECIPE).flows["crawl"]):
        steps = [type(step).__name__ for step in work.chain]
        first = [f"verdict of {type(work.entry).__name__}"] if work.entry else []
        last = [f"sketch of {type(work.exit).__name__}"] if work.exit else []
        wanted.append(" > ".join([*first, *steps, *last]))
    wanted[0] = f"read WARC > {wanted[0]}"

    assert found == wanted
    assert [
        kind for kind in KINDS if kind not in ("pass", "probe", "job") and kind not in text
    ] == []


def test_the_speed_in_the_readme_is_the_speed_that_was_measured():
    (told,) = re.findall(r"(\d+) times less CPU\s", (ROOT / "README.md").read_text())
    page = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")] for line in page.splitlines()]
    head = next(row for row in rows if "CPU ms per page" in row)
    ours = next(row for row in rows if "bateia, resiliparse" in row)

    assert int(told) == int(float(ours[head.index("times less")]))


def execute(code: str) -> dict[str, Any]:
    """What a block of a page defines."""
    names: dict[str, Any] = {"__name__": "readers_own"}
    exec(compile(code, "a block of a page", "exec"), names)
    return names
