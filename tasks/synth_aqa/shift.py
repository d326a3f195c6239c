"""The distribution shift of the ``validation`` and ``test`` splits; ``train`` is never touched by it.

Each item draws a severity in [0, 1] and, scaled by it: other timbres, additive noise, reverberation, a duller
bandwidth and a slow gain drift. Items of low severity sound almost like training, the rest less and less so, as
recordings in the wild do.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from . import signal as s
from .scenes import Timbre


@dataclass(frozen=True)
class Shift:
    """One item's recording conditions."""

    severity: float
    timbre: Timbre
    snr_db: float
    hum: float  # share of mains hum in the noise, 0 to 1
    reverb_s: float  # time to fall by 60 dB; 0 is dry
    lowpass_hz: float

    @property
    def difficulty(self) -> str:
        """By thirds of the severity: the worse the conditions, the less is left of what any question asks about."""
        return ("easy", "medium", "hard")[min(int(3 * self.severity), 2)]


CLEAN_SNR = (40.0, 60.0)  # dB; a little noise, so that silence is never digital zero


def clean(rng: random.Random) -> Shift:
    """Recording conditions of the training split."""
    return Shift(0.0, Timbre(), rng.uniform(*CLEAN_SNR), 0.0, 0.0, 7900.0)


def shifted(rng: random.Random) -> Shift:
    """Recording conditions of the validation and test splits."""
    u = rng.random()
    timbre = Timbre(
        detune=0.003 * u * rng.random(),
        tilt=u * rng.uniform(-0.2, 0.6),
        vibrato=0.01 * u * rng.random(),
        tract=1 + 0.1 * u * rng.uniform(-1, 1),
        transpose=2 ** (2.0 * u * rng.uniform(-1, 1) / 12),
    )
    return Shift(
        severity=u,
        timbre=timbre,
        snr_db=40 - 20 * u * rng.uniform(0.6, 1.0),
        hum=0.5 * rng.random(),
        reverb_s=0.35 * u * rng.random(),
        lowpass_hz=7900 - 3000 * u * rng.random(),
    )


def apply(wave: s.Wave, shift: Shift, rng: np.random.Generator) -> s.Wave:
    """Play ``wave`` (samples,) through the item's recording conditions."""
    n = len(wave)
    if shift.reverb_s > 0.02:
        length = s.seconds(shift.reverb_s)
        tail = s.noise(length, rng) * np.exp(-6.9 * np.arange(length) / length)
        tail *= 0.5 / np.sqrt(np.sum(tail**2))
        tail[0] = 1.0  # the direct sound
        size = n + length - 1
        wave = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), n=size)[:n]
    wave = s.shape_spectrum(wave, s.band(n, 30.0, shift.lowpass_hz))
    hum = np.sin(s.phase(50.0, n)) + 0.5 * np.sin(s.phase(150.0, n))
    floor = (1 - shift.hum) * s.noise(n, rng) / 0.577 + shift.hum * hum / 0.79  # both parts at RMS 1
    return wave + floor / s.rms(floor) * s.rms(wave) * 10 ** (-shift.snr_db / 20)
