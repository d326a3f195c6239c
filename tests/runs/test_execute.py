"""Whole runs of the embedded model: what is on the disk afterwards, and that no answer reached the method."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.methods.direct import Direct
from audio_eval.runs import execute
from audio_eval.runs.execute import Executor, split
from audio_eval.runs.store import JsonLines, read_json
from audio_eval.task import Task, load_task
from tests.rl.fake_policy import make_question
from tests.runs.conftest import make_spec
from tests.runs.layout import BROKEN, ITEMS, write_mmar

NAME = "synth_aqa:validation"


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return JsonLines(folder / name).read()


def adapter(folder: Path) -> bytes:
    (file,) = (folder / "adapt").glob("step-*/adapter*.safetensors")
    return file.read_bytes()


# --- the run directory -----------------------------------------------------------------------------------------------


def test_files_of_a_run(direct: Path, ttrl: Path) -> None:
    always = {
        "spec.json", "env.json", "questions.jsonl", "responses.jsonl", "scores.jsonl", "notes.json", "sessions.jsonl",
        "result.json",
    }  # fmt: skip
    assert {path.name for path in direct.iterdir()} == always
    assert {path.name for path in ttrl.iterdir()} == always | {"adapt", "metrics.jsonl"}
    assert {path.name for path in (ttrl / "adapt").iterdir()} == {"votes.jsonl", "labels.jsonl", "step-000002"}
    assert {"adapter_model.safetensors", "adapter_config.json", "optimizer.safetensors", "state.json"} <= {
        path.name for path in (ttrl / "adapt" / "step-000002").iterdir()
    }
    assert not list(ttrl.rglob("*.tmp"))


def test_spec_and_env(ttrl: Path) -> None:
    assert read_json(ttrl / "spec.json") == make_spec("aqa_ttrl", "votes=4,steps=2").model_dump()
    env = read_json(ttrl / "env.json")
    assert set(env) == {"started", "command", "python", "platform", "packages", "commit", "device"}
    assert env["packages"]["torch"] and env["packages"]["lm-eval"]


def test_questions_are_recorded_without_their_answers(direct: Path) -> None:
    task = load_task(NAME, limit=16)
    records = lines(direct, "questions.jsonl")
    assert [record["id"] for record in records] == [question.id for question in task.questions]
    for record, question in zip(records, task.questions, strict=True):
        assert set(record) == {"id", "audio", "question", "choices", "prompt", "groups"}
        assert (record["prompt"], record["choices"]) == (question.prompt, list(question.choices))
        assert Path(record["audio"]).is_file()


def test_responses_scores_and_metrics(ttrl: Path) -> None:
    ids = [record["id"] for record in lines(ttrl, "questions.jsonl")]
    responses, scores = lines(ttrl, "responses.jsonl"), lines(ttrl, "scores.jsonl")
    assert [record["id"] for record in responses] == [record["id"] for record in scores] == ids
    assert all(set(record) == {"id", "response", "samples"} and record["samples"] == 1 for record in responses)
    for record in scores:
        assert set(record) == {"id", "outcome", "choice", "why", "official", "groups"}
        assert record["outcome"] in ("correct", "wrong")
        assert (record["choice"] is None) == record["why"].startswith("unparsable")
    metrics = lines(ttrl, "metrics.jsonl")
    assert [record["step"] for record in metrics] == [1, 2]
    wanted = {"reward", "agreement", "vote_share", "attempts", "rescued", "stuck", "skipped_groups", "loss", "entropy"}
    assert wanted <= set(metrics[0])


def test_labels(ttrl: Path) -> None:
    labels = lines(ttrl, "adapt/labels.jsonl")
    assert len(labels) == len(lines(ttrl, "adapt/votes.jsonl")) == 16
    for label in labels:
        assert sum(label["tally"].values()) + label["unparsable"] == 4
        if label["choice"] is None:
            assert (label["label"], label["tally"], label["confidence"]) == (None, {}, 0.0)
        else:
            assert label["confidence"] == max(label["tally"].values()) / 4 == label["tally"][label["label"]] / 4


def test_the_row_agrees_with_the_files(ttrl: Path) -> None:
    result = read_json(ttrl / "result.json")
    row, scores = result["audio_eval"], lines(ttrl, "scores.jsonl")
    right = 100 * sum(record["outcome"] == "correct" for record in scores) / 16
    missing = sum(record["choice"] is None for record in scores)
    assert (row["model"], row["method"], row["task"], row["seed"]) == ("tiny-omni", "aqa_ttrl", NAME, 0)
    assert (row["accuracy"], row["n"], row["unparsable_n"]) == (right, 16, missing)
    assert row["unparsable"] == 100 * missing / 16
    assert row["run"] == str(ttrl)
    assert row["tags"] == ["transductive"] and row["trained_on"] is None
    assert row["wall_s"] == pytest.approx(sum(r["seconds"] for r in lines(ttrl, "sessions.jsonl")), abs=0.01)
    assert row["adapter_sha256"] == sha256(adapter(ttrl)).hexdigest()
    attempts = sum(record["attempts"] * 8 for record in lines(ttrl, "metrics.jsonl"))
    assert row["samples"] == 16 * 4 + 4 * attempts + 16, "votes, rollouts, answers"
    skipped = sum(label["choice"] is None for label in lines(ttrl, "adapt/labels.jsonl"))
    assert row["notes"].get("skipped_all_unparsable", 0) == skipped
    for key in ("scorer", "prompt", "data_revision", "model_revision"):
        assert row[key], f"{key} must go with every number"
    for table in row["groups"].values():
        assert sum(cell["n"] for cell in table.values()) == 16
        assert sum(cell["accuracy"] * cell["n"] for cell in table.values()) / 16 == pytest.approx(right, abs=1e-3)


def test_the_keys_that_tools_for_lm_eval_read(direct: Path) -> None:
    result = read_json(direct / "result.json")
    row, metrics = result["audio_eval"], result["results"][NAME]
    assert metrics["acc,none"] == row["accuracy"] / 100
    assert metrics["unparsable,none"] == row["unparsable"] / 100
    p = metrics["acc,none"]
    assert metrics["acc_stderr,none"] == pytest.approx((p * (1 - p) / 15) ** 0.5)
    assert result["n-samples"][NAME] == {"original": 16, "effective": 16}
    assert result["higher_is_better"][NAME]["acc"] is True
    assert row["tags"] == [] and row["adapter_sha256"] is None and row["oracle"] is None and row["samples"] == 16


def test_a_finished_run_is_not_run_again(direct: Path) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a finished run needs no task and no model")

    executor = Executor()
    executor._task = executor._load = refuse  # type: ignore[method-assign, assignment]
    assert executor.run(make_spec("direct", ""), direct) == read_json(direct / "result.json")


@pytest.mark.parametrize("method", ["direct", "majority_vote"])
def test_the_batch_does_not_change_the_answers(method: str, executor: Executor, direct: Path, tmp_path: Path) -> None:
    """And an adapted model leaves no trace in the run after it: the executor keeps the model loaded."""
    args = "" if method == "direct" else "votes=4"
    executor.run(make_spec("aqa_ttrl", "votes=2,steps=1,lr=0.01", limit=4), tmp_path / "before")
    executor.run(make_spec(method, args), tmp_path / "8")
    executor.run(make_spec(method, args, batch_size=3), tmp_path / "3")
    responses = [(tmp_path / size / "responses.jsonl").read_bytes() for size in ("8", "3")]
    assert responses[0] == responses[1]
    if method == "direct":
        assert responses[0] == (direct / "responses.jsonl").read_bytes()


def test_votes_of_aqa_ttrl_are_those_of_majority_vote(executor: Executor, ttrl: Path, tmp_path: Path) -> None:
    row = executor.run(make_spec("majority_vote", "votes=4"), tmp_path / "x")["audio_eval"]
    labels = {label["id"]: label["label"] for label in lines(ttrl, "adapt/labels.jsonl")}
    responses = {record["id"]: record["response"] for record in lines(tmp_path / "x", "responses.jsonl")}
    for id_, label in labels.items():
        if label is not None:
            assert responses[id_] == f"<answer>{label}</answer>"
    assert row["samples"] == 64


def test_a_method_that_gives_too_few_responses(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Direct, "predict", lambda self, policy, questions: ["x"] * (len(questions) - 1))
    with pytest.raises(UserError, match="method 'direct' gave 7 responses to 8 questions"):
        executor.run(make_spec("direct", ""), tmp_path / "x")


def test_the_curve_changes_nothing(executor: Executor, ttrl: Path, tmp_path: Path) -> None:
    spec = make_spec("aqa_ttrl", "votes=4,steps=2", curve_every=1)
    row = executor.run(spec, tmp_path / "x")["audio_eval"]
    assert [point["step"] for point in lines(tmp_path / "x", "curve.jsonl")] == [0, 1, 2]
    assert lines(tmp_path / "x", "curve.jsonl")[2]["accuracy"] == row["accuracy"]
    assert adapter(tmp_path / "x") == adapter(ttrl)
    assert row["samples"] == read_json(ttrl / "result.json")["audio_eval"]["samples"]


# --- the label wall --------------------------------------------------------------------------------------------------


def poisoned(*args: Any, **kwargs: Any) -> Task:
    """The task with garbage for answers, in every place that holds one."""
    task = load_task(*args, **kwargs)
    wrong = {q.id: next(c for c in q.choices if c != task.answers[q.id]) for q in task.questions}
    docs = [{**doc, "answer": wrong[doc["id"]], "meta": '{"poison": true}'} for doc in task.docs]
    return dataclasses.replace(task, answers=wrong, docs=docs)


@pytest.mark.parametrize(("method", "args"), [("aqa_ttrl", "votes=4,steps=2"), ("sft", "votes=4,epochs=1")])
def test_poisoned_answers_change_no_bit_of_the_adapted_model(
    method: str, args: str, executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = executor.run(make_spec(method, args), tmp_path / "clean")
    other = Executor()
    other._policy = executor._policy
    monkeypatch.setattr(execute, "load_task", poisoned)
    poison = other.run(make_spec(method, args), tmp_path / "poisoned")
    right = {r["id"] for r in lines(tmp_path / "clean", "scores.jsonl") if r["outcome"] == "correct"}
    right_of_wrong = {r["id"] for r in lines(tmp_path / "poisoned", "scores.jsonl") if r["outcome"] == "correct"}
    assert right and not right & right_of_wrong, "the poison has reached the scorer"
    assert clean["audio_eval"]["data_revision"] != poison["audio_eval"]["data_revision"]
    assert adapter(tmp_path / "clean") == adapter(tmp_path / "poisoned")
    for name in ("adapt/votes.jsonl", "adapt/labels.jsonl", "metrics.jsonl", "responses.jsonl", "questions.jsonl"):
        assert (tmp_path / "clean" / name).read_bytes() == (tmp_path / "poisoned" / name).read_bytes(), name


def test_poison_is_seen_by_a_method_that_does_take_the_answers(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poison test can fail: with --train-task same the weights do change."""
    spec = make_spec("sft", "labels=gold,epochs=1", train_task="same")
    row = executor.run(spec, tmp_path / "clean")["audio_eval"]
    other = Executor()
    other._policy = executor._policy
    monkeypatch.setattr(execute, "load_task", poisoned)
    other.run(spec, tmp_path / "poisoned")
    assert adapter(tmp_path / "clean") != adapter(tmp_path / "poisoned")
    assert row["trained_on"] == NAME and row["tags"] == ["gold labels"]


