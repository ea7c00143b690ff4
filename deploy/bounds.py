"""The command `bateia thresholds`."""

import argparse


def arguments(command: argparse.ArgumentParser) -> None:
    """What it takes."""
    command.add_argument(
        "run", nargs="?", default="latest", help="a run's id, a pipeline's name, or latest"
    )
    command.add_argument(
        "--like",
        default="en",
        metavar="LANGUAGE",
        help="lose by each bound the share of documents that the recipe's bound loses in this "
        "language (default: %(default)s)",
    )
    command.add_argument(
        "--keep", type=float, metavar="SHARE", help="keep this share by each bound instead: 0.95"
    )
    command.add_argument(
        "--least",
        type=int,
        default=300,
        help="documents that a language must have (default: %(default)s)",
    )


def derive(options: argparse.Namespace) -> int:
    """Print what to put into the recipe."""
    from pipelines.runs import Run
    from pipelines.store import Store
    from pipelines.thresholds import blocks, thresholds

    run = Run.open(Store(options.store), options.run)
    for line in blocks(list(thresholds(run, options.like, options.keep, options.least))):
        print(line)
    return 0
