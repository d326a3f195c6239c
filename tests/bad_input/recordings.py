"""Two hundred recordings that are none, or not whole, or not of this world: a name, and a function that writes each."""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from tests.formats.recordings import CODED, DECLARING, encode, noise

Write = Callable[[Path], object]
# A frame of MPEG-2 layer III, 8 kbit/s at 24 kHz: 24 bytes, 24 ms.
FRAME = bytes([0xFF, 0xF3, 0x14, 0xC4]) + bytes(20)
HOURS = 8


def _damaged(data: bytes) -> dict[str, bytes]:
    """A whole file, cut and changed in its header and in its middle."""
    n, half = len(data), len(data) // 2
    return {
        "cut-1": data[:1],
        "cut-12": data[:12],
        "cut-44": data[:44],
        "cut-half": data[:half],
        "cut-last": data[: n - 40],
        "ones": data[:8] + b"\xff" * 40 + data[48:],
        "zeros": data[:8] + bytes(40) + data[48:],
        "hole": data[:half] + bytes(500) + data[half + 500 :],
        "twice": data + data,
        "junk-behind": data + random.Random(n).randbytes(3_000),
    }


def _wav(fmt: bytes, samples: bytes = bytes(3_200), size: int | None = None, more: bytes = b"") -> bytes:
    data = b"data" + struct.pack("<I", len(samples) if size is None else size) + samples
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + more + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _fmt(tag: int = 1, channels: int = 1, rate: int = 16_000, align: int = 2, bits: int = 16) -> bytes:
    return struct.pack("<HHIIHH", tag, channels, rate, (rate * align) & 0xFFFFFFFF, align, bits)


def _id3(size: int) -> bytes:
    return b"ID3\x04\x00\x00" + bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))


def _page(flags: int = 0, serial: int = 1, segments: bytes = b"") -> bytes:
    return (
        b"OggS\0"
        + bytes([flags])
        + bytes(8)
        + struct.pack("<II", serial, 0)
        + bytes(4)
        + bytes([len(segments)])
        + segments
    )


def _with_count(count: int) -> bytes:
    """A FLAC file whose header counts so many samples."""
    data = bytearray(encode(noise(0.3), "FLAC"))
    field = int.from_bytes(data[21:26], "big") >> 36 << 36 | count
    data[21:26] = field.to_bytes(5, "big")
    return bytes(data)


def _float(value: float, subtype: str = "FLOAT") -> bytes:
    samples = noise(0.1).astype(np.float64)
    samples[5] = value
    return encode(samples, f"WAV {subtype}")


WAV = encode(noise(0.2))


