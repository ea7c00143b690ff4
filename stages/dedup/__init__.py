"""Documents that were there already: exact copies, near copies, the same in other words, and parts."""

from stages.dedup.centroids import NearestCluster, TrainClusters
from stages.dedup.exact import ExactDedup
from stages.dedup.minhash import MinHashDedup
from stages.dedup.remember import Remember
from stages.dedup.semantic import SemanticDedup
from stages.dedup.spans import RepeatedSpans, SpanDedup
from stages.dedup.substring import SubstringDedup

__all__ = [
    "ExactDedup",
    "MinHashDedup",
    "NearestCluster",
    "Remember",
    "RepeatedSpans",
    "SemanticDedup",
    "SpanDedup",
    "SubstringDedup",
    "TrainClusters",
]
