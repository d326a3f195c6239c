"""Whole runs of the embedded model: what is on the disk afterwards."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.methods.direct import Direct
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.policy import Update
from audio_eval.runlog import RunLog
from audio_eval.runs.execute import Executor
from audio_eval.runs.inputs import split
from audio_eval.store import read_json
from audio_eval.task import load_task
from tests.rl.fake_policy import make_question
from tests.runs.conftest import NAME, adapter, lines, make_spec

# --- the run directory -----------------------------------------------------------------------------------------------


def test_files_of_a_run(direct: Path, ttrl: Path) -> None:
    always = {
        "spec.json", "identity.json", "env.json", "questions.jsonl", "responses.jsonl", "scores.jsonl", "notes.json",
        "sessions.jsonl", "result.json", ".lock", ".responses.jsonl.crc", ".scores.jsonl.crc", ".questions.jsonl.crc",
        ".sessions.jsonl.crc",
    }  # fmt: skip
    assert {path.name for path in direct.iterdir()} == always
    assert {path.name for path in ttrl.iterdir()} == always | {
        "adapt",
        "metrics.jsonl",
        "oracle.jsonl",
        ".oracle.jsonl.crc",
    }
    assert {path.name for path in (ttrl / "adapt").iterdir()} == {
        "votes.jsonl", ".votes.jsonl.crc", "labels.jsonl", ".labels.jsonl.crc", "rollouts.jsonl", "step-000002",
    }  # fmt: skip
    last = {path.name for path in (ttrl / "adapt" / "step-000002").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "state.json"} <= last
    assert "optimizer.safetensors" not in last, "nothing goes on from the last step"
    assert not list(ttrl.rglob("*.tmp"))


def test_spec_and_env(ttrl: Path) -> None:
    assert RunLog(ttrl).spec() == make_spec("aqa_ttrl", "votes=4,steps=2")
    env = read_json(ttrl / "env.json")
    facts = {"started", "command", "python", "platform", "packages", "commit", "device", "threads", "deterministic"}
    facts |= {"checksum"}
    assert set(env) == facts
    assert env["packages"]["torch"] and env["packages"]["lm-eval"]


def test_questions_are_recorded_without_their_answers(direct: Path) -> None:
    task = load_task(NAME, limit=16)
    records = lines(direct, "questions.jsonl")
    assert [record["id"] for record in records] == [question.id for question in task.questions]
    for record, question in zip(records, task.questions, strict=True):
        assert set(record) == {"id", "audio", "audio_sha256", "question", "choices", "prompt", "groups"}
        assert (record["prompt"], record["choices"]) == (question.prompt, list(question.choices))
        assert Path(record["audio"]).is_file()


def test_responses_scores_and_metrics(ttrl: Path) -> None:
    ids = [record["id"] for record in lines(ttrl, "questions.jsonl")]
    responses, scores = lines(ttrl, "responses.jsonl"), lines(ttrl, "scores.jsonl")
    assert [record["id"] for record in responses] == [record["id"] for record in scores] == ids
    assert all(set(record) == {"id", "response", "samples"} and record["samples"] == 1 for record in responses)
    for record in scores:
        always = {"id", "answer", "outcome", "answered", "why", "official", "groups"}
        assert set(record) - {"choice", "unread"} == always
        assert record["outcome"] in ("correct", "wrong")
        assert ("choice" not in record) == ("unread" in record) == record["why"].startswith("unparsable")
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


def test_the_oracle_is_drawn_from_the_files(ttrl: Path) -> None:
    """As a reader would: by the answers of the task, and what the run has left."""
    task = load_task(NAME, limit=16)
    labels = [record for record in lines(ttrl, "adapt/labels.jsonl") if record["label"] is not None]
    right = [record["label"] == task.answers[record["id"]] for record in labels]
    found = read_json(ttrl / "result.json")["audio_eval"]["oracle"]
    assert (found["label_accuracy"], found["labelled"]) == (round(100 * sum(right) / len(right), 4), len(right))
    assert sum(bin_["n"] for bin_ in found["reliability"]) == len(right)
    steps = lines(ttrl, "oracle.jsonl")
    assert [step["step"] for step in steps] == [1, 2] and found["last_step"] == steps[-1]
    for step in steps:
        drawn = [record for record in lines(ttrl, "adapt/rollouts.jsonl") if record["step"] == step["step"]]
        agreed = [record["label"] == task.answers[record["id"]] for record in drawn]
        assert step["label_accuracy"] == pytest.approx(sum(agreed) / len(agreed), abs=1e-6)
        assert all(0 <= step[name] <= 1 for name in ("reward_accuracy", "ground_truth_ratio", "pass"))
        assert step["pass"] >= step["ground_truth_ratio"] and not any(name.startswith("post_") for name in step)


def test_the_row_agrees_with_the_files(ttrl: Path) -> None:
    result = read_json(ttrl / "result.json")
    row, scores = result["audio_eval"], lines(ttrl, "scores.jsonl")
    right = 100 * sum(record["outcome"] == "correct" for record in scores) / 16
    missing = sum("choice" not in record for record in scores)
    assert (row["model"], row["method"], row["task"], row["seed"]) == ("tiny-omni", "aqa_ttrl", NAME, 0)
    assert (row["accuracy"], row["n"], row["unparsable_n"]) == (right, 16, missing)
    assert row["unparsable"] == 100 * missing / 16
    assert row["run"] == str(ttrl)
    assert row["tags"] == ["transductive", "pseudo labels"] and row["trained_on"] is None
    assert row["wall_s"] == pytest.approx(seconds(ttrl), abs=0.01)
    assert row["device"].startswith("cpu (") and row["trained_parameters"] > 100_000
    heard = sum(sitting["audio_seconds"] for sitting in lines(ttrl, "sessions.jsonl"))
    assert row["audio_seconds"] == pytest.approx(heard) and heard > 16
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


def seconds(folder: Path) -> float:
    """What the run is charged: its own time, and that of the draws which it shares with an earlier run."""
    return sum(r["seconds"] + r.get("earlier_seconds", 0.0) for r in lines(folder, "sessions.jsonl"))


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
        raise AssertionError("a finished run needs no model")

    executor = Executor()
    executor.loader.policy = refuse  # type: ignore[method-assign, assignment]
    for left in (".owner", ".report.html.999999999.tmp"):  # the owner was killed when the result was there
        (direct / left).touch()
    assert executor.run(make_spec("direct", ""), direct) == RunLog(direct).result()
    assert not (direct / ".owner").exists() and not list(direct.glob(".*.tmp"))


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
    row = executor.run(make_spec("majority_vote", "votes=4"), tmp_path / "x").audio_eval.model_dump()
    labels = {label["id"]: label["label"] for label in lines(ttrl, "adapt/labels.jsonl")}
    responses = {record["id"]: record["response"] for record in lines(tmp_path / "x", "responses.jsonl")}
    for id_, label in labels.items():
        if label is not None:
            assert responses[id_] == f"<answer>{label}</answer>"
    assert row["samples"] == 64


def test_equal_votes_are_drawn_once_and_every_run_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By an executor of its own a run leaves the same files; only the time differs."""
    drawn: list[int] = []
    generate = HFPolicy.generate

    def counting(self: HFPolicy, questions: Any, sampling: Any) -> Any:
        drawn.append(len(questions) if sampling.stream == "vote" else 0)
        return generate(self, questions, sampling)

    monkeypatch.setattr(HFPolicy, "generate", counting)
    together, votes = Executor(), {"majority_vote": "", "sft": "epochs=1", "aqa_ttrl": "steps=1"}
    specs = {name: make_spec(name, ",".join(filter(None, ["votes=6", args]))) for name, args in votes.items()}
    rows = {name: together.run(spec, tmp_path / "together" / name).audio_eval for name, spec in specs.items()}
    assert sum(drawn) == 16, "not 48"
    drawn.clear()
    for name, spec in specs.items():
        executor = Executor(ahead=[spec])
        alone = executor.run(spec, tmp_path / "alone" / name).audio_eval
        assert executor._shared is None, "nobody else wants its votes"
        assert (rows[name].samples, rows[name].accuracy) == (alone.samples, alone.accuracy)
        assert rows[name].audio_seconds == alone.audio_seconds, "the votes' too, as their seconds are"
        for path in sorted((tmp_path / "alone" / name).rglob("*.*")):
            if path.suffix in (".jsonl", ".safetensors") and path.name != "sessions.jsonl":
                kept = tmp_path / "together" / path.relative_to(tmp_path / "alone")
                assert kept.read_bytes() == path.read_bytes(), path.name
    assert sum(drawn) == 48
    assert (tmp_path / "together" / "sft" / "adapt" / "votes.jsonl").is_file()
    (first, *later) = [lines(tmp_path / "together" / name, "sessions.jsonl")[0] for name in votes]
    assert "earlier_seconds" not in first and all(0 < r["earlier_seconds"] < first["seconds"] for r in later)
    for name in votes:
        assert rows[name].wall_s == pytest.approx(seconds(tmp_path / "together" / name), abs=0.01)


