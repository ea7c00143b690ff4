"""The files that examples of steps name."""

from pathlib import Path

import pytest

from tests.contract.steps import write_inputs


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    write_inputs(folder)
    return folder
