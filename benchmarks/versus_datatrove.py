"""The same crawl, recipe and machine: what datatrove 0.10.1 costs, what bateia costs, who keeps what.

    python -m benchmarks.versus_datatrove [--crawl FOLDER] [--only stages|pipeline]

Rewrites its sections of docs/benchmarks.md. datatrove runs in an environment of its own, made from
`datatrove.lock` in a cache folder; the crawl is the demo's unless another is named.
"""

import argparse
from pathlib import Path

from benchmarks.ground import prepare
from benchmarks.versus_pipeline import EXTRACTORS, compare_pipelines
from benchmarks.versus_stages import compare_stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--crawl", type=Path, help="a folder of .warc.gz files")
    parser.add_argument("--only", choices=("stages", "pipeline"))
    parser.add_argument("--extractor", choices=EXTRACTORS, action="append")
    options = parser.parse_args()
    ground = prepare(options.crawl)
    if options.only != "pipeline":
        compare_stages(ground)
    if options.only != "stages":
        compare_pipelines(ground, options.extractor or EXTRACTORS)


if __name__ == "__main__":
    main()
