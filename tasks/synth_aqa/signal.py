"""Signal primitives of synth_aqa: pure numpy, mono float64 at 16 kHz, every random draw from a generator given in.

Noise is drawn with ``Generator.random`` alone: the bit stream of PCG64 is fixed on every platform, while the
samplers built on libm (``normal`` and friends) are not.
"""

from __future__ import annotations

import numpy as np

RATE = 16_000  # Hz
Wave = np.ndarray  # shape (samples,), float64


def seconds(duration: float) -> int:
    """Number of samples in ``duration`` seconds."""
    return int(round(duration * RATE))


def phase(freq: np.ndarray | float, n: int) -> Wave:
    """Running phase in radians, shape (n,), of an oscillator whose frequency (Hz) is a constant or a curve."""
    return 2 * np.pi * np.cumsum(np.broadcast_to(np.asarray(freq, dtype=np.float64), (n,))) / RATE


def envelope(n: int, attack: float, release: float, decay: float | None = None) -> Wave:
    """Attack and release ramps (s); with ``decay`` (s) an exponential fall to 1/e in that time as well."""
    env = np.ones(n)
    a, r = min(seconds(attack), n), min(seconds(release), n)
    if a:
        env[:a] *= np.linspace(0, 1, a, endpoint=False)
    if r:
        env[n - r :] *= np.linspace(1, 0, r, endpoint=False)
    if decay is not None:
        env *= np.exp(-np.arange(n) / (decay * RATE))
    return env


def harmonics(freq: np.ndarray | float, n: int, partials: dict[float, float], detune: float = 0.0) -> Wave:
    """Sum of partials {multiple of the fundamental: amplitude}; ``detune`` stretches the upper ones (inharmonicity)."""
    base = phase(freq, n)
    out = np.zeros(n)
    top = float(np.max(freq))
    for multiple, amplitude in partials.items():
        stretched = multiple * (1 + detune * (multiple - 1))
        if top * stretched < 0.47 * RATE:  # leave out what would alias
            out += amplitude * np.sin(stretched * base)
    return out / sum(partials.values())


def noise(n: int, rng: np.random.Generator) -> Wave:
    """White noise in [-1, 1], shape (n,)."""
    return 2 * rng.random(n) - 1


def shape_spectrum(wave: Wave, gain: np.ndarray) -> Wave:
    """Filter by a real gain curve of shape (n // 2 + 1,), zero phase."""
    return np.fft.irfft(np.fft.rfft(wave) * gain, n=len(wave))


def frequencies(n: int) -> np.ndarray:
    """Bin centres in Hz of an n-sample real FFT, shape (n // 2 + 1,)."""
    return np.fft.rfftfreq(n, 1 / RATE)


def band(n: int, low: float, high: float) -> np.ndarray:
    """Smooth band-pass gain curve from ``low`` to ``high`` Hz for n samples."""
    f = frequencies(n)
    return 1 / (1 + (low / np.maximum(f, 1.0)) ** 6) / (1 + (f / high) ** 6)


def rms(wave: Wave) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(wave**2)))


def mix_into(clip: Wave, wave: Wave, start: float) -> None:
    """Add ``wave`` to ``clip`` from ``start`` seconds on; what would stand past the end is left off."""
    first = seconds(start)
    stop = min(len(clip), first + len(wave))
    if stop > first:
        clip[first:stop] += wave[: stop - first]


def vowel_gain(n: int, formants: tuple[float, float, float], scale: float) -> np.ndarray:
    """Vocal-tract gain curve: three resonances (Hz) scaled by the tract length, for n samples."""
    f = frequencies(n)
    gain = np.zeros_like(f)
    for centre, width, level in zip(formants, (80.0, 110.0, 170.0), (1.0, 0.55, 0.25), strict=True):
        gain += level / (1 + ((f - centre * scale) / (width * scale)) ** 2)
    return gain


def to_pcm16(wave: Wave, peak: float = 0.6) -> np.ndarray:
    """Normalise to ``peak`` and round to int16, shape (n,)."""
    top = float(np.max(np.abs(wave)))
    return np.round(wave * (peak / top if top > 0 else 0.0) * 32767).astype(np.int16)
