from __future__ import annotations

import os

import pytest

RUN = ["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "8"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
METHOD = """
from audio_eval import Method

class Shout(Method):
    name = "shout"

    def predict(self, policy, questions):
        return [f"<answer>{question.choices[0]}</answer>".upper() for question in questions]

not_a_method = 3
"""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
