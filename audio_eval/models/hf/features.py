"""Log-mel features of one clip at its true length, the same bits as the transformers processor's own.

The Omni processor pads every clip to 300 s before the short-time Fourier transform: 100 ms and 15 MB for a clip of
10 s. An STFT frame sees ``n_fft`` samples, so it is enough to pad by the few hundred zeros that the last valid frames
see; what is cropped afterwards influences no valid frame. A clip that fills the extractor's window gets no zeros: the
transform mirrors the signal there, and so does ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import WhisperFeatureExtractor

from audio_eval.audio import AudioError, AudioRef

MIN_SAMPLES = 1600  # a tenth of a second; the towers pool a shorter clip to nothing


@dataclass
class Features:
    """The input of the audio tower: log-mel features (mels, frames and the family's tail) of a clip.

    A family with an extractor of its own kind may have another array, or several, in ``mel``.
    """

    mel: Any
    frames: int
    seconds: float  # of the recording
    truncated: bool  # the recording is longer than the model's window and was cut


def log_mel(extractor: WhisperFeatureExtractor, wave: np.ndarray, tail: int = 0, windows: int = 1) -> np.ndarray:
    """Features of a mono waveform (samples,) float32: shape (mels, frames), frames = ceil(samples / hop).

    ``tail`` adds as many frames from after the end, within so many of the extractor's windows; from the third on they
    see nothing but zeros.
    """
    hop = extractor.hop_length
    frames = min(-(-len(wave) // hop) + tail, windows * extractor.nb_max_frames)
    margin = frames * hop - len(wave) + extractor.n_fft + (-extractor.n_fft) % hop
    padded = np.pad(wave.astype(np.float32), (0, max(0, min(margin, windows * extractor.n_samples - len(wave)))))
    with torch.autocast("cpu", enabled=False):  # else a model in bfloat16 on a CPU would have its features in it
        features = extractor(
            padded, sampling_rate=extractor.sampling_rate, padding="longest", truncation=False, return_tensors="np"
        )["input_features"]
    return features[0, :, :frames]


def windowed_log_mel(extractor: WhisperFeatureExtractor, wave: np.ndarray, tail: int) -> np.ndarray:
    """``log_mel`` of each of the extractor's windows by itself, laid end to end; all but the last are whole."""
    size = extractor.n_samples
    return np.concatenate([log_mel(extractor, wave[at : at + size], tail) for at in range(0, len(wave), size)], axis=1)


def in_windows(mel: np.ndarray, frames: int, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Such features as a batch (windows, mels, window), and which frames are the clip's, (windows, window).

    The last window is filled with the last frame of the tail, which are the extractor's features of silence.
    """
    count = -(-frames // window)
    filled = np.pad(mel, ((0, 0), (0, max(0, count * window - mel.shape[1]))), mode="edge")[:, : count * window]
    return np.stack(np.split(filled, count, axis=1)), np.arange(count * window).reshape(count, window) < frames


@dataclass
class Heard:
    """What a model hears of a recording: mono samples (n,), at least ``MIN_SAMPLES`` and at most its window."""

    clip: np.ndarray
    seconds: float  # of the recording
    truncated: bool

    def features(self, mel: Any, frames: int) -> Features:
        """With the features of ``clip``."""
        return Features(mel, frames, self.seconds, self.truncated)


def heard(audio: AudioRef, rate: int, max_seconds: float) -> Heard:
    """Decode ``audio`` at ``rate`` Hz, cut at ``max_seconds``. Raises ``AudioError`` as ``AudioRef.load`` does."""
    wave = audio.load(rate)
    window = int(max_seconds * rate)
    clip = np.pad(wave[:window], (0, max(0, MIN_SAMPLES - len(wave))))
    return Heard(clip, len(wave) / rate, len(wave) > window)


def promised_samples(audio: AudioRef, rate: int, max_seconds: float) -> int:
    """The length of the clip that ``heard`` makes, without decoding; 0 where it would fail."""
    try:
        samples = audio.length(rate)
    except AudioError:
        return 0  # decoding will report what is wrong
    return max(min(samples, int(max_seconds * rate)), MIN_SAMPLES)


def features_of(audio: AudioRef, extractor: WhisperFeatureExtractor, max_seconds: float, tail: int) -> Features:
    """Decode ``audio`` and compute its log-mel features. Raises ``AudioError`` as ``AudioRef.load`` does."""
    found = heard(audio, extractor.sampling_rate, max_seconds)
    return found.features(log_mel(extractor, found.clip, tail), -(-len(found.clip) // extractor.hop_length))
