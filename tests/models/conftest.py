"""The tiny checkpoints, built once for the session."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors import safe_open

from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.hf import policy as hf_policy
from audio_eval.models.hf.checkpoint import Checkpoint, load_checkpoint
from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import BUILDERS


@dataclass
class Built:
    """A checkpoint folder and the weights that went into it."""

    kind: str
    folder: Path
    weights: dict[str, torch.Tensor]
    _loaded: dict[tuple[Any, ...], Checkpoint] = field(default_factory=dict)

    def policy(self, **limits: int) -> HFPolicy:
        """A fresh policy, as the command line makes it. The folder is read once: the further ones have copies."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hf_policy, "load_checkpoint", self._load)
            policy = load_policy(str(self.folder), Limits(**limits))
        assert isinstance(policy, HFPolicy)
        return policy

    def _load(self, *asked: Any) -> Checkpoint:
        if asked not in self._loaded:
            self._loaded[asked] = load_checkpoint(*asked)
        return copy.deepcopy(self._loaded[asked])


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


@pytest.fixture
def tensors_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the tensors that transformers reads from files, in order."""
    read: list[str] = []

    class Slice:
        def __init__(self, inner: Any, name: str) -> None:
            self.inner, self.name = inner, name

        def __getitem__(self, index: Any) -> torch.Tensor:
            read.append(self.name)
            return self.inner[index]

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self.inner, attribute)

    class Recorder:
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.file = safe_open(*args, **kwargs)

        def get_slice(self, name: str) -> Slice:
            return Slice(self.file.get_slice(name), name)

        def get_tensor(self, name: str) -> torch.Tensor:
            read.append(name)
            return self.file.get_tensor(name)

        def __getattr__(self, attribute: str) -> Any:
            return getattr(self.file, attribute)

    monkeypatch.setattr(transformers.modeling_utils, "safe_open", Recorder)
    return read
