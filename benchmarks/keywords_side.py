"""What others do with the same lists; runs in an environment of its own, by path.

python keywords_side.py FOLDER: reads texts.json, terms.json, urls.json; writes theirs.json
"""

import json
import sys
import time
from pathlib import Path


def clock(work):
    """The result of some work and its CPU seconds."""
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def bad_words(home, rows):
    """Verdicts of datatrove's C4BadWordsFilter with the lists of the folder."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import c4_filters

    c4_filters.cached_asset_path_or_download = lambda url, **_: home / "lists" / Path(url).name
    step = c4_filters.C4BadWordsFilter(fail_on_missing_language=False)
    documents = [
        Document(text=row["text"], id="", metadata={"language": row["language"]}) for row in rows
    ]
    for document in documents:
        step._get_badwords(document.metadata["language"])
    return clock(lambda: [step.filter(document) is not True for document in documents])


def urls(found):
    """Reasons of datatrove's URLFilter with its integrated lists, and how long they took to load."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import URLFilter
    from tldextract import TLDExtract

    step = URLFilter()
    step.tldextractor = TLDExtract(suffix_list_urls=())  # the snapshot in the package, no download
    step.download_data()  # unpacked once
    step = URLFilter()
    step.tldextractor = TLDExtract(suffix_list_urls=())
    _, loading = clock(step.download_data)
    documents = [Document(text="x", id="", metadata={"url": url}) for url in found]

    def judge():
        verdicts = (step.filter(document) for document in documents)
        return ["" if verdict is True else verdict[1] for verdict in verdicts]

    return *clock(judge), loading


def whole(text, start, end):
    """Whether no letter or digit stands on either side."""
    before = start == 0 or not (text[start - 1].isalnum() and text[start].isalnum())
    return before and (end == len(text) or not (text[end].isalnum() and text[end - 1].isalnum()))


def pyahocorasick(terms, rows):
    import ahocorasick

    automaton = ahocorasick.Automaton()
    for term in terms:
        automaton.add_word(term, len(term))
    automaton.make_automaton()

    def one(text):
        text = text.lower()
        hits = automaton.iter(text)
        return sum(whole(text, end + 1 - size, end + 1) for end, size in hits)

    return clock(lambda: [one(row["text"]) > 0 for row in rows])


def ahocorasick_rs(terms, rows):
    import ahocorasick_rs

    automaton = ahocorasick_rs.AhoCorasick(terms)

    def one(text):
        text = text.lower()
        hits = automaton.find_matches_as_indexes(text, overlapping=True)
        return sum(whole(text, start, end) for _, start, end in hits)

    return clock(lambda: [one(row["text"]) > 0 for row in rows])


def main():
    home = Path(sys.argv[1])
    rows, terms, found = (
        json.loads((home / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("texts", "terms", "urls")
    )
    results = {
        "bad_words": bad_words(home, rows),
        "urls": urls(found),
        "pyahocorasick": pyahocorasick(terms, rows),
        "ahocorasick_rs": ahocorasick_rs(terms, rows),
    }
    (home / "theirs.json").write_text(json.dumps(results), encoding="utf-8")


if __name__ == "__main__":
    main()
