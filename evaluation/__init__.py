"""How good a model is. Importing this package loads no deep-learning library."""

from evaluation.job import Evaluate

__all__ = ["Evaluate"]

BATEIA = True  # start-up checks this mark, so that a foreign package named `evaluation` is noticed
