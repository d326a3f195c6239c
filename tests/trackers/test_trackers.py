"""The packages themselves: what they were told is read back from where they keep it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.trackers import Tracker, Tracking, find_trackers
from audio_eval.trackers.tracker import TrackedRun

SPEC = {"model": "tiny-omni", "method": "aqa_ttrl", "method_args": {"votes": 4}, "limit": None}
STEPS = [(1, {"reward": 0.25, "entropy": 1.5}), (2, {"reward": 0.5}), (3, {"reward": 0.75})]


def tell_in_two_sittings(name: str, folder: Path) -> list[str]:
    """Steps 1 and 2; then the run goes on, and everything is told again from the beginning. Returns the warnings."""
    warnings: list[str] = []
    trackers = find_trackers([name])
    for part in (STEPS[:2], STEPS):
        tracking = Tracking(trackers, folder, "synth_aqa", SPEC, warnings.append)
        with tracking.sitting(lambda part=part: part):
            if part is STEPS:
                tracking.finish({"accuracy": 62.5})
    return warnings


def test_tensorboard_reads_its_events_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed (the extra of that name)")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert tell_in_two_sittings("tensorboard", tmp_path) == []
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("reward")] == [(1, 0.25), (2, 0.5), (3, 0.75)]
    assert [(e.step, e.value) for e in events.Scalars("entropy")] == [(1, 1.5)]
    assert [(e.step, e.value) for e in events.Scalars("result/accuracy")] == [(3, 62.5)]
    (text,) = events.Tensors("spec/text_summary")
    assert b'"method": "aqa_ttrl"' in text.tensor_proto.string_val[0]


def test_wandb_writes_offline_runs_under_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed (the extra of that name)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert tell_in_two_sittings("wandb", tmp_path) == []
    first, second = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert first.name.rpartition("-")[2] == second.name.rpartition("-")[2]  # the id
    assert [step for step, _ in history(first)] == [1, 2] and [step for step, _ in history(second)] == [3]
    assert [told["reward"] for _, told in [*history(first), *history(second)]] == [0.25, 0.5, 0.75]
    assert b"result/accuracy" in next(second.glob("*.wandb")).read_bytes()
    assert b"aqa_ttrl" in next(first.glob("*.wandb")).read_bytes()


def history(run: Path) -> list[tuple[int, dict[str, float]]]:
    """The steps in a .wandb file: LevelDB's log format (blocks of 32 KiB; records of crc, length, type), protobufs."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, found = next(run.glob("*.wandb")).read_bytes(), 7, []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        length = int.from_bytes(data[at + 4 : at + 6], "little")
        if data[at + 6] == 1:  # a record in one piece
            record = Record.FromString(data[at + 7 : at + 7 + length])
            if record.WhichOneof("record_type") == "history":
                told = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
                found.append((told["_step"], told))
        at += 7 + length
    return found


def test_wandb_without_a_key_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed (the extra of that name)")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setenv("NETRC", "/nowhere")
    with pytest.raises(UserError, match="wandb login, or set WANDB_MODE=offline"):
        find_trackers(["wandb"])


def test_trackio_keeps_a_local_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio", reason="trackio is not installed (the extra of that name)")
    assert tell_in_two_sittings("trackio", tmp_path / "run") == []
    (database,) = (tmp_path / "trackio").glob("audio-eval*.db")
    with sqlite3.connect(database) as connection:
        told = connection.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step").fetchall()
    assert len({name for name, _, _ in told}) == 1
    assert [step for _, step, _ in told] == [1, 2, 3, 4]
    assert "0.75" in str(told[2]) and "accuracy" in str(told[3])


@pytest.mark.parametrize("name", ["tensorboard", "trackio", "wandb"])
def test_an_absent_package_is_one_line_with_the_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_eval.trackers.tracker.find_spec", lambda package: None)
    with pytest.raises(UserError, match=rf"pip install audio-eval\[{name}\]"):
        find_trackers([name])


def test_an_unknown_tracker_is_told_what_there_is() -> None:
    with pytest.raises(UserError, match="Did you mean 'tensorboard'"):
        find_trackers(["tensorbord"])


class Told(Tracker):
    """Keeps what it is told; ``fails`` names the call that raises."""

    package, install = "json", "nothing"
    fails, error = "", OSError(28, "No space left on device")
    said: list[object]

    def _do(self, call: str, *told: object) -> None:
        if call == self.fails:
            raise self.error
        type(self).said.append((call, *told))

    def begin(self, run: TrackedRun) -> None:
        self._do("begin", run.again, run.logged)

    def log(self, step, metrics) -> None:
        self._do("log", step)

    def finish(self, figures) -> None:
        self._do("finish")

    def close(self) -> None:
        self._do("close")


def told(fails: str = "", error: BaseException | None = None) -> type[Told]:
    return type("Of", (Told,), {"fails": fails, "error": error or Told.error, "said": []})


@pytest.mark.parametrize("call", ["begin", "log", "finish", "close"])
@pytest.mark.parametrize("error", [None, SystemExit(1), KeyboardInterrupt()])
def test_one_that_fails_is_warned_of_once_and_the_others_go_on(
    call: str, error: BaseException | None, tmp_path: Path
) -> None:
    warnings: list[str] = []
    bad, good = told(call, error), told()
    tracking = Tracking({"bad": bad, "good": good}, tmp_path, "t", SPEC, warnings.append)
    with tracking.sitting(lambda: STEPS):
        tracking.step(4, {})
        tracking.finish({})
    (warning,) = warnings
    assert warning.startswith("tracker 'bad' failed") and "\n" not in warning
    assert good.said == [("begin", False, -1), *(("log", n) for n in (1, 2, 3, 4)), ("finish",), ("close",)]


def test_one_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_eval.trackers.tracking.LIMIT", 0.05)
    hanging, warnings = told(), []
    hanging.log = lambda self, step, metrics: __import__("time").sleep(0.5)
    tracking = Tracking({"slow": hanging}, tmp_path, "t", SPEC, warnings.append)
    with tracking.sitting(lambda: STEPS):
        tracking.finish({})
    assert len(warnings) == 1 and "no answer within" in warnings[0]


def test_a_run_goes_on_with_the_trackers_it_had_unless_they_are_gone(tmp_path: Path) -> None:
    warnings: list[str] = []
    with Tracking({"gone": told()}, tmp_path, "t", SPEC, warnings.append).sitting(lambda: STEPS[:1]):
        pass
    with Tracking({}, tmp_path, "t", SPEC, warnings.append).sitting(lambda: STEPS):
        pass
    assert len(warnings) == 1 and "'gone', which this run began with, is left out" in warnings[0]


def test_one_that_joins_late_is_told_everything_and_a_finished_one_nothing(tmp_path: Path) -> None:
    late = told()
    for _ in range(2):
        tracking = Tracking({"late": late}, tmp_path, "t", SPEC, print)
        with tracking.sitting(lambda: STEPS):
            tracking.finish({})
    assert late.said == [("begin", False, -1), ("log", 1), ("log", 2), ("log", 3), ("finish",), ("close",)]
