"""The command `bateia`.

Exit codes: 0 ok, 3 finished with quarantine above the pipeline's soft limit, 4 the pipeline cannot
run as written, 5 failed, 130 cancelled.
"""

import argparse
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from deploy import bounds, index
from deploy.settings import own_packages, store_url
from deploy.tune import tuning_commands

Command = Callable[[str, Callable[[Any], int], str], argparse.ArgumentParser]
EPILOG = (
    "exit codes: 0 ok, 3 too much quarantined, 4 the pipeline cannot run, 5 failed, 130 cancelled"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    own_packages()
    from stages.errors import Error

    options = parser().parse_args(arguments)
    try:
        code: int = options.action(options)
    except Error as error:
        print(f"bateia: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("bateia: cancelled; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"bateia: {error}", file=sys.stderr)
        return 5
    except Exception as error:
        if type(error).__module__ == "obstore.exceptions":  # denied, not there, no answer
            print(f"bateia: object store: {str(error).partition(chr(10))[0]}", file=sys.stderr)
            return 5
        traceback.print_exc()
        print(
            "bateia: this is a fault of bateia or of a step; the lines above say where",
            file=sys.stderr,
        )
        return 5
    return code


def _interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001 -- a signal handler's signature
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    """The grammar of the command line; docs/cli.md is generated from it."""
    top = argparse.ArgumentParser(
        prog="bateia", description="From raw crawls to trained models.", epilog=EPILOG
    )
    commands = top.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, action: Callable[[Any], int], about: str) -> argparse.ArgumentParser:
        found = commands.add_parser(name, help=about, description=about, epilog=EPILOG)
        found.set_defaults(action=action)
        found.add_argument(
            "--store",
            default=store_url(),
            help="folder or object-store URL of results (default: %(default)s)",
        )
        return found

    _on_recipes(command)
    _on_runs(command)
    tuning_commands(command)
    _others(command)
    return top


def _on_recipes(command: Command) -> None:
    demo = command(
        "demo", _demo, "Fetch a small real crawl, run the demo recipe on it, write its report."
    )
    _running(demo)
    demo.add_argument(
        "--tier", default="demo", help="which demo crawl to fetch (default: %(default)s)"
    )
    plan = command(
        "plan", _plan, "Check a recipe and say what running it would do, and what is done already."
    )
    plan.add_argument("recipe", type=Path, help="a pipeline file: see docs/recipes.md")
    plan.add_argument("--input", help="read these paths in place of every source's own")
    _allowing(plan)
    run = command("run", _run, "Run a recipe; what is done already is found and reused.")
    run.add_argument("recipe", type=Path, help="a pipeline file: see docs/recipes.md")
    _running(run)
    _submitting(
        command(
            "submit",
            _submit,
            "Run a recipe through Ray Jobs on a cluster, and follow it to its end.",
        )
    )


def _on_runs(command: Command) -> None:
    report = command("report", _report, "Write the report of a run as HTML and JSON.")
    report.add_argument(
        "run", nargs="?", default="latest", help="a run's id, a pipeline's name, or latest"
    )
    report.add_argument("--to", type=Path, help="folder to write report.html and report.json to")
    explain = command(
        "explain",
        _explain,
        "Tell the story of one document: measures, rules, verdicts, the copy kept.",
    )
    explain.add_argument("run", help="a run's id, a pipeline's name, or latest")
    explain.add_argument("document", help="its URL or id")
    explain.add_argument("--json", action="store_true", help="the whole story, as JSON")
    about = "Derive bounds by language for each filter of a run, from what the run measured."
    bounds.arguments(command("thresholds", bounds.derive, about))
    verify = command(
        "verify",
        _verify,
        "Prove a run from the store alone: checksums, and in = kept + dropped + quarantined.",
    )
    verify.add_argument(
        "run", nargs="?", default="latest", help="a run's id, a pipeline's name, or latest"
    )
    verify.add_argument(
        "--repair", action="store_true", help="take torn results off the shelf, to be made again"
    )


def _others(command: Command) -> None:
    stages = command("stages", _stages, "List every step with its fields, defaults and meaning.")
    stages.add_argument("name", nargs="?", help="only steps whose name contains this")
    stages.add_argument("--json", action="store_true", help="as JSON schema")
    gc = command("gc", _gc, "Delete every result that none of the last runs names.")
    gc.add_argument(
        "--keep", type=int, default=10, help="how many runs to keep (default: %(default)s)"
    )
    gc.add_argument("--dry", action="store_true", help="only say what would be freed")
    about = "List the crawls in an index of what earlier ones kept; forget one; merge its files."
    index.arguments(command("index", index.tend, about))
    fetch = command("fetch", _fetch, "Fetch the demo crawl, or files of Common Crawl by id.")
    fetch.add_argument("crawl", help="xs, s, m, demo, or an id such as CC-MAIN-2026-40")
    fetch.add_argument("--to", type=Path, required=True, help="folder to write to")
    fetch.add_argument(
        "--kind",
        choices=["warc", "wet"],
        default="warc",
        help="of Common Crawl: pages, or their text (default: %(default)s)",
    )
    fetch.add_argument(
        "--count", type=int, default=1, help="how many files of Common Crawl (default: %(default)s)"
    )


def _running(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input", help="read these paths (or globs) in place of every source's own"
    )
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        action="store_true",
        help="a process pool on this machine (the default); starts no Ray",
    )
    where.add_argument(
        "--in-process",
        action="store_true",
        help="everything in this process: for debugging; nothing is isolated",
    )
    where.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="local",
        help="Ray tasks: on the cluster at this address, `auto`, or a new local one",
    )
    command.add_argument(
        "--workers", type=int, help="how many workers (default: one for each core)"
    )
    command.add_argument("--name", help="the run's id (default: pipeline, time and a random part)")
    _allowing(command)
    command.add_argument("--quiet", action="store_true", help="no progress")


