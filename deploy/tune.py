"""The commands `tune` and `sample`: other thresholds for a run, and examples of what it did."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[[str, Callable[[Any], int], str], argparse.ArgumentParser]
RUN = "a run's id, a pipeline's name, or latest"


def tuning_commands(command: Command) -> None:
    """Add them to the grammar of the command line."""
    tune = command(
        "tune", _tune, "Move thresholds on a page, see what they would keep, write the recipe."
    )
    tune.add_argument("run", nargs="?", default="latest", help=RUN)
    tune.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FLOW.FILTER.RULE=BOUND",
        help="a bound, such as crawl.GopherQuality.words=[40,null]: say what it would keep, open no page",
    )
    tune.add_argument(
        "--apply", action="store_true", help="write these bounds, or those saved on the page"
    )
    tune.add_argument(
        "--recipe", type=Path, help="the pipeline file to write to (default: the one that was run)"
    )
    tune.add_argument("--port", type=int, default=0, help="of the page (default: any that is free)")
    sample = command(
        "sample", _sample, "Print examples of what a run dropped, kept or quarantined."
    )
    sample.add_argument("run", nargs="?", default="latest", help=RUN)
    sample.add_argument(
        "--verdict",
        choices=["dropped", "kept", "quarantined"],
        default="dropped",
        help="what became of them (default: %(default)s)",
    )
    sample.add_argument("--flow", help="only of this flow")
    sample.add_argument("--stage", help="only those that left at this stage")
    sample.add_argument("--reason", help="only those dropped by this rule, such as gopher.words")
    sample.add_argument("--language", help="only of this language")
    sample.add_argument(
        "--near",
        type=float,
        metavar="VALUE",
        help="those measured nearest to it; with `--verdict kept`, by the measure of --reason",
    )
    sample.add_argument("-n", type=int, default=10, help="how many (default: %(default)s)")
    sample.add_argument("--json", action="store_true", help="as JSON, texts whole")


def _tune(options: argparse.Namespace) -> int:
    from deploy.desk import Desk, serve
    from deploy.story import forecast
    from pipelines.bounds import setting
    from pipelines.runs import Run
    from pipelines.store import Store
    from stages.errors import SpecError

    desk = Desk(Run.open(Store(options.store), options.run), options.recipe)
    settings = dict(map(setting, options.set))
    if options.apply:
        settings = settings or desk.saved()
        if not settings:
            raise SpecError(
                f"{desk.run.id}: no bounds were saved on the page of `bateia tune`; give some: "
                f"--set crawl.GopherQuality.words=[40,null]"
            )
        print(desk.apply(settings), end="")
        print(f"written to {desk.recipe}; `bateia run` makes anew what depends on it")
        return 0
    if settings:
        for flow in sorted({name.partition(".")[0] for name in settings}):
            print(forecast(flow, desk.outlook(flow).numbers(settings)))
        print(desk.difference(settings), end="")
        return 0
    return serve(desk, options.port)


def _sample(options: argparse.Namespace) -> int:
    from deploy.story import example
    from pipelines.runs import Run
    from pipelines.sampling import Wanted, sample
    from pipelines.store import Store

    wanted = Wanted(
        options.verdict,
        options.flow,
        options.stage,
        options.reason,
        options.language,
        options.near,
    )
    found = sample(Run.open(Store(options.store), options.run), wanted, options.n)
    if options.json:
        print(json.dumps(found, ensure_ascii=False, indent=1, default=str))
    else:
        print("\n".join(map(example, found)) if found else "no such document")
    return 0
