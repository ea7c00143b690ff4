"""What every barrier must keep: its decision is about the documents, not about how they lie in shards."""

import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stages.base import COPY_OF, DROPPED, VALUE, Barrier, Batch
from stages.errors import Error
from tests.contract.steps import dotted, example, kinds
from tests.contract.test_steps import NASTY, batch_for
from tests.documents import ENGLISH, PORTUGUESE

BARRIERS = pytest.mark.parametrize("kind", kinds(Barrier), ids=dotted)
DEDUPS = pytest.mark.parametrize(
    "kind",
    [kind for kind in kinds(Barrier) if kind.__module__.startswith("stages.dedup.")],
    ids=dotted,
)

LONG = " ".join(f"palavra{at} número {at * 7}" for at in range(120))
POOL = [  # copies, near copies, texts alone, texts with nothing in them
    *NASTY[:12],
    LONG,
    LONG.upper(),
    f"{LONG} e mais duas palavras",
    f"Antes: {LONG}",
    LONG.replace("palavra60", "outra"),
    f"{ENGLISH} {PORTUGUESE}",
    f"{ENGLISH} {PORTUGUESE}!",
    ENGLISH,
    PORTUGUESE,
]
TEXTS = st.lists(st.sampled_from(POOL), max_size=12)
Outcomes = dict[str, tuple[str | None, float | None, str | None]]


def outcomes(
    step: Barrier, shards: Sequence[Sequence[Batch]], partitions: int = 1, seed: int = 0
) -> Outcomes:
    """Take the documents, as batches of shards, through the rounds of the barrier: what became of each.

    Everything whose order is the engine's business comes in the order of the seed.
    """
    try:
        return rounds(step, shards, partitions, random.Random(seed))
    except Error as refusal:  # what cannot be decided is refused for the same reason too
        return {"refused": (str(refusal), None, None)}


def rounds(
    step: Barrier, shards: Sequence[Sequence[Batch]], partitions: int, order: random.Random
) -> Outcomes:
    known = documents_of(shards)
    sketches = sketch(step, shards)
    order.shuffle(sketches)
    sketched = pa.concat_tables(sketches).sort_by("doc").combine_chunks()
    place = np.minimum(
        sketched["key"].to_numpy().astype(np.float64) / 2.0**64 * partitions, partitions - 1
    ).astype(np.int64)
    proposals = [
        step.decide(sketched.filter(pa.array(place == at)).combine_chunks())
        for at in range(partitions)
    ]
    if step.refined:
        order.shuffle(proposals)
        refined = pa.concat_tables(refine(step, shards, pa.concat_tables(proposals)))
        homes = np.right_shift(refined["key"].to_numpy(), np.uint64(40)) % np.uint64(partitions)
        proposals = [
            step.decide_refined(refined.filter(pa.array(homes == at)).sort_by("doc"))
            for at in range(partitions)
        ]
    if step.verified:
        proposals = verify(step, proposals, known, partitions)
    order.shuffle(proposals)
    decision = step.conclude(pa.concat_tables(proposals))
    return apply(step, shards, decision, known)


def documents_of(shards: Sequence[Sequence[Batch]]) -> dict[int, Batch]:
    """Every document by its `doc`, as a batch of one row."""
    found = {}
    for number, batches in enumerate(shards):
        rows = (batch.slice(at, 1) for batch in batches for at in range(batch.num_rows))
        found |= {(number << 32) + row: batch for row, batch in enumerate(rows)}
    return found


def sketch(step: Barrier, shards: Sequence[Sequence[Batch]]) -> list[pa.Table]:
    tables = []
    for number, batches in enumerate(shards):
        first = number << 32
        for batch in batches:
            table = step.sketch(batch)
            assert table.schema.field("key").type == pa.uint64()
            assert table.schema.field("row").type == pa.uint32()
            docs = pc.add(table["row"].cast(pa.uint64()), pa.scalar(first, pa.uint64()))
            tables.append(table.drop_columns(["row"]).append_column("doc", docs))
            first += batch.num_rows
    return tables


def refine(step: Barrier, shards: Sequence[Sequence[Batch]], proposals: pa.Table) -> list[pa.Table]:
    tables = []
    for number, batches in enumerate(shards):
        ours = slice_of(proposals, number)
        first = 0
        for batch in batches:
            rows = np.arange(first, first + batch.num_rows, dtype=np.uint32)
            named = pa.array(np.isin(rows, ours["row"].to_numpy()))
            some = batch.append_column("row", pa.array(rows)).filter(named)
            within = pa.array(np.isin(ours["row"].to_numpy(), rows))
            table = step.refine(some, ours.filter(within).sort_by("row"))
            docs = pc.add(table["row"].cast(pa.uint64()), pa.scalar(number << 32, pa.uint64()))
            tables.append(table.drop_columns(["row"]).append_column("doc", docs))
            first += batch.num_rows
    return tables