def _allowing(command: argparse.ArgumentParser, more: str = "") -> None:
    command.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="PACKAGE",
        help=f"let the recipe name steps of this package too{more}",
    )


def _submitting(command: argparse.ArgumentParser) -> None:
    command.add_argument("recipe", type=Path, help="a pipeline file: see docs/recipes.md")
    command.add_argument(
        "--address", required=True, help="of the cluster's dashboard, such as http://head:8265"
    )
    command.add_argument("--input", help="read these paths in place of every source's own")
    command.add_argument("--name", help="the run's id and the job's")
    command.add_argument(
        "--from-image",
        action="store_true",
        help="use the code in the cluster's image; ship the recipe only",
    )
    command.add_argument(
        "--insecure", action="store_true", help="submit although the cluster asks for no token"
    )
    _allowing(command, ", and ship it")


def _demo(options: argparse.Namespace) -> int:
    from deploy.demo import demo

    return demo(options, _execute)


def _run(options: argparse.Namespace) -> int:
    return _execute(options.recipe, options)


def _execute(recipe: Path, options: argparse.Namespace) -> int:
    """Run a recipe as the options say, write its report, say what happened."""
    from deploy.story import summary, write_report
    from pipelines.graph import Pipeline
    from pipelines.progress import Progress
    from pipelines.report import quarantined, report
    from pipelines.runs import run
    from pipelines.store import Store
    from stages.config import homes

    pipeline = Pipeline.load(recipe, options.input, homes(options.allow))
    store, runner, progress = Store(options.store), _runner(options), Progress()
    try:
        done = run(
            pipeline,
            store,
            runner,
            name=options.name,
            **({} if options.quiet else {"watch": progress}),
        )
    finally:
        progress.close()
        runner.close()
    data = report(done)
    page = write_report(done, data)
    print(summary(data))
    print(f"run     {done.id}\nreport  {page}")
    came, broken = quarantined(data)
    if broken > pipeline.max_quarantine * max(came, 1):
        print(
            f"bateia: {broken:,} of {came:,} documents were quarantined, more than max_quarantine "
            f"({pipeline.max_quarantine:g}) allows; see the report",
            file=sys.stderr,
        )
        return 3
    return 0


def _runner(options: argparse.Namespace) -> Any:
    from pipelines.runner import InProcess, OnRay, Pool

    if options.in_process:
        return InProcess()
    if options.ray:
        return OnRay(None if options.ray == "local" else options.ray, options.workers)
    return Pool(options.workers)


def _plan(options: argparse.Namespace) -> int:
    from pipelines.forecast import forecast
    from pipelines.graph import Pipeline
    from pipelines.store import Store
    from stages.config import homes

    pipeline = Pipeline.load(options.recipe, options.input, homes(options.allow))
    for line in forecast(pipeline, Store(options.store)):
        print(line)
    return 0


def _report(options: argparse.Namespace) -> int:
    from deploy.story import summary, write_report
    from pipelines.report import report
    from pipelines.runs import Run
    from pipelines.store import Store

    found = Run.open(Store(options.store), options.run)
    data = report(found)
    print(summary(data))
    print(f"report  {write_report(found, data, options.to)}")
    return 0


def _explain(options: argparse.Namespace) -> int:
    from deploy.story import tell
    from pipelines.audit import explain
    from pipelines.runs import Run
    from pipelines.store import Store

    story = explain(Run.open(Store(options.store), options.run), options.document)
    print(
        json.dumps(story, ensure_ascii=False, indent=1, default=str)
        if options.json
        else tell(story)
    )
    return 0


def _verify(options: argparse.Namespace) -> int:
    from pipelines.audit import verify
    from pipelines.runs import Run
    from pipelines.store import Store

    found = Run.open(Store(options.store), options.run)
    wrongs = list(verify(found, repair=options.repair))
    for wrong in wrongs:
        print(wrong)
    results = len(found.results())
    print(
        f"{found.id}: {results:,} results, {len(wrongs)} faults"
        + ("" if wrongs else ": every checksum holds and every document is accounted for")
    )
    return 5 if wrongs else 0


def _stages(options: argparse.Namespace) -> int:
    from deploy.catalogue import catalogue, schema

    print(json.dumps(schema(options.name), indent=1) if options.json else catalogue(options.name))
    return 0


def _gc(options: argparse.Namespace) -> int:
    from pipelines.audit import sweep
    from pipelines.store import Store

    freed = sweep(Store(options.store), options.keep, dry=options.dry)
    verb = "would free" if options.dry else "freed"
    print(
        f"{verb} {freed['results']:,} results, {freed['bytes'] / 1e6:,.1f} MB; {freed['kept']:,} results are in use"
    )
    return 0


def _submit(options: argparse.Namespace) -> int:
    from deploy.cluster import submit

    return submit(
        options.recipe, options.address, options.store, options.input,
        ship=not options.from_image, name=options.name, insecure=options.insecure, allow=options.allow,
    )  # fmt: skip


def _fetch(options: argparse.Namespace) -> int:
    from deploy.fetch import fetch_crawl, fetch_demo

    if options.crawl.startswith("CC-MAIN-"):
        print(fetch_crawl(options.crawl, options.kind, options.count, options.to))
    else:
        print(fetch_demo(options.to, options.crawl))
    return 0


if __name__ == "__main__":
    sys.exit(main())
