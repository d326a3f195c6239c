"""Every bad recording is heard, or is an item's error of one line: by its kind or its size, and not by reading it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioError, AudioRef
from tests.bad_input.limits import outcome, peak_mib
from tests.bad_input.recordings import KINDS, cases

# Of the 256 MiB that a file may have, and as much decoded; what the allocator keeps included.
MOST_MIB = 1_200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("recordings")
    for name, write in cases().items():
        write(found / name)
    good = found / "good, to compile what resamples outside of the limit of time"
    soundfile.write(good, np.zeros((4410, 2)), 44_100, format="WAV")
    assert len(AudioRef(path=str(good)).load())
    return found


def test_every_bad_recording_is_heard_or_an_error_of_one_line(folder: Path) -> None:
    before, heard, refused = peak_mib(), 0, 0
    assert len(cases()) >= 200
    for name in cases():
        audio = AudioRef(path=str(folder / name))
        found, length = outcome(audio.load), outcome(audio.length)
        if isinstance(found, str):
            refused += 1
            assert name in found, found
        else:
            heard += 1
            assert found.dtype == np.float32 and len(found) == length and np.isfinite(found).all(), name
    assert refused > 150 and heard > 10, (refused, heard)
    assert peak_mib() - before < MOST_MIB


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pipe.wav", "a pipe, no regular file"),
        ("folder.wav", "a folder, no regular file"),
        ("dev-zero.wav", "a device, no regular file"),
        ("5-gb.wav", "larger than 256 MiB"),
        ("8-hours.wav", "longer than the limit of 600 s"),
        ("nowhere.wav", "no such file"),
        ("proc-self-maps.wav", "the file is empty"),
    ],
)
def test_what_is_no_recording_is_refused_by_its_kind(name: str, says: str, tmp_path: Path) -> None:
    KINDS[name](tmp_path / name)
    with pytest.raises(AudioError, match=says):
        AudioRef(path=str(tmp_path / name)).load()


def test_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 5_000, "", os.sep.join(["d"] * 3_000)):
        assert isinstance(outcome(AudioRef(path=str(tmp_path / name) if name else name).load), str)
