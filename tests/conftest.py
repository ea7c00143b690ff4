"""What every test shares: no network, reproducible properties, documents made of texts."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests.documents import documents as make_documents

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

settings.register_profile(
    "house",
    deadline=None,  # the first call of a kernel compiles it
    derandomize=True,  # a red test is red again
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("house")


@pytest.fixture(scope="session")
def documents():
    """`documents("a text", "another", source="x", url=[...])`: one batch, see tests.documents."""
    return make_documents
