"""Checkpoints: how often one is due, what the disk must hold, and that nothing begins that would fill it."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.progress import Progress
from audio_eval.rl.checkpoints import MOST_STEPS, STEP_BYTES, due, interval, room
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from audio_eval.store import read_json, write_json
from tests.rl.fake_policy import FakePolicy

GB = 10**9


@pytest.fixture
def gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints of many gigabytes, as sparse files whose contents are not read."""
    monkeypatch.setattr("audio_eval.checkpoint_sums._of_file", lambda path: path.stat().st_size)


Usage = namedtuple("Usage", "total used free")


class Heavy(FakePolicy):
    """Says that its checkpoints are large: three times the weights with their moments."""

    def __init__(self, weights: int) -> None:
        super().__init__(lambda question, sampling: {})
        self.weights = weights
        self.chosen: dict[str, int] = {}

    def checkpoint_bytes(self, weights_only: bool) -> int:
        return self.weights * (1 if weights_only else 3)

    def save(self, folder: Path) -> None:
        super().save(folder)
        with (folder / "moments").open("wb") as file:
            file.truncate(2 * self.weights)  # a sparse file takes no room

    def save_weights(self, folder: Path) -> None:
        super().save(folder)
        (folder / "weights_only").write_text("")


def run(folder: Path, policy: FakePolicy, total: int, stops_at: int | None = None, **settings: Any) -> Session:
    """A training that is killed after ``stops_at`` steps."""
    session = Session(folder, 0, 2, **settings)
    measured = metered(policy, Meter(), 0)
    for step in session.steps(measured, total):
        policy.updates += 1
        session.step_done(measured, step + 1, total, {})
        if step + 1 == stops_at:
            break
    return session


def saved(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "adapt").glob("step-*"))


@pytest.mark.parametrize(
    ("size", "steps"),
    [(0, 1), (19_000_000, 1), (STEP_BYTES, 1), (STEP_BYTES + 1, 2), (41 * GB, 39), (91 * GB, MOST_STEPS)],
)
def test_large_checkpoints_are_written_seldom(size: int, steps: int) -> None:
    assert interval(size) == steps


@given(st.lists(st.integers(0, 99), max_size=8), st.integers(0, 99))
def test_room_is_what_the_disk_must_hold_at_its_fullest(sizes: list[int], held: int) -> None:
    files, most = [held], held
    for size in sizes:
        files.append(size)
        most = max(most, sum(files))
        del files[0]
    assert room(sizes, held) == most - held


def test_two_checkpoints_lie_there_for_a_moment() -> None:
    assert room([41, 41, 14]) == 82 and room([14]) == 14 and room([]) == 0
    assert room([41, 14], held=41) == 41
    assert list(due(0, 7, 3)) == [False, False, True] and list(due(6, 7, 3)) == [True]


def test_small_ones_are_written_every_step_and_the_last_holds_weights_only(tmp_path: Path) -> None:
    session = run(tmp_path, Heavy(10**6), 3, stops_at=2)
    assert saved(tmp_path) == ["step-000001", "step-000002"]
    assert not (tmp_path / "adapt/step-000002/weights_only").exists()
    session = run(tmp_path, Heavy(10**6), 3)
    assert saved(tmp_path) == ["step-000002", "step-000003"] and (tmp_path / "adapt/step-000003/weights_only").exists()
    assert "save_every" not in session.notes


@pytest.mark.usefixtures("gigabytes")
def test_a_resumed_run_keeps_the_interval_that_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 999 * GB))
    session = run(tmp_path, Heavy(STEP_BYTES), 9, stops_at=5)
    assert session.notes == {"save_every": 3} and saved(tmp_path) == ["step-000003"]
    assert read_json(tmp_path / "adapt/step-000003/state.json")["save_every"] == 3
    policy = Heavy(STEP_BYTES // 2)
    session = run(tmp_path, policy, 9, stops_at=8)
    assert session.notes == {"save_every": 3} and policy.updates == 8
    assert saved(tmp_path) == ["step-000003", "step-000006"]
    assert run(tmp_path, Heavy(1), 9, save_every=2, stops_at=8).notes == {}, "what the user says holds"
    assert saved(tmp_path) == ["step-000006", "step-000008"]


class Told(Progress):
    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_what_was_chosen_by_sizes_is_recorded_and_a_change_is_said(tmp_path: Path) -> None:
    policy, told = Heavy(1), Told()
    policy.chosen = {"token_budget": 4096}
    assert run(tmp_path, policy, 4, stops_at=2).notes == {"chosen": {"token_budget": 4096}}
    run(tmp_path, policy, 4, stops_at=3, progress=told)
    assert not told.warnings
    policy.chosen = {"token_budget": 8192}
    run(tmp_path, policy, 4, progress=told)
    assert [warning for warning in told.warnings if "4096" in warning and "8192" in warning]


@pytest.mark.usefixtures("gigabytes")
def test_a_run_that_would_fill_the_disk_does_not_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [30 * GB]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free[0]))
    policy = Heavy(10 * GB)
    with pytest.raises(
        UserError, match=r"needs 60.00 GB for .*, and 30.00 GB are free: --save-every .*--output"
    ) as caught:
        run(tmp_path, policy, 200)
    assert "\n" not in str(caught.value) and policy.updates == 0 and not saved(tmp_path)
    run(tmp_path / "few", Heavy(10 * GB), 20, save_every=20)
    free[0] = 70 * GB
    run(tmp_path, policy, 200, stops_at=30)
    free[0] = 45 * GB
    run(tmp_path, policy, 200, stops_at=60)  # one checkpoint is there already
    assert saved(tmp_path)


