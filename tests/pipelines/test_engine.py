"""What the engine promises: nothing lost, nothing done twice, the same bytes wherever it runs."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from pipelines import InProcess, Pool, Run, Store, run
from pipelines.audit import explain, sweep, verify
from pipelines.report import quarantined, report
from stages.errors import DataError, StageError
from tests.pipelines.conftest import pipeline, shelf, write_corpus


def computed(done):
    return [stretch["computed"] for stretch in done.record["stretches"]]


def test_every_document_is_kept_dropped_or_quarantined(corpus, tmp_path):
    done = run(pipeline(corpus), str(tmp_path / "store"))
    found = report(done)
    (flow,) = found["flows"]
    for stage in flow["stages"]:
        gone = sum(stage["dropped"].values()) + sum(stage["quarantined"].values())
        assert stage["in"] == stage["out"] + gone, stage
    assert flow["stages"][0]["in"] == 4 * 45
    assert flow["stages"][0]["quarantined"] == {"BadLine": 4}
    dropped = {rule: many for stage in flow["stages"] for rule, many in stage["dropped"].items()}
    assert dropped == {"longer.than": 4, "dedup.exact": 4, "dedup.minhash": 4}
    assert found["jobs"][0]["numbers"] == {"lines": flow["stages"][-1]["out"]}
    assert quarantined(found) == (180, 4)
    assert list(verify(done)) == []


def test_a_second_run_redoes_nothing_and_a_changed_bound_only_what_follows_it(corpus, tmp_path):
    store = str(tmp_path / "store")
    assert all(computed(run(pipeline(corpus), store)))
    assert computed(run(pipeline(corpus), store)) == [0, 0, 0, 0, 0]
    after_upper = computed(run(pipeline(corpus, than=4), store))
    assert after_upper[0] == 0
    assert after_upper[1] >= 5
    decided_anew = computed(run(pipeline(corpus, similarity=0.9), store))
    assert decided_anew[:2] == [0, 0]
    assert run(pipeline(corpus, similarity=0.9), store).record["stretches"][2]["computed"] == 0


def test_only_the_file_that_changed_is_read_again(corpus, tmp_path):
    store = str(tmp_path / "store")
    run(pipeline(corpus), store)
    (corpus / "1.txt").write_text("one new document stands here alone")
    (corpus / "9.txt").write_text("and here is one more of them")
    assert computed(run(pipeline(corpus), store))[0] == 2


def test_a_corpus_that_was_moved_is_the_same_corpus(corpus, tmp_path):
    store = str(tmp_path / "store")
    run(pipeline(corpus), store)
    corpus.rename(tmp_path / "elsewhere")
    assert computed(run(pipeline(tmp_path / "elsewhere"), store)) == [0, 0, 0, 0, 0]


def test_all_runners_leave_the_same_bytes(corpus, tmp_path, ray_runner):
    shelves = []
    for at, runner in enumerate([InProcess(), Pool(1), Pool(2), ray_runner]):
        run(pipeline(corpus), str(tmp_path / str(at)), runner)
        if isinstance(runner, Pool):
            runner.close()
        shelves.append(shelf(tmp_path / str(at)))
    assert len(shelves[0]) > 50
    assert all(other == shelves[0] for other in shelves)


def test_a_document_that_raises_is_set_aside_alone(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", ("RAISE",))
    done = run(pipeline(corpus), str(tmp_path / "store"))
    (flow,) = report(done)["flows"]
    stages = {stage["stage"]: stage for stage in flow["stages"]}
    assert stages["Trap"]["quarantined"] == {"ValueError": 1}
    assert stages["Trap"]["out"] == stages["Trap"]["in"] - 1
    (row,) = [row for row in flow["quarantine"] if row["stage"] == "Trap"]
    assert row["text"] == "RAISE"
    assert row["fault"] == "ValueError: this one raises"


@pytest.mark.parametrize("where", ["pool", "ray"])
def test_documents_that_kill_or_hang_their_worker_are_found_and_set_aside(tmp_path, where, request):
    corpus = write_corpus(tmp_path / "corpus", ("DIE", "a good neighbour of both", "HANG IN THERE"))
    corpus_text = (corpus / "2.txt").read_text().replace("HANG IN THERE", "HANG")
    (corpus / "2.txt").write_text(corpus_text)
    runner = Pool(2) if where == "pool" else request.getfixturevalue("ray_runner")
    done = run(pipeline(corpus, than=2, seconds=3.0), str(tmp_path / "store"), runner)
    if where == "pool":
        runner.close()
    (flow,) = report(done)["flows"]
    broken = {
        row["text"]: row["fault"] for row in flow["quarantine"] if row["text"] in ("DIE", "HANG")
    }
    assert set(broken) == {"DIE", "HANG"}
    assert all(fault.startswith("WorkerDied: ") for fault in broken.values())
    assert explain(done, "lines/2.txt#11")[-1]["verdict"] == "kept"
    assert list(verify(done)) == []


def test_a_stage_that_fails_too_often_stops_the_run_and_names_itself(tmp_path):
    corpus = write_corpus(tmp_path / "corpus", ("RAISE",) * 30)
    with pytest.raises(
        StageError, match=r"lines.Trap failed on 30 of [0-9]+ documents \(ValueError\), .* in 2.txt"
    ):
        run(pipeline(corpus), str(tmp_path / "store"))
    assert Run.open(Store(str(tmp_path / "store")), "small").record["state"] == "failed"


def test_the_story_of_a_document_ends_with_the_copy_that_was_kept(corpus, tmp_path):
    done = run(pipeline(corpus), str(tmp_path / "store"))
    story = explain(done, "lines/1.txt#41")
    assert [chapter["verdict"] for chapter in story][-1] == "dropped"
    last = story[-1]
    assert last["rule"] == "dedup.minhash"
    assert last["copy_of"] == "lines/1.txt#4"
    assert 0.8 <= last["value"] < 1
    with pytest.raises(DataError, match="no document has the id or URL 'nobody'"):
        explain(done, "nobody")


def test_a_file_that_was_harmed_is_noticed_and_made_again(corpus, tmp_path):
    store = str(tmp_path / "store")
    done = run(pipeline(corpus), store)
    before = shelf(tmp_path / "store")
    victim = max(
        (tmp_path / "store/data").rglob("documents.parquet"), key=lambda p: p.stat().st_size
    )
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    assert any("does not match its checksum" in wrong for wrong in verify(done))
    list(verify(done, repair=True))
    run(pipeline(corpus), store)
    assert shelf(tmp_path / "store") == before


def test_sweeping_keeps_what_the_last_runs_name(corpus, tmp_path):
    store = Store(str(tmp_path / "store"))
    run(pipeline(corpus), store)
    last = run(pipeline(corpus, than=9), store)
    kept = last.results()
    freed = sweep(store, 1)
    assert freed["results"] > 0
    assert freed["kept"] == len(kept)
    assert list(verify(last)) == []
    assert computed(run(pipeline(corpus, than=9), store)) == [0, 0, 0, 0, 0]
    assert computed(run(pipeline(corpus), store))[0] == 0


def test_an_empty_corpus_runs_to_its_end(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/empty.txt").write_text("")
    done = run(pipeline(tmp_path / "corpus"), str(tmp_path / "store"))
    assert report(done)["flows"][0]["stages"][-1]["out"] == 0
    shard = done.record["stretches"][3]["keys"][0]
    schema = pq.read_schema(done.store.open(shard, "documents.parquet"))
    assert {"id", "text", "source", "url", "date", "meta"} <= set(schema.names)


DRIVER = """
import sys
from pathlib import Path
from pipelines import Pool, run
from tests.pipelines.conftest import pipeline
if __name__ == "__main__":
    runner = Pool(2)
    run(pipeline(Path(sys.argv[1])), sys.argv[2], runner)
    runner.close()
