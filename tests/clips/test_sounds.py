"""The sounds of a page: each once, no more than fit, and one that cannot be heard is a note."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.audio import AudioRef
from audio_eval.clips import Clips, Heard, beside, pictured
from audio_eval.edits import AudioEdit
from tests.hostile import NAMES, TEXTS
from tests.shared_data import shared_path


def recording(path: Path, seconds: float = 1.0) -> AudioRef:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(round(16_000 * seconds)), 16_000)
    return AudioRef(path=str(path))


def test_a_sound_is_stored_once(tmp_path: Path) -> None:
    clips, audio = Clips(), recording(tmp_path / "a.wav")
    silent = audio.edited(AudioEdit(gain=0.0))
    refs = [clips.of(each)["ref"] for each in (audio, silent, AudioRef(path=audio.path), audio)]
    assert refs == [0, 1, 0, 0] and len(clips.sounds) == 2
    sound = clips.sounds[0]
    assert set(sound) == {"src", "embedded", "seconds", "peaks", "level", "mel"} and sound["seconds"] == 1.0
    kind, _, content = sound["src"].partition(";base64,")
    assert kind == "data:audio/mpeg" and len(soundfile.read(io.BytesIO(base64.b64decode(content)))[0]) == 16_000
    assert {key: sound[key] for key in ("seconds", "peaks", "level", "mel")} == pictured(audio)
    json.dumps(clips.sounds, allow_nan=False)


def test_no_more_is_embedded_than_fits(tmp_path: Path) -> None:
    budget = 60_000
    clips = Clips(budget, beside(tmp_path / "run"), lambda audio: f"/details/{Path(audio.path or '').stem}")
    audios = [recording(tmp_path / f"{i}.wav", seconds) for i, seconds in enumerate([2, 2, 60, 2, 2, 2, 2])]
    for audio in audios:
        clips.of(audio)
    embedded = [place for place, sound in enumerate(clips.sounds) if sound["embedded"]]
    assert embedded[:3] == [0, 1, 3], "the long one does not fit, those after it may"
    assert 0.5 * budget < sum(len(json.dumps(clips.sounds[place])) for place in embedded) < budget + 500
    assert clips.sounds[2] == {"src": "../2.wav", "embedded": False, "details": "/details/2"}


def test_without_a_budget_no_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    audio = AudioRef(path=str(tmp_path / "a.wav"))
    linked, alone = Clips(0, beside(tmp_path)), Clips(0)
    linked.of(audio), alone.of(audio)
    assert linked.sounds == [{"src": "a.wav", "embedded": False}]
    assert alone.sounds[0]["src"] is None and "limited size" in alone.sounds[0]["note"]


@pytest.mark.parametrize("content", [b"", b"no sound", b"RIFF\x24\0\0\0WAVEfmt "])
def test_a_sound_that_cannot_be_read_is_a_note(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret place").mkdir()
    path = tmp_path / "secret place" / "a.wav"
    path.write_bytes(content)
    clips = Clips()
    for audio in (AudioRef(path=str(path)), AudioRef(path=str(path) + "x"), AudioRef(data=content)):
        sound = clips.sounds[clips.of(audio)["ref"]]
        assert sound["src"] is None and sound["note"] and "secret place" not in sound["note"]
        assert pictured(audio) == {"note": sound["note"]}


def test_another_file_than_the_run_had_is_a_note(tmp_path: Path) -> None:
    clips, audio = Clips(), recording(tmp_path / "a.wav")
    clips.of(AudioRef(path=audio.path, sha256="0" * 64))
    assert clips.sounds[0]["src"] is None and "its sha256 is not" in clips.sounds[0]["note"]


def test_recordings_that_others_choke_on() -> None:
    clips = Clips()
    for path in sorted(shared_path("data/cases/audio").iterdir()):
        sound = clips.sounds[clips.of(AudioRef(path=str(path)))["ref"]]
        assert bool(sound["src"]) != ("note" in sound), path


@settings(max_examples=100)
@given(st.text(st.characters(codec=None), max_size=20) | TEXTS)
def test_any_path_is_a_note_or_a_link(name: str) -> None:
    clips = Clips(link=beside(Path("runs")))
    clips.of(AudioRef(path=f"/nowhere/{name}"))
    assert clips.sounds[0]["src"] is None and clips.sounds[0]["note"]


@pytest.mark.parametrize("name", [name for name in NAMES if name and "\0" not in name and "/" not in name])
def test_a_link_leads_to_the_file(tmp_path: Path, name: str) -> None:
    try:
        path = tmp_path / "data" / name
        path.parent.mkdir()
        path.write_bytes(b"")
    except (OSError, UnicodeEncodeError):
        pytest.skip("no file can have this name")
    address = beside(tmp_path / "runs" / "one")(AudioRef(path=str(path)))
    assert address is not None and not set(address) & set("<>\"'&?#: \n\\")
    assert (tmp_path / "runs" / "one" / unquote(address)).resolve(strict=False) == path


def test_only_whole_files_are_linked(tmp_path: Path) -> None:
    link, audio = beside(tmp_path), recording(tmp_path / "a.wav")
    assert link(audio) == "a.wav"
    for other in (audio.edited(AudioEdit(gain=0.0)), AudioRef(path=audio.path, part=(0, 1)), AudioRef(data=b""),
                  AudioRef(path=str(tmp_path)), AudioRef(path="a\0b")):  # fmt: skip
        assert link(other) is None


def test_what_was_heard_becomes_clips(tmp_path: Path) -> None:
    clips, audio = Clips(), recording(tmp_path / "a.wav")
    assert clips.heard([Heard("original", audio), Heard("heard: none", None, "text alone")]) == [
        {"label": "original", "note": None, "ref": 0},
        {"label": "heard: none", "note": "text alone"},
    ]
