import json
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from stages import tokens
from stages.errors import DataError, SpecError
from stages.tokens import PIECE, Tokenize, TrainTokenizer, encoder, split

TEXTS = [
    "A situação não é fácil: três ações, 1.234,56 reais.\n\nOutra linha.",
    "The quick brown fox doesn't jump; it's 12:30.\tEnd.",
    "中文测试 🙂 cafe\u0301 \u202eabc\x00",
] * 20


def documents(texts):
    ids = pa.array([str(i) for i in range(len(texts))])
    return pa.record_batch({"id": ids, "text": pa.array(texts, pa.large_string())})


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A tokenizer trained by our own job."""
    home = tmp_path_factory.mktemp("tokenizer")
    pq.write_table(pa.Table.from_batches([documents(TEXTS)]), home / "documents.parquet")
    TrainTokenizer(vocabulary=320).run({"crawl": [home]}, home, home)
    return str(home / "tokenizer.json")


def reference(path, text):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True
    return tokenizer.encode(text, add_special_tokens=False).ids


def test_ids_are_those_of_the_reference_tokenizer_with_one_end_behind_each_document(path):
    added = Tokenize(tokenizer=path)(documents([*TEXTS[:3], ""]))
    assert added.column("tokens").to_pylist() == [
        *[[*reference(path, text), 0] for text in TEXTS[:3]],
        [0],
    ]


def test_the_column_is_the_one_declared_and_says_what_made_it(path):
    step = Tokenize(tokenizer=path)
    added = step(documents(TEXTS))
    assert added.schema.field("tokens").equals(step.adds[0], check_metadata=True)
    assert added.schema.field("tokens").metadata[b"vocabulary"] == b"320"
    assert added.schema.field("tokens").metadata[b"end"] == b"0"


def test_no_documents_give_no_tokens(path):
    added = Tokenize(tokenizer=path)(documents([]))
    assert added.num_rows == 0
    assert "tokens" in added.schema.names


@pytest.mark.parametrize("text", ["<|endoftext|>", "a <|endoftext|> b"])
def test_a_special_token_written_in_a_text_is_only_text(path, text):
    ids = Tokenize(tokenizer=path)(documents([text])).column("tokens").to_pylist()[0]
    assert ids.count(0) == 1
    assert Tokenizer.from_file(path).decode(ids) == text


HOSTILE = st.lists(
    st.text() | st.sampled_from(["\x00", "\u0301", "\u202e", " " * 9, "<|endoftext|>"])
)


@given(HOSTILE)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_fast_encoder_agrees_with_the_reference_on_any_text(path, texts):
    for fast, slow in zip(tokens._fast(path)(texts), tokens._reference(path)(texts), strict=True):
        np.testing.assert_array_equal(fast, slow)


@given(st.lists(st.sampled_from([*TEXTS[:3], "", "word " * 20_000]), max_size=4), st.integers(0, 4))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_result_does_not_depend_on_how_documents_are_batched(path, texts, cut):
    step = Tokenize(tokenizer=path)
    whole = step(documents(texts)).column("tokens").to_pylist()
    parts = [
        step(documents(part)).column("tokens").to_pylist() for part in (texts[:cut], texts[cut:])
    ]
    assert whole == parts[0] + parts[1]


@pytest.mark.parametrize("text", [" ".join(TEXTS) * 60, "palavra\n" * 20_000, "ação é " * 30_000])
def test_a_long_document_in_pieces_has_the_ids_of_the_whole(path, text):
    assert len(text) > 2 * PIECE
    pieces, firsts = split(["x", text])
    assert len(pieces) > 3
    assert firsts.tolist() == [0, 1, len(pieces)]
    assert max(map(len, pieces)) <= PIECE
    ids = Tokenize(tokenizer=path)(documents([text])).column("tokens").to_pylist()[0]
    assert ids == [*reference(path, text), 0]


@given(st.text(alphabet="a \n中\u0301", max_size=40), st.integers(1, 9_000))
@settings(max_examples=30, deadline=None)
def test_pieces_are_the_document(text, times):
    pieces, _ = split([text * times])
    assert "".join(pieces) == text * times
    assert max(map(len, pieces)) <= PIECE


def test_where_the_fast_encoder_refuses_a_tokenizer_the_reference_does_the_work(path, tmp_path):
    plain = json.loads(Path(path).read_text())
    plain["pre_tokenizer"] = {"type": "UnicodeScripts"}
    (tmp_path / "tokenizer.json").write_text(json.dumps(plain))
    with pytest.raises(ValueError, match="UnicodeScripts"):
        tokens._fast(str(tmp_path / "tokenizer.json"))
    ids, offsets = encoder(str(tmp_path / "tokenizer.json"))(["ab 中", ""])
    assert ids.tolist() == reference(str(tmp_path / "tokenizer.json"), "ab 中")
    assert offsets.tolist() == [0, ids.size, ids.size]


def test_training_a_tokenizer_twice_gives_the_same_file(tmp_path, path):
    pq.write_table(pa.Table.from_batches([documents(TEXTS)]), tmp_path / "documents.parquet")
    told = TrainTokenizer(vocabulary=320).run({"crawl": [tmp_path]}, tmp_path, tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == Path(path).read_bytes()
    assert told["numbers"]["vocabulary"] == 320


def test_a_sample_is_every_nth_document_over_shards(tmp_path):
    arrays = [pa.array([str(i) for i in range(a, b)]) for a, b in ((0, 4), (4, 5), (5, 11))]
    assert list(chain(*tokens._every(3, iter(arrays)))) == ["0", "3", "6", "9"]


def test_a_tokenizer_cannot_be_trained_on_nothing(tmp_path):
    pq.write_table(pa.Table.from_batches([documents([])]), tmp_path / "documents.parquet")
    with pytest.raises(DataError, match="no text"):
        TrainTokenizer().run({"crawl": [tmp_path]}, tmp_path, tmp_path)


def test_a_wrong_tokenizer_is_found_when_the_pipeline_is_planned(path, tmp_path):
    (tmp_path / "no.json").write_text("{}")
    with pytest.raises(SpecError, match="is not a tokenizer.json"):
        Tokenize(tokenizer=str(tmp_path / "no.json")).check()
    with pytest.raises(SpecError, match="No such file"):
        Tokenize(tokenizer=str(tmp_path / "absent.json")).check()
    with pytest.raises(SpecError, match="no token '</s>'"):
        Tokenize(tokenizer=path, end="</s>").check()
