"""A recording is read whole or refused by name, whatever its file's header says."""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audio_eval.audio import MAX_SAMPLE, AudioError, AudioRef
from audio_eval.formats import mpeg
from audio_eval.models.hf.families import FAMILIES
from audio_eval.models.hf.features import features_of, promised_frames
from tests.shared_data import shared_path

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


# --- MPEG frames -----------------------------------------------------------------------------------------------------


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


def test_an_mp3_of_days_is_refused_before_it_is_decoded() -> None:
    data, _ = untagged(np.zeros(8_000 * 10), 8_000)
    with pytest.raises(AudioError, match="600 s"):
        AudioRef(data=data * 70).load()
    with pytest.raises(AudioError, match="600 s"):
        AudioRef(data=data * 70).length()


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


# --- decoders that fail, samples that are none -----------------------------------------------------------------------


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
            assert promised_frames(audio, extractor, family.max_seconds) == made


def test_a_path_is_read_as_bytes_are(tmp_path: Path) -> None:
    path = tmp_path / "chain.wav"
    path.write_bytes(encode(noise(1), "OGG OPUS") * 2)
    assert AudioRef(path=str(path)).length() == 2 * RATE == len(AudioRef(path=str(path)).load())
