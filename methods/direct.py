"""Direct inference: greedy decoding with the model as it is, the baseline of every comparison."""

from __future__ import annotations

from audio_eval.method import Method


class Direct(Method):
    """Adapts nothing; one greedy response per question."""

    name = "direct"
    summary = "greedy decoding, nothing adapted"
