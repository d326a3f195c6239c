"""AudioEdit: what a view does to the samples, worked on five of them; and recordings that carry one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.audio import AudioError, AudioRef
from audio_eval.edits import AudioEdit
from tests.test_audio import encode, tone

RATE = 16_000
FIVE = np.array([1, 2, 3, 4, 5], np.float32)  # at 10 Hz: half a second; mean square 55 / 5 = 11


def power(samples: np.ndarray) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


def white(seed: int, n: int) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(n)


@pytest.mark.parametrize(
    ("seconds", "shifted"),
    [
        (0.0, [1, 2, 3, 4, 5]),
        (0.2, [0, 0, 1, 2, 3]),  # later: silence in front
        (-0.2, [3, 4, 5, 0, 0]),  # earlier: silence behind
        (0.14, [0, 1, 2, 3, 4]),  # 1.4 samples
        (0.04, [1, 2, 3, 4, 5]),
        (-0.04, [1, 2, 3, 4, 5]),
        (0.4, [0, 0, 0, 0, 1]),
        (-0.4, [5, 0, 0, 0, 0]),
        (0.5, [0] * 5),
        (-0.5, [0] * 5),
        (60.0, [0] * 5),
        (-60.0, [0] * 5),
    ],
)
def test_a_shift(seconds: float, shifted: list[float]) -> None:
    assert AudioEdit(shift_s=seconds).apply(FIVE, 10).tolist() == shifted


@pytest.mark.parametrize(("gain", "heard"), [(1.0, [1, 2, 3, 4, 5]), (0.5, [0.5, 1, 1.5, 2, 2.5]), (0.0, [0] * 5)])
def test_a_gain(gain: float, heard: list[float]) -> None:
    assert AudioEdit(gain=gain).apply(FIVE, 10).tolist() == heard


def test_noise_is_so_far_below_the_signal() -> None:
    # 10 dB below 11 is 1.1
    heard = AudioEdit(snr_db=10.0, seed=7).apply(FIVE, 10)
    assert heard == pytest.approx(FIVE + 1.1**0.5 * white(7, 5), abs=1e-5)


@pytest.mark.parametrize("snr_db", [60.0, 40.0, 10.0, 0.0, -5.0])
@pytest.mark.parametrize("gain", [1.0, 0.7])
def test_the_measured_ratio_is_the_one_asked_for(snr_db: float, gain: float) -> None:
    signal = tone(seconds=2.0)
    noise = AudioEdit(gain=gain, snr_db=snr_db).apply(signal, RATE).astype(np.float64) - np.float32(gain) * signal
    # 32000 samples: the power is off by sqrt(2 / 32000) = 0.8 %, which is 0.034 dB; four of those
    assert 10 * np.log10(power(gain * signal) / power(noise)) == pytest.approx(snr_db, abs=0.14)
    halves = power(np.fft.rfft(noise)[1:8_000].view(float)), power(np.fft.rfft(noise)[8_000:16_000].view(float))
    assert halves[0] == pytest.approx(halves[1], rel=0.1), "white: as much below 4 kHz as above"


def test_noise_is_a_function_of_its_seed() -> None:
    first, again, other = (AudioEdit(snr_db=20.0, seed=seed).apply(FIVE, 10) for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.array_equal(AudioEdit(seed=1).apply(FIVE, 10), FIVE), "without noise there is nothing to seed"


def test_noise_below_silence_is_silence() -> None:
    assert not AudioEdit(snr_db=0.0).apply(np.zeros(5, np.float32), 10).any()
    assert not AudioEdit(gain=0.0, snr_db=0.0).apply(FIVE, 10).any()


def test_edits_come_in_their_order() -> None:
    # later by two: 0 0 1 2 3; doubled: 0 0 2 4 6, mean square 56 / 5 = 11.2; 10 dB below it is 1.12
    heard = AudioEdit(shift_s=0.2, gain=2.0, snr_db=10.0, seed=3).apply(FIVE, 10)
    assert heard == pytest.approx(np.array([0, 0, 2, 4, 6]) + 1.12**0.5 * white(3, 5), abs=1e-5)


def band(samples: np.ndarray, low: float, high: float) -> float:
    """Energy between two frequencies."""
    spectrum, hertz = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2, np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(spectrum[(hertz >= low) & (hertz < high)].sum())


@pytest.mark.parametrize("rate", [12_000, 14_000, 8_000])
def test_resampling_takes_away_what_is_above_half_the_rate(rate: int) -> None:
    both = tone(seconds=1.0, hertz=1_000) + tone(seconds=1.0, hertz=7_500)
    heard = AudioEdit(rate=rate).apply(both, RATE)
    assert len(heard) == len(both) and heard.dtype == np.float32
    assert band(heard, rate / 2 + 200, 8_001) < 1e-4 * band(both, rate / 2 + 200, 8_001)
    assert band(heard, 900, 1_100) == pytest.approx(band(both, 900, 1_100), rel=0.01)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_higher_rate_changes_nothing(rate: int) -> None:
    assert np.array_equal(AudioEdit(rate=rate).apply(tone(), RATE), tone())


edits = st.builds(
    AudioEdit,
    rate=st.sampled_from([None, 8_000, 12_000, 14_000, 16_000]),
    shift_s=st.floats(-0.2, 0.2),
    gain=st.sampled_from([0.0, 0.7, 1.0, 1.3]),
    snr_db=st.none() | st.floats(0, 60),
    seed=st.integers(0, 2**32 - 1),
)


@given(edits, st.integers(1, 900))
def test_any_edit_keeps_the_length_and_the_samples_it_was_given(edit: AudioEdit, n: int) -> None:
    samples = tone()[:n]
    before = samples.copy()
    heard = edit.apply(samples, RATE)
    assert heard.shape == samples.shape and heard.dtype == np.float32 and np.isfinite(heard).all()
    assert heard.flags["C_CONTIGUOUS"] and np.array_equal(samples, before)
    assert np.array_equal(heard, edit.apply(samples, RATE)), "the same edit again is the same"
    if edit.gain == 0.0:
        assert not heard.any()
    if edit == AudioEdit():
        assert np.array_equal(heard, samples)


# --- recordings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def recording(tmp_path: Path) -> AudioRef:
    (tmp_path / "x.wav").write_bytes(encode(tone(), subtype="FLOAT"))
    return AudioRef(path=str(tmp_path / "x.wav"))


def test_an_edited_recording_loads_otherwise_and_reads_the_same(recording: AudioRef) -> None:
    before = recording.read()
    edit = AudioEdit(shift_s=0.1, gain=0.5)
    edited = recording.edited(edit)
    assert np.array_equal(edited.load(), edit.apply(tone(), RATE)) and not np.array_equal(edited.load(), tone())
    assert edited.read() == before == Path(str(recording.path)).read_bytes()
    assert recording.edit is None and np.array_equal(recording.load(), tone()), "the recording itself stays as it is"
    assert edited.name == recording.name


def test_an_edit_is_made_at_the_rate_that_is_asked_for(recording: AudioRef) -> None:
    heard = recording.edited(AudioEdit(shift_s=0.1)).load(8_000)
    assert not heard[:800].any() and np.array_equal(heard[800:], recording.load(8_000)[:-800])


def test_the_digest_is_of_the_bytes_and_of_the_edit(recording: AudioRef) -> None:
    plain = hashlib.sha256(recording.read()).hexdigest()
    assert recording.digest() == plain
    edited = [AudioEdit(shift_s=0.1), AudioEdit(shift_s=-0.1), AudioEdit(gain=0.0), AudioEdit(snr_db=40.0),
              AudioEdit(snr_db=40.0, seed=1), AudioEdit(rate=12_000)]  # fmt: skip
    digests = [recording.edited(edit).digest() for edit in edited]
    assert len({plain, *digests}) == 7 and all(len(digest) == 64 for digest in digests)
    assert digests == [recording.edited(replace(edit)).digest() for edit in edited]
    known = AudioRef(path=recording.path, sha256=plain)
    assert known.edited(edited[0]).digest() == digests[0], "whether the bytes' digest was given or computed"
    other = AudioRef(data=encode(tone(hertz=300.0)))
    assert other.edited(edited[0]).digest() != digests[0]


def test_an_edited_recording_is_checked_like_any_other(recording: AudioRef) -> None:
    with pytest.raises(AudioError, match="sha256"):
        replace(recording, sha256="0" * 64).edited(AudioEdit(gain=0.5)).load()


@given(edits)
def test_a_silenced_recording_stays_silent_whatever_view_is_drawn_of_it(edit: AudioEdit) -> None:
    silent = AudioRef(data=encode(tone())).edited(AudioEdit(gain=0.0))
    again = silent.edited(edit).edited(replace(edit, gain=1.3))
    assert again.edit is not None and again.edit.gain == 0.0
    assert not again.load().any() and len(again.load()) == len(tone())


def test_a_later_edit_stands_in_for_an_earlier_one() -> None:
    loud = AudioRef(data=encode(tone())).edited(AudioEdit(gain=1.3))
    assert loud.edited(AudioEdit(shift_s=0.1)).edit == AudioEdit(shift_s=0.1)
