"""Make what the default mode cuts Chinese and Japanese with, and measure how well it does.

    python -m benchmarks.taught --documents FILE.parquet [--texts FILE ...] [--unseen FILE ...]

`stages/kernels/han.npz` is jieba's dictionary and model, for `stages.kernels.han`; `borders.npz` the
weights for `stages.kernels.borders`, learned from the words that Sudachi cuts in Japanese documents
(columns `text` and `language`; without those that `benchmarks.verdicts` judges) and in text files. Files
are UTF-8, a paragraph per line, named for their language (`ja_...`). The same input makes the same bytes.
"""

import argparse
import time
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numba import njit

from benchmarks.page import ROOT, circumstances, keep, table, words
from benchmarks.verdicts import SAMPLE
from stages import segment
from stages.kernels import borders as bd
from stages.kernels import han as hn
from stages.kernels import unspaced as us
from stages.kernels.characters import SINGLE, Bytes, Table, decode
from stages.kernels.characters import table as characters
from stages.kernels.hashing import string_buffers

HOME = ROOT / "stages" / "kernels"
LEAST = (2, 3, 4)  # times that a letter, a pair, a triple must have come
EPOCHS, RATE, SURE = 6, 0.2, 0.02
LANES, BEFORE = 4, (1, 0, 0)  # an n-gram touches four places, the first so many before it
HEAD = ("language", "text", "words", "F1 of words", "places", "MB/s")
Codes: TypeAlias = npt.NDArray[np.uint64]
Numbers: TypeAlias = npt.NDArray[np.int64]


class Stream(NamedTuple):
    """Runs of letters, each between what stands beside it, and a 0 between runs."""

    points: npt.NDArray[np.uint32]
    labels: npt.NDArray[np.int8]  # 1: a word begins here; 0: none does; -1: it need not be said


def main() -> None:
    """Make both files, and rewrite the section of docs/benchmarks.md."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--documents", type=Path, required=True)
    parser.add_argument("--texts", type=Path, nargs="*", default=[], help="learned from as well")
    parser.add_argument("--unseen", type=Path, nargs="*", default=[], help="only measured on")
    options = parser.parse_args()
    about = circumstances("bateia", "jieba", "sudachipy", "sudachidict_core", "numba")
    held, others = parted(options.documents, "ja")
    texts = [lines(path) for path in options.texts]
    write_han()
    write_borders([others, *texts])
    us.models.cache_clear()
    rows = [measured("zh", "documents held out", parted(options.documents, "zh")[0])]
    rows.append(measured("ja", "documents held out", held))
    rows += [measured(path.name[:2], path.stem[3:], lines(path)) for path in options.unseen]
    text = f"""
## Words of Chinese and Japanese in the default mode

`python -m benchmarks.taught`: the words of `stages.kernels.unspaced` beside those of jieba and of Sudachi,
mode A, within runs of Han and kana. "F1 of words": of the words of both sides, those that are the
same; "places": between two letters, those on which they agree. MB of text per second of CPU, of the
cutting alone. The documents are of the kind that it learned from, the other texts are not.

{table(HEAD, rows)}

{words(about)}
"""
    keep("taught", {"about": about, "rows": rows}, text)


def parted(path: Path, code: str) -> tuple[pa.Array, pa.Array]:
    """The documents of a language that verdicts are compared on, and all others."""
    documents = pq.read_table(path, columns=["text", "language"])
    some = documents.filter(pc.equal(documents["language"], code))["text"]
    some = some.filter(pc.not_equal(some, "")).combine_chunks().cast(pa.large_string())
    order = np.random.default_rng(0).permutation(len(some))
    held, others = some.take(np.sort(order[:SAMPLE])), some.take(order[SAMPLE:])
    return held, others.filter(pc.invert(pc.is_in(others, held)))


def lines(path: Path) -> pa.Array:
    """The paragraphs of a text file."""
    found = path.read_text(encoding="utf-8").splitlines()
    return pa.array([line for line in found if line], pa.large_string())


def write_han() -> None:
    """jieba's words of Han with their costs, in order, each as what it adds to the one before."""
    import jieba  # type: ignore[import-untyped]
    from jieba import finalseg

    frequencies, total = jieba.Tokenizer.gen_pfdict(jieba.get_module_res("dict.txt"))
    kept = sorted(
        word
        for word, many in frequencies.items()
        if many and all(hn.FIRST <= ord(letter) <= hn.LAST for letter in word)
    )
    shared = [_shared(a, b) for a, b in zip(["", *kept], kept, strict=False)]
    added = "".join(word[same:] for word, same in zip(kept, shared, strict=True))
    points = np.array([ord(letter) for letter in added])
    counts = np.array([frequencies[word] for word in kept])
    states = "BMES"
    span = [chr(point) for point in range(hn.FIRST, hn.LAST + 1)]
    chances = {
        "begins": [finalseg.start_P[state] for state in states],
        "turns": [[finalseg.trans_P[a].get(b, -np.inf) for b in states] for a in states],
        "emits": [[finalseg.emit_P[s].get(letter, -np.inf) for s in states] for letter in span],
    }
    np.savez_compressed(
        HOME / "han.npz",
        shared=np.array(shared, np.uint8),
        added=np.array([len(w) - n for w, n in zip(kept, shared, strict=True)], np.uint8),
        high=(points >> 8).astype(np.uint8),
        low=(points & 0xFF).astype(np.uint8),
        costs=_costs(np.log(total) - np.log(counts)),
        total=_costs(np.log([total]))[0],
        **{name: _costs(-np.array(logs)) for name, logs in chances.items()},
    )