def _others() -> dict[str, bytes]:
    """Files of no sound, and files whose headers say what no header should."""
    mp3, opus, aiff, au = encode(noise(1.0), "mp3"), *(encode(noise(0.2), name) for name in ("OGG OPUS", "AIFF", "AU"))
    return {
        "empty": b"",
        "newline": b"\n",
        "text": b"not audio at all\n" * 50,
        "utf16": "not audio".encode("utf-16"),
        "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "json": b'{"error": "not found"}',
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "annex": b"/annex/objects/SHA256E-s12345--" + b"0" * 64 + b".wav\n",
        "png": b"\x89PNG\r\n\x1a\n" + bytes(500),
        "zip": b"PK\x03\x04" + bytes(500),
        "gzip": b"\x1f\x8b\x08" + bytes(500),
        "elf": b"\x7fELF" + bytes(500),
        "mp4": b"\0\0\0\x20ftypM4A " + bytes(500),
        "webm": b"\x1aE\xdf\xa3" + bytes(500),
        "amr": b"#!AMR\n" + bytes(500),
        "midi": b"MThd\0\0\0\6\0\1\0\1\0\x60" + bytes(500),
        "zeros": bytes(2**20),
        "ones": b"\xff" * 2**20,
        "wav-rate-0": _wav(_fmt(rate=0)),
        "wav-rate-1": _wav(_fmt(rate=1)),
        "wav-rate-2e31": _wav(_fmt(rate=2**31)),
        "wav-channels-0": _wav(_fmt(channels=0)),
        "wav-channels-65535": _wav(_fmt(channels=65535)),
        "wav-channels-1024": _wav(_fmt(channels=1024, align=2048)),
        "wav-bits-0": _wav(_fmt(bits=0)),
        "wav-bits-7": _wav(_fmt(bits=7)),
        "wav-bits-65535": _wav(_fmt(bits=65535)),
        "wav-align-0": _wav(_fmt(align=0)),
        "wav-align-65535": _wav(_fmt(align=65535)),
        "wav-tag-0": _wav(_fmt(tag=0)),
        "wav-tag-ffff": _wav(_fmt(tag=0xFFFF)),
        "wav-tag-mpeg": _wav(_fmt(tag=0x55)),
        "wav-tag-adpcm": _wav(_fmt(tag=2, bits=4)),
        "wav-fmt-short": _wav(b"\1\0"),
        "wav-fmt-long": _wav(_fmt() + bytes(65_536)),
        "wav-size-0": _wav(_fmt(), size=0),
        "wav-odd": _wav(_fmt(), bytes(3_201)),
        "wav-size-open": _wav(_fmt(), size=0xFFFFFFFF),
        "wav-size-2e31": _wav(_fmt(), size=2**31),
        "wav-no-samples": _wav(_fmt(), b""),
        "wav-no-data": WAV[:36],
        "wav-two-fmt": _wav(_fmt(), more=b"fmt " + struct.pack("<I", 16) + _fmt(rate=8_000)),
        "wav-chunks": b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 100_000,
        "wav-chunk-2e32": b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(100),
        "wav-within": _wav(_fmt(), WAV),
        "wav-nan": _float(np.nan),
        "wav-inf": _float(-np.inf),
        "wav-1e38": _float(1e38),
        "wav-double-nan": _float(np.nan, "DOUBLE"),
        "wav-double-1e300": _float(1e300, "DOUBLE"),
        "flac-8-hours": _with_count(HOURS * 3600 * 16_000),
        "flac-most": _with_count(2**36 - 1),
        "flac-0": _with_count(0),
        "flac-1": _with_count(1),
        "flac-head-alone": encode(noise(0.3), "FLAC")[:42],
        "flac-blocks": b"fLaC" + b"\x01\0\0\0" * 100_000,
        "flac-block-16m": b"fLaC\x00\xff\xff\xff" + bytes(1_000),
        "flac-heads": encode(noise(0.3), "FLAC")[:60] + b"\xff\xf8\x69\x18\0" * 100_000,
        "mp3-8-hours": FRAME * (HOURS * 3600 * 1000 // 24),
        "mp3-one-frame": FRAME,
        "mp3-half-frame": FRAME[:12],
        "mp3-junk-between": (FRAME * 2 + bytes(60_000)) * 60,
        "mp3-syncs-between": (FRAME * 2 + FRAME[:4] * 1_000) * 60,
        "mp3-free": b"\xff\xfb\x00\x00" + bytes(1_000),
        "mp3-layer-1": b"\xff\xff\x90\x00" + bytes(1_000),
        "mp3-reserved": b"\xff\xeb\x90\x00" * 500,
        "mp3-rates": (FRAME + b"\xff\xfb\x90\x00" + bytes(413)) * 20,
        "mp3-bare-head": FRAME[:4],
        "mp3-tag-counts-2e32": b"\xff\xfb\x90\x00" + bytes(32) + b"Xing\0\0\0\1\xff\xff\xff\xff" + bytes(365),
        "id3-alone": _id3(0),
        "id3-tags": _id3(0) * 100_000,
        "id3-beyond": _id3(2**28 - 1) + mp3,
        "id3-padded": (_id3(0) + bytes(3)) * 50_000,
        "id3-wav": _id3(100) + bytes(100) + WAV,
        "id3-text": _id3(0) + b"text",
        "id3-cut": b"ID3\x04",
        "id3-mp3-cut": _id3(0) + mp3[:300],
        "ogg-pages": _page(2) + _page() * 700_000,
        "ogg-links": (_page(2) + _page(4)) * 50_000,
        "ogg-links-short": opus * 1_100,
        "ogg-segments": _page(2, segments=b"\xff" * 255),
        "ogg-no-last": opus.replace(b"OggS\0\4", b"OggS\0\0"),
        "ogg-streams": b"".join(_page(2, serial) for serial in range(5_000)),
        "ogg-behind": opus + b"OggS",
        "ogg-alone": b"OggS",
        "ogg-rates": encode(noise(0.2), "OGG VORBIS") + encode(noise(0.2, rate=8_000), "OGG VORBIS", 8_000),
        "aiff-rate-nan": aiff.replace(b"\x40\x0c\xfa", b"\x7f\xff\xff"),
        "aiff-rate-0": aiff.replace(b"\x40\x0c\xfa", bytes(3)),
        "aiff-negative": aiff.replace(struct.pack(">I", 3_200), b"\xff\xff\xff\xff"),
        "au-offset": b".snd\xff\xff\xff\xf0" + bytes(400),
        "au-encoding": au[:12] + b"\0\0\0\x7f" + au[16:],
        "au-offset-0": b".snd" + bytes(4) + b"\xff\xff\xff\xff\0\0\0\3\0\0\x3e\x80\0\0\0\1" + bytes(400),
        "rf64-without-ds64": b"RF64\xff\xff\xff\xffWAVE" + _wav(_fmt(), size=0xFFFFFFFF)[12:],
        "w64-sizes": b"riff" + b"\xff" * 200,
        "caf-size": b"caff\0\1\0\0desc" + b"\x7f" + b"\xff" * 200,
        "svx-alone": b"FORM\0\0\0\4" + b"8SVX",
        "voc": b"Creative Voice File\x1a" + bytes(200),
        "nist-count": b"NIST_1A\n   1024\nsample_count -i 999999999999\nsample_n_bytes -i 2\nend_head\n".ljust(1024)
        + bytes(100),
        "nist-head": b"NIST_1A\n" + b"9" * 900 + b"\nend_head\n",
        "raw-gsm": bytes(33) * 100,
        "ircam": b"\x64\xa3\x01\0" + bytes(300),
    }


def named(files: Mapping[str, bytes], suffix: str = ".wav") -> dict[str, Write]:
    return {f"{name}{suffix}": partial(_write, data=data) for name, data in files.items()}


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _sparse(path: Path, size: int, head: bytes = b"") -> None:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket may be no longer than 100 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


# Where a link may lead: what no read ends at, or what is no recording.
ELSEWHERE = ("/dev/zero", "/dev/random", "/dev/null", "/dev/tty", "/proc/kmsg", "/proc/self/mem", "/proc/self/maps")


def _link(path: Path, to: str) -> None:
    path.symlink_to(to)


def _long_wav(path: Path) -> None:
    size = HOURS * 3600 * 8_000
    _sparse(path, 44 + size, _wav(_fmt(rate=8_000, align=1, bits=8), b"", size))


# What is no regular file, or not what its size says. Opening the first for reading waits for a writer.
KINDS: dict[str, Write] = {
    "pipe.wav": os.mkfifo,
    "socket.wav": _socket,
    "folder.wav": os.mkdir,
    "loop.wav": lambda path: path.symlink_to(path.name),
    "nowhere.wav": partial(_link, to="missing"),
    **{f"{name.strip('/').replace('/', '-')}.wav": partial(_link, to=name) for name in ELSEWHERE},
    "5-gb.wav": partial(_sparse, size=5 * 10**9),
    "257-mib.wav": partial(_sparse, size=257 * 2**20, head=WAV[:44]),
    "8-hours.wav": _long_wav,
    "128-mib.wav": partial(_sparse, size=128 * 2**20),
    "128-mib.mp3": partial(_sparse, size=128 * 2**20, head=FRAME * 3),
}


@lru_cache(maxsize=1)
def cases() -> dict[str, Write]:
    """What writes each file, by name; built when asked for, as some of them have tens of megabytes."""
    damaged = {
        f"{name.lower().replace(' ', '-')}-{damage}": data
        for name in (*DECLARING[:6], *CODED[:5], "WAV GSM610")
        for damage, data in _damaged(encode(noise(0.4), name)).items()
    }
    return {**named(_others()), **named(damaged), **KINDS}
