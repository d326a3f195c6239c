"""Log-mel features at true length: the same bits as the extractor's own padded output."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from audio_eval.models.hf.features import log_mel
from tests.models.checkpoints import RATE, wave

LENGTHS = [0.1, 0.1001, 0.31, 0.999, 1.0, 2.50006, 7.77, 12.3456, 29.9999, 30.0]


def _difference(chunk_length: int, samples: np.ndarray) -> float:
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=chunk_length, return_attention_mask=True)
    theirs = extractor(samples, sampling_rate=RATE, padding="max_length", return_attention_mask=True)
    valid = int(theirs["attention_mask"][0].sum())
    ours = log_mel(extractor, samples[: extractor.n_samples])
    assert ours.shape == (128, valid) and ours.dtype == np.float32
    return float(np.abs(ours - theirs["input_features"][0][:, :valid]).max())


@pytest.mark.parametrize("seconds", [*LENGTHS, 40.0])
def test_window_of_30_s(seconds: float) -> None:
    assert _difference(30, wave(seconds, seed=5)) == 0.0


@pytest.mark.parametrize("seconds", [*LENGTHS, 40.0, 299.99, 300.0])
def test_window_of_300_s(seconds: float) -> None:
    assert _difference(300, wave(seconds, seed=6)) == 0.0


@pytest.mark.parametrize("samples", [1600, 1601, 1759, 1760, 1761, 4000, 4079, 4080, 4081, 16000 - 1, 16000 + 1])
def test_lengths_around_a_hop(samples: int) -> None:
    assert _difference(30, wave(1.5, seed=7)[:samples]) == 0.0


def test_silence_with_a_click_at_its_end() -> None:
    """The log is clamped to the loudest frame of the whole input: a click at the end must be seen, zeros must not."""
    click = np.zeros(20_000, np.float32)
    click[-1] = 1.0
    assert _difference(30, click) == 0.0
    assert _difference(30, np.zeros(20_000, np.float32)) == 0.0
    quiet = wave(1.0, seed=8) * 1e-6
    assert _difference(300, quiet) == 0.0
