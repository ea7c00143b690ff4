"""The command `bateia index`: what an index of earlier crawls holds, and the care of it."""

import argparse


def arguments(command: argparse.ArgumentParser) -> None:
    """What can be said of an index."""
    command.add_argument("index", help="folder or object-store URL, as in `against`")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--remove", metavar="CRAWL", help="forget what this crawl kept")
    what.add_argument(
        "--compact",
        action="store_true",
        help="merge the tables of all crawls, and delete files that no recent version names",
    )
    what.add_argument(
        "--to",
        metavar="URL",
        help="bring its documents into the Redis at redis://host:port/database, for live look-ups",
    )


def tend(options: argparse.Namespace) -> int:
    """Change an index if asked to, then list what is in it."""
    from stages.dedup.compact import compact
    from stages.dedup.index import Index
    from stages.dedup.live import fill

    index = Index(options.index)
    manifest = index.manifest()
    if options.remove:
        manifest = index.remove(options.remove)
    if options.compact:
        manifest, freed = compact(index)
        print(f"freed {freed / 1e6:,.1f} MB")
    if options.to:
        print(f"{fill(index, options.to):,} documents are in {options.to}")
    for crawl in manifest.crawls:
        size = sum(file.bytes for file in crawl.files)
        print(f"{crawl.name}  {crawl.documents:,} documents, {size / 1e6:,.1f} MB")
    for table in sorted({part.table for part in manifest.parts}):
        parts = [part for part in manifest.parts if part.table == table]
        size = sum(part.rows.bytes + part.bloom.bytes for part in parts)
        rows = sum(part.rows.rows for part in parts)
        print(f"{table}  {rows:,} keys in {len(parts)} files, {size / 1e6:,.1f} MB")
    print(f"{options.index}: version {manifest.version}, {len(manifest.crawls)} crawls")
    return 0