@pytest.mark.parametrize(("method", "args"), [("grpo", "steps=1"), ("sft", "labels=gold")])
def test_labels_are_those_of_a_training_task(method: str, args: str, executor: Executor, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"learns from labels: .*--train-task synth_aqa:train"):
        executor.run(make_spec(method, args), tmp_path / "none")
    spec = make_spec(method, args + (",epochs=1" if method == "sft" else ",batch_size=4"),
                     train_task="synth_aqa:train", train_limit=8)  # fmt: skip
    row = executor.run(spec, tmp_path / "train")["audio_eval"]
    assert row["trained_on"] == "synth_aqa:train" and "transductive" not in row["tags"]
    assert not (tmp_path / "train" / "adapt" / "votes.jsonl").exists()
    assert row["samples"] == 16 + (4 * 8 if method == "grpo" else 0)


def test_the_leaderboard_says_trained_on_the_test_labels(executor: Executor, tmp_path: Path) -> None:
    from audio_eval.leaderboard import aggregate, load_runs, terminal_table

    executor.run(make_spec("direct", ""), tmp_path / "direct")
    spec = make_spec("grpo", "steps=1,batch_size=4", train_task="same")
    executor.run(spec, tmp_path / "grpo")
    runs, skipped = load_runs([tmp_path])
    assert not skipped and "trained on the test labels" in terminal_table(aggregate(runs))


