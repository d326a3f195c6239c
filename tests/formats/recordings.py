"""Recordings in every format that libsndfile writes, and what is heard of them."""

from __future__ import annotations

import io
import struct
from functools import lru_cache

import numpy as np
import soundfile

from audio_eval.audio import AudioRef

RATE, SECONDS = 16_000, 3
DECLARING = ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "SVX", "NIST"]
CODED = ["FLAC", "OGG VORBIS", "OGG OPUS", "MP3", "WAV MS_ADPCM", "WAV GSM610", "WAV G721_32", "AU G721_32"]
OPEN_SIZES = [0, 2_000_000_000, 0x7FFF0000, 0x7FFFF000, 0xFFFFFFFF]


def noise(seconds: float = SECONDS, seed: int = 0, rate: int = RATE) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate)).astype(np.float32)


def encode(samples: np.ndarray, name: str = "WAV", rate: int = RATE, **options: object) -> bytes:
    """A file of the format (and subtype) that ``name`` says."""
    format, _, subtype = name.partition(" ")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype or None, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


@lru_cache
def whole(name: str) -> bytes:
    return encode(noise(), name)


def heard(data: bytes) -> np.ndarray:
    return AudioRef(data=data).decode().samples


def with_size(name: str, size: int) -> bytes:
    """A file in which the size of the samples is ``size``."""
    at, width, order = {
        "WAV": (b"data", 4, "<I"), "WAVEX": (b"data", 4, "<I"), "AIFF": (b"SSND", 4, ">I"), "AU": (b".snd", 8, ">I"),
        "RF64": (b"ds64", 16, "<Q"), "W64": (b"data", 16, "<Q"), "CAF": (b"data", 4, ">q"),
    }[name]  # fmt: skip
    data = bytearray(whole(name))
    struct.pack_into(order, data, data.index(at) + width, size)
    return bytes(data)
