"""Granite Speech's features: torchaudio's mel spectrogram, which its feature extractor asks for, without torchaudio.

The bits are those of ``torchaudio.transforms.MelSpectrogram`` with its defaults, as ``GraniteSpeechFeatureExtractor``
has it: power spectrum, centred frames that mirror the ends, mel scale of HTK (2595 log10(1 + f / 700)), triangles of
height 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from audio_eval.models.hf.files import read_settings


@dataclass(frozen=True)
class GraniteMel:
    """The extractor's settings, under its own names."""

    sampling_rate: int = 16_000
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 80

    @classmethod
    def from_pretrained(cls, folder: Path) -> GraniteMel:
        """The settings of preprocessor_config.json.

        What stands in its ``melspec_kwargs`` is a record of what was used; the class does not read it back either.
        """
        told = read_settings(folder / "preprocessor_config.json")
        return cls(**{field.name: told[field.name] for field in fields(cls) if field.name in told})

    def frames(self, samples: int) -> int:
        """The number of mel frames: one each hop, and one at the start; two of them are a frame of the encoder."""
        return samples // self.hop_length + 1

    @torch.autocast("cpu", enabled=False)  # else a model in bfloat16 on a CPU would have its features in it
    def __call__(self, wave: np.ndarray) -> np.ndarray:
        """Features (frames // 2, 2 * mels) float32 of a mono waveform (samples,): two frames side by side."""
        spectrum = torch.stft(
            torch.from_numpy(wave).float()[None], self.n_fft, self.hop_length, self.win_length,
            torch.hann_window(self.win_length), center=True, pad_mode="reflect", onesided=True, return_complex=True,
        ).abs().pow(2.0)  # fmt: skip
        mel = torch.matmul(spectrum.transpose(-1, -2), self._filters)
        log_mel = mel.clip_(min=1e-10).log10_()
        loudest = log_mel.amax(dim=(-2, -1), keepdim=True)
        log_mel = torch.maximum(log_mel, loudest - 8.0).div_(4).add_(1)
        even = log_mel.shape[1] // 2 * 2
        return log_mel[:, :even].reshape(-1, 2 * self.n_mels).numpy()

    @cached_property
    def _filters(self) -> torch.Tensor:
        """Triangles (frequencies, mels) in float32, evenly spaced on the mel scale from 0 Hz to half the rate."""
        top = self.sampling_rate / 2
        frequencies = torch.linspace(0, top, self.n_fft // 2 + 1)
        mels = torch.linspace(0.0, 2595.0 * math.log10(1.0 + top / 700.0), self.n_mels + 2)
        corners = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
        width = corners[1:] - corners[:-1]
        slopes = corners[None, :] - frequencies[:, None]
        falling, rising = -slopes[:, :-2] / width[:-1], slopes[:, 2:] / width[1:]
        return torch.clamp(torch.minimum(falling, rising), min=0.0)