@pytest.mark.usefixtures("gigabytes")
def test_the_disk_is_looked_at_again_before_each_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [99 * GB]
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, free[0]))
    run(tmp_path, Heavy(10 * GB), 60, stops_at=29)
    session, policy = Session(tmp_path, 0, 2), Heavy(10 * GB)
    steps = session.steps(policy, 60)
    next(steps)
    free[0] = 20 * GB
    with pytest.raises(UserError, match=r"needs 30\.00 GB for the checkpoint after step 56"):
        session.step_done(policy, 56, 60, {})
    assert saved(tmp_path) == ["step-000028"], "the one before is still there"


def test_a_disk_that_fills_up_all_the_same_leaves_nothing_half_written(tmp_path: Path) -> None:
    class Full(Heavy):
        def save(self, folder: Path) -> None:
            (folder / "half").write_bytes(b"x")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*step-000001'"):
        run(tmp_path, Full(1), 3)
    assert not saved(tmp_path)


# --- damage ----------------------------------------------------------------------------------------------------------


class Adding(FakePolicy):
    """Its weight is a sum that depends on every step, so that a step too few or too many is seen."""

    def __init__(self) -> None:
        super().__init__(lambda question, sampling: {})

    def learn(self, step: int) -> None:
        self.updates = self.updates * 3 + step


def trained(folder: Path, total: int, **settings: Any) -> tuple[int, list[int], list[str]]:
    """The weight in the end, the steps that were done, and what was said."""
    policy, told, done = Adding(), Told(), []
    session = Session(folder, 0, 2, progress=told, **settings)
    for step in session.steps(policy, total):
        policy.learn(step)
        done.append(step)
        session.step_done(policy, step + 1, total, {"reward": 1.0})
    return policy.updates, done, told.warnings


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "lost": Path.unlink,
    "emptied": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:1]),
    "a bit": flip,
    "garbage": lambda path: path.write_bytes(b"\xff\x00[{"),
    "a list": lambda path: path.write_bytes(b"[]"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["adapter.json", "state.json"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(name: str, damage: str, tmp_path: Path) -> None:
    expected, _, _ = trained(tmp_path / "whole", 6)
    trained(tmp_path, 4)
    DAMAGE[damage](tmp_path / "adapt" / "step-000004" / name)
    weight, done, said = trained(tmp_path, 6)
    assert (weight, done) == (expected, [3, 4, 5])
    assert len(said) == 1 and "step-000004' is damaged" in said[0]
    assert "the training goes on from step-000003" in said[0] and "\n" not in said[0]
    assert saved(tmp_path) == ["step-000005", "step-000006"]
    assert trained(tmp_path, 6) == (expected, [], [])


def test_two_damaged_checkpoints_make_the_training_start_anew(tmp_path: Path) -> None:
    expected, _, _ = trained(tmp_path / "whole", 6)
    trained(tmp_path, 4)
    for name in saved(tmp_path):
        flip(tmp_path / "adapt" / name / "adapter.json")
    weight, done, said = trained(tmp_path, 6)
    assert (weight, done) == (expected, [0, 1, 2, 3, 4, 5])
    assert len(said) == 2 and "starts anew" in said[-1]


@pytest.mark.parametrize("logged", [0, 1, 3])
def test_steps_that_are_not_logged_are_done_again(logged: int, tmp_path: Path) -> None:
    expected, _, _ = trained(tmp_path / "whole", 6)
    trained(tmp_path, 4)
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:logged]))
    weight, done, said = trained(tmp_path, 6)
    assert weight == expected and done == ([3, 4, 5] if logged == 3 else [0, 1, 2, 3, 4, 5])
    assert "metrics.jsonl is not what its steps logged" in said[0]
    assert log.read_bytes() == (tmp_path / "whole" / "metrics.jsonl").read_bytes()


def test_a_checkpoint_without_checksums_is_damaged(tmp_path: Path) -> None:
    """A changed letter in their name must not do away with them."""
    expected, _, _ = trained(tmp_path / "whole", 6)
    trained(tmp_path, 4)
    file = tmp_path / "adapt" / "step-000004" / "state.json"
    state = read_json(file)
    state["rums"] = state.pop("sums")
    write_json(file, state)
    weight, done, said = trained(tmp_path, 6)
    assert (weight, done) == (expected, [3, 4, 5]) and "state.json cannot be read" in said[0]


def test_the_one_before_goes_only_when_the_next_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files, folder and name are synced before anything else of the training is removed."""
    trained(tmp_path, 2)
    events: list[str] = []
    fsync, rename, rmtree = os.fsync, Path.rename, shutil.rmtree

    def seen(what: str, path: Path | str) -> None:
        events.append(f"{what} {Path(path).relative_to(tmp_path.resolve())}")

    def synced(handle: int) -> None:
        seen("sync", os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        seen("rename", target)
        return rename(self, target)

    def removed(path: Path, **options: Any) -> None:
        if Path(path).exists():
            seen("remove", path)
        rmtree(path, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(shutil, "rmtree", removed)
    trained(tmp_path, 3)
    step = [event for event in events if "step-00000" in event or event == "sync adapt"]
    new = "adapt/step-000003.tmp"
    assert step[0] == "remove adapt/step-000001" and f"sync {new}/adapter.json" in step
    assert step[-3:] == [f"sync {new}", "rename adapt/step-000003", "sync adapt"]
    assert {f"sync {new}/state.json", f"sync {new}/adapter.json"} <= {*step[:-3]}, "what is in a folder before it"
