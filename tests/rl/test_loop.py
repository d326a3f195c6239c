from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.models.policy import DROPPED, Update
from audio_eval.rl.experience import Experience
from audio_eval.rl.loop import batch_at, steps_of, train
from audio_eval.rl.meter import Meter
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Updates
from audio_eval.store import JsonLines
from tests.rl.fake_policy import FakeGenerator, FakePolicy, make_group, make_question


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_every_item_comes_once_an_epoch_and_once_a_batch(n: int, size: int, seed: int) -> None:
    items = list(range(n))
    batches = [batch_at(items, size, step, seed) for step in range(3 * n)]
    assert all(len(batch) == len(set(batch)) == min(size, n) for batch in batches)
    walk = [item for batch in batches for item in batch]
    for start in range(0, len(walk), n):
        assert sorted(walk[start : start + n]) == items
    assert batches[-1] == batch_at(items, size, 3 * n - 1, seed), "whatever was asked before"


@pytest.mark.parametrize(
    ("epochs", "items", "size", "steps"),
    [(3, 8, 4, 6), (3, 9, 4, 7), (1, 4, 4, 1), (3, 2, 8, 3), (2, 0, 8, 0)],
)
def test_steps_of_so_many_epochs(epochs: int, items: int, size: int, steps: int) -> None:
    assert steps_of(epochs, items, size) == steps
    walk = [item for step in range(steps) for item in batch_at(range(items), size, step, 0)]
    assert min(Counter(walk).values(), default=epochs) == epochs


def test_batches_are_keyed_by_seed_and_differ_between_epochs() -> None:
    items = list(range(50))

    def epoch(seed: int, number: int) -> list[int]:
        return [item for step in range(number * 5, number * 5 + 5) for item in batch_at(items, 10, step, seed)]

    assert epoch(0, 0) == epoch(0, 0)
    assert len({tuple(epoch(seed, number)) for seed in (0, 1) for number in (0, 1)}) == 4
    assert epoch(0, 0) != items


def test_a_batch_larger_than_the_pool_is_the_pool() -> None:
    assert sorted(batch_at(["a", "b"], 4, 0, 0)) == ["a", "b"]


def experience(step: int) -> Experience:
    groups = [make_group(make_question(f"{step}-{i}"), {"cat": 3, "dog": 1}) for i in range(3)]
    return Experience(groups, [np.zeros(2), np.array([0.5, -1.5]), np.zeros(2)], {"reward": 0.25})


def test_steps_are_done_logged_and_kept(tmp_path: Path) -> None:
    policy, settings = FakePolicy(lambda q, s: {}), Updates(lr=0.5)
    train(policy, settings, 3, experience, Session(tmp_path, 7, 4))
    assert policy.training is settings and policy.training_seed == 7, "adapters start from the run's seed"
    assert [step[0][0].question.id for step in policy.trained] == ["0-0", "1-0", "2-0"]
    watched = {"majority_ratio": 0.75, "vote_entropy": 0.811278, "unparsable": 0.0, "unique": 0.5, "length": 3.0,
               "position": 0.75}  # fmt: skip
    assert JsonLines(tmp_path / "metrics.jsonl").read() == [
        {"step": step, **watched, "reward": 0.25, "skipped_groups": 2.0, "loss": 0.5} for step in (1, 2, 3)
    ]
    kept = sorted(path.name for path in (tmp_path / "adapt").iterdir())
    assert kept == ["rollouts.jsonl", "step-000002", "step-000003"], "two checkpoints are kept"
    first = JsonLines(tmp_path / "adapt" / "rollouts.jsonl").read()[1]
    assert first == {"step": 1, "id": "0-1", "choices": ["cat", "dog"], "label": None,
                     "completions": [["cat", 3, 3, None], ["dog", 1, 1, None]]}  # fmt: skip


def test_the_learning_rate_falls_to_zero_only_where_asked(tmp_path: Path) -> None:
    for schedule, scales in (("constant", [1.0, 1.0, 1.0, 1.0]), ("linear", [1.0, 0.75, 0.5, 0.25])):
        policy = FakePolicy(lambda q, s: {})
        train(policy, Updates(schedule=schedule), 4, experience, Session(tmp_path / schedule, 0, 4))
        assert policy.lr_scales == scales


def test_no_steps_still_leave_a_checkpoint(tmp_path: Path) -> None:
    policy = FakePolicy(lambda q, s: {})
    train(policy, Updates(), 0, experience, Session(tmp_path, 0, 4))
    assert policy.trained == [] and (tmp_path / "adapt" / "step-000000" / "adapter.json").is_file()