def test_a_method_that_gives_too_few_responses(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Direct, "predict", lambda self, policy, questions: ["x"] * (len(questions) - 1))
    with pytest.raises(UserError, match="method 'direct' gave 7 responses to 8 questions"):
        executor.run(make_spec("direct", ""), tmp_path / "x")


def test_the_curve_changes_nothing(executor: Executor, ttrl: Path, tmp_path: Path) -> None:
    spec = make_spec("aqa_ttrl", "votes=4,steps=2", curve_every=1)
    row = executor.run(spec, tmp_path / "x").audio_eval.model_dump()
    assert [point["step"] for point in lines(tmp_path / "x", "curve.jsonl")] == [0, 1, 2]
    assert lines(tmp_path / "x", "curve.jsonl")[2]["accuracy"] == row["accuracy"]
    assert adapter(tmp_path / "x") == adapter(ttrl)
    assert row["samples"] == read_json(ttrl / "result.json")["audio_eval"]["samples"]


# --- holdout ---------------------------------------------------------------------------------------------------------


def test_holdout_parts_are_disjoint(executor: Executor, tmp_path: Path) -> None:
    spec = make_spec("aqa_ttrl", "votes=4,steps=1", holdout=0.5)
    row = executor.run(spec, tmp_path / "x").audio_eval.model_dump()
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


def test_seldom_checkpoints_cost_only_time(executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = executor.run(make_spec("aqa_ttrl", "votes=2,steps=4"), tmp_path / "plain")
    seldom = make_spec("aqa_ttrl", "votes=2,steps=4", save_every=3)
    real, calls = HFPolicy.train_step, []

    def interrupted(self: HFPolicy, *args: Any) -> Update:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(HFPolicy, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        executor.run(seldom, tmp_path / "seldom")
    assert not list((tmp_path / "seldom" / "adapt").glob("step-*")), "two steps are no reason for a checkpoint yet"
    result = executor.run(seldom, tmp_path / "seldom")
    assert len(calls) == 3 + 4, "the steps without a checkpoint were done again"
    assert adapter(tmp_path / "seldom") == adapter(tmp_path / "plain")
    assert lines(tmp_path / "seldom", "metrics.jsonl") == lines(tmp_path / "plain", "metrics.jsonl")
    assert result.audio_eval.accuracy == plain.audio_eval.accuracy
