"""FLOOR 2: how steps become work. Compose stages into a pipeline and run it."""

from pipelines.graph import Flow, Pipeline
from pipelines.runner import InProcess, OnRay, Pool
from pipelines.runs import Run, run
from pipelines.store import Store

BATEIA = True  # start-up checks this mark, so that a foreign package named `pipelines` is noticed

__all__ = ["Flow", "InProcess", "OnRay", "Pipeline", "Pool", "Run", "Store", "run"]