# --- holdout ---------------------------------------------------------------------------------------------------------


def test_holdout_parts_are_disjoint(executor: Executor, tmp_path: Path) -> None:
    spec = make_spec("aqa_ttrl", "votes=4,steps=1", holdout=0.5)
    row = executor.run(spec, tmp_path / "x")["audio_eval"]
    adapted = {record["id"] for record in lines(tmp_path / "x", "adapt/votes.jsonl")}
    scored = {record["id"] for record in lines(tmp_path / "x", "scores.jsonl")}
    assert adapted and scored and not adapted & scored
    assert adapted | scored == {record["id"] for record in lines(tmp_path / "x", "questions.jsonl")}
    assert scored == {record["id"] for record in lines(tmp_path / "x", "responses.jsonl")}
    assert row["n"] == len(scored) and "transductive" not in row["tags"]
    assert "adapted on other items of the task" in row["tags"]


def test_split_is_keyed_by_seed_and_id() -> None:
    questions = [make_question(str(i)) for i in range(400)]
    adapt, held = split(questions, 0.25, seed=0)
    assert len(adapt) + len(held) == 400 and 70 < len(held) < 130
    assert split(questions[::-1], 0.25, seed=0)[1] == held[::-1]
    assert split(questions[:100], 0.25, seed=0)[1] == [q for q in held if int(q.id) < 100]
    assert split(questions, 0.25, seed=1)[1] != held
    assert split(questions, 0.0, seed=0) == (questions, questions)
    with pytest.raises(UserError, match="leaves one part of 1 items empty"):
        split(questions[:1], 0.5, seed=0)


