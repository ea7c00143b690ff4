"""From packed shards to a model. Importing this package loads no deep-learning library."""

from training.job import Pretrain

__all__ = ["Pretrain"]

BATEIA = True  # start-up checks this mark, so that a foreign package named `training` is noticed
