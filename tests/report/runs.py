"""Run directories for reports, made by hand: no model is run."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.runlog import Result, RunLog, RunSpec
from audio_eval.runlog.records import (
    CurvePoint,
    Environment,
    LabelRecord,
    QuestionRecord,
    ResponseRecord,
    StepRecord,
)
from audio_eval.runs.own import remember_folders
from audio_eval.scoring.scores import Score
from tests.leaderboard.runs import RESULT

OPTIONS = ("cat", "dog", "bird", "a man's voice")


def tone(path: Path, pitch: float = 440.0, seconds: float = 0.4) -> str:
    """Write a tone; returns its digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signal = (8000 * np.sin(2 * np.pi * pitch * np.arange(int(16_000 * seconds)) / 16_000)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16_000)
        file.writeframes(signal.tobytes())
    return sha256(path.read_bytes()).hexdigest()


def make_run(
    folder: Path, responses: Sequence[str], method: str = "direct", steps: int = 0, finished: bool = True,
    votes: bool = False, names: Sequence[str] = (), **said: Any,
) -> Path:  # fmt: skip
    """A run whose items all have the answer "dog"; their recordings lie beside the runs.

    With ``votes``, labels of growing confidence, the even ones for "dog". ``names`` stand in the ids, questions, groups
    and first options of the items.
    """
    folder.mkdir(parents=True)
    log, n = RunLog(folder), len(responses)
    ids, names = [f"{name}q{i}" for i, name in zip(range(n), names or [""] * n)], names or ["sound"] * n
    log.write_spec(RunSpec(model="tiny-omni", method=method, method_args={"steps": steps} if steps else {},
                           task="synth_aqa", **said))  # fmt: skip
    log.write_environment(Environment(
        started="2026-11-28T00:00:00+00:00", command=["audio-eval", "--model", "tiny-omni"], python="3.11", threads=2,
        platform="Linux", packages={"torch": "2.13.0"}, commit="abc", device="cpu",
    ))  # fmt: skip
    digests = [tone(folder.parent / "audio" / f"{i % 5}.wav", 200.0 + 100 * (i % 5)) for i in range(min(n, 5))]
    remember_folders([str(folder.parent / "audio" / "0.wav")])  # as when a run of them begins
    firsts = [name if name != "sound" else OPTIONS[0] for name in names]
    log.questions.keep(
        QuestionRecord(
            id=id_, audio=str(folder.parent / "audio" / f"{i % 5}.wav"), audio_sha256=digests[i % 5],
            question=f"Which animal is number {i}? {names[i]}", choices=(firsts[i], *OPTIONS[1:]),
            prompt=f"Which? {names[i]}", groups={"task": names[i], "half": "even" if i % 2 == 0 else "odd"},
        )
        for i, id_ in enumerate(ids)
    )  # fmt: skip
    log.responses.keep(
        ResponseRecord(id=id_, response=text, samples=1.0) for id_, text in zip(ids, responses, strict=True)
    )
    if votes:
        log.labels.keep(
            LabelRecord(
                id=id_, choice=1 if i % 2 == 0 else 0, label="dog" if i % 2 == 0 else "cat", confidence=(i + 1) / n,
                tally={"dog": 5, firsts[i]: 3}, unparsable=1, entropy=0.9, agreement=1.0,
            )
            for i, id_ in enumerate(ids)
        )  # fmt: skip
    log.steps.keep(
        StepRecord.model_validate({"step": i + 1, "reward": i / steps, "entropy": 1.0 - i / steps, "vote_share": 0.8})
        for i in range(steps)
    )
    if steps:
        log.curve.keep([CurvePoint(step=0, accuracy=50.0, unparsable=0.0, outcomes="rw" * n),
                        CurvePoint(step=steps, accuracy=75.0, unparsable=0.0, outcomes="rrwr" * n)])  # fmt: skip
    if finished:
        scores = list(map(_score, ids, responses))
        log.scores.keep(scores)
        right, lost = sum(s.outcome == "correct" for s in scores), sum(not s.answered for s in scores)
        row = {
            "model": "tiny-omni", "method": method, "task": "synth_aqa", "seed": 0, "accuracy": 100.0 * right / n,
            "n": n, "unparsable": 100.0 * lost / n, "unparsable_n": lost, "samples": n, "wall_s": 12.0,
            "prompt": "tagged", "scorer": "choice@2", "data_revision": "1", "model_revision": "rev",
            "device": "cpu (2 threads)", "tags": [] if method == "direct" else ["transductive"],
        }  # fmt: skip
        log.write_result(Result.model_validate({**RESULT, "audio_eval": row}))
    return folder


def _score(id_: str, response: str) -> Score:
    named = next((i for i, option in enumerate(OPTIONS) if option in response), None)
    return Score(
        id=id_, answer="dog", outcome="correct" if named == 1 else "wrong", answered=named is not None,
        why="option text" if named is not None else "unparsable: no option named",
        unread=None if named is not None else "not an option", choice=named,
    )  # fmt: skip


def make_pair(runs: Path, n: int = 12, **said: Any) -> Path:
    """A ``direct`` run and an adapted one beside it, with every fate among their items; returns the adapted one."""
    before = ["<answer>dog</answer>", "<answer>cat</answer>", "a dog, I think", "what?"]
    after = ["<answer>dog</answer>", "<answer>dog</answer>", "<answer>bird</answer>", "<answer>dog</answer>"]
    make_run(runs / "direct", [before[i % 4] for i in range(n)])
    return make_run(runs / "aqa", [after[i % 4] for i in range(n)], method="aqa_ttrl", steps=20, votes=True, **said)
