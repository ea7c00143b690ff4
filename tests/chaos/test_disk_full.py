"""A disk that fills up in the middle of a run ends it in words, and costs nothing that was done."""

import subprocess
import sys

import pytest

from pipelines import Pipeline, Pool, Run, Store, run
from pipelines.audit import verify
from tests.chaos.corpus import write
from tests.chaos.kills import ROOT
from tests.pipelines.conftest import shelf

# In a mount namespace of its own: a disk of its own, and then a larger one.
SCRIPT = """
set -u
mount -t tmpfs -o size=600k none "$1" || exit 77
run() { "$2" -m deploy.cli run "$3" --store "$1" --allow tests --workers 2 $4 > "$5" 2>&1; echo $?; }
run "$1" "$2" "$3" "$4" "$5/first"
cp -r "$1" "$5/full"
mount -o remount,size=64m "$1"
run "$1" "$2" "$3" "$4" "$5/second"
cp -r "$1" "$5/store"
"""


@pytest.mark.parametrize("where", ["", "--in-process"])
def test_a_run_ends_in_words_when_the_disk_is_full_and_goes_on_when_there_is_room(tmp_path, where):
    recipe = write(tmp_path, files=20)
    (tmp_path / "disk").mkdir()
    arguments = [str(tmp_path / "disk"), sys.executable, str(recipe), where, str(tmp_path)]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, "sh", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode in (1, 77) and not done.stdout:
        pytest.skip(f"no mount namespaces here: {done.stderr.strip()}")
    said = (tmp_path / "first").read_text()
    assert done.stdout.split() == ["5", "0"], said + done.stderr
    assert "No space left on device" in said.splitlines()[-1]
    assert "Traceback" not in said
    full = Store(str(tmp_path / "full"))
    if (
        where == "--in-process"
    ):  # elsewhere another worker may take the room that this one gave back
        assert Run.open(full, "latest").record["state"] == "failed"
        assert not list((tmp_path / "full/tmp").glob("*"))
    committed = {path.rpartition("/")[2] for path in full.home.list("commits")}
    assert len(committed) > 5
    for name in committed:  # whatever is committed is whole
        full.folder(name.removesuffix(".json"))
    runner = Pool(2)
    run(Pipeline.load(recipe, homes=("tests.", "stages.")), str(tmp_path / "calm"), runner)
    runner.close()
    assert shelf(tmp_path / "store") == shelf(tmp_path / "calm")
    last = Run.open(Store(str(tmp_path / "store")), "latest")
    assert list(verify(last)) == []
    keys = last.results()
    computed = sum(stretch["computed"] for stretch in last.record["stretches"])
    assert computed == len(keys - {name.removesuffix(".json") for name in committed})
