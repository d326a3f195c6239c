from __future__ import annotations

from typing import Any

import pytest

from audio_eval.models.api.policy import APIPolicy
from audio_eval.models.backends import Limits, load_policy

KEY = "sk-very-secret-1234"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def served(url: str, batch_size: int = 8, max_tokens: int = 16, **settings: Any) -> APIPolicy:
    """The model "m" at ``url``, without long pauses."""
    found = load_policy("m", Limits(batch_size, max_tokens), "api", {"base_url": url, "max_wait": 0.02, **settings})
    assert isinstance(found, APIPolicy)
    return found
