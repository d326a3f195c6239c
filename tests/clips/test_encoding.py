"""What a page holds of a recording: a sound that is the recording, small, and pictures of it."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioError, AudioRef
from audio_eval.clips import encode
from audio_eval.clips.encoding import OUTLINE, outline
from audio_eval.clips.spectrogram import BANDS, COLUMNS, mel_picture, png
from audio_eval.edits import AudioEdit

RATE = 16_000


def written(path: Path, wave: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> AudioRef:
    soundfile.write(path, wave, rate, subtype=subtype)
    return AudioRef(path=str(path))


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def shades(picture: bytes) -> np.ndarray:
    """The inverse of ``png``, as the standard has it."""
    found, at = {}, 8
    while at < len(picture):
        (size,) = struct.unpack(">I", picture[at : at + 4])
        body = picture[at + 4 : at + 8 + size]
        assert zlib.crc32(body) == struct.unpack(">I", picture[at + 8 + size : at + 12 + size])[0]
        found[body[:4]], at = body[4:], at + 12 + size
    width, height, *form = struct.unpack(">IIBBBBB", found[b"IHDR"])
    assert form == [4, 3, 0, 0, 0] and len(found[b"PLTE"]) == 3 * 16
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any(), "no filter"
    return np.stack([rows[:, 1:] >> 4, rows[:, 1:] & 15], axis=2).reshape(height, -1)[:, :width]


def test_the_sound_is_what_a_model_is_given(tmp_path: Path) -> None:
    stereo = np.stack([tone(440, 2.5, 44_100), tone(660, 2.5, 44_100)], axis=1)
    audio = written(tmp_path / "a.wav", stereo, 44_100)
    found = encode(audio)
    heard, (samples, rate) = audio.load(RATE), soundfile.read(io.BytesIO(found.sound))
    assert rate == RATE and samples.shape == heard.shape, "mono, and no sample more than there are"
    assert np.corrcoef(samples, heard)[0, 1] > 0.99
    assert found.seconds == 2.5 and found.level == pytest.approx(np.abs(heard).max())
    assert len(found.sound) < 2.5 * 6_000 and found == encode(AudioRef(data=audio.read())), "the same bytes every time"


@pytest.mark.parametrize("samples", [1, 2, 399, 1601])
def test_a_short_recording_is_whole(tmp_path: Path, samples: int) -> None:
    found = encode(written(tmp_path / "a.wav", tone(440, 1)[:samples]))
    assert len(soundfile.read(io.BytesIO(found.sound))[0]) >= samples and found.seconds == samples / RATE


def test_an_edit_and_a_part_are_heard(tmp_path: Path) -> None:
    audio = written(tmp_path / "a.wav", tone(440, 2))
    silence = encode(audio.edited(AudioEdit(gain=0.0)))
    assert silence.level == 0 and not np.abs(soundfile.read(io.BytesIO(silence.sound))[0]).max() > 1e-4
    assert set(base64.b64decode(silence.outline)) == {0} and len(silence.sound) < 3_000
    part = encode(AudioRef(path=audio.path, part=(0.5, 1.25)))
    assert part.seconds == 0.75
    with pytest.raises(AudioError, match="nothing is left"):
        encode(AudioRef(path=audio.path, part=(5, 6)))


def test_what_is_beyond_full_scale_is_scaled_to_it(tmp_path: Path) -> None:
    found = encode(written(tmp_path / "a.wav", 8 * tone(440, 1), subtype="FLOAT"))
    samples = soundfile.read(io.BytesIO(found.sound))[0]
    assert found.level == pytest.approx(4, rel=0.01) and 0.9 < np.abs(samples).max() < 1.1


def test_the_outline_has_the_extremes_of_each_interval() -> None:
    wave = np.concatenate([tone(100, 1), np.zeros(RATE, np.float32), -np.abs(tone(100, 1)) / 2])
    ends = np.frombuffer(base64.b64decode(outline(wave)), np.int8).reshape(-1, 2)
    assert len(ends) == OUTLINE
    assert ends[0].tolist() == [-127, 127] and ends[150].tolist() == [0, 0]
    assert ends[250].tolist() == [pytest.approx(-64, abs=1), 0]


@pytest.mark.parametrize("hertz", [200, 1000, 6000])
def test_the_picture_shows_what_sounds_when(hertz: int) -> None:
    found = shades(mel_picture(np.concatenate([np.zeros(RATE, np.float32), tone(hertz, 1)]), RATE))
    assert found.shape == (BANDS, 201)
    before, sounding = found[:, 10:90], found[:, 110:190]
    assert before.max() == 0 and sounding.max() == 15
    mel = [1127 * np.log(1 + f / 700) for f in (hertz, RATE / 2)]  # about, as Slaney's scale is another one
    assert sounding.mean(axis=1).argmax() == pytest.approx(BANDS * (1 - mel[0] / mel[1]), abs=5)


def test_pictures_are_small_however_long_the_recording() -> None:
    noise = np.random.default_rng(0).standard_normal(60 * RATE).astype(np.float32)
    picture = mel_picture(noise, RATE)
    assert shades(picture).shape == (BANDS, COLUMNS) and len(picture) < 8_000
    assert not shades(mel_picture(np.zeros(RATE, np.float32), RATE)).any(), "silence is dark"
    assert shades(mel_picture(noise[:1], RATE)).shape == (BANDS, 1)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_a_picture_reads_back(width: int) -> None:
    drawn = np.random.default_rng(0).integers(0, 16, (3, width)).astype(np.uint8)
    assert (shades(png(drawn)) == drawn).all()
