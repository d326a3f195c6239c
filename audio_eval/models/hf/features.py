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


def features_of(audio: AudioRef, extractor: WhisperFeatureExtractor, max_seconds: float, tail: int) -> Features:
    """Decode ``audio`` and compute its features. A longer clip is cut at ``max_seconds`` and marked ``truncated``.

    Raises ``AudioError`` as ``AudioRef.load`` does.
    """
    rate = extractor.sampling_rate
    wave = audio.load(rate)
    window = int(max_seconds * rate)
    clip = np.pad(wave[:window], (0, max(0, MIN_SAMPLES - len(wave))))
    frames = -(-len(clip) // extractor.hop_length)
    return Features(log_mel(extractor, clip, tail), frames, len(wave) / rate, len(wave) > window)


def promised_frames(audio: AudioRef, extractor: WhisperFeatureExtractor, max_seconds: float) -> int:
    """The number of mel frames that ``features_of`` makes, without decoding; 0 where it would fail."""
    try:
        samples = audio.length(extractor.sampling_rate)
    except AudioError:
        return 0  # decoding will report what is wrong
    window = int(max_seconds * extractor.sampling_rate)
    return -(-max(min(samples, window), MIN_SAMPLES) // extractor.hop_length)
