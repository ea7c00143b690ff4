import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file

from stages.config import dump_step, load_step
from stages.errors import DataError, SpecError
from training import Pretrain, checkpoint, loop, model
from training.loop import DivergedError
from training.stream import IGNORED


@pytest.fixture
def job(packed):
    return small(packed)


def small(packed):
    """24 steps of 8 rows of 16 tokens."""
    return Pretrain(
        preset="xs",
        tokenizer=str(packed / "tokenizer.json"),
        tokens=24 * 8 * 16,
        rows=8,
        micro_rows=3,
        checkpoint_every=5,
        cpus=1,
    )


def run(job, home, *flows):
    output, work = home / "output", home / "work"
    output.mkdir()
    work.mkdir(exist_ok=True)
    told = job.run({f"flow{i}": [folder] for i, folder in enumerate(flows)}, output, work)
    return told, output


@pytest.fixture(scope="module")
def trained(packed, tmp_path_factory):
    return run(small(packed), tmp_path_factory.mktemp("trained"), packed)


def test_planning_a_training_loads_no_deep_learning_library():
    code = "import sys, training, evaluation; print({'torch', 'transformers', 'ray'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


def test_training_lowers_the_loss_and_reports_its_curve(trained):
    told, output = trained
    numbers = told["numbers"]
    assert numbers["steps"] == 24
    assert numbers["tokens"] == 24 * 8 * 16
    assert numbers["final_loss"] < 0.7 * numbers["first_loss"]
    lines = [json.loads(line) for line in (output / "loss.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 25))
    assert told["series"][0]["points"] == [[line["step"], line["loss"]] for line in lines]


def test_the_model_folder_is_one_that_transformers_loads(trained, packed):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, output = trained
    for name in ("model", "base"):
        tokenizer = AutoTokenizer.from_pretrained(output / name)
        assert tokenizer.eos_token == "<|endoftext|>"
        ids = tokenizer("o gato viu a lua", return_tensors="pt").input_ids
        found = AutoModelForCausalLM.from_pretrained(output / name)
        assert found(ids).logits.shape == (1, ids.shape[1], 320)
        assert (output / name / "tokenizer.json").read_bytes() == (
            packed / "tokenizer.json"
        ).read_bytes()
    before, after = (load_file(output / name / "model.safetensors") for name in ("base", "model"))
    assert any(not torch.equal(before[key], after[key]) for key in before)


def test_a_killed_run_goes_on_to_the_same_weights_to_the_bit(job, packed, trained, tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "lost").mkdir()
    code = (
        "import sys, json; from pathlib import Path; from stages.config import load_step\n"
        "home, shard, spec = sys.argv[1:]; home = Path(home)\n"
        "load_step(json.loads(spec), 'job').run({'x': [Path(shard)]}, home / 'lost', home / 'work')"
    )
    slow = dump_step(replace(job, checkpoint_every=1))
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(packed), json.dumps(slow)]
    )
    while not any(int(path.stem[5:]) >= 3 for path in checkpoint.found(tmp_path / "work")):
        assert child.poll() is None
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert 3 <= len(loop.history(tmp_path / "work")) < 24
    told, output = run(job, tmp_path, packed)
    assert told["series"] == trained[0]["series"]
    weights, expected = (
        load_file(home / "model" / "model.safetensors") for home in (output, trained[1])
    )
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)


def test_a_checkpoint_that_was_not_finished_does_not_count(tmp_path):
    checkpoint.save(tmp_path, 3, {"history": torch.zeros(3, 5, dtype=torch.float64)})
    (tmp_path / "step-000000004.pt.part").write_bytes(b"torn")
    assert checkpoint.load(tmp_path)["history"].shape == (3, 5)
    for step in (5, 6, 7):
        checkpoint.save(tmp_path, step, {})
    assert [path.stem for path in checkpoint.found(tmp_path)] == [
        "step-000000006",
        "step-000000007",
    ]


