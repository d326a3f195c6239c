"""A recording is read whole or refused by name, whatever its file's header says."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.audio import AudioError, AudioRef
from audio_eval.models.hf.families import FAMILIES
from audio_eval.models.hf.features import features_of
from tests.formats.recordings import CODED, DECLARING, OPEN_SIZES, RATE, SECONDS, encode, heard, noise, whole, with_size
from tests.shared_data import shared_path

# --- the published cases ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        ("vbr_noxing.mp3", 43 * 1152 / 44_100),
        ("cbr_noxing.mp3", 43 * 1152 / 44_100),
        ("chained.ogg", 6.0),
        ("size_0.wav", 3.0),
        ("GSM610.wav", 3.0),
    ],
)
def test_files_that_were_heard_short_or_refused(name: str, seconds: float) -> None:
    audio = AudioRef(path=str(shared_path(f"data/cases/audio/{name}")))
    sound = audio.decode()
    assert len(sound.samples) / sound.rate == seconds
    assert len(audio.load()) == audio.length()


# --- cut -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*DECLARING, *CODED])
def test_a_whole_file_is_heard_as_libsndfile_reads_it(name: str) -> None:
    with soundfile.SoundFile(io.BytesIO(whole(name))) as file:
        assert np.array_equal(heard(whole(name)), file.read(file.frames, dtype="float32"))
    assert len(heard(whole(name))) >= SECONDS * RATE
    assert AudioRef(data=whole(name)).length(RATE) == len(heard(whole(name)))


@pytest.mark.parametrize("name", [*DECLARING, *CODED])
@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 0.97))
def test_a_cut_file_is_refused(name: str, share: float) -> None:
    data = whole(name)
    with pytest.raises(AudioError):
        AudioRef(data=data[: int(len(data) * share)]).load()


@pytest.mark.parametrize("name", [*DECLARING, "FLAC", "OGG VORBIS", "OGG OPUS", "MP3"])
def test_a_cut_file_is_called_truncated(name: str) -> None:
    data = whole(name)
    with pytest.raises(AudioError, match=r"truncated|malformed"):
        AudioRef(data=data[: len(data) * 6 // 10]).load()


@pytest.mark.parametrize("name", ["WAV", "W64", "AIFF", "AU"])
def test_a_cut_of_a_hundredth_of_a_second_is_seen(name: str) -> None:
    with pytest.raises(AudioError, match="truncated"):
        AudioRef(data=whole(name)[:-320]).load()


@pytest.mark.parametrize("missing", [1, 8, 44])
def test_a_header_counted_into_the_size_is_no_cut(missing: int) -> None:
    assert len(heard(with_size("WAV", 2 * SECONDS * RATE + missing))) == SECONDS * RATE


@pytest.mark.parametrize("name", ["OGG VORBIS", "OGG OPUS"])
def test_an_ogg_without_a_page_is_refused(name: str) -> None:
    data = encode(noise(12), name)
    places = [i for i in range(len(data)) if data.startswith(b"OggS", i)] + [len(data)]
    assert len(places) > 8
    for n in (3, len(places) // 2, len(places) - 2):  # in the middle, and the last
        with pytest.raises(AudioError, match="truncated"):
            AudioRef(data=data[: places[n]] + data[places[n + 1] :]).load()


def test_samples_behind_the_declared_end_are_not_passed_over() -> None:
    for name in ("WAV", "RF64", "AIFF"):
        with pytest.raises(AudioError, match="goes on behind the end"):
            AudioRef(data=with_size(name, 48_000)).load()
    assert len(heard(whole("WAV") + bytes(5_000))) == SECONDS * RATE, "padding is no audio"
    assert len(heard(whole("WAV") + b"LIST" + struct.pack("<I", 400) + b"x" * 400)) == SECONDS * RATE


def test_chunks_before_the_samples_are_passed_over() -> None:
    data = whole("WAV")
    odd = b"LIST" + struct.pack("<I", 5) + b"xxxxx"
    assert np.array_equal(heard(data[:36] + odd + b"\0" + data[36:]), heard(data))
    with pytest.raises(AudioError, match="no chunk of samples"):
        AudioRef(data=data[:36] + odd + data[36:]).load()  # without the padding


def test_a_format_that_says_nothing_of_its_length_is_refused() -> None:
    for name in ("VOC", "IRCAM", "PAF", "AVR"):
        with pytest.raises(AudioError, match=f"nothing in a {name} file says whether it is whole"):
            AudioRef(data=whole(name)).load()


# --- sizes that a pipe leaves open -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["WAV", "WAVEX", "AIFF", "AU", "RF64", "W64"])
@pytest.mark.parametrize("size", OPEN_SIZES)
def test_an_open_size_is_read_to_the_end(name: str, size: int) -> None:
    audio = AudioRef(data=with_size(name, size))
    assert np.array_equal(audio.load(), heard(whole(name)))
    assert audio.length() == SECONDS * RATE


def test_an_open_caf_is_read_to_the_end() -> None:
    audio = AudioRef(data=with_size("CAF", -1))
    assert np.array_equal(audio.load()[: SECONDS * RATE], heard(whole("CAF")))
    assert audio.length() == len(audio.load())


@pytest.mark.parametrize("samples", [1, 4096, 4097, 48_000])
def test_a_flac_is_as_long_as_its_frames(samples: int) -> None:
    data = encode(np.tile(noise(samples / RATE), (2, 1)).T, "FLAC")

    def counting(number: int) -> bytes:
        return data[:21] + ((data[21] & 0xF0) << 32 | number).to_bytes(5, "big") + data[26:]

    assert counting(samples) == data
    assert np.array_equal(heard(counting(0)), heard(data)), "left open by a pipe"
    with pytest.raises(AudioError, match="truncated"):
        AudioRef(data=counting(samples + 1)).load()
    if samples > 1:
        with pytest.raises(AudioError, match="goes on behind the end"):
            AudioRef(data=counting(samples - 1)).load()


@pytest.mark.parametrize("size", OPEN_SIZES)
def test_silence_behind_an_open_size_is_heard(size: int) -> None:
    data = bytearray(encode(np.zeros(RATE)))
    struct.pack_into("<I", data, 40, size)
    assert len(heard(bytes(data))) == RATE


def test_an_empty_recording_with_tags_is_empty() -> None:
    data = encode(noise()[:0]) + b"LIST" + struct.pack("<I", 400) + b"x" * 400
    with pytest.raises(AudioError, match="no samples"):
        AudioRef(data=data).load()


# --- chains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["OGG VORBIS", "OGG OPUS"])
def test_every_link_of_a_chain_is_heard(name: str) -> None:
    links = [encode(noise(seconds, seed), name) for seed, seconds in enumerate((1.0, 0.5, 2.0))]
    audio = AudioRef(data=b"".join(links))
    assert np.array_equal(audio.load(), np.concatenate([heard(link) for link in links]))
    assert audio.length() == 3.5 * RATE
    with pytest.raises(AudioError, match="truncated"):
        AudioRef(data=b"".join([links[0][:-100], *links[1:]])).load()
    with pytest.raises(AudioError, match="truncated"):
        AudioRef(data=b"".join(links)[:-100]).load()


def test_a_chain_of_days_is_refused_before_it_is_decoded() -> None:
    audio = AudioRef(data=encode(np.zeros(100 * RATE, np.float32), "OGG VORBIS") * 7)
    for ask in (audio.load, audio.length):
        with pytest.raises(AudioError, match="600 s"):
            ask()


def test_a_chain_of_several_rates_is_refused() -> None:
    data = encode(noise(1), "OGG VORBIS") + encode(noise(1), "OGG VORBIS", 44_100)
    with pytest.raises(AudioError, match="several sample rates"):
        AudioRef(data=data).load()
    with pytest.raises(AudioError, match="several sample rates"):
        AudioRef(data=data).length()


# --- the same length everywhere --------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.004, 0.5, 1.23457, 31.0])
def test_lengths_agree_with_what_is_decoded(rate: int, seconds: float) -> None:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor()
    for name in ("WAV", "FLAC", "OGG VORBIS", "MP3"):
        if name == "MP3" and rate == 11_025 and seconds < 0.1:
            continue
        audio = AudioRef(data=encode(noise(seconds, rate=rate), name, rate))
        assert audio.length() == len(audio.load())
        for family in FAMILIES[:2]:
            made = features_of(audio, extractor, family.max_seconds, family.tail).frames
            assert family.frames(extractor, audio) == made


def test_a_path_is_read_as_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "chain.wav"
    path.write_bytes(encode(noise(1), "OGG OPUS") * 2)
    assert AudioRef(path=str(path)).length() == 2 * RATE == len(AudioRef(path=str(path)).load())
