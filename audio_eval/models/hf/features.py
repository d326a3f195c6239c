"""Log-mel features of one clip at its true length, the same bits as the transformers processor's own.

The Omni processor pads every clip to 300 s before the short-time Fourier transform: 100 ms and 15 MB for a clip of
10 s. An STFT frame sees ``n_fft`` samples, so the few hundred zeros that the last valid frames can see are enough;
what is cropped afterwards never reached a valid frame. At the end of the extractor's window there are no zeros: there
the transform mirrors the signal, and so does ours.
"""

from __future__ import annotations

import numpy as np
from transformers import WhisperFeatureExtractor


def log_mel(extractor: WhisperFeatureExtractor, wave: np.ndarray, tail: int = 0) -> np.ndarray:
    """Features of a mono waveform (samples,) float32: shape (mels, frames), frames = ceil(samples / hop).

    With ``tail``, as many frames of what follows, as far as the extractor's window goes; the third and later ones have
    heard nothing but the zeros.
    """
    hop = extractor.hop_length
    frames = min(-(-len(wave) // hop) + tail, extractor.nb_max_frames)
    margin = frames * hop - len(wave) + extractor.n_fft + (-extractor.n_fft) % hop
    padded = np.pad(wave.astype(np.float32), (0, max(0, min(margin, extractor.n_samples - len(wave)))))
    features = extractor(
        padded, sampling_rate=extractor.sampling_rate, padding="longest", truncation=False, return_tensors="np"
    )["input_features"]
    return features[0, :, :frames]
