"""Damage to any file of a run directory: the run ends as if nothing had been, or is refused in one line."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.progress import Progress
from audio_eval.runlog import RunLog
from audio_eval.runs.execute import Executor
from audio_eval.store import read_json
from tests.chaos.damage import DAMAGE
from tests.chaos.same import APART
from tests.runs.conftest import make_spec


class Told(Progress):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def told(executor: Executor) -> Iterator[list[str]]:
    """What the executor says."""
    before, executor.progress = executor.progress, Told()
    yield executor.progress.warnings
    executor.progress = before


def files(folder: Path) -> dict[str, bytes]:
    """The files that must come out the same, all but those of times."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*") if path.is_file() and path.name not in APART
    }  # fmt: skip


def figures(folder: Path) -> dict[str, Any]:
    row = read_json(folder / "result.json")["audio_eval"]
    return {key: value for key, value in row.items() if key not in ("wall_s", "audio_seconds", "run")}


REFUSED = ("spec.json", "identity.json")  # nothing else says what was run, and what it was made of
STEPS = ("metrics.jsonl", "adapt/rollouts.jsonl", "adapt/step-")  # of these all steps are done again: it takes time


def cases(name: str) -> Iterator[tuple[str, bool]]:
    """Kinds of damage, and whether the run had ended."""
    for damage in ("lost",) if name.startswith(STEPS) else DAMAGE:
        if name != "result.json":
            yield damage, False
    for damage in ("a letter",) if name.startswith(STEPS) else ("lost", "emptied", "a letter"):
        yield damage, True


FILES = (
    "spec.json", "identity.json", "env.json", "questions.jsonl", "responses.jsonl", "scores.jsonl", "metrics.jsonl",
    "notes.json", "sessions.jsonl", "oracle.jsonl", "result.json", "adapt/votes.jsonl", "adapt/labels.jsonl",
    "adapt/rollouts.jsonl", "adapt/step-000002/adapter_model.safetensors", "adapt/step-000002/state.json",
    "adapt/step-000002/vllm/adapter_model.safetensors", ".questions.jsonl.crc",
    ".responses.jsonl.crc", ".scores.jsonl.crc", "adapt/.votes.jsonl.crc", ".sessions.jsonl.crc", ".oracle.jsonl.crc",
    "adapt/.labels.jsonl.crc", "adapt/step-000002/adapter_config.json", "adapt/step-000002/vllm/adapter_config.json",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_every_file_of_a_run(name: str, ttrl: Path, executor: Executor, tmp_path: Path, told: list[str]) -> None:
    """Of a finished run, and of one that was killed before its result was written."""
    assert {str(path.relative_to(ttrl)) for path in ttrl.rglob("*") if path.is_file()} == {*FILES, ".lock"}
    spec = make_spec("aqa_ttrl", "votes=4,steps=2")
    for damage, finished in cases(name):
        folder = tmp_path / f"{damage} {finished}"
        shutil.copytree(ttrl, folder)
        if not finished:
            (folder / "result.json").unlink()
        changed = DAMAGE[damage]((folder / name).read_bytes())
        (folder / name).unlink() if changed is None else (folder / name).write_bytes(changed)
        told.clear()
        if name in REFUSED:
            with pytest.raises(UserError, match=f"{name}|{folder}"):
                executor.run(spec, folder)
            continue
        executor.run(spec, folder)
        assert files(folder) == files(ttrl), (damage, finished, told)
        assert figures(folder) == figures(ttrl), (damage, finished, told)
        assert all("\n" not in said for said in told)


def test_what_lost_its_spec_is_no_other_runs(direct: Path, executor: Executor, tmp_path: Path) -> None:
    folder = tmp_path / "x"
    shutil.copytree(direct, folder)
    (folder / "spec.json").unlink()
    (folder / "result.json").unlink()
    assert RunLog(folder).remains and not RunLog(folder).begun
    with pytest.raises(UserError, match=r"has responses or an adaptation, and no spec\.json"):
        executor.run(make_spec("direct", "", seed=3), folder)
