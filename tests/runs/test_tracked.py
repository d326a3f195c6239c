"""A run that is interrupted between checkpoints goes on, and its trackers have every step once."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_eval.models.hf.policy import HFPolicy
from audio_eval.runlog import RunLog
from audio_eval.runs.execute import Executor
from tests.runs.conftest import make_spec
from tests.trackers.test_trackers import told


def test_steps_that_are_done_again_are_not_told_again(
    executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = make_spec("aqa_ttrl", "votes=4,steps=4", save_every=2, curve_every=2)
    tracker, train_step, calls = told(), HFPolicy.train_step, []

    def dying(self, *args):
        calls.append(1)
        if len(calls) == 4:  # step 3 is logged and told, and has no checkpoint
            raise KeyboardInterrupt
        return train_step(self, *args)

    monkeypatch.setattr(HFPolicy, "train_step", dying)
    monkeypatch.setattr(executor, "trackers", {"told": tracker})
    with pytest.raises(KeyboardInterrupt):
        executor.run(spec, tmp_path)
    assert tracker.said == [("begin", False, -1), *(("log", n) for n in range(4)), ("close",)]
    tracker.said.clear()
    executor.run(spec, tmp_path)
    assert len(calls) == 6  # steps 3 and 4 were done again
    assert tracker.said == [("begin", True, 3), ("log", 4), ("finish",), ("close",)]
    assert [record.step for record in RunLog(tmp_path).steps.read()] == [1, 2, 3, 4]
    tracker.said.clear()
    executor.run(spec, tmp_path)  # it has ended: nothing more is told
    assert tracker.said == []