def _shared(a: str, b: str) -> int:
    """How many letters two words begin with alike."""
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1
    return same


def _costs(logs: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Integers; what cannot be is NEVER. An impossible one is -3.14e100 in jieba."""
    return np.minimum(np.round(np.minimum(logs, 1e9) * hn.UNIT), hn.NEVER).astype(np.uint32)


def write_borders(texts: list[pa.Array]) -> None:
    """Learn where Sudachi parts words, and keep it as numbers of eight bits."""
    parts = [streamed(text) for text in texts]
    points = np.concatenate([part.points for part in parts])
    labels = np.concatenate([part.labels for part in parts])
    grams, ids = vocabulary(points)
    edges = np.cumsum([0, *map(len, grams)])
    weights = np.zeros((edges[-1], LANES))
    scripts = np.zeros(bd.SCRIPTS)
    windows = windows_of(points)
    learn(labels, ids, np.array(BEFORE), windows, weights, scripts)
    scale = 127 / np.quantile(np.abs(weights[weights != 0]), 0.999)
    small = np.clip(np.round(weights * scale), -127, 127).astype(np.int8)
    columns = [
        np.stack([codes >> np.uint64(21 * n) & np.uint64(0x1FFFFF) for n in reversed(range(size))])
        for size, codes in enumerate(grams, 1)
    ]
    np.savez_compressed(
        HOME / "borders.npz",
        letters=columns[0][0].astype(np.uint32),
        pairs=columns[1].T.astype(np.uint32),
        triples=columns[2].T.astype(np.uint32),
        weights=small,
        scripts=np.round(scripts * scale).astype(np.int16),
    )


def streamed(texts: pa.Array) -> Stream:
    """The runs of texts, and where Sudachi's words begin in them."""
    from stages.kernels.japanese import cut_japanese
    from stages.sudachi import model

    offsets, data = string_buffers(texts)
    begins, ends, _ = cut_japanese(data, offsets, segment.marks(), *model())
    edges = np.zeros(len(data) + 1, np.int8)
    edges[begins] = edges[ends] = 1
    return Stream(*runs(data, offsets, characters(), edges, us.room()))


@njit(cache=True)  # type: ignore[untyped-decorator]
def runs(
    data: Bytes, offsets: Numbers, table: Table, edges: npt.NDArray[np.int8], room: us.Room
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int8]]:
    """The stream of all runs of letters of Chinese and Japanese."""
    points = np.zeros(2 * len(data) + 1, np.uint32)
    labels = np.full(len(points), -1, np.int8)
    at = 1
    for row in range(len(offsets) - 1):
        here, end = offsets[row], offsets[row + 1]
        while here < end:
            point, size = decode(data, here, end)
            if not (table[point] & SINGLE and us.in_words(point)):
                here += size
                continue
            many, here = us.read(data, offsets[row], here, end, table, us.JAPANESE, room)
            points[at : at + many + 2] = room.points[1 : many + 3]
            labels[at + 2 : at + many + 1] = edges[room.places[1:many]]
            at += many + 3
    return points[:at], labels[:at]


def vocabulary(points: npt.NDArray[np.uint32]) -> tuple[list[Codes], Numbers]:
    """The n-grams that come often, and which of them begins at each place (n x places), -1 for none.

    A triple is looked for only where its first pair is known.
    """
    letters = points.astype(np.uint64)
    codes, grams, ids, first = letters, [], [], 0
    whole = letters > 0
    for size, least in enumerate(LEAST, 1):
        if size > 1:
            codes = codes.copy()
            codes[: 1 - size] = codes[: 1 - size] << np.uint64(21) | letters[size - 1 :]
            whole = whole.copy()
            whole[: 1 - size] &= letters[size - 1 :] > 0
            whole[1 - size :] = False
        known, counts = np.unique(codes[whole], return_counts=True)
        known = known[counts >= least]
        if size == 3:
            known = known[np.isin(known >> np.uint64(21), grams[1])]
        place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        ids.append(np.where(whole & (known[place] == codes), place + first, -1))
        grams.append(known)
        first += len(known)
    return grams, np.stack(ids)


