"""Text to token ids: encoding by a `tokenizer.json`, and the training of one."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stages.base import Batch, File, Job, Stage, texts
from stages.config import digest_of, references
from stages.errors import DataError, SpecError
from stages.shards import DOCUMENTS

# What the tokenizers of our field call the end of a document, in order of preference.
ENDS = ("<|endoftext|>", "<|end_of_text|>", "<eos>", "</s>", "[SEP]")
PIECE = 1 << 16  # characters encoded at once; a 20 MB document costs `tokenizers` 2.5 GB whole
# Cut before a space between two words, else behind a line break: where a byte-level tokenizer
# parts words itself, so that the pieces' ids are the document's ids.
SEAMS = re.compile(r"(?s:.*)(?<=\w)(?= \w)"), re.compile(r"(?s:.*)(?<=\n)(?=\S)")
# How GPT-4o's tokenizer (o200k) parts words; fastokens has a scanner for exactly this pattern:
# 260 MB/s, against 11 MB/s for digits by themselves and then GPT-2's pattern.
WORDS = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
PROBE = ["", " Olá,  mundo!\n\n\t12 345,67 ½ don't", "ação cafe\u0301 中文テスト 🙂\u200b\x00é<s>"]

Encoder: TypeAlias = Callable[[list[str]], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Tokenize(Stage):
    """Add the column `tokens`: the ids of each text, and one end-of-document id behind them.

    Text is data: what looks like a special token (`<|endoftext|>`) is encoded as the characters it
    is made of. Documents of more than 65,536 characters are encoded in pieces, cut between words:
    the same ids as whole where the tokenizer parts words at spaces before it merges (every
    byte-level BPE); a run of that length without a space or a line break is cut where it stands.
    The column's metadata says `tokenizer` (digest), `vocabulary` and `end`.
    """

    tokenizer: File  # path of a tokenizer.json
    end: str | None = None  # the end-of-document token; None: the one the tokenizer is known to use

    @property
    def adds(self) -> tuple[pa.Field, ...]:
        if references(self):
            return (pa.field("tokens", pa.large_list(pa.int32())),)  # not trained yet: type unknown
        vocabulary, end = self._about
        token = pa.uint16() if vocabulary <= 1 << 16 else pa.int32()
        about = {"tokenizer": digest_of(self.tokenizer), "vocabulary": str(vocabulary)}
        return (pa.field("tokens", pa.large_list(token), metadata={**about, "end": str(end)}),)

    def check(self) -> None:
        _ = self._about

    @cached_property
    def _about(self) -> tuple[int, int]:
        """Ids there are, and the id that ends a document."""
        ids = vocabulary_of(self.tokenizer)
        end = self.end or next((name for name in ENDS if name in ids), None)
        if end is None:
            raise SpecError(f"end: {self.tokenizer} has none of {' '.join(ENDS)}: name its own")
        if end not in ids:
            raise SpecError(f"end: {self.tokenizer} has no token {end!r}")
        return max(ids.values()) + 1, ids[end]

    @cached_property
    def _encode(self) -> Encoder:
        return encoder(self.tokenizer)

    def __call__(self, batch: Batch) -> Batch:
        pieces, firsts = split(texts(batch))
        ids, offsets = self._encode(pieces)
        field, offsets = self.adds[0], offsets[firsts]
        ids = np.insert(
            ids.astype(field.type.value_type.to_pandas_dtype()), offsets[1:], self._about[1]
        )
        offsets = offsets + np.arange(offsets.size)
        column = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(ids))
        at = batch.schema.get_field_index("tokens")
        return batch.append_column(field, column) if at < 0 else batch.set_column(at, field, column)


def vocabulary_of(path: str) -> dict[str, int]:
    """Every token of a tokenizer.json and its id. SpecError if the file is not one."""
    try:
        plain = json.loads(Path(path).read_bytes())
        model = plain["model"]["vocab"]
        ids = model if isinstance(model, dict) else {row[0]: i for i, row in enumerate(model)}
        return ids | {token["content"]: token["id"] for token in plain["added_tokens"]}
    except OSError as wrong:
        raise SpecError(f"tokenizer: {path}: {wrong.strerror}") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise SpecError(f"tokenizer: {path} is not a tokenizer.json") from None


def split(documents: list[str]) -> tuple[list[str], np.ndarray]:
    """The pieces of all documents, none longer than PIECE, and where each document's pieces begin."""
    sizes = np.fromiter(map(len, documents), np.int64, len(documents))
    if not (sizes > PIECE).any():
        return documents, np.arange(len(documents) + 1)
    pieces: list[str] = []
    firsts = [0]
    for document in documents:
        pieces += _pieces(document)
        firsts.append(len(pieces))
    return pieces, np.array(firsts)


