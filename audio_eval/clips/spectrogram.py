"""A picture of a recording's frequencies over time: log-mel, as the models' extractors compute it, as a small PNG."""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import numpy as np

WINDOW, HOP = 400, 160  # samples of a frame and between frames at 16 kHz, as in Whisper's extractor
BANDS, COLUMNS = 64, 240  # the picture's height, and its width at most
FRAMES = 16 * COLUMNS  # at most: those of longer recordings are further apart, and a column averages 16
RANGE_DB = 70.0  # from the darkest shade to the brightest
QUIET = 1e-6  # power that is never shown as bright, so that silence is dark
SHADES = 16
_INK, _MIDDLE, _PAPER = (17, 21, 28), (27, 99, 150), (250, 244, 220)


def mel_picture(wave: np.ndarray, rate: int) -> bytes:
    """A PNG, low frequencies below, of mono samples (n,), n > 0."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(wave, WINDOW // 2), WINDOW)
    frames = frames[:: max(HOP, len(frames) // FRAMES)] * np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    power = (np.abs(np.fft.rfft(frames)) ** 2 @ _bands(rate)).T
    starts = np.linspace(0, power.shape[1], min(COLUMNS, power.shape[1]), endpoint=False).astype(int)
    power = np.add.reduceat(power, starts, axis=1) / np.diff([*starts, power.shape[1]])
    decibels = 10 * np.log10(np.maximum(power, 1e-20) / max(float(power.max()), QUIET))
    shades = np.rint((1 + np.clip(decibels / RANGE_DB, -1, 0)) * (SHADES - 1))
    return png(shades[::-1].astype(np.uint8))


@lru_cache
def _bands(rate: int) -> np.ndarray:
    """The filters (frequencies, bands)."""
    from transformers.audio_utils import mel_filter_bank

    return mel_filter_bank(WINDOW // 2 + 1, BANDS, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")


def png(shades: np.ndarray) -> bytes:
    """Shades (height, width) of 0 to 15 as a PNG of four bits per pixel (www.w3.org/TR/png-3, 7.2 and 11)."""
    height, width = shades.shape
    even = np.pad(shades, ((0, 0), (0, width % 2)))
    rows = np.pad(even[:, ::2] << 4 | even[:, 1::2], ((0, 0), (1, 0)))  # each row begins with its filter, 0: none
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", _palette()), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _palette() -> bytes:
    places = np.linspace(0, 2, SHADES)
    channels = [np.interp(places, (0, 1, 2), levels) for levels in zip(_INK, _MIDDLE, _PAPER, strict=True)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8).tobytes()