def test_an_interrupted_loop_goes_on_after_the_last_saved_step(tmp_path: Path) -> None:
    def interrupted(step: int) -> Experience:
        if step == 2:
            raise KeyboardInterrupt
        return experience(step)

    session = Session(tmp_path, 0, 4, meter=Meter(samples=40, audio_seconds=1.5))
    with pytest.raises(KeyboardInterrupt):
        train(FakePolicy(lambda q, s: {}), Updates(), 4, interrupted, session)
    second, meter = FakePolicy(lambda q, s: {}), Meter()
    train(second, Updates(), 4, experience, Session(tmp_path, 0, 4, meter=meter))
    assert [step[0][0].question.id for step in second.trained] == ["2-0", "3-0"]
    assert second.updates == 4, "the saved weights were loaded"
    assert (meter.samples, meter.audio_seconds) == (40, 1.5), "what was done before the interruption counts"
    assert [record["step"] for record in JsonLines(tmp_path / "metrics.jsonl").read()] == [1, 2, 3, 4]


@pytest.mark.parametrize("broken", ["save", "log"])
def test_a_kill_between_checkpoint_and_log_loses_neither(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the two is written first, a resumed run logs every step once."""

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    def kill_log(self: JsonLines, records: object) -> None:
        if self.path.name == "metrics.jsonl":
            raise Killed
        append(self, records)

    append = JsonLines.append

    policy = FakePolicy(lambda q, s: {})
    train(policy, Updates(), 1, experience, Session(tmp_path, 0, 4))
    with monkeypatch.context() as patch:
        patch.setattr(*((Session, "_save", kill) if broken == "save" else (JsonLines, "append", kill_log)))
        with pytest.raises(Killed):
            train(FakePolicy(lambda q, s: {}), Updates(), 2, experience, Session(tmp_path, 0, 4))
    train(FakePolicy(lambda q, s: {}), Updates(), 3, experience, Session(tmp_path, 0, 4))
    assert [record["step"] for record in JsonLines(tmp_path / "metrics.jsonl").read()] == [1, 2, 3]


def test_the_observer_sees_every_step_from_the_unadapted_model_on(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    policy = FakePolicy(lambda q, s: {})
    session = Session(tmp_path, 0, 4, observer=lambda step, metrics: seen.append((step, policy.updates)))
    train(policy, Updates(), 2, experience, session)
    assert seen == [(0, 0), (1, 1), (2, 2)]


def test_a_policy_that_can_only_generate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can only generate"):
        train(FakeGenerator(lambda q, s: {}), Updates(), 1, experience, Session(tmp_path, 0, 4))


# --- updates that are not made ---------------------------------------------------------------------------------------


class Blowing(FakePolicy):
    """Its loss is no number in some steps, counted from 0 over its life and the policy's before it."""

    def __init__(self, bad: set[int]) -> None:
        super().__init__(lambda q, s: {})
        self.bad, self.steps = bad, 0

    def train_step(self, groups: Sequence[Group], advantages: Sequence[np.ndarray], lr_scale: float = 1.0) -> Update:
        step, self.steps = self.steps, self.steps + 1
        if step in self.bad:
            return Update({DROPPED: 1.0, "updates": 0.0, "loss": float("nan")}, {})
        return super().train_step(groups, advantages, lr_scale)


def test_dropped_updates_are_counted_and_named(tmp_path: Path) -> None:
    session, policy = Session(tmp_path, 0, 4), Blowing({1, 2, 4})
    train(policy, Updates(), 6, experience, session)
    assert policy.updates == 3 and session.notes == {"dropped_steps": 3}
    logged = JsonLines(tmp_path / "metrics.jsonl").read()
    assert [record.get(DROPPED) for record in logged] == [None, 1.0, 1.0, None, 1.0, None]
    assert "loss" not in logged[1] and "NaN" not in (tmp_path / "metrics.jsonl").read_text(), "the log is JSON"


def test_three_in_a_row_stop_with_the_last_good_checkpoint_kept(tmp_path: Path) -> None:
    """Also where the run is resumed between them: it stops again, and the checkpoint stays."""
    for bad in ({2, 3, 4}, {0, 1, 2}):  # steps 3 to 5; and, resumed after step 4, the first ones of this sitting
        policy, session = Blowing(bad), Session(tmp_path, 0, 4)
        with pytest.raises(UserError, match=r"of 3 steps in a row, up to step 5, .* is kept: --adapter") as caught:
            train(policy, Updates(), 9, experience, session)
        assert "\n" not in str(caught.value)
        last = sorted((tmp_path / "adapt").glob("step-*"))[-1]
        assert last.name == "step-000004" and (last / "adapter.json").read_text() == "2"
    resumed = Blowing(set())
    train(resumed, Updates(), 9, experience, Session(tmp_path, 0, 4))
    assert resumed.updates == 2 + 5, "where the cause is gone, it goes on"