def test_the_loss_is_that_of_each_document_by_itself(job, packed, trained):
    net = model.load(trained[1] / "model")
    batch = next(iter(loop.stream(job, [packed / "tokens.arrow"])))
    tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
    expected = 0.0
    for ids, positions, labels in zip(*batch.values(), strict=True):
        starts = [*np.flatnonzero(positions == 0), len(ids)]
        for first, last in pairwise(starts):
            alone = torch.from_numpy(ids[first:last])[None]
            logits = net(alone, use_cache=False).logits[0, :-1]
            chosen = logits.log_softmax(-1).gather(1, alone[0, 1:, None])[:, 0]
            expected -= chosen[torch.from_numpy(labels[first + 1 : last] != IGNORED)].sum().item()
    found = float(loop._loss(net, tensors, torch.device("cpu")))
    assert found == pytest.approx(expected, rel=1e-5)


def _rank(rank, job, shards, work, port):
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    loop.train(job, shards, work, rank, 2)
    torch.distributed.destroy_process_group()


def test_two_workers_train_as_one(job, packed, trained, tmp_path):
    """Rows of 16 tokens hold different numbers of learnt tokens: a mean of means would differ."""
    import socket

    (tmp_path / "base").symlink_to(trained[1] / "base")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(
        _rank, (job, [packed / "tokens.arrow"], tmp_path, port), nprocs=2, start_method="fork"
    )
    lines = [y for _, y in trained[0]["series"][0]["points"]]
    assert [line["loss"] for line in loop.history(tmp_path)] == pytest.approx(lines, abs=1e-4)


def test_ray_train_workers_train_as_one_process(job, packed, trained, tmp_path):
    import ray

    try:
        told, _ = run(replace(job, workers=2), tmp_path, packed)
    finally:
        ray.shutdown()
    lines = [y for _, y in trained[0]["series"][0]["points"]]
    assert [y for _, y in told["series"][0]["points"]] == pytest.approx(lines, abs=1e-4)


def test_training_goes_on_from_the_model_of_another_flow(job, packed, trained, tmp_path):
    told, output = run(
        replace(job, preset=None, tokenizer=None, tokens=8 * 16), tmp_path, packed, trained[1]
    )
    assert told["numbers"]["first_loss"] < 0.7 * trained[0]["numbers"]["first_loss"]
    for name in ("model.safetensors", "tokenizer.json"):
        assert (output / "base" / name).read_bytes() == (trained[1] / "model" / name).read_bytes()


def test_a_loss_that_is_no_number_stops_the_training_and_says_so(job, packed, tmp_path):
    with pytest.raises(DivergedError, match=r"the loss of step \d+ is .*lower learning_rate"):
        run(replace(job, learning_rate=1e30, warmup=0), tmp_path, packed)


def test_shards_of_another_tokenizer_are_refused(job, packed, tmp_path):
    other = json.loads((packed / "tokenizer.json").read_text())
    (tmp_path / "other.json").write_text(json.dumps(other, indent=1))
    with pytest.raises(DataError, match="not made with the tokenizer"):
        run(replace(job, tokenizer=str(tmp_path / "other.json")), tmp_path, packed)


def test_a_model_to_go_on_from_must_be_there(job, packed, tmp_path):
    with pytest.raises(DataError, match="no model"):
        run(replace(job, preset=None, tokenizer=None), tmp_path, packed)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"preset": "s"}, "tokenizer: a new model needs"),
        ({"preset": "s", "base": "x"}, "base: a model is new"),
        ({"base": "x", "tokenizer": "t"}, "tokenizer: a model that goes on"),
        ({"tokens": 0}, "tokens: expected more than 0"),
        ({"rows": 2, "workers": 4}, "rows: 4 workers"),
    ],
)
def test_contradictions_are_found_when_the_pipeline_is_planned(fields, message):
    with pytest.raises(SpecError, match=message):
        load_step({"training.Pretrain": {"tokens": 1000, **fields}}, "flow")


@pytest.mark.parametrize("schedule", ["wsd", "cosine"])
def test_the_learning_rate_rises_then_falls(job, schedule):
    job = replace(job, schedule=schedule, warmup=0.1)
    rates = [loop.factor(job, step, 100) for step in range(1, 101)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.2
    assert max(rates) <= 1


def test_the_curve_has_at_most_500_points():
    from training.job import _curve

    history = [{"step": step, "loss": float(step)} for step in range(1, 1234)]
    points = _curve(history)["points"]
    assert len(points) == 411
    assert points[0] == [3, 2.0]
    assert points[-1][0] == 1233