def slice_of(table: pa.Table, number: int) -> pa.Table:
    """The rows about one shard, with `row` in place of `doc`."""
    docs = table["doc"].to_numpy()
    ours = table.filter(pa.array(docs >> np.uint64(32) == number))
    row = pa.array((ours["doc"].to_numpy() & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    return ours.drop_columns(["doc"]).append_column("row", row)


def verify(
    step: Barrier, proposals: list[pa.Table], known: dict[int, Batch], size: int
) -> list[pa.Table]:
    asked = step.ask(pa.concat_tables(proposals))
    asked = asked.sort_by([("group", "ascending"), ("doc", "ascending")])
    groups = np.unique(asked["group"].to_numpy())
    empty = pa.array([], pa.uint64())
    none = [pa.table({"doc": empty, "evidence": step.evidence(one.slice(0, 0))})
            for one in list(known.values())[:1]]  # fmt: skip
    found = []
    for start in range(0, max(len(groups), 1), size):  # at least one round, if of no group
        here = np.isin(asked["group"].to_numpy(), groups[start : start + size])
        some = asked.filter(pa.array(here)).drop_columns(["group"])
        shown = [
            pa.table({"doc": pa.array([doc], pa.uint64()), "evidence": step.evidence(known[doc])})
            for doc in np.unique(some["doc"].to_numpy()).tolist()
        ]
        found.append(step.verify(some, [*none, *shown]))
    return found


def apply(
    step: Barrier, shards: Sequence[Sequence[Batch]], decision: pa.Table, known: dict[int, Batch]
) -> Outcomes:
    if "kept" in decision.schema.names:
        ids = [known[doc].column("id")[0].as_py() for doc in decision["kept"].to_pylist()]
        decision = decision.drop_columns(["kept"])
        decision = decision.append_column("copy_of", pa.array(ids, pa.string()))
    found: Outcomes = {}
    for number, batches in enumerate(shards):
        ours = slice_of(decision, number)
        first = 0
        for batch in batches:
            rows = pa.array(np.arange(first, first + batch.num_rows, dtype=np.uint32))
            found |= fates(step(batch.append_column("row", rows), ours))
            first += batch.num_rows
    return found


def fates(batch: Batch) -> Outcomes:
    columns = [
        batch.column(name).to_pylist() if name in batch.schema.names else [None] * batch.num_rows
        for name in ("id", DROPPED.name, VALUE.name, COPY_OF.name)
    ]
    return {each: tuple(fate) for each, *fate in zip(*columns, strict=True)}


def one_shard(step: Barrier, texts: list[str]) -> list[list[Batch]]:
    return [[batch_for(step, texts)]]


@BARRIERS
@given(texts=TEXTS, cuts=st.lists(st.integers(0, 12), max_size=4), partitions=st.integers(1, 4))
@settings(max_examples=25)
def test_any_split_into_shards_and_any_order_give_the_same_decision(
    kind, home, texts, cuts, partitions
):
    step = example(kind, home)
    whole = batch_for(step, texts)
    edges = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    pieces = [whole.slice(a, b - a) for a, b in pairwise(edges)]
    in_batches = [pieces]
    in_shards = [[piece] for piece in pieces]

    expected = outcomes(step, [[whole]])
    assert outcomes(step, in_batches, partitions, seed=1) == expected
    assert outcomes(step, in_shards, partitions, seed=2) == expected


@BARRIERS
@given(texts=TEXTS)
@settings(max_examples=15)
def test_judges_every_document_and_a_kept_copy_is_one_that_stays(kind, home, texts):
    step = example(kind, home)
    found = outcomes(step, one_shard(step, texts))
    assume("refused" not in found)

    assert list(found) == [f"test#{at}" for at in range(len(texts))]
    for reason, _, copy_of in found.values():
        assert (copy_of is None) or found[copy_of][0] is None
        assert reason is None or "." in reason


@DEDUPS
@given(texts=st.lists(st.sampled_from(POOL), min_size=1, max_size=8))
@settings(max_examples=10)
def test_what_stays_has_no_copy_left(kind, home, texts):
    """Run on its own result it finds nothing left to do."""
    step = example(kind, home)
    whole = batch_for(step, texts)
    first = outcomes(step, [[whole]])
    stays = whole.filter(pa.array([fate[0] is None for fate in first.values()]))

    assert all(fate[0] is None for fate in outcomes(step, [[stays]]).values())


@BARRIERS
def test_hostile_text_does_not_stop_it(kind, home):
    step = example(kind, home)
    texts = [*NASTY, "x" * 1_000_000, "word " * 200_000, "\u0301" * 300_000]

    assert len(outcomes(step, one_shard(step, texts))) == len(texts)
