from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio_eval.runlog.spec import RunSpec
from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import plan
from audio_eval.store import JsonLines

NAME = "synth_aqa:validation"
FLAGS = {"model": "tiny-omni", "tasks": NAME, "limit": 16, "batch_size": 8}


def make_spec(method: str, method_args: str = "votes=4", **flags: Any) -> RunSpec:
    """The spec of a tiny run; what trains does not take the model's own settings, which are tuned now and then."""
    if method in ("aqa_ttrl", "sft", "grpo"):
        method_args = f"tune=lora,lr=0.001,batch_size=8,{method_args}"
    (spec,) = plan({**FLAGS, "method": method, "method_args": method_args, **flags})
    return spec


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return JsonLines(folder / name).read()


def adapter(folder: Path) -> bytes:
    (file,) = (folder / "adapt").glob("step-*/adapter*.safetensors")
    return file.read_bytes()


@pytest.fixture(scope="session")
def executor() -> Executor:
    """One for all tests: the model is loaded once."""
    return Executor()


@pytest.fixture(scope="session")
def direct(executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of direct."""
    folder = tmp_path_factory.mktemp("direct")
    executor.run(make_spec("direct", ""), folder)
    return folder


@pytest.fixture(scope="session")
def ttrl(executor: Executor, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of aqa_ttrl: 4 votes, 2 steps."""
    folder = tmp_path_factory.mktemp("ttrl")
    executor.run(make_spec("aqa_ttrl", "votes=4,steps=2"), folder)
    return folder
