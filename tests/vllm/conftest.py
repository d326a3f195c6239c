"""Tiny checkpoints in vLLM and in hf, side by side. ``make vllm-test`` runs these in an environment with vLLM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from audio_eval.models.backends import Limits, load_policy
from audio_eval.models.hf.policy import HFPolicy
from tests.models.checkpoints import build_qwen2_audio
from tests.models.families.flamingo import build_audio_flamingo

HEADS = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}  # of 32, vLLM's smallest on a CPU
BUILDERS: dict[str, Callable[..., object]] = {"flamingo": build_audio_flamingo, "qwen2_audio": build_qwen2_audio}
ARGS = {"kv_cache_gb": 0.25, "max_model_len": 4096, "lora_rank": 16}
needs_vllm = pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed here: make vllm-test")


@dataclass
class Pair:
    """One checkpoint in both engines."""

    kind: str
    folder: Path
    hf: HFPolicy
    vllm: object


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {kind: tmp_path_factory.mktemp("vllm") / kind for kind in BUILDERS}
    for kind, folder in made.items():
        BUILDERS[kind](folder, **HEADS)
    return made


@pytest.fixture(scope="session")
def load(folders: dict[str, Path]) -> Callable[[str], Pair]:
    made: dict[str, Pair] = {}

    def get(kind: str) -> Pair:
        if kind not in made:
            folder = str(folders[kind])
            hf = load_policy(folder, Limits(max_tokens=12))
            assert isinstance(hf, HFPolicy)
            made[kind] = Pair(kind, folders[kind], hf, load_policy(folder, Limits(max_tokens=12), "vllm", ARGS))
        return made[kind]

    return get


@pytest.fixture(params=list(BUILDERS))
def pair(request: pytest.FixtureRequest, load: Callable[[str], Pair]) -> Pair:
    return load(request.param)


@pytest.fixture
def flamingo(load: Callable[[str], Pair]) -> Pair:
    return load("flamingo")


@pytest.fixture
def qwen2_audio(load: Callable[[str], Pair]) -> Pair:
    return load("qwen2_audio")
