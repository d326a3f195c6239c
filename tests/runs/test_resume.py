"""A run that is killed with SIGKILL anywhere ends, resumed, with the same bytes as one that was left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from audio_eval.store import JsonLines, read_json
from tests.chaos.same import contents, row

# Runs each job in a forked child, so that the imports are paid for once. A kill point (what, n, fraction) stops the
# n-th call with SIGKILL: for a file after that fraction of its text was written.
DRIVER = """
import json, os, shutil, signal, sys
import torch
import audio_eval.cli.ending, audio_eval.report.page, audio_eval.runs.execute  # what a run imports when it needs it
from audio_eval import store
from audio_eval.cli.main import main
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.report import write
from audio_eval.store import JsonLines

write.BUDGET_AT_END = 0  # no sounds in the pages of runs, which take seconds in each new process

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def arm(what, n, fraction):
    calls = 0
    def due(seen):
        nonlocal calls
        calls += seen == what
        return seen == what and calls == n
    append, write_atomic = JsonLines.append, store.write_atomic
    train_step, rmtree = HFPolicy.train_step, shutil.rmtree
    def dying_append(self, records):
        records = list(records)
        if due(self.path.name):
            text = "".join(json.dumps(record, ensure_ascii=False) + "\\n" for record in records).encode()
            with self.path.open("ab") as stream:
                stream.write(text[: int(len(text) * fraction)])
            die()
        append(self, records)
    def dying_write_atomic(path, content):
        if due(path.name):
            path.with_name(f".{path.name}.{os.getpid()}.tmp").write_bytes(content[: int(len(content) * fraction)])
            die()
        write_atomic(path, content)
    def dying_train_step(self, *args):
        if due("train_step"):
            die()
        return train_step(self, *args)
    def dying_rmtree(path, **options):
        if not str(path).endswith(".tmp") and os.path.exists(path) and due("rmtree"):
            die()
        rmtree(path, **options)
    JsonLines.append, HFPolicy.train_step, shutil.rmtree = dying_append, dying_train_step, dying_rmtree
    store.write_atomic = dying_write_atomic

for argv, kill in json.load(sys.stdin):
    pid = os.fork()
    if not pid:
        code = 1
        try:
            sys.stdout = open(os.devnull, "w")
            if kill:
                arm(*kill)
            code = main(argv)
        finally:
            sys.stderr.flush()
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    print(os.waitstatus_to_exitcode(status), flush=True)
"""
FLAGS = [
    "--model", "tiny-omni", "--method", "aqa_ttrl", "--tasks", "synth_aqa:validation",
    "--limit", "8", "--batch-size", "4", "--curve-every", "2",
    "--method-args", "votes=3,steps=3,batch_size=3,lr=0.001,tune=lora",
]  # fmt: skip
RUN = "tiny-omni-aqa_ttrl-synth_aqa-validation-seed0"
# One of each kind; python -m tests.chaos kills at every durable operation.
KILLS = {
    "voting, a record torn": ("votes.jsonl", 2, 0.6),
    "answering, between two records": ("responses.jsonl", 2, 0.0),
    "a training step": ("train_step", 2, 0),
    "a checkpoint": ("state.json", 2, 0.1),
    "the removal of the checkpoint before": ("rmtree", 1, 0),
    "right before result.json": ("result.json", 1, 0),
}


def drive(jobs: list[tuple[list[str], tuple[str, int, float] | None]]) -> list[int]:
    """Exit codes of the jobs; a kill by signal is negative."""
    done = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input=json.dumps(jobs), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    codes = [int(line) for line in done.stdout.split()]
    assert len(codes) == len(jobs), done.stderr[-2000:]
    return codes


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``whole`` was left alone; the others were killed, looked at, and resumed."""
    root = tmp_path_factory.mktemp("resume")
    jobs: list[tuple[list[str], tuple[str, int, float] | None]] = [([*FLAGS, "--output", str(root / "whole")], None)]
    for i, kill in enumerate(KILLS.values()):
        output = str(root / str(i))
        jobs += [([*FLAGS, "--output", output], kill), (["resume", f"{output}/{RUN}"], None)]
    codes = drive(jobs)
    assert codes[0] == 0 and set(codes[2::2]) == {0}, codes
    assert dict(zip(KILLS, codes[1::2], strict=True)) == dict.fromkeys(KILLS, -9), "a kill point was never reached"
    return root


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLS)
def test_killed_in_the_middle_of(name: str, runs: Path) -> None:
    whole, resumed = runs / "whole" / RUN, runs / str(list(KILLS).index(name)) / RUN
    expected, found = contents(whole), contents(resumed)
    assert set(found) == set(expected), "something is missing, or was left lying about"
    assert [path for path in expected if found[path] != expected[path]] == []
    assert {"responses.jsonl", "scores.jsonl", "adapt/labels.jsonl", "metrics.jsonl"} <= set(expected)
    assert "adapt/step-000003/adapter_model.safetensors" in expected
    assert row(resumed) == row(whole), "samples are counted once, too"


@pytest.mark.slow
def test_the_time_of_every_session_counts(runs: Path) -> None:
    """A killed session leaves no time behind; the one that finished the run does."""
    sessions = JsonLines(runs / "0" / RUN / "sessions.jsonl").read()
    assert len(sessions) == 1 and sessions[0]["seconds"] > 0


@pytest.mark.slow
def test_a_finished_run_is_only_shown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from audio_eval.cli.main import main

    before = {path: path.stat().st_mtime_ns for path in (runs / "whole").rglob("*")}
    assert main(["resume", str(runs / "whole" / RUN), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)["rows"]
    assert shown == read_json(runs / "whole" / RUN / "result.json")["audio_eval"]
    assert {path: path.stat().st_mtime_ns for path in (runs / "whole").rglob("*")} == before
