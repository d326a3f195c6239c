"""Questions about several recordings: from a benchmark's file to what methods, servers and the run log are given."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.audio import AudioRef
from audio_eval.data import Place, SourceRow, record
from audio_eval.models.api.messages import user_turn
from audio_eval.questions import Question
from audio_eval.rl.views import KINDS, draw_view
from audio_eval.runs.ablation import digests, through
from audio_eval.runs.inputs import question_records
from audio_eval.task import Task, load_task
from tests.formats.recordings import whole

TASK = """
include: {base}
task: pairs
custom_dataset: !function data.TEST
metadata: {{version: "1"}}
"""
DATA = """
from audio_eval.data import OFFICIAL, Files, Sources, record

def convert(row):
    return record(id=row.text("id"), **row.audio("audio_path"), question=row.text("question"), choices=row.choices(),
                  answer=row.text("answer"))

TEST = Sources({OFFICIAL: Files("pairs", "meta.jsonl", "audio", convert)})
"""


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    """Three items: about two recordings, about one in a list, about none of the first item's."""
    import audio_eval.tasks

    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "cache"))
    for name in "abcd":
        path = tmp_path / "pairs" / "audio" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole("WAV PCM_16") + name.encode())
    paths = [["audio/b.wav", "/audio/a.wav"], ["audio/c.wav"], "audio/d.wav"]
    rows = [
        {"id": str(i), "audio_path": path, "question": f"Which {i}?", "choices": ["x", "y"], "answer": "x"}
        for i, path in enumerate(paths)
    ]
    (tmp_path / "pairs" / "meta.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "more").mkdir()
    base = Path(audio_eval.tasks.__file__).parent / "_audio_qa"
    (tmp_path / "more" / "pairs.yaml").write_text(TASK.format(base=base))
    (tmp_path / "more" / "data.py").write_text(DATA)
    return load_task("pairs", data_dir=str(tmp_path), include_path=str(tmp_path / "more"))


def named(question: Question) -> list[str]:
    return [Path(audio.path or "").stem for audio in question.audios]


def test_a_list_of_paths_is_read_in_its_order(task: Task) -> None:
    assert [named(question) for question in task.questions] == [["b", "a"], ["c"], ["d"]]
    first, second, _ = task.questions
    assert first.audio == first.audios[0] and second.more_audio == ()
    assert [Path(path or "").stem for path in question_records(task)[0].more_audio] == ["a"]
    assert task.docs[0]["more_audio"][0]["path"].endswith("a.wav")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "'x' is []"),
        (["a.wav", 3], "not a list of paths"),
        (["a.wav", " "], "not a list"),
        (["../a.wav"], "leads out"),
    ],
)
def test_a_list_that_is_none_of_paths_is_a_problem(value: Any, says: str, tmp_path: Path) -> None:
    row = SourceRow(Place("line", 1), {"x": value}, tmp_path)
    record(id="1", question="?", **row.audio("x"))
    assert says in row.problems[0]


def test_every_recording_counts_in_the_fingerprint_of_an_item(task: Task) -> None:
    both, one, _ = task.questions
    swapped, first = both.hearing(both.audios[::-1]), both.hearing(both.audios[:1])
    found = digests([both, swapped, first, one, one.hearing([])])
    assert len(set(found)) == 5 and found[4] is None
    assert found[2] == both.audios[0].digest() == sha256(both.audios[0].read()).hexdigest()
    assert len({both, swapped, first}) == 3, "a cache would give one's answers to another"
    missing = AudioRef(path="/no/such.wav")
    assert digests([replace(both, more_audio=(missing,))]) == [None]


def test_views_and_ablations_change_all_recordings(task: Task) -> None:
    both = task.questions[0]
    edits = [audio.edit for audio in draw_view(both, KINDS, 0, "1").question.audios]
    assert len(edits) == 2 and edits[0] == edits[1] is not None
    silent = through(task, "silence", 0).questions[0]
    assert named(silent) == ["b", "a"] and all(audio.edit and audio.edit.gain == 0 for audio in silent.audios)
    assert through(task, "none", 0).questions[0].audios == ()
    heard = [named(question) for question in through(task, "shuffled", 0).questions]
    assert sorted(heard) == [["b", "a"], ["c"], ["d"]]
    assert all(now != named(question) for now, question in zip(heard, task.questions, strict=True))


def test_a_server_is_sent_every_recording_in_order(task: Task) -> None:
    both = task.questions[0]
    [turn], seconds = user_turn(both)
    kinds = [part["type"] for part in turn["content"]]
    assert kinds == ["input_audio", "input_audio", "text"]
    sent = [b64decode(part["input_audio"]["data"]) for part in turn["content"][:2]]
    assert sent == [audio.read() for audio in both.audios]
    assert seconds == pytest.approx(sum(len(audio.load()) / 16_000 for audio in both.audios), abs=1e-3)
