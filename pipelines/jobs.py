"""Run a job (training, evaluation) as a node of the graph: keyed, committed and cached as any shard."""

import os
import shutil
import time

from pipelines.store import Commit, Store
from stages.base import Job
from stages.config import load_step, localize


def run_job(store: Store, target: str, job: str, inputs: dict[str, str]) -> Commit:
    """Run the job noted under a key on whole flows (name -> manifest) and commit what it leaves.

    Its workspace outlives a killed run, so that it goes on from its last checkpoint.
    """
    step = localize(load_step(store.read(f"passes/{job}.json"), "job", homes=("",)))
    assert isinstance(step, Job)
    os.environ["RAYON_NUM_THREADS"] = str(max(1, int(step.resources.cpus)))
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    began, cpu = time.time(), time.process_time()
    folders = {
        name: [store.folder(key) for key in store.read(f"manifests/{shards}.json")]
        for name, shards in inputs.items()
    }
    work, output = store.workspace(target), store.scratch(target)
    result = step.run(folders, output, work)
    made = {
        "cpu": round(time.process_time() - cpu, 4),
        "began": round(began, 3),
        "ended": round(time.time(), 3),
    }
    commit = store.commit(target, output, {}, {**made, "job": result})
    shutil.rmtree(work, ignore_errors=True)
    return commit
