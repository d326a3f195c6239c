"""One run directory, one process: a second one is told who holds it, and changes nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.store import read_json
from tests.cli.conftest import ENV
from tests.runs.layout import ITEMS, write_mmar
from tests.runs.test_identity import TASK, TASKS_DIR, contents, refused

SLOW_METHOD = """
import os, pathlib, time
from audio_eval import Method

class Slow(Method):
    name = "slow"

    def predict(self, policy, questions):
        while os.environ.get("SLOW"):
            time.sleep(0.05)
        return [question.choices[0] for question in questions]
"""
SLOW_SCORER = """
import os, time
from audio_eval.scoring.scorers.choice import Choice

class Mine(Choice):
    name = "slow"

    def figures(self, scores, *arguments):
        while os.environ.get("SLOW") and len(scores) > 1:
            time.sleep(0.05)
        return super().figures(scores, *arguments)
"""


def started(command: list[str], runs: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """Another process with this command that does not end, and the run directory that it has begun by now."""
    process = subprocess.Popen(
        [sys.executable, "-m", "audio_eval", *command], env={**ENV, "SLOW": "1"}, stderr=subprocess.PIPE
    )
    for _ in range(1200):
        if found := list(runs.glob("*/spec.json")):
            return process, found[0].parent
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[1].decode())


@pytest.mark.slow
def test_run_and_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = write_mmar(tmp_path / "data", broken=False), tmp_path / "runs"
    (tmp_path / "slow.py").write_text(SLOW_METHOD)
    command = [
        "--model", "tiny-omni", "--tasks", "mmar", "--method", f"{tmp_path}/slow.py:Slow", "--data-dir", str(data),
        "--output", str(runs),
    ]  # fmt: skip
    process, folder = started(command, runs)
    try:
        time.sleep(0.5)  # it writes a few more files at its beginning
        before = contents(folder)
        for second in (command, ["resume", str(folder)]):
            line = refused(second, capsys)
            assert f"'{folder}' is in use by process {process.pid} on {socket.gethostname()}" in line
        assert contents(folder) == before and process.poll() is None
        assert len(list(runs.iterdir())) == 1
    finally:
        process.kill()
        process.communicate()
    assert main(["resume", str(folder)]) == 0, "what died holds nothing"
    assert read_json(folder / "result.json")["audio_eval"]["n"] == ITEMS


@pytest.mark.slow
def test_score(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    data, tasks, runs = write_mmar(tmp_path / "data", broken=False), tmp_path / "tasks", tmp_path / "runs"
    tasks.mkdir()
    (tasks / "mine.yaml").write_text(TASK.format(tasks=TASKS_DIR))
    (tasks / "scorer.py").write_text(SLOW_SCORER)
    file = tmp_path / "theirs.jsonl"
    file.write_text("\n".join(json.dumps({"id": f"r{i}", "response": "slow"}) for i in range(ITEMS)))
    command = [
        "score", "mine", "--responses", str(file), "--include-path", str(tasks), "--data-dir", str(data),
        "--output", str(runs),
    ]  # fmt: skip
    process, folder = started(command, runs)
    try:
        line = refused(command, capsys)
        assert f"in use by process {process.pid} on {socket.gethostname()}" in line
    finally:
        process.kill()
        process.communicate()
    assert "SLOW" not in os.environ
    assert main(command) == 0
    assert read_json(folder / "result.json")["audio_eval"]["n"] == ITEMS
