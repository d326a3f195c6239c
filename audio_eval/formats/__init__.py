"""Recordings made ready for libsndfile, so that it hears them whole.

libsndfile takes a recording's length from the file's header or from an estimate, and reads so far without an error: a
file that is cut is shortened, a size that a pipe left open may count as none, of a chain of Ogg streams the first is
read, and an MP3 file without a count of its frames ends where its size and its first frames suggest. So the file's
structure is checked first. What cannot be read whole is ``Unsound``, with the reason.
"""

from __future__ import annotations

import re

from audio_eval.formats import chunks, flac, mpeg, ogg
from audio_eval.formats.part import Part, Unsound

__all__ = ["CHECKED", "Part", "Unsound", "parts"]

# libsndfile's names of the formats whose length is checked, here or against the number of samples that decode.
CHECKED = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "SVX", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3"}


def parts(data: bytes, most_seconds: float) -> list[Part]:
    """The recordings that stand one behind the other in a file: one, but for Ogg, which may be a chain.

    Of each libsndfile reads all samples: sizes that were left open are filled in. Raises ``Unsound``.
    """
    data = mpeg.without_tags(data)
    if data[:4] == b"OggS":
        return [Part(link) for link in ogg.links(data)]
    if (found := chunks.find_samples(data)) is not None:
        if found.is_mpeg:
            return [mpeg.counted(data[found.start : found.stop], most_seconds)]
        return [Part(chunks.closed(data, found))]
    if data[:4] == b"fLaC":
        return [Part(flac.counted(data))]
    if data[:7] == b"NIST_1A":
        _check_nist(data)
    elif mpeg.begins(data):
        return [mpeg.counted(data, most_seconds)]
    return [Part(data)]


def _check_nist(data: bytes) -> None:
    """NIST SPHERE, whose header is text: ``sample_count`` samples of ``sample_n_bytes`` bytes in each channel."""
    lines = data[:1024].split(b"\n")
    sizes = {name: int(value) for name, value in re.findall(rb"(\w+) -i (\d{1,12})\b", data[:1024])}
    count, width = sizes.get(b"sample_count", 0), sizes.get(b"sample_n_bytes", 1)
    head = int(lines[1]) if len(lines) > 1 and lines[1].strip().isdigit() else 1024
    if head + count * width * sizes.get(b"channel_count", 1) > len(data):
        raise Unsound.cut()
