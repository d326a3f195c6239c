from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from audio_eval.runs.execute import Executor
from audio_eval.sharing.export import export
from tests.runs.conftest import make_spec


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of aqa_ttrl that trained an adapter: 2 votes, 1 step, 8 items."""
    folder = tmp_path_factory.mktemp("runs") / "trained"
    Executor().run(make_spec("aqa_ttrl", "votes=2,steps=1", limit=8), folder)
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture(scope="session")
def exported(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "x.zip"
    assert export(trained, path) == []
    return path
