"""A recording in the form that pages play and draw: what a model is given of it, small.

Models hear mono at 16 kHz, so a page plays that: MP3 of a variable bit rate (libsndfile's default, about 36 kbit/s),
which every browser plays and whose bytes depend on the samples alone. OGG would not be smaller at this quality, has a
random number in each file, and does not play in Safari before 18.4.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np

from audio_eval.audio import RATE, AudioError, AudioRef
from audio_eval.clips.spectrogram import mel_picture

OUTLINE = 300  # intervals of a waveform's outline
MEDIA_TYPE = "audio/mpeg"


@dataclass(frozen=True)
class Encoded:
    """``sound`` is an MP3 file of ``seconds``, ``mel`` a PNG picture of its frequencies.

    ``outline`` has the least and the greatest sample of each of at most ``OUTLINE`` intervals, one after the other, as
    bytes of signed integers in base64: 127 is ``level``, the greatest magnitude of a sample (1 is full scale).
    """

    sound: bytes
    seconds: float
    outline: str
    level: float
    mel: bytes


def encode(audio: AudioRef) -> Encoded:
    """Decode and encode a recording, with its edit and of its part. Raises ``AudioError`` as ``AudioRef.load`` does.

    What is louder than full scale is scaled to it, as no player could play it.
    """
    wave = audio.load(RATE)
    if not len(wave):
        raise AudioError(f"{audio.name}: nothing is left of it in this part.")
    level = float(np.abs(wave).max())
    return Encoded(_mp3(audio, wave / max(1.0, level)), len(wave) / RATE, outline(wave), level, mel_picture(wave, RATE))


def outline(wave: np.ndarray) -> str:
    """The ``outline`` of samples (n,), n > 0."""
    starts = np.linspace(0, len(wave), min(OUTLINE, len(wave)), endpoint=False).astype(int)
    extremes = np.stack([np.minimum.reduceat(wave, starts), np.maximum.reduceat(wave, starts)], axis=1)
    level = np.abs(wave).max() or 1.0
    return base64.b64encode(np.rint(extremes / level * 127).astype(np.int8).tobytes()).decode()


def _mp3(audio: AudioRef, wave: np.ndarray) -> bytes:
    import soundfile

    file = io.BytesIO()
    try:
        soundfile.write(file, wave, RATE, format="MP3", subtype="MPEG_LAYER_III")
    except (soundfile.LibsndfileError, ValueError) as error:  # ValueError: a libsndfile from before 1.1 has no MP3
        raise AudioError(f"{audio.name}: cannot be encoded as MP3 by this libsndfile ({error}).") from None
    return file.getvalue()