"""


def test_killed_drivers_and_workers_change_nothing(corpus, tmp_path):
    """SIGKILL at four moments, of the driver or of one of its workers; then a run to the end."""
    run(pipeline(corpus), str(tmp_path / "calm"))
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(corpus), str(tmp_path / "store")]
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    for moment, whom in ((0.9, "driver"), (1.6, "worker"), (2.2, "driver"), (2.8, "worker")):
        driver = subprocess.Popen(command, env=environment, start_new_session=True)
        time.sleep(moment)
        if whom == "driver":
            os.killpg(driver.pid, signal.SIGKILL)
        else:
            for child in children(driver.pid)[-1:]:
                os.kill(child, signal.SIGKILL)
        driver.wait(60)
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")
    done = Run.open(Store(str(tmp_path / "store")), "latest")
    assert list(verify(done)) == []


def children(pid):
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def test_a_crash_at_every_step_of_every_commit_changes_nothing(tmp_path):
    """Die at the n-th step of writing, for n spread over a whole run, and go on from there."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "a.txt").write_text("some words\nsome words\nother words\n!broken\nab")
    script = tmp_path / "driver.py"
    script.write_text(
        DRIVER.replace("Pool(2)", "InProcess()").replace("import Pool", "import InProcess")
    )
    command = [sys.executable, str(script), str(corpus)]
    base = {**os.environ, "PYTHONPATH": os.getcwd()}
    subprocess.run([*command, str(tmp_path / "calm")], env=base, check=True)
    codes = []
    for at in (1, 12, 31, 57, 90, 140, 200, 100_000):
        done = subprocess.run(
            [*command, str(tmp_path / "store")],
            env={**base, "BATEIA_CRASH_AT": str(at)},
            check=False,
        )
        codes.append(done.returncode)
    assert codes[-1] == 0
    assert codes.count(137) >= 4
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")


def test_the_record_of_a_run_is_plain_and_whole(corpus, tmp_path):
    done = run(pipeline(corpus), str(tmp_path / "store"), name="first")
    record = json.loads((tmp_path / "store/runs/first/run.json").read_bytes())
    assert record == done.record
    assert record["state"] == "succeeded"
    assert Run.open(Store(str(tmp_path / "store")), "small").id == "first"