def windows_of(points: npt.NDArray[np.uint32]) -> Numbers:
    """The scripts of the three letters before each place and the three behind it, as one number."""
    scripts = np.pad(bd.script_of(points).astype(np.int64), 3)
    windows = np.zeros(len(points), np.int64)
    for before in range(6):
        windows = windows * 4 + scripts[before : before + len(points)]
    return windows


@njit(cache=True)  # type: ignore[untyped-decorator]
def learn(
    labels: npt.NDArray[np.int8],
    ids: Numbers,
    before: Numbers,
    windows: Numbers,
    weights: npt.NDArray[np.float64],
    scripts: npt.NDArray[np.float64],
) -> None:
    """Logistic regression by stochastic gradients with steps of Adagrad (Duchi et al. 2011)."""
    np.random.seed(0)
    said = np.nonzero(labels >= 0)[0]
    squares, more = np.full(weights.shape, 0.5), np.ones(len(scripts))
    block = 256
    for _ in range(EPOCHS):
        for part in np.random.permutation((len(said) + block - 1) // block):
            for place in said[part * block : (part + 1) * block]:
                score = scripts[windows[place]]
                for size in range(len(ids)):
                    for lane in range(LANES):
                        at = place + before[size] - lane
                        if 0 <= at < len(labels) and ids[size, at] >= 0:
                            score += weights[ids[size, at], lane]
                slope = 1 / (1 + np.exp(-score)) - labels[place]
                if abs(slope) < SURE:
                    continue
                window = windows[place]
                more[window] += slope * slope
                scripts[window] -= RATE * slope / np.sqrt(more[window])
                for size in range(len(ids)):
                    for lane in range(LANES):
                        at = place + before[size] - lane
                        if 0 <= at < len(labels) and ids[size, at] >= 0:
                            gram = ids[size, at]
                            squares[gram, lane] += slope * slope
                            weights[gram, lane] -= RATE * slope / np.sqrt(squares[gram, lane])


def measured(code: str, name: str, texts: pa.Array) -> tuple[object, ...]:
    """One row of HEAD."""
    offsets, data = string_buffers(texts)
    teacher: Any = segment.Chinese() if code == "zh" else segment.Japanese()
    edges = teacher_edges(teacher, data, offsets)
    customs = us.CHINESE if code == "zh" else us.JAPANESE
    cutter = us.cutter()
    compare(data, offsets[:2], characters(), edges, customs, cutter)
    begin = time.process_time()
    same, mine, theirs, agreed, places = compare(
        data, offsets, characters(), edges, customs, cutter
    )
    spent = time.process_time() - begin
    size = len(data) / 1e6
    return (
        code,
        name,
        theirs,
        f"{2 * same / (mine + theirs):.2%}",
        f"{agreed / places:.2%}",
        (size / spent),
    )


def teacher_edges(teacher: Any, data: Bytes, offsets: Numbers) -> npt.NDArray[np.int8]:
    """1 at each byte where a token begins or ends."""
    from stages.kernels.chinese import cut_chinese
    from stages.kernels.japanese import cut_japanese
    from stages.sudachi import model

    if isinstance(teacher, segment.Chinese):
        begins, ends, _ = cut_chinese(data, offsets, segment.marks(), segment.dictionary())
    else:
        begins, ends, _ = cut_japanese(data, offsets, segment.marks(), *model())
    edges = np.zeros(len(data) + 1, np.int8)
    edges[begins] = edges[ends] = 1
    return edges


@njit(cache=True)  # type: ignore[untyped-decorator]
def compare(
    data: Bytes,
    offsets: Numbers,
    table: Table,
    edges: npt.NDArray[np.int8],
    customs: int,
    cutter: us.Cutter,
) -> tuple[int, int, int, int, int]:
    """Words that both cut, words of ours and of theirs, places agreed on, and places."""
    same, mine, theirs, agreed, places = 0, 0, 0, 0, 0
    for row in range(len(offsets) - 1):
        here, end = offsets[row], offsets[row + 1]
        while here < end:
            point, size = decode(data, here, end)
            if not (table[point] & SINGLE and us.in_words(point)):
                here += size
                continue
            many, here = us.read(data, offsets[row], here, end, table, customs, cutter.room)
            us.mark_words(many, customs, cutter)
            alike = True  # the words that end here began at one place
            for last in range(many):
                our = cutter.room.ends[last] == 1
                their = last + 1 == many or edges[cutter.room.places[last + 1]] == 1
                same += our and their and alike
                alike = (our and their) or (alike and our == their)
                mine, theirs = mine + our, theirs + their
                agreed, places = agreed + (our == their), places + 1
    return same, mine, theirs, agreed, places


if __name__ == "__main__":
    main()
