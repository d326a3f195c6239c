"""Audio that cannot be read: one recording, all of them; and other data that a run cannot use."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import load_runs
from audio_eval.methods.direct import Direct
from audio_eval.models.hf.backend import HF
from audio_eval.models.hf.families.omni import Omni
from audio_eval.runs.execute import Executor
from audio_eval.store import read_json
from tests.runs.conftest import lines, make_spec
from tests.runs.layout import BROKEN, ITEMS, write_mmar


@pytest.mark.parametrize(
    ("method", "args", "more"),
    [
        ("direct", "", {}),
        ("majority_vote", "votes=4", {}),
        ("aqa_ttrl", "votes=16,steps=1", {}),
        ("grpo", "steps=2", {"train_task": "same"}),
        ("sft", "labels=gold,epochs=1", {"train_task": "same"}),
    ],
)
def test_one_unreadable_recording_is_wrong_named_and_does_not_stop_the_run(
    method: str, args: str, more: dict[str, Any], executor: Executor, tmp_path: Path
) -> None:
    data = str(write_mmar(tmp_path / "data"))
    spec = make_spec(method, args, tasks="mmar", data_dir=data, limit=None, batch_size=2, max_errors=1, **more)
    row = executor.run(spec, tmp_path / "x").audio_eval.model_dump()
    assert row["n"] == ITEMS and row["unparsable_n"] >= 1
    (score,) = [record for record in lines(tmp_path / "x", "scores.jsonl") if record["id"] == BROKEN]
    assert (score["outcome"], score.get("choice")) == ("wrong", None)
    assert list(row["notes"]["unreadable"]) == [BROKEN]
    assert f"{BROKEN}.wav" in row["notes"]["unreadable"][BROKEN]


def test_an_interrupted_run_still_names_what_it_could_not_read(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(write_mmar(tmp_path / "data"))
    spec = make_spec("direct", "", tasks="mmar", data_dir=data, limit=None, batch_size=2, max_errors=1)
    whole = executor.run(spec, tmp_path / "whole").audio_eval.model_dump()
    monkeypatch.setattr(Direct, "predict", interrupting(Direct.predict, at=3))
    with pytest.raises(KeyboardInterrupt):
        executor.run(spec, tmp_path / "x")
    monkeypatch.undo()
    assert len(lines(tmp_path / "x", "responses.jsonl")) == 4
    row = executor.run(spec, tmp_path / "x").audio_eval.model_dump()
    assert row["notes"] == whole["notes"] and BROKEN in row["notes"]["unreadable"]
    assert len(lines(tmp_path / "x", "sessions.jsonl")) == 2


def interrupting(predict: Callable[..., list[str]], at: int) -> Callable[..., list[str]]:
    calls = 0

    def wrapped(*args: Any) -> list[str]:
        nonlocal calls
        calls += 1
        if calls == at:
            raise KeyboardInterrupt
        return predict(*args)

    return wrapped


def test_no_recording_at_all_is_a_mistake_and_leaves_nothing_behind(executor: Executor, tmp_path: Path) -> None:
    data = write_mmar(tmp_path / "data")
    for path in (data / "mmar" / "audio").iterdir():
        path.unlink()
    spec = make_spec("direct", "", tasks="mmar", data_dir=str(data), limit=None)
    with pytest.raises(
        UserError, match=r"none of the 6 recordings of task 'mmar' is there .*--data-dir must hold D/mmar"
    ):
        executor.run(spec, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_training_task_without_answers_is_a_mistake(executor: Executor, tmp_path: Path) -> None:
    row = {
        "id": "m1", "audio_id": "./test-audios/m1.wav", "question": "Which?", "choices": ["dog", "cat"],
        "task": "sound", "split": "test", "category": "Reasoning", "sub-category": "Counting", "difficulty": "easy",
    }  # fmt: skip
    data = write_mmar(tmp_path / "data")
    (data / "mmau" / "test-audios").mkdir(parents=True)
    (data / "mmar" / "audio" / "r0.wav").rename(data / "mmau" / "test-audios" / "m1.wav")
    (data / "mmau" / "mmau-test.json").write_text(json.dumps([row]))
    for method, args in (("grpo", "steps=1"), ("sft", "labels=gold")):
        spec = make_spec(method, args, train_task="mmau_test", data_dir=str(data), limit=4)
        with pytest.raises(UserError, match="training task"):
            executor.run(spec, tmp_path / method)
    hidden = executor.run(make_spec("direct", "", tasks="mmau_test", data_dir=str(data), limit=None), tmp_path / "x")
    assert hidden.audio_eval.accuracy is None and hidden.audio_eval.n == 1
    (filled,) = read_json(tmp_path / "x" / "submission.json")
    assert filled["id"] == "m1" and "model_output" in filled


def test_recordings_beyond_the_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """cut: heard in part, and named; skip: wrong, named, and in a row of its own; nothing is left out of n.

    chunk: heard, and in a row of its own.
    """
    monkeypatch.setattr(Omni, "max_seconds", 0.9)  # the recordings last a second
    data = str(write_mmar(tmp_path / "data", broken=False))
    executor, rows = Executor(), {}  # of its own: the other tests' has heard these clips with the true window
    for how in ("cut", "skip", "chunk"):
        spec = make_spec("direct", "", tasks="mmar", data_dir=data, limit=None, long_audio=how)
        rows[how] = executor.run(spec, tmp_path / how).audio_eval
    cut, skip = rows["cut"], rows["skip"]
    assert len(cut.notes["truncated"]) == ITEMS and "unreadable" not in cut.notes
    assert (cut.long_audio, cut.tags, cut.n) == (None, [], ITEMS)
    assert len(skip.notes["unreadable"]) == ITEMS and "truncated" not in skip.notes
    assert "1.0 s, and the model hears 0.9 s" in skip.notes["unreadable"]["r0"]
    assert (skip.long_audio, skip.tags, skip.n, skip.accuracy) == ("skip", ["long audio: skip"], ITEMS, 0.0)
    chunk = rows["chunk"]
    assert (chunk.long_audio, chunk.tags, chunk.n) == ("chunk", ["long audio: chunk"], ITEMS)
    assert not {"truncated", "unreadable"} & chunk.notes.keys()
    runs, _ = load_runs([tmp_path / how for how in rows])
    assert len({run.comparable for run in runs}) == 3, "a number with skip is no baseline of one without"


def test_a_backend_that_knows_no_window_is_not_asked_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HF, "takes_long_audio", ())
    assert make_spec("direct", "", long_audio="cut")
    with pytest.raises(UserError, match="backend 'hf' does not know its models' windows: leave --long-audio out"):
        make_spec("direct", "", long_audio="skip")
    monkeypatch.setattr(HF, "takes_long_audio", ("skip",))
    with pytest.raises(UserError, match="backend 'hf' does not take --long-audio chunk: give cut or skip"):
        make_spec("direct", "", long_audio="chunk")
