"""AudioRef: decoding by content, and one-line errors for what cannot be used."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_eval import audio
from audio_eval.audio import AudioError, AudioRef, resolve_under


def tone(rate: int = 16_000, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def encode(samples: np.ndarray, rate: int = 16_000, format: str = "WAV", subtype: str | None = None) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=format, subtype=subtype)
    return buffer.getvalue()


def test_mono_16k_is_returned_as_it_is(tmp_path: Path) -> None:
    data = encode(tone(), subtype="FLOAT")
    (tmp_path / "x.wav").write_bytes(data)
    for ref in (AudioRef(path=str(tmp_path / "x.wav")), AudioRef(data=data)):
        samples = ref.load()
        assert samples.dtype == np.float32
        assert np.array_equal(samples, tone())
        assert ref.digest() == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("channels", [2, 6])
def test_channels_are_averaged(channels: int) -> None:
    stereo = np.stack([tone() * scale for scale in np.linspace(0, 1, channels)], axis=1)
    heard = AudioRef(data=encode(stereo, subtype="FLOAT")).load()
    assert np.allclose(heard, tone() / 2, atol=1e-6)
    assert np.array_equal(heard, stereo.mean(axis=1, dtype=np.float32))


@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_other_rates_are_resampled_as_librosa_does(rate: int, tmp_path: Path) -> None:
    import librosa

    path = tmp_path / "x.flac"
    path.write_bytes(encode(tone(rate), rate, "FLAC"))
    samples = AudioRef(path=str(path)).load()
    assert samples.shape == (8_000,)
    assert np.array_equal(samples, librosa.load(path, sr=16_000)[0])


def test_mp3_named_wav(tmp_path: Path) -> None:
    path = tmp_path / "really_mp3.wav"
    path.write_bytes(encode(tone(seconds=1.0), format="MP3"))
    samples = AudioRef(path=str(path)).load()
    assert abs(len(samples) - 16_000) < 3_000
    spectrum = np.abs(np.fft.rfft(samples))
    assert abs(np.argmax(spectrum) * 16_000 / len(samples) - 440) < 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"not audio at all" * 10, "decoded"),
        (encode(tone())[:60], "truncated"),
        (encode(tone(seconds=2.0))[:20_000], "truncated"),
        (encode(tone()[:0]), "no samples"),
        (encode(np.full(100, np.nan, np.float32), subtype="FLOAT"), "not numbers"),
    ],
)
def test_unusable_files_are_named(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=message) as caught:
        AudioRef(path=str(path)).load()
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="no such file"):
        AudioRef(path=str(tmp_path / "none.wav")).load()
    with pytest.raises(AudioError, match="cannot be read"):
        AudioRef(path=str(tmp_path)).load()


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(AudioError, match="cannot be read"):
        AudioRef(path=name).load()


def test_bombs_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    silence = np.zeros(1_000 * 700, np.int16)
    with pytest.raises(AudioError, match="600 s"):
        AudioRef(data=encode(silence, 1_000, "FLAC")).load()
    monkeypatch.setattr(audio, "MAX_BYTES", 2**20)
    with pytest.raises(AudioError, match="1 MiB decoded"):
        AudioRef(data=encode(silence[:300_000], 48_000, "FLAC")).load()


def test_a_length_left_open_by_a_pipe_is_no_truncation() -> None:
    data = bytearray(encode(tone(), subtype="PCM_16"))
    at = data.index(b"data")
    data[at + 4 : at + 8] = struct.pack("<I", 0xFFFFFFFF)
    assert len(AudioRef(data=bytes(data)).load()) == 8_000


def test_sha256_is_checked() -> None:
    data = encode(tone())
    assert len(AudioRef(data=data, sha256=hashlib.sha256(data).hexdigest()).load()) == 8_000
    with pytest.raises(AudioError, match="sha256"):
        AudioRef(data=data, sha256="0" * 64).load()


def test_exactly_one_source_and_a_short_repr() -> None:
    for arguments in ({}, {"path": "x", "data": b"x"}):
        with pytest.raises(ValueError, match="exactly one"):
            AudioRef(**arguments)
    assert len(repr(AudioRef(data=b"x" * 10_000))) < 200


def test_paths_stay_below_the_root(tmp_path: Path) -> None:
    inside = tmp_path / "audio" / "x.wav"
    for relative in ("./audio/x.wav", "audio/x.wav", "audio/../audio/x.wav", str(inside)):
        assert resolve_under(tmp_path, relative) == inside
    for relative in ("../x.wav", "audio/../../x.wav", "/etc/passwd", "", ".", f"../{tmp_path.name}x/x.wav", "a\0b"):
        with pytest.raises(AudioError, match="leads out"):
            resolve_under(tmp_path, relative)


def test_importing_is_light() -> None:
    code = "import sys, audio_eval.audio; print([m for m in ('torch', 'librosa', 'soundfile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("native", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("seconds", [0.2, 0.3, 0.07])
def test_parts_are_the_whole(native: int, seconds: float) -> None:
    """Put together again they are the recording, each as long as ``length`` says and with a digest of its own."""
    whole = AudioRef(data=encode(tone(native, 0.55), native, subtype="FLOAT"))
    parts = whole.parts(seconds)
    assert np.array_equal(np.concatenate([part.load() for part in parts]), whole.load())
    assert [part.length() for part in parts] == [len(part.load()) for part in parts]
    assert max(part.length() for part in parts) <= round(seconds * 16_000)
    assert len({whole.digest(), *(part.digest() for part in parts)}) == 1 + len(parts)
    assert whole.parts(0.55) == [whole]
