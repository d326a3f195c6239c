"""Decoders that fail, samples that are none, and any bytes at all: one bad item each."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio_eval.audio import MAX_SAMPLE, AudioError, AudioRef
from tests.formats.recordings import CODED, DECLARING, encode, heard, noise, whole


@pytest.mark.parametrize("error", [ValueError("frames must be given"), AssertionError(), OverflowError("x"), OSError()])
def test_any_error_of_a_decoder_is_one_bad_item(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(soundfile.SoundFile, "read", fail)
    with pytest.raises(AudioError, match="can be decoded") as caught:
        AudioRef(data=whole("WAV")).load()
    assert "\n" not in str(caught.value) and "()" not in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e38, -1e38, 1e12])
def test_one_sample_beyond_any_level_is_refused(value: float) -> None:
    samples = np.stack([noise(), noise()], axis=1)
    samples[100] = value, -value  # whose mean would be 0
    with pytest.raises(AudioError, match="not numbers"):
        AudioRef(data=encode(samples, "WAV FLOAT")).load()


@pytest.mark.parametrize("rate", [3, 16_000_000])
def test_a_rate_that_no_recording_has_is_refused(rate: int) -> None:
    with pytest.raises(AudioError, match=f"declares {rate} samples per second"):
        AudioRef(data=encode(noise(), rate=rate)).load()


def test_integers_stored_as_floats_are_heard() -> None:
    samples = (noise() * np.float32(MAX_SAMPLE / 2)).astype(np.float32)
    assert np.array_equal(heard(encode(samples, "WAV FLOAT")), samples)


ANY_FILE = st.sampled_from([*DECLARING, *CODED])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ANY_FILE, st.data())
def test_any_bytes_are_samples_or_a_named_error(name: str, data: st.DataObject) -> None:
    """Whole files with a few bytes changed, mostly in the header, or cut, or behind or before other bytes."""
    content = bytearray(whole(name))
    places = st.one_of(st.integers(0, 127), st.integers(0, len(content) - 1))
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[at] = byte
    content = content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content
    _samples_or_named(data.draw(st.sampled_from([b"", b"\0", b"ID3", b"\xff\xfb"])) + bytes(content))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([b"", b"RIFF1234WAVE", b"OggS", b"fLaC", b"\xff\xfb\x90", b"FORM", b".snd", b"ID3", b"riff"]),
    st.binary(max_size=600),
)
def test_random_bytes_are_samples_or_a_named_error(magic: bytes, content: bytes) -> None:
    _samples_or_named(magic + content)


def _samples_or_named(data: bytes) -> None:
    audio = AudioRef(data=data)
    try:
        samples = audio.load()
    except AudioError as error:
        said = str(error)
    else:
        said = audio.name
        assert audio.length() == len(samples)
        assert samples.dtype == np.float32 and samples.ndim == 1 and len(samples) and np.isfinite(samples).all()
    assert audio.name in said and "\n" not in said
