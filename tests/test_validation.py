"""``validate``: every trap of the official layouts, with real recordings."""

from __future__ import annotations

import io
import json
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audio_eval.audio import AudioRef
from audio_eval.models.hf.families import FAMILIES
from audio_eval.progress import Progress
from audio_eval.prompts import find
from audio_eval.questions import Question
from audio_eval.scoring.scorers import find_scorer
from audio_eval.task import Task
from audio_eval.validation import Report, items, recordings, validate
from tests.shared_data import shared_path

MMAU = {
    "audio_id": "./test-mini-audios/tone.wav", "question": "Which?", "choices": ["dog", "cat"], "answer": "cat",
    "dataset": "x", "task": "sound", "split": "test-mini", "category": "Reasoning", "sub-category": "Counting",
    "difficulty": "easy",
}  # fmt: skip
MMAR = {
    "audio_path": "./audio/tone.wav", "question": "Which?", "choices": ["dog", "cat", ""], "answer": "cat",
    "modality": "mix-sound-speech", "category": "Signal Layer", "sub-category": "Imagination", "language": None,
    "source": "youtube", "url": "", "timestamp": "0,1", "thinking": "gold", "cue": [], "rubric": [],
}  # fmt: skip
MMSU = {
    "audio_path": "/audio/tone.wav", "question": "Who?", "choice_a": None, "choice_b": "male", "choice_c": None,
    "choice_d": "A male", "answer_gt": "male", "category": "Perception", "sub-category": "Linguistics",
    "task_name": "gender", "sub-sub-category": "s", "linguistics_sub_discipline": None,
}  # fmt: skip


def tone(seconds: float = 0.5, rate: int = 16_000, level: float = 0.3) -> np.ndarray:
    return level * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)


def mmau(data_dir: Path, *changes: dict[str, Any]) -> None:
    """MMAU test-mini with an item for each set of changes, and one recording, tone.wav."""
    home = data_dir / "mmau"
    (home / "test-mini-audios").mkdir(parents=True)
    rows = [MMAU | {"id": f"m{i}"} | change for i, change in enumerate(changes)]
    (home / "mmau-test-mini.json").write_text(json.dumps(rows))
    soundfile.write(home / "test-mini-audios" / "tone.wav", tone(), 16_000)


def found(report: Report, check: str) -> dict[str, str]:
    return {one.id: one.detail for one in [*report.errors, *report.notes] if one.check == check}


# --- items -----------------------------------------------------------------------------------------------------------


def test_golds_and_choices(tmp_path: Path) -> None:
    mmau(
        tmp_path,
        {},
        {"answer": "bird"},
        {"answer": "Cat."},
        {"choices": ["cat", "cat", "dog"]},
        {"choices": ["cat", "dog", "dog"]},
        {"choices": ["dog", "...", "cat"], "answer": "..."},
        {"choices": ["near to far", "far to near", "near"], "answer": "far to near"},
        {"choices": ["cat", " ", "dog"]},
    )
    report = validate("mmau_test_mini", data_dir=str(tmp_path), audio=False)
    assert report.items == 8 and report.audio is None
    assert [(e.check, e.id) for e in report.errors] == [(items.NO_CHOICE, "m1"), (items.NO_CHOICE, "m2")]
    assert found(report, items.NO_CHOICE)["m1"] == "'bird' is none of ['dog', 'cat']"
    assert found(report, items.DUPLICATES) == {"m3": "'cat', one of them the gold", "m4": "'dog'"}
    assert found(report, items.EMPTY) == {"m7": "['cat', ' ', 'dog']"}
    assert found(report, items.ALIKE) == {"m6": "gold 'far to near'; also right: 'near to far'"}
    assert found(report, items.GOLD_OFFICIALLY_WRONG) == {"m5": "'...', given as '...'"}
    assert len(report.notes) == 5


def test_a_gold_that_our_rule_cannot_read() -> None:
    errors, _ = items.check_items(_task(["<answer>", "cat"], "<answer>"))
    assert [error.check for error in errors] == [items.GOLD_WRONG]
    assert errors[0].detail.startswith("'<answer>' by choice: unparsable")


