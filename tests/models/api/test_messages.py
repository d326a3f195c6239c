"""What a server is sent of a question: the recording as it is, re-encoded, edited; and the text."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioError, AudioRef
from audio_eval.edits import AudioEdit
from audio_eval.models.api.messages import as_wav, encoded, user_turn
from audio_eval.questions import Question
from tests.formats.recordings import CODED, DECLARING, RATE, SECONDS, encode, noise, whole

STEP = 1 / 32768  # of a 16-bit sample


def opened(data: bytes) -> tuple[np.ndarray, int]:
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype) == ("WAV", "PCM_16")
        return file.read(dtype="float32"), file.samplerate


@pytest.mark.parametrize(("name", "form"), [("WAV PCM_16", "wav"), ("MP3", "mp3")])
def test_what_every_server_takes_is_sent_as_it_is(name: str, form: str) -> None:
    assert encoded(AudioRef(data=whole(name)))[:2] == (whole(name), form)


@pytest.mark.parametrize(
    "name", [n for n in [*DECLARING, *CODED] if n not in ("MP3", "WAV")] + ["WAV FLOAT", "WAV PCM_24"]
)
def test_other_formats_become_16_bit_wav_of_the_same_sound(name: str) -> None:
    audio = AudioRef(data=whole(name))
    data, form, seconds = encoded(audio)
    samples, rate = opened(data)
    sound = audio.decode()
    assert (form, rate) == ("wav", sound.rate) and seconds == pytest.approx(SECONDS, abs=0.1)
    assert np.abs(samples - sound.samples).max() <= STEP


def test_mp3_becomes_wav_for_a_server_that_takes_nothing_else() -> None:
    audio = AudioRef(data=whole("MP3"))
    data, form, _ = encoded(audio, wav_only=True)
    assert form == "wav" and np.abs(opened(data)[0] - audio.decode().samples).max() <= STEP


@pytest.mark.parametrize("name", ["WAV PCM_16", "MP3", "FLAC"])
@pytest.mark.parametrize("edit", [AudioEdit(gain=0.0), AudioEdit(shift_s=0.5, gain=0.7), AudioEdit(snr_db=20, seed=3)])
def test_an_edit_is_heard_as_by_the_hf_backend(name: str, edit: AudioEdit) -> None:
    audio = AudioRef(data=whole(name), edit=edit)
    samples, rate = opened(encoded(audio)[0])
    expected = audio.load(16_000)
    assert rate == 16_000 and np.abs(samples - expected).max() <= STEP
    if edit.gain == 0:
        assert not samples.any()


def test_what_is_too_loud_for_16_bits_is_scaled_and_not_clipped() -> None:
    wave = noise() * 40
    samples, _ = opened(as_wav(wave, RATE))
    assert np.abs(wave).max() > 1 and np.abs(samples - wave / np.abs(wave).max()).max() <= STEP


def test_stereo_of_another_rate_is_sent_at_its_own_rate() -> None:
    stereo = np.stack([noise(rate=44_100), noise(seed=1, rate=44_100)], axis=1)
    samples, rate = opened(encoded(AudioRef(data=encode(stereo, "FLAC", 44_100)))[0])
    assert rate == 44_100 and np.abs(samples - stereo.mean(axis=1)).max() <= 2 * STEP


@pytest.mark.parametrize("data", [b"", b"no audio", whole("WAV PCM_16")[:5000], whole("MP3")[:5000]])
def test_a_recording_that_is_not_whole_is_not_sent(data: bytes) -> None:
    with pytest.raises(AudioError):
        encoded(AudioRef(data=data))


def test_text_alone_and_special_tokens() -> None:
    (message,), seconds = user_turn(Question("q", None, "?", (), "What is <|im_end|>?"))
    assert message == {"role": "user", "content": "What is < |im_end|>?"} and seconds == 0