# --- audio that cannot be read ---------------------------------------------------------------------------------------


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
    spec = make_spec(method, args, tasks="mmar", data_dir=data, limit=None, batch_size=2, **more)
    row = executor.run(spec, tmp_path / "x")["audio_eval"]
    assert row["n"] == ITEMS and row["unparsable_n"] >= 1
    (score,) = [record for record in lines(tmp_path / "x", "scores.jsonl") if record["id"] == BROKEN]
    assert (score["outcome"], score["choice"]) == ("wrong", None)
    assert list(row["notes"]["unreadable"]) == [BROKEN]
    assert f"{BROKEN}.wav" in row["notes"]["unreadable"][BROKEN]


def test_an_interrupted_run_still_names_what_it_could_not_read(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = str(write_mmar(tmp_path / "data"))
    spec = make_spec("direct", "", tasks="mmar", data_dir=data, limit=None, batch_size=2)
    whole = executor.run(spec, tmp_path / "whole")["audio_eval"]
    monkeypatch.setattr(Direct, "predict", interrupting(Direct.predict, at=3))
    with pytest.raises(KeyboardInterrupt):
        executor.run(spec, tmp_path / "x")
    monkeypatch.undo()
    assert len(lines(tmp_path / "x", "responses.jsonl")) == 4
    row = executor.run(spec, tmp_path / "x")["audio_eval"]
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
    assert hidden["audio_eval"]["accuracy"] is None and hidden["audio_eval"]["n"] == 1
    (filled,) = read_json(tmp_path / "x" / "submission.json")
    assert filled["id"] == "m1" and "model_output" in filled
