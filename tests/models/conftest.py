"""The tiny checkpoints, built once for the session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from audio_eval.models.catalog import load_policy
from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import BUILDERS


@dataclass
class Built:
    """A checkpoint folder and the weights that went into it."""

    kind: str
    folder: Path
    weights: dict[str, torch.Tensor]

    def policy(self, **settings: int) -> HFPolicy:
        """A fresh policy, loaded as the command line does."""
        policy = load_policy(str(self.folder), **settings)
        assert isinstance(policy, HFPolicy)
        return policy


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Built]:
    made: dict[str, Built] = {}

    def get(kind: str) -> Built:
        if kind not in made:
            folder = tmp_path_factory.mktemp("checkpoints") / kind
            made[kind] = Built(kind, folder, BUILDERS[kind](folder))
        return made[kind]

    return get


@pytest.fixture(scope="module", params=["omni", "qwen2_audio"])
def built(request: pytest.FixtureRequest, build: Callable[[str], Built]) -> Built:
    return build(request.param)


@pytest.fixture(scope="session")
def omni(build: Callable[[str], Built]) -> Built:
    return build("omni")


@pytest.fixture(scope="session")
def qwen2_audio(build: Callable[[str], Built]) -> Built:
    return build("qwen2_audio")
