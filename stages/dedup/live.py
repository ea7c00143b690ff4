"""An index for services that ask about one document at a time: its near copies, by datasketch in Redis."""

from typing import Any
from urllib.parse import urlsplit

import numpy as np

from stages.base import REMEMBERED
from stages.dedup.index import Index, View
from stages.dedup.minhash import list_buffers
from stages.errors import DataError, SpecError
from stages.kernels.minhash import permutations, signatures_of_sets

BASENAME = b"bateia"  # what the keys in Redis begin with


def lookup(terms: dict[str, Any], url: str) -> Any:
    """The `datasketch.MinHashLSH` at a redis:// URL, for an index with these terms of its table `near`.

    It is asked with `MinHash(hashvalues=signature, scheme="affine32")`, where `MinHashDedup.sign` makes
    the signature, and answers with names as reports give them: `crawl:number:id`.
    """
    from datasketch import MinHashLSH

    place = urlsplit(url)
    if place.scheme != "redis" or not place.hostname:
        raise SpecError(f"{url}: expected redis://host:port/database")
    where = {"host": place.hostname, "port": place.port or 6379, "db": int(place.path[1:] or 0)}
    if place.password:
        where["password"] = place.password
    return MinHashLSH(
        num_perm=terms["bands"] * terms["rows"],
        params=(terms["bands"], terms["rows"]),
        storage_config={"type": "redis", "basename": BASENAME, "redis": where},
    )


def fill(index: Index, url: str) -> int:
    """Bring every document of an index into Redis that is not there yet; how many there are."""
    from datasketch import MinHash

    manifest = index.manifest()
    terms = manifest.terms.get("near")
    if terms is None:
        raise DataError(f"{index.url}: holds no documents that MinHashDedup kept")
    lsh = lookup(terms, url)
    drawn = permutations(terms["bands"] * terms["rows"], terms["seed"])
    view = View(index.url, manifest.version, tuple(crawl.digest for crawl in manifest.crawls))
    count = 0
    with lsh.insertion_session() as session:
        for place, crawl in enumerate(manifest.crawls):
            first = REMEMBERED | place << 32
            docs = np.arange(first, first + crawl.documents, dtype=np.uint64)
            names = view.names(docs)
            for shown in view.shingles(docs):
                signed = signatures_of_sets(*list_buffers(shown["evidence"]), *drawn)
                for doc, row in zip(shown["doc"].to_pylist(), signed, strict=True):
                    if names[doc] not in lsh:
                        session.insert(names[doc], MinHash(hashvalues=row, scheme="affine32"))
                    count += 1
    return count