def test_items_without_options_or_answer() -> None:
    assert [error.detail for error in items.check_items(_task([], "cat"))[0]] == [
        "'cat' by choice: unparsable: the item has no options"
    ]
    task = _task(["dog", "cat"], "cat")
    task.answers["hidden"] = ""
    task.questions.append(Question("hidden", None, "Which?", ("dog", "cat"), "Which?"))
    assert [(error.check, error.id) for error in items.check_items(task)[0]] == [(items.NO_ANSWER, "hidden")]


def test_an_open_answer_must_be_found_in_itself() -> None:
    assert items.check_items(_task([], "a cat", scoring="open")) == ([], [])
    errors, _ = items.check_items(_task([], "<think>", scoring="open"))
    assert [error.detail for error in errors] == ["'<think>' by contains_em: empty"]


def test_a_letter_rule_is_given_letters(tmp_path: Path) -> None:
    (tmp_path / "mmsu").mkdir()
    (tmp_path / "mmsu" / "MMSU.jsonl").write_text(json.dumps(MMSU | {"id": "s1"}))
    report = validate("mmsu", data_dir=str(tmp_path), audio=False)
    assert not report.errors and not report.notes


def test_hidden_answers_are_said(tmp_path: Path) -> None:
    (tmp_path / "mmau").mkdir()
    rows = [MMAU | {"id": "t1", "answer": "", "choices": ["dog", "dog"]}]
    (tmp_path / "mmau" / "mmau-test.json").write_text(json.dumps(rows))
    report = validate("mmau_test", data_dir=str(tmp_path), audio=False)
    assert not report.errors
    assert found(report, items.NO_GOLD) == {"": "answers are not published"}
    assert list(found(report, items.DUPLICATES)) == ["t1"]


def test_rows_that_break_the_schema_are_all_there(tmp_path: Path) -> None:
    (tmp_path / "mmar").mkdir()
    lines = [json.dumps(MMAR | {"id": "r1"}), "{broken", *[json.dumps({"id": f"x{i}"}) for i in range(60)]]
    (tmp_path / "mmar" / "MMAR-meta.jsonl").write_text("\n".join(lines))
    report = validate("mmar", data_dir=str(tmp_path))
    assert report.items is None and report.source.endswith("MMAR-meta.jsonl")
    (broken,) = [one.detail for one in report.errors if one.id == "line 2"]
    assert broken.startswith("is not a JSON object: Expecting property name")
    assert Counter(one.id for one in report.errors)["line 62"] >= 4
    assert len({one.id for one in report.errors}) == 61


# --- recordings ------------------------------------------------------------------------------------------------------


def test_recordings_of_every_kind(tmp_path: Path) -> None:
    names = ("tone", "mp3", "six", "zeros", "faint", "opposed", "long", "cut", "text", "gone", "tone")
    mmau(tmp_path, *({"audio_id": f"./test-mini-audios/{name}.wav"} for name in names))
    folder = tmp_path / "mmau" / "test-mini-audios"
    soundfile.write(folder / "mp3.wav", tone(3, 44_100), 44_100, format="MP3")
    soundfile.write(folder / "six.wav", np.stack([tone(6, 48_000)] * 6, axis=1), 48_000)
    soundfile.write(folder / "zeros.wav", np.zeros(16_000), 16_000)
    soundfile.write(folder / "faint.wav", tone(level=0.0009), 16_000, subtype="FLOAT")
    soundfile.write(folder / "opposed.wav", np.stack([tone(), -tone()], axis=1), 16_000, subtype="FLOAT")
    soundfile.write(folder / "long.wav", tone(30.5, 8_000), 8_000)
    whole = io.BytesIO()
    soundfile.write(whole, tone(2), 16_000, format="WAV")
    (folder / "cut.wav").write_bytes(whole.getvalue()[:30_000])
    (folder / "text.wav").write_text("<html>not found</html>")
    report = validate("mmau_test_mini", data_dir=str(tmp_path))

    assert set(found(report, recordings.UNREADABLE)) == {"m7", "m8"}
    assert "truncated" in found(report, recordings.UNREADABLE)["m7"]
    assert "not audio" in found(report, recordings.UNREADABLE)["m8"]
    assert "no such file" in found(report, recordings.MISSING)["m9"]
    assert len(report.errors) == 3
    silent = found(report, recordings.SILENT)
    assert set(silent) == {"m3", "m4", "m5"}
    assert silent["m3"].endswith("all samples are 0") and silent["m4"].endswith("peak -60.9 dBFS")
    types = [family.model_types[0] for family in FAMILIES if family.max_seconds == 30]
    heard = f"{', '.join(types)} hear{'' if len(types) > 1 else 's'} the first 30 s"
    assert found(report, recordings.LONG) == {"": f"1 of 7; {heard}"}
    audio = report.audio
    assert audio and (audio.items, audio.recordings, audio.longer_than["qwen2_audio"]) == (11, 7, 1)
    assert audio.rates == {16_000: 4, 44_100: 1, 48_000: 1, 8_000: 1}
    assert audio.channels == {1: 5, 2: 1, 6: 1}
    assert audio.formats["MP3 MPEG_LAYER_III"] == 1 and audio.formats["WAV PCM_16"] == 4
    assert audio.misnamed == {"MP3 named .wav": 1}
    assert {one.start: one.n for one in audio.durations if one.n} == {0: 3, 1: 1, 2: 1, 5: 1, 30: 1}
    assert audio.longest == 30.5 and audio.shortest == 0.5
    json.dumps(report.as_json())


