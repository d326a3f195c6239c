"""Monitors in the training loop: what stops a run or is told of it, once, also of one that was killed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from audio_eval.progress import Progress
from audio_eval.rl.experience import Experience
from audio_eval.rl.loop import train
from audio_eval.rl.monitors import STATISTICS
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Updates
from audio_eval.rl.teach import Lesson, teach
from audio_eval.store import JsonLines
from tests.rl.fake_policy import FakePolicy, make_group, make_question, tagged


class Killed(BaseException):
    pass


class Told(Progress):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, text: str) -> None:
        self.told.append(text)


def sharpening(majorities: Sequence[int]) -> Callable[[int], Experience]:
    """A step whose one question has so many of 20 samples for the cat."""

    def experience(step: int) -> Experience:
        n = majorities[step]
        group = make_group(make_question(f"q{step}"), {"cat": n, "dog": 20 - n} if n < 20 else {"cat": 20})
        return Experience([group], [np.ones(len(group.counts))])

    return experience


def killed_at(step: int, experience: Callable[[int], Experience]) -> Callable[[int], Experience]:
    def interrupted(now: int) -> Experience:
        if now == step:
            raise Killed
        return experience(now)

    return interrupted


# two in a row above 0.9: steps 5 and 6 (one in a row at 2)
STEPS = [10, 19, 10, 10, 19, 19, 19, 10, 20, 20]
RULE = Updates(stop_when="majority_ratio>0.9 for 2")


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "adapt").iterdir() if path.is_dir())


def test_a_rule_stops_after_the_first_step_at_which_it_holds(tmp_path: Path) -> None:
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}
    ratios = [record["majority_ratio"] for record in JsonLines(tmp_path / "metrics.jsonl").read()]
    assert ratios == [0.5, 0.95, 0.5, 0.5, 0.95, 0.95]


@pytest.mark.parametrize("save_every", [1, 4, 100])
def test_a_resumed_run_stops_at_the_same_step(save_every: int, tmp_path: Path) -> None:
    for kill in range(6):
        folder = tmp_path / str(kill)
        with pytest.raises(Killed):
            train(FakePolicy(lambda q, s: {}), RULE, 10, killed_at(kill, sharpening(STEPS)),
                  Session(folder, 0, 4, save_every=save_every))  # fmt: skip
        policy, session = FakePolicy(lambda q, s: {}), Session(folder, 0, 4, save_every=save_every)
        train(policy, RULE, 10, sharpening(STEPS), session)
        assert policy.updates == 6 and len(policy.trained) == 6 - kill // save_every * save_every
        assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}
        assert checkpoints(folder)[-1] == "step-000006"
        assert [record["step"] for record in JsonLines(folder / "metrics.jsonl").read()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("save_every", [1, 4])
def test_a_run_that_has_stopped_stays_stopped(save_every: int, tmp_path: Path) -> None:
    """The notes are written later: a kill between is no reason to go on."""
    train(FakePolicy(lambda q, s: {}), RULE, 10, sharpening(STEPS), Session(tmp_path, 0, 4, save_every=save_every))
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, save_every=save_every)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.trained == [] and policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}


@pytest.mark.parametrize("save_every", [1, 100])
def test_a_kill_while_the_stop_is_saved(save_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Session, "stop", kill)
        with pytest.raises(Killed):
            train(
                FakePolicy(lambda q, s: {}), RULE, 10, sharpening(STEPS), Session(tmp_path, 0, 4, save_every=save_every)
            )
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, save_every=save_every)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}


def test_a_rule_that_holds_after_the_last_step_has_stopped_nothing(tmp_path: Path) -> None:
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4)
    train(policy, RULE, 6, sharpening(STEPS), session)
    assert policy.updates == 6 and session.notes == {}


def test_without_a_rule_nothing_stops(tmp_path: Path) -> None:
    for name, rule in (("none", None), ("never", "majority_ratio>2")):
        policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path / name, 0, 4)
        train(policy, Updates(stop_when=rule), 30, sharpening([20] * 30), session)
        assert policy.updates == 30 and "stopped" not in session.notes
        assert checkpoints(tmp_path / name) == ["step-000029", "step-000030"]


COLLAPSE = [10] * 5 + [20] * 15  # ten of 1.0 at step 15; "A" is 60 % and more of ten at once
WARNED = [
    "step 10: position is 0.75, > 0.6: most answers name the option at one position",
    "step 15: majority_ratio is 1, > 0.98: samples of a question hardly differ",
]


def test_warnings_are_told_at_once_and_noted(tmp_path: Path) -> None:
    progress = Told()
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), session)
    assert progress.told == WARNED and session.notes == {"warnings": WARNED}


@pytest.mark.parametrize("kill", [3, 9, 10, 14, 15, 19])
def test_a_resumed_run_has_the_same_warnings(kill: int, tmp_path: Path) -> None:
    progress = Told()
    with pytest.raises(Killed):
        train(FakePolicy(lambda q, s: {}), Updates(), 20, killed_at(kill, sharpening(COLLAPSE)),
              Session(tmp_path, 0, 4, progress=progress))  # fmt: skip
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), session)
    assert session.notes == {"warnings": WARNED}
    assert progress.told == WARNED, "each is told once, whichever session came upon it"
    again = Session(tmp_path, 0, 4)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), again)
    assert again.notes == {"warnings": WARNED}, "a finished run too"


def taught(step: int) -> Experience:
    """A step on a given completion, as in sft and in the warm-up of sari."""
    return teach(FakePolicy(lambda q, s: {}), [Lesson(make_question(f"q{step}"), tagged("cat"))])


@pytest.mark.parametrize("rule", ["majority_ratio>0.9 for 2", "unparsable<1", "position>0.5 for 3", "entropy<1"])
def test_given_completions_stop_nothing_and_warn_of_nothing(rule: str, tmp_path: Path) -> None:
    progress = Told()
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, progress=progress)
    train(policy, Updates(stop_when=rule), 30, taught, session)
    assert policy.updates == 30 and session.notes == {} and progress.told == []
    assert not {*STATISTICS} & {*JsonLines(tmp_path / "metrics.jsonl").read()[0]}


@pytest.mark.parametrize("kill", [None, 9, 12, 16, 18])
def test_reinforcement_after_a_warm_up_is_watched_from_its_own_first_step(kill: int | None, tmp_path: Path) -> None:
    def both(step: int) -> Experience:
        return taught(step) if step < 12 else sharpening([10] * 12 + STEPS)(step)

    progress, settings = Told(), Updates(stop_when="majority_ratio>0.9 for 3")
    if kill is not None:
        with pytest.raises(Killed):
            train(FakePolicy(lambda q, s: {}), settings, 30, killed_at(kill, both),
                  Session(tmp_path, 0, 4, progress=progress))  # fmt: skip
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), settings, 30, both, session)
    assert session.notes["stopped"] == "after step 19: majority_ratio>0.9 for 3", "12 of the warm-up, and 7"
    assert progress.told == []


def test_a_run_that_is_stopped_keeps_its_warnings(tmp_path: Path) -> None:
    session, rule = Session(tmp_path, 0, 4), "majority_ratio>0.98 for 10"
    train(FakePolicy(lambda q, s: {}), Updates(stop_when=rule), 20, sharpening(COLLAPSE), session)
    assert session.notes == {"stopped": f"after step 15: {rule}", "warnings": WARNED}
