"""Edits of a waveform that keep its length: for views of an item, and for the silent control."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class AudioEdit:
    """The edits, applied in this order. ``gain`` 0 is silence. The noise depends on ``seed`` only."""

    rate: int | None = None  # Hz: resampled to this rate and back, which removes frequencies above half of it
    shift_s: float = 0.0  # seconds later (silence in front) or earlier (silence behind)
    gain: float = 1.0
    snr_db: float | None = None  # white noise at this distance below the power of the signal
    seed: int = 0

    def apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """Edit mono float32 samples (n,) at ``rate`` Hz; the result has the same shape."""
        import numpy as np

        wave = samples
        if self.rate is not None and self.rate < rate:
            import librosa

            narrow = librosa.resample(wave, orig_sr=rate, target_sr=self.rate, res_type="soxr_hq")
            wave = librosa.util.fix_length(
                librosa.resample(narrow, orig_sr=self.rate, target_sr=rate, res_type="soxr_hq"), size=len(samples)
            )
        if offset := min(max(round(self.shift_s * rate), -len(wave)), len(wave)):
            silence = np.zeros(abs(offset), wave.dtype)
            wave = np.concatenate([silence, wave[:-offset]] if offset > 0 else [wave[-offset:], silence])
        if self.gain != 1.0:
            wave = wave * np.float32(self.gain)
        if self.snr_db is not None:
            power = float(np.mean(np.square(wave, dtype=np.float64))) / 10 ** (self.snr_db / 10)
            noise = np.random.Generator(np.random.PCG64(self.seed)).standard_normal(len(wave))
            wave = wave + (power**0.5 * noise)
        return np.ascontiguousarray(wave, dtype=np.float32)
