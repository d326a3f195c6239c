"""Granite Speech's features are torchaudio's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from audio_eval.models.hf.families.granite_mel import GraniteMel
from tests.models.checkpoints import wave

GOLDEN = [1.23542, 1.145158, 1.245276, 1.258276, 1.010193]


def test_values_of_torchaudio() -> None:
    """Of torchaudio 2.11.1, as GraniteSpeechFeatureExtractor calls it."""
    features = GraniteMel()(wave(3.0, 3))
    assert features.shape == (150, 160) and features.dtype == np.float32
    got = features[[0, 10, 149, 70, 149], [0, 85, 159, 159, 80]]
    np.testing.assert_allclose(got, GOLDEN, rtol=0, atol=2e-6)
    with torch.autocast("cpu", torch.bfloat16):  # as for a model in bfloat16 on a CPU
        assert np.array_equal(GraniteMel()(wave(3.0, 3)), features)


def test_the_extractor_itself() -> None:
    """Bit by bit, where torchaudio is installed; the project does without it."""
    pytest.importorskip("torchaudio", reason="torchaudio is not installed: its values of one clip are compared instead")
    from transformers import GraniteSpeechFeatureExtractor

    for seconds in (0.1, 3.0, 3.00501, 30.1):
        heard = wave(seconds, 3)
        theirs = GraniteSpeechFeatureExtractor()(heard)
        assert np.array_equal(GraniteMel()(heard), theirs["input_features"][0].numpy())
        frames = GraniteMel().frames(len(heard))
        assert [3 * -(-(frames // 2) // 15)] == theirs["audio_embed_sizes"]
