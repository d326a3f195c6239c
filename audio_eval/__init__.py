"""audio-eval: an evaluation harness for large audio-language models in which the adaptation method is a plug-in."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from audio_eval.group import Group
    from audio_eval.method import Method
    from audio_eval.models.policy import Policy
    from audio_eval.questions import Question

__version__ = "0.1.0"
__all__ = ["Group", "Method", "Policy", "Question", "__version__"]
_HOMES = {
    "Method": "audio_eval.method",
    "Policy": "audio_eval.models.policy",
    "Question": "audio_eval.questions",
    "Group": "audio_eval.group",
}


def __getattr__(name: str) -> object:
    """Load the public nouns on first use: ``audio-eval --help`` must not pay for them."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'audio_eval' has no attribute {name!r}")
