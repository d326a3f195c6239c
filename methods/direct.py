"""Direct inference: greedy decoding with the model as it is. The baseline of every comparison."""

from __future__ import annotations

from audio_eval.method import Method


class Direct(Method):
    """Nothing is adapted; one greedy response a question."""

    name = "direct"
    summary = "greedy decoding, nothing adapted"
