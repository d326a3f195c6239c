"""MP3 streams are as long as their frames."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioError, AudioRef
from audio_eval.formats import mpeg
from tests.formats.recordings import encode, heard, noise


def untagged(samples: np.ndarray, rate: int = 44_100, mode: str = "VARIABLE") -> tuple[bytes, int]:
    """An MP3 stream without its Xing frame, and the number of its frames."""
    data = encode(samples, "MP3", rate, bitrate_mode=mode, compression_level=0.1)
    frames, _ = mpeg._frames(data)
    assert mpeg._tag(data[frames[0].at : frames[0].at + frames[0].size])[0]
    return data[frames[1].at :], len(frames) - 1


@pytest.mark.parametrize("rate", [44_100, 48_000, 24_000, 16_000, 8_000])
@pytest.mark.parametrize("mode", ["VARIABLE", "CONSTANT"])
def test_an_mp3_without_a_count_is_heard_whole(rate: int, mode: str) -> None:
    """libsndfile estimates 1 to 2 s for the first: it begins loud and is silent then."""
    samples = np.concatenate([noise(1, rate=rate), np.zeros(5 * rate, np.float32)])
    data, frames = untagged(samples, rate, mode)
    sound = AudioRef(data=data).decode()
    assert len(sound.samples) == frames * (1152 if rate > 24_000 else 576)
    assert len(sound.samples) > len(samples)
    assert AudioRef(data=data).length(rate) == len(sound.samples)
    if mode == "VARIABLE":
        assert soundfile.info(io.BytesIO(data)).duration < 5, "what makes the count necessary"


def test_tags_and_junk_around_an_mp3_change_nothing() -> None:
    plain, _ = untagged(noise(2, rate=44_100))
    id3 = b"ID3\4\0\0" + bytes([0, 0, 7, 104]) + bytes(1000)
    for front, back in (
        (id3, b""),
        (id3 + id3, b""),
        (id3 + bytes(300), b""),
        (b"", b"TAG" + bytes(125)),
        (b"", bytes(5_000)),
        (b"", b"APETAGEX" + bytes(range(256)) * 40),
    ):
        assert np.array_equal(heard(front + plain + back), heard(plain))


def test_mp3_files_that_are_joined_are_heard_to_the_end() -> None:
    one, two = (encode(noise(seconds, rate=44_100), "MP3", 44_100) for seconds in (1.0, 2.0))
    assert len(heard(one + two)) > 3.0 * 44_100
    assert len(heard(one + b"TAG" + bytes(125) + two)) > 3.0 * 44_100


def test_a_tag_that_counts_itself_is_no_cut() -> None:
    data = bytearray(encode(noise(2, rate=44_100), "MP3", 44_100))
    at = next(i for name in (b"Info", b"Xing") if (i := data.find(name)) > 0)
    count = int.from_bytes(data[at + 8 : at + 12], "big")
    struct.pack_into(">I", data, at + 8, count + 1)
    assert len(heard(bytes(data))) == count * 1152


def test_mp3_in_a_wav_is_counted_too() -> None:
    data, frames = untagged(np.concatenate([noise(1, rate=44_100), np.zeros(5 * 44_100, np.float32)]))
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 44_100, 16_000, 1, 0, 12, 1, 2, 417, 1, 0)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    assert len(heard(b"RIFF" + struct.pack("<I", len(body)) + body)) == frames * 1152


def test_an_uncounted_mp3_that_ends_within_a_frame_is_refused() -> None:
    data, frames = untagged(noise(2, rate=44_100))
    with pytest.raises(AudioError, match="truncated"):
        AudioRef(data=data[:-10]).load()
    [*_, last], _ = mpeg._frames(data)
    assert len(heard(data[: last.at])) == (frames - 1) * 1152, "between two frames nothing says that one is missing"


def test_an_mp3_of_days_is_refused_before_it_is_decoded() -> None:
    data, _ = untagged(np.zeros(8_000 * 10), 8_000)
    with pytest.raises(AudioError, match="600 s"):
        AudioRef(data=data * 70).load()
    with pytest.raises(AudioError, match="600 s"):
        AudioRef(data=data * 70).length()
