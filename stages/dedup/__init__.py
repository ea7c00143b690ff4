"""Documents that were there already: exact copies and near copies."""

from stages.dedup.exact import ExactDedup
from stages.dedup.minhash import MinHashDedup

__all__ = ["ExactDedup", "MinHashDedup"]
