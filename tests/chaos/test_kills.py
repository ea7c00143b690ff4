"""Whatever is killed, the next run goes on, redoes nothing that was committed, and ends the same."""

import signal
import time

import psutil
import pytest

from pipelines import Flow, Pipeline, Pool, Run, Store, run
from pipelines.audit import verify
from tests.chaos.corpus import write
from tests.chaos.kills import EXITS, Chaos, relatives
from tests.chaos.steps import HANGS, Fatal
from tests.pipelines.conftest import shelf
from tests.steps import Lines


def test_a_run_on_ray_survives_kills_of_whatever_it_is_made_of(tmp_path):
    """SIGKILL of a worker, the raylet, a worker again and the driver, then a SIGTERM."""
    recipe = write(tmp_path, files=20)
    calm = Pool(2)
    once = run(Pipeline.load(recipe, homes=("tests.", "stages.")), str(tmp_path / "calm"), calm)
    calm.close()
    chaos = Chaos(recipe, tmp_path / "store", tmp_path / "log")
    whom = ["worker", "raylet", "worker", "driver", "cancel"]
    chaos.survive(whom, 4, len(once.results()))
    assert [strike.whom for strike in chaos.strikes] == whom
    for strike in chaos.strikes:
        assert strike.code == EXITS.get(strike.whom), strike
        assert strike.orphans == 0, strike
    assert chaos.strikes[-1].seconds < 15
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")
    reused, redone = chaos.redone()
    assert reused > 20
    assert redone == 0
    assert chaos.rewritten() == []
    done = Run.open(Store(str(tmp_path / "store")), "latest")
    assert list(verify(done)) == []


@pytest.mark.parametrize("how, code", [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_a_pool_ends_with_its_driver_even_in_the_middle_of_a_document(tmp_path, how, code):
    """Both workers hang in a task; nothing but their driver's end can end them."""
    (tmp_path / "corpus").mkdir()
    for name in "ab":
        (tmp_path / f"corpus/{name}.txt").write_text(f"{name} {HANGS}")
    flows = {"hangs": Flow([Lines(paths=str(tmp_path / "corpus"))], [Fatal()])}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(Pipeline("hangs", flows).dump())
    chaos = Chaos(recipe, tmp_path / "store", tmp_path / "log", ("--workers", "2"))
    driver = chaos.start()
    while len(list((tmp_path / "store/tmp").glob("*"))) < 2:
        assert driver.poll() is None, chaos.log.read_text()
        time.sleep(0.05)
    family = relatives(driver.pid)
    assert len(family) >= 4
    driver.send_signal(how)
    assert driver.wait(10) == code
    assert psutil.wait_procs(family, 10)[1] == []
    if how == signal.SIGTERM:
        assert Run.open(Store(str(tmp_path / "store")), "latest").record["state"] == "cancelled"
