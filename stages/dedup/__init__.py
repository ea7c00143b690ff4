"""Documents that were there already, exact copies and near copies, and parts of documents that were."""

from stages.dedup.exact import ExactDedup
from stages.dedup.minhash import MinHashDedup
from stages.dedup.remember import Remember
from stages.dedup.spans import RepeatedSpans, SpanDedup
from stages.dedup.substring import SubstringDedup

__all__ = ["ExactDedup", "MinHashDedup", "Remember", "RepeatedSpans", "SpanDedup", "SubstringDedup"]
