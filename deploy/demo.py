"""The main job on real input, in one command: fetch a crawl, run the demo recipe, write its report."""

import argparse
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from deploy.fetch import fetch_demo
from stages.errors import DataError

CRAWL = Path("demo/crawl")


def recipe() -> Path:
    """The demo recipe as it was installed."""
    return Path(str(files("pipelines") / "recipes" / "demo.yaml"))


def demo(options: argparse.Namespace, execute: Callable[[Path, argparse.Namespace], int]) -> int:
    """Fetch unless the user brought a crawl, then run; the exit code."""
    if not options.input:
        try:
            fetch_demo(CRAWL, options.tier)
        except DataError as missing:
            raise DataError(
                f"{missing}\nThe demo runs on any crawl: `bateia demo --input 'folder/*.warc.gz'`, or "
                f"`bateia fetch CC-MAIN-... --to folder` where there is a network."
            ) from None
        options.input = str(CRAWL / "*.warc.gz")
    print(f"recipe  {recipe()}\ncrawl   {options.input}", flush=True)
    return execute(recipe(), options)
