"""Log-mel features at true length: the same bits as the extractor's own padded output."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from audio_eval.audio import AudioRef
from audio_eval.models.hf.features import features_of, log_mel
from tests.models.checkpoints import RATE, clip, model_inputs, question, wave
from tests.models.conftest import Built

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


def test_a_model_in_bfloat16_on_a_cpu_hears_the_same() -> None:
    extractor, samples = WhisperFeatureExtractor(feature_size=128), wave(0.5, seed=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        heard = log_mel(extractor, samples)
    assert np.array_equal(heard, log_mel(extractor, samples))


# --- any length ----------------------------------------------------------------------------------------------------

SOUND = wave(40.0, seed=9)


@pytest.mark.parametrize("chunk_length", [30, 300])
def test_any_length_from_a_tenth_of_a_second_to_forty(chunk_length: int) -> None:
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(st.integers(RATE // 10, 40 * RATE), st.integers(0, 3))
    @example(30 * RATE - 1, 0)
    @example(30 * RATE - 399, 1)
    @example(30 * RATE + 1, 2)
    def exact(samples: int, loudness: int) -> None:
        assert _difference(chunk_length, SOUND[-samples:] * np.float32(10.0**-loudness)) == 0.0

    exact()


@pytest.mark.parametrize("seconds", [0.1, 0.73, 2.0, 9.99, 29.99, 30.0])
def test_a_tower_hears_the_same_as_from_the_processors_full_length_output(built: Built, seconds: float) -> None:
    """Ours through ``Family.encode`` against what the model's own forward puts in the place of the placeholders."""
    policy, asked = built.policy(), question(4, seconds)
    family, extractor = policy.encoder.checkpoint.family, policy.encoder.checkpoint.extractor
    inputs = model_inputs(built.kind, policy.tokenizer, extractor, asked)
    assert inputs["input_features"].shape[-1] == extractor.nb_max_frames and asked.audio is not None
    heard = features_of(asked.audio, extractor, family.max_seconds, family.tail)
    seen: list[torch.Tensor] = []
    policy.model.model.language_model.register_forward_pre_hook(
        lambda module, args, kwargs: seen.append(kwargs["inputs_embeds"]), with_kwargs=True
    )
    with torch.no_grad():
        [ours] = family.encode(policy.model, [heard.mel], [heard.frames])
        policy.model(**inputs)
    theirs = seen[0][inputs["input_ids"] == policy.model.config.audio_token_id]
    assert len(ours) == family.audio_tokens(policy.model, heard.frames) == len(theirs)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_number_of_frames_is_known_without_decoding(built: Built) -> None:
    checkpoint = built.policy().encoder.checkpoint
    for seconds in (0.004, 0.5, 1.234, 31.0):
        audio = clip(seconds, 3)
        heard = features_of(audio, checkpoint.extractor, checkpoint.family.max_seconds, checkpoint.family.tail)
        promised = checkpoint.family.frames(checkpoint.extractor, audio)
        assert promised == heard.frames
    assert checkpoint.family.frames(checkpoint.extractor, AudioRef(data=b"no audio")) == 0
    assert checkpoint.family.frames(checkpoint.extractor, AudioRef(path="/no/such.wav")) == 0