def test_recordings_with_another_sha256(tmp_path: Path) -> None:
    path = tmp_path / "tone"
    soundfile.write(path, tone(), 16_000, format="FLAC")
    right = sha256(path.read_bytes()).hexdigest()
    for digest, checks in ((right, []), ("0" * 64, [recordings.CHANGED])):
        task = _task(["dog", "cat"], "cat", AudioRef(path=str(path), sha256=digest))
        result = recordings.check_recordings(task, Progress())
        assert [error.check for error in result.errors] == checks
        assert [error.id for error in result.errors] == ["q"] * len(checks)
    path.write_bytes(b"")
    assert recordings.check_recordings(task, Progress()).errors[0].check == recordings.CHANGED


def test_no_recording_at_all_is_one_line(tmp_path: Path) -> None:
    mmau(tmp_path, *({"audio_id": f"./test-mini-audios/{i}.wav"} for i in range(9)))
    report = validate("mmau_test_mini", data_dir=str(tmp_path))
    ((check, id_, detail),) = report.errors
    assert (check, id_) == (recordings.MISSING, "")
    assert detail.startswith("none of the 9 recordings is there (first: ") and "0.wav" in detail
    assert "D/mmau/mmau-test-mini.json" in detail
    assert report.audio is None


# --- the published metadata and the stand-ins ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "relative", "benchmark", "counts"),
    [
        ("mmau_test_mini", "mmau/mmau-test-mini.json", "mmau-test-mini(110127f)", {"alike": 9, "twice": 27}),
        ("mmar", "mmar/MMAR-meta.jsonl", "mmar(3bce090)", {"alike": 20, "twice": 0}),
    ],
)
def test_published_metadata(task: str, relative: str, benchmark: str, counts: dict[str, int]) -> None:
    shared_path(f"data/benchmarks/{relative}")
    quirks = json.loads(shared_path("data/scoring/string_match_quirks.json").read_text())
    report = validate(task, data_dir=str(shared_path("data/benchmarks")), audio=False)
    assert report.items == 1000 and not report.errors
    assert not found(report, items.GOLD_OFFICIALLY_WRONG)
    assert len(found(report, items.DUPLICATES)) == counts["twice"]
    expected = {
        quirk[
            "id"
        ]: f"gold {quirk['answer']!r}; also right: {', '.join(map(repr, quirk['wrong_choices_scored_correct']))}"
        for quirk in quirks
        if quirk["benchmark"] == benchmark
    }
    assert len(expected) == counts["alike"]
    assert found(report, items.ALIKE) == expected


@pytest.mark.parametrize("task", ["mmau_test_mini", "mmau_test", "mmau_open", "mmar", "mmsu"])
def test_stand_ins(task: str) -> None:
    report = validate(task, data_dir=str(shared_path("data/standin")))
    assert not report.errors
    assert report.audio and report.audio.recordings == report.items


def _task(choices: list[str], answer: str, audio: AudioRef | None = None, scoring: str = "choice") -> Task:
    """A task of one item, for what no official file can hold."""
    question = Question("q", audio, "Which?", tuple(choices), "Which?")
    doc = {"id": "q", "question": "Which?", "choices": choices, "answer": answer, "meta": {}}
    parts: Any = ("t", "test", find("plain"), [question], {"q": answer}, {"q": tuple(choices)}, [doc], {})
    return Task(*parts, scorer=find_scorer(scoring))