def _pieces(text: str) -> Iterator[str]:
    """Cut near the end of each stretch of PIECE characters, looking back a sixteenth of it."""
    start = 0
    while len(text) - start > PIECE:
        stop = start + PIECE
        found = (seam.match(text[stop - PIECE // 16 : stop + 2]) for seam in SEAMS)
        seam = next((match.end() for match in found if match), PIECE // 16)
        stop = min(stop, stop - PIECE // 16 + seam)
        yield text[start:stop]
        start = stop
    yield text[start:]


def encoder(path: str) -> Encoder:
    """Encode texts into all ids and the offset of each text's: fastokens, if its ids are the same.

    fastokens is 30 times as fast as `tokenizers` but does not know every tokenizer; where it is not
    installed, refuses the file or disagrees on a probe, `tokenizers` does the work.
    """
    slow = _reference(path)
    try:
        fast = _fast(path)
        same = all(map(np.array_equal, fast(PROBE), slow(PROBE)))
    except Exception:  # whatever it raises, the reference does the same work
        return slow
    return fast if same else slow


def _fast(path: str) -> Encoder:
    from fastokens import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()

    def encode(pieces: list[str]) -> tuple[np.ndarray, np.ndarray]:
        ids, offsets = tokenizer.encode_batch_flat(pieces, split_special_tokens=True)
        return np.frombuffer(ids, np.uint32), np.frombuffer(offsets, np.uint64).astype(np.int64)

    return encode


def _reference(path: str) -> Encoder:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True

    def encode(pieces: list[str]) -> tuple[np.ndarray, np.ndarray]:
        found = [
            np.array(e.ids, np.uint32)
            for e in tokenizer.encode_batch_fast(pieces, add_special_tokens=False)
        ]
        offsets = np.cumsum([0, *(ids.size for ids in found)])
        return np.concatenate([np.empty(0, np.uint32), *found]), offsets

    return encode


@dataclass(frozen=True, kw_only=True)
class TrainTokenizer(Job):
    """Train a byte-level BPE on the documents of the flows in `from`; writes `tokenizer.json`.

    Takes every n-th document, n the least that keeps the sample within `sample`, each cut at
    100,000 characters. Words are parted as by GPT-4o, in any script; no text is unknown. The same
    documents give the same file. A vocabulary of 8,192 suits a model of a few million parameters, 49,152 one of 100 million.
    """

    vocabulary: int = 16_384  # ids, the end-of-document token among them
    sample: int = 50_000_000  # bytes of text to learn from
    end: str = ENDS[0]  # the end-of-document token

    def check(self) -> None:
        if self.vocabulary < 257:
            raise SpecError("vocabulary: a byte-level tokenizer has at least 257 tokens")

    def run(
        self,
        inputs: Mapping[str, Sequence[Path]],
        output: Path,
        work: Path,  # noqa: ARG002
    ) -> dict[str, Any]:
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

        paths = [folder / DOCUMENTS for folders in inputs.values() for folder in folders]
        size = sum(pc.sum(pc.binary_length(text)).as_py() or 0 for text in _texts(paths))
        if not size:
            raise DataError("TrainTokenizer: the flows in `from` hold no text to learn from")
        step = -(-size // self.sample)
        tokenizer = Tokenizer(models.BPE())
        words = pre_tokenizers.Split(Regex(WORDS), "isolated")
        bytelevel = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, bytelevel])
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self.vocabulary,
            special_tokens=[self.end],
            initial_alphabet=sorted(bytelevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(_every(step, _texts(paths)), trainer)
        tokenizer.save(str(output / "tokenizer.json"), pretty=False)
        numbers = {"vocabulary": tokenizer.get_vocab_size(), "bytes": size, "every": step}
        return {"numbers": numbers, "series": [], "scores": []}


def _texts(paths: Sequence[Path]) -> Iterator[pa.Array]:
    """The texts of all shards, in order, a few at a time."""
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(1024, columns=["text"]):
                yield batch.column("text")


def _every(step: int, arrays: Iterator[pa.Array]) -> Iterator[list[str]]:
    """Each `step`-th text, cut to its first 100,000 characters."""
    seen = 0
    for array in arrays:
        chosen = array.take(pa.array(range(-seen % step, len(array), step), pa.int64()))
        yield pc.utf8_slice_codeunits(chosen, 0, 100_000).to_pylist()
        seen += len(array)
