"""The house keeps its floors: a module imports from its own floor's package or from below."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "stages": {"stages"},
    "pipelines": {"pipelines", "stages"},
    "training": {"training", "stages"},
    "evaluation": {"evaluation", "training", "stages"},
    "deploy": {"deploy", "evaluation", "training", "pipelines", "stages"},
}
HEAVY = {
    "datatrove",
    "presidio_analyzer",
    "ray",
    "spacy",
    "torch",
    "trafilatura",
    "transformers",
}
LIGHT_FLOORS = ("stages", "pipelines")  # reading a pipeline loads nothing heavy
MAX_MODULE = 400
MAX_FUNCTION = 50
PATHS = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]
UNSAFE = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"}
PLACES = re.compile(  # written so that this file does not find itself
    r"/[w]ork/(main|shared|\.)|/[f]arm/|/[r]oot/|/home/[a-z]+/|/[o]pt/(wheels|pypi)|[.]library/"
    r"|[p]ypi\.org|files\.[p]ythonhosted|registry\.[n]pmjs|[d]eb\.debian|[f]ind-links"
)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {dotted(path): path for path in PATHS}
every_module = pytest.mark.parametrize("path", PATHS, ids=dotted)


def imports(path: Path) -> set[str]:
    """The modules a module names, also those it imports only when a function runs."""
    found: set[str] = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: relative import"
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= within & MODULES.keys() or {node.module or ""}
    return found


def called(node: ast.AST) -> str:
    """`yaml.load` of a call of that name."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def tracked() -> Iterator[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:  # a tree without its history, such as an unpacked archive
        pytest.skip("not a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            yield ROOT / name


def test_every_floor_is_there():
    assert {path.relative_to(ROOT).parts[0] for path in PATHS} == MAY_IMPORT.keys()


@every_module
def test_imports_only_from_its_own_floor_or_below(path):
    package = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imports(path)} & MAY_IMPORT.keys()

    assert ours <= MAY_IMPORT[package]


def test_no_module_reaches_itself():
    graph = {
        name: sorted(imports(path) & MODULES.keys() - {name}) for name, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_reading_a_pipeline_loads_nothing_heavy():
    names = [name for name in MODULES if name.split(".")[0] in LIGHT_FLOORS]
    code = (
        "import importlib, json, sys\n"
        f"heavy, blamed = {sorted(HEAVY)!r}, {{}}\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        "    for library in [h for h in heavy if h in sys.modules and h not in blamed]:\n"
        "        blamed[library] = name\n"
        "print(json.dumps(blamed))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {}, "library: the module whose import loads it"


@every_module
def test_no_module_outgrows_a_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_MODULE


@every_module
def test_no_function_outgrows_a_screen(path):
    long = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            if lines > MAX_FUNCTION:
                long[node.name] = lines

    assert long == {}


@every_module
def test_nothing_is_loaded_that_could_run_code(path):
    loaded = {name.split(".")[0] for name in imports(path)} & UNSAFE
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
    for call in calls:
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        name = called(call)
        if name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec"}:
            loaded.add(f"{name}:{call.lineno}")
        if name == "torch.load" and options.get("weights_only") != "True":
            loaded.add(f"{name}:{call.lineno}")
        if options.get("allow_pickle") == "True" or options.get("shell") == "True":
            loaded.add(f"{name}:{call.lineno}")

    assert loaded == set()


@every_module
def test_every_kernel_is_compiled_once_per_machine(path):
    """Without cache=True each worker would spend seconds compiling before its first document."""
    uncached = []
    for node in ast.walk(tree(path)):
        for mark in getattr(node, "decorator_list", ()):
            written = ast.unparse(mark)
            if re.search(r"\b(njit|jit|vectorize|guvectorize)\b", written):
                uncached += [] if "cache=True" in written else [f"{node.name}: @{written}"]

    assert uncached == []


def test_no_tracked_file_names_a_place_that_only_one_machine_has():
    found = []
    for path in tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue  # images, word tables
        found += [
            f"{path.relative_to(ROOT)}:{at}: {PLACES.search(line).group()}"
            for at, line in enumerate(lines, 1)
            if len(line) < 10_000 and PLACES.search(line)
        ]

    assert found == []
