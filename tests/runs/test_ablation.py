"""Control arms: what stands in for the recordings, and that no method hears them all the same."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.audio import AudioRef
from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate, load_runs, task_table, terminal_table
from audio_eval.methods.direct import Direct
from audio_eval.methods.grpo import Grpo
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.rl.views import KINDS, draw_view
from audio_eval.runlog.spec import AudioAblation
from audio_eval.runs.ablation import heard, through
from audio_eval.runs.execute import Executor
from audio_eval.runs.plan import plan
from audio_eval.store import read_json
from audio_eval.task import Task, load_task
from tests.rl.fake_policy import make_question
from tests.runs.conftest import FLAGS, NAME, lines, make_spec
from tests.runs.layout import BROKEN, write_mmar

ARMS: tuple[AudioAblation, ...] = ("silence", "shuffled", "none")


def make_task(recordings: dict[str, str]) -> Task:
    """A task of questions by id, each with the named recording; "": text only."""
    questions = [
        dataclasses.replace(make_question(id_), audio=AudioRef(path=f"{name}.wav", sha256=name) if name else None)
        for id_, name in recordings.items()
    ]
    return Task("mine", "test", PromptTemplate("p", "{{ question }}"), questions, {}, {}, [], {})


def recorded(question: Question) -> str | None:
    return question.audio.sha256 if question.audio else None


# --- the arms --------------------------------------------------------------------------------------------------------


def test_silence_is_as_long_as_the_recording_and_stays_silent_in_every_view() -> None:
    task = load_task(NAME, limit=4)
    for before, after in zip(task.questions, through(task, "silence", 0).questions, strict=True):
        assert before.audio is not None and after.audio is not None
        wave, silence = before.audio.load(), after.audio.load()
        assert wave.any() and not silence.any() and silence.shape == wave.shape
        assert after.audio.digest() != before.audio.digest(), "or a cache would give the recording"
        for view in range(10):
            edited = draw_view(after, KINDS, 0, str(view)).question.audio
            assert edited is not None and not edited.load().any()
    assert heard(task, "silence", 0) == {question.id: "silence" for question in task.questions}


def test_none_leaves_the_text_alone() -> None:
    task = make_task({"a": "x", "b": ""})
    text = through(task, "none", 0)
    assert [question.audio for question in text.questions] == [None, None]
    assert [question.prompt for question in text.questions] == [question.prompt for question in task.questions]
    assert heard(task, "none", 0) == {"a": "none"}, "b has no recording anyway"


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_is_a_derangement_of_the_recordings(seed: int) -> None:
    task = make_task({str(i): f"r{i}" for i in range(50)})
    donors = heard(task, "shuffled", seed)
    assert sorted(donors.values()) == sorted(donors) and all(donor != id_ for id_, donor in donors.items())
    for question in through(task, "shuffled", seed).questions:
        assert recorded(question) == f"r{donors[question.id]}"


@pytest.mark.parametrize("shared", [[2, 2], [3, 1, 1, 1], [5, 2, 4, 1], [1] * 7, [2] * 20])
def test_items_of_one_recording_do_not_hear_it_from_each_other(shared: list[int]) -> None:
    names = [f"r{i}" for i, size in enumerate(shared) for _ in range(size)]
    places = np.random.default_rng(0).permutation(len(names))
    task = make_task({str(i): names[place] for i, place in enumerate(places)} | {"text": ""})
    for seed in range(20):
        shuffled = through(task, "shuffled", seed)
        pairs = list(zip(map(recorded, task.questions), map(recorded, shuffled.questions), strict=True))
        assert pairs.pop() == (None, None)
        assert all(own != other for own, other in pairs)
        assert Counter(own for own, _ in pairs) == Counter(other for _, other in pairs)


def test_the_shuffle_is_keyed_by_seed_and_id() -> None:
    recordings = {str(i): f"r{i % 30}" for i in range(40)}
    donors = heard(make_task(recordings), "shuffled", 0)
    assert heard(make_task(dict(reversed(recordings.items()))), "shuffled", 0) == donors, "not by the order of the file"
    assert heard(make_task(recordings), "shuffled", 1) != donors


def test_what_cannot_be_shuffled_or_has_no_recordings() -> None:
    for recordings in ({"a": "x"}, {"a": "x", "b": "x", "c": "y"}):
        with pytest.raises(UserError, match=r"(1 of 1|2 of 3) items share one. Take more items \(--limit\)"):
            through(make_task(recordings), "shuffled", 0)
    for arm in ARMS:
        with pytest.raises(UserError, match=f"'mine' has no recordings: there is nothing that --audio {arm}"):
            heard(make_task({"a": ""}), arm, 0)
        assert through(make_task({"a": ""}), arm, 0).questions == make_task({"a": ""}).questions


def test_an_unknown_arm() -> None:
    with pytest.raises(UserError, match=r"audio: input should be 'silence', 'shuffled' or 'none' \(given: mute\)"):
        plan({**FLAGS, "audio": "mute"})


# --- runs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arm", ARMS)
def test_a_run_in_an_arm_beside_one_that_hears(
    arm: AudioAblation, executor: Executor, direct: Path, tmp_path: Path
) -> None:
    row = executor.run(make_spec("direct", "", audio=arm), tmp_path / "x").audio_eval.model_dump()
    real = read_json(direct / "result.json")["audio_eval"]
    assert row["tags"] == [f"audio: {arm}"] and row["audio"] == arm and row["n"] == 16
    for key in ("audio_revision", "data_revision", "prompt", "model_revision"):
        assert row[key] == real[key], f"another {key} would not be comparable"
    asked, usual = lines(tmp_path / "x", "questions.jsonl"), lines(direct, "questions.jsonl")
    ids = {record["id"] for record in usual}
    said = [record.pop("heard") for record in asked]
    assert asked == usual, "nothing but what was heard instead is added"
    assert set(said) == (ids if arm == "shuffled" else {arm})
    answers = [lines(folder, "responses.jsonl") for folder in (tmp_path / "x", direct)]
    assert answers[0] != answers[1], "the model did hear something else"
    runs, skipped = load_runs([tmp_path, direct])
    rows = {row.tags: row for row in aggregate(runs)}
    assert not skipped and rows[()].baseline and rows[()].comparison is None
    compared = rows[f"audio: {arm}",].comparison
    assert compared is not None and compared.n == 16
    for table in (terminal_table(list(rows.values())), task_table(list(rows.values()))):
        assert f"audio: {arm}" in table


@pytest.mark.parametrize("arm", ARMS)
def test_adapting_and_answering_hear_the_same(
    arm: AudioAblation, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(Direct, "adapt", lambda self, policy, questions, run: seen.update(adapt=list(questions)))
    monkeypatch.setattr(Direct, "predict", lambda self, policy, questions: seen.update(ask=questions) or [""] * 16)
    executor.run(make_spec("direct", "", audio=arm, batch_size=16), tmp_path / "x")
    wanted = through(load_task(NAME, limit=16), arm, 0).questions
    assert seen["adapt"] == seen["ask"] == wanted
    more = {"adapt_task": "synth_aqa:train", "train_limit": 8, "batch_size": 16}
    executor.run(make_spec("direct", "", audio=arm, **more), tmp_path / "other")
    assert seen["adapt"] == through(load_task("synth_aqa:train", limit=8), arm, 0).questions


@pytest.mark.parametrize("train_task", ["synth_aqa:train", "same"])
def test_the_training_task_has_an_arm_of_its_own(
    train_task: str, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr(Grpo, "adapt", lambda self, policy, questions, run: seen.update(examples=run.examples))
    given = {"train_task": train_task, "train_limit": 16}
    row = executor.run(
        make_spec("grpo", "steps=1", **given, train_audio="none"), tmp_path / "train"
    ).audio_eval.model_dump()
    assert all(example.question.audio is None for example in seen["examples"])
    assert row["tags"] == ["training audio: none"] and row["audio"] is None
    assert not any("heard" in record for record in lines(tmp_path / "train", "questions.jsonl"))
    row = executor.run(make_spec("grpo", "steps=1", **given, audio="none"), tmp_path / "test").audio_eval.model_dump()
    assert all(example.question.audio is not None for example in seen["examples"])
    assert row["tags"] == ["audio: none"]


def test_a_run_without_recordings_to_keep_away_leaves_nothing_behind(executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="1 of 1 items share one"):
        executor.run(make_spec("direct", "", audio="shuffled", limit=1), tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_recording_that_cannot_be_read_is_dealt_like_the_others(executor: Executor, tmp_path: Path) -> None:
    """The item that would hear it is counted as wrong and named; its own item hears another one."""
    data = write_mmar(tmp_path / "data")
    spec = make_spec("direct", "", tasks="mmar", data_dir=str(data), limit=None, audio="shuffled", max_errors="1")
    row = executor.run(spec, tmp_path / "x").audio_eval.model_dump()
    (unlucky,) = [record["id"] for record in lines(tmp_path / "x", "questions.jsonl") if record["heard"] == BROKEN]
    assert list(row["notes"]["unreadable"]) == [unlucky] and unlucky != BROKEN
