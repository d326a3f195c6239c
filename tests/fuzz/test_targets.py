"""What is fuzzed holds for what the search begins with, and a fault would be found. The search itself: tests.fuzz."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.child import one, place_of
from tests.fuzz.target import read
from tests.fuzz.targets import TARGETS

SEEDS = 12  # of each target; the search takes them all


@pytest.mark.parametrize("name", TARGETS)
def test_what_the_search_begins_with_is_read_or_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from audio_eval import task_index
    from audio_eval.runs import plan

    monkeypatch.setattr(task_index, "TASKS_DIR", task_index.TASKS_DIR)  # a target puts its own there: put back
    monkeypatch.setattr(plan, "listing", plan.listing)
    seeds = [data for data in TARGETS[name].seeds() if len(data) <= TARGETS[name].longest]
    assert len(seeds) >= 30
    for data in seeds[:: max(1, len(seeds) // SEEDS)]:
        TARGETS[name].call(data)


def test_an_error_that_is_no_mistake_of_the_user_is_written_down_once(tmp_path: Path) -> None:
    def fails(data: bytes) -> None:
        read(lambda: data.decode("ascii").index("x") // 0)

    for data in (b"xyz", b"x", b"xxxx"):
        one(fails, data, tmp_path)
    one(lambda data: read(lambda: Path("/nowhere").read_bytes()), b"the system's", tmp_path)
    assert {path.suffix: path.read_bytes()[:9] for path in tmp_path.iterdir()} == {".bin": b"x", ".txt": b"Traceback"}
    assert "ZeroDivisionError" in next(tmp_path.glob("*.txt")).read_text()


def test_a_finding_is_named_by_our_own_function() -> None:
    from audio_eval.json_text import parse

    with pytest.raises(TypeError) as caught:
        parse(5)  # type: ignore[arg-type]
    assert place_of(caught.value) == "TypeError-json_text-_parse"
