"""The command line: light start, machine-readable results, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.leaderboard import aggregate, load_runs
from audio_eval.store import read_json
from tests.cli.conftest import ENV, METHOD, RUN

# --- light start -----------------------------------------------------------------------------------------------------

HEAVY = ("torch", "transformers", "datasets", "lm_eval", "librosa", "peft", "scipy")


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["run", "--help"], ["ls"], ["ls", "methods"], ["ls", "models"], ["ls", "aqa_ttrl"], ["--version"]],
)
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = f"""
import sys
from audio_eval.cli.main import main
try:
    code = main({arguments})
except SystemExit as stop:
    code = stop.code
print(code or 0, *(name for name in {HEAVY} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENV, check=True)
    assert done.stderr.split() == ["0"], "heavy modules were imported"
    assert done.stdout


# --- results ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a run of direct and one of majority_vote, and what ``--json`` printed."""
    root = tmp_path_factory.mktemp("runs")
    done = subprocess.run(
        [sys.executable, "-m", "audio_eval", *RUN, "--method", "direct,majority_vote", "--method-args", "votes=4",
         "--output", str(root), "--json"],
        capture_output=True, text=True, env=ENV, check=True,
    )  # fmt: skip
    return root, done.stdout


@pytest.mark.slow
def test_json_is_one_object_with_rows(two_runs: tuple[Path, str]) -> None:
    root, out = two_runs
    rows = json.loads(out)["rows"]
    assert [row["method"] for row in rows] == ["direct", "majority_vote"]
    for row in rows:
        wanted = {"model", "method", "task", "seed", "accuracy", "n", "unparsable", "wall_s", "run"}
        assert wanted <= set(row) and row["n"] == 8 and 0 <= row["accuracy"] <= 100
        assert Path(row["run"]).parent == root
        assert read_json(Path(row["run"]) / "result.json")["audio_eval"] == row
    assert sorted(path.name for path in root.iterdir()) == [
        "tiny-omni-direct-synth_aqa-validation-seed0", "tiny-omni-majority_vote-synth_aqa-validation-seed0",
    ]  # fmt: skip


@pytest.mark.slow
def test_why_the_embedded_model_is_not_read(tmp_path: Path) -> None:
    """Of direct's 105 unreadable answers 61 are tags around an option that was not offered; 44 have no tags."""
    assert main(["--model", "tiny-omni", "--tasks", "synth_aqa", "--output", str(tmp_path), "--json"]) == 0
    runs, _ = load_runs([tmp_path])
    (row,) = aggregate(runs)
    assert (row.untagged, row.not_an_option) == (pytest.approx(100 * 44 / 600), pytest.approx(100 * 61 / 600))
    assert row.readable_accuracy == pytest.approx(100 * 358 / 495)  # 72.3
    recordings = {outcome.recording for outcome in row.runs[0].outcomes}
    assert None not in recordings and len(recordings) == 600


@pytest.mark.slow
def test_the_same_command_again_only_shows(two_runs: tuple[Path, str], capsys: pytest.CaptureFixture[str]) -> None:
    root, out = two_runs
    again = [*RUN, "--method", "direct,majority_vote", "--method-args", "votes=4", "--output", str(root), "--json"]
    assert main(again) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out) == json.loads(out)
    assert shown.err.count("(done before)") == 2
    assert main([argument for argument in again if argument != "--json"]) == 0
    table = capsys.readouterr().out
    assert "majority_vote" in table and "direct" in table and not table.lstrip().startswith("{")


@pytest.mark.slow
def test_leaderboard_writes_tables_per_task_and_over_all(
    two_runs: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaderboard", str(two_runs[0]), "-o", str(tmp_path)]) == 0
    printed = {Path(line).name for line in capsys.readouterr().out.splitlines()}
    assert printed == {path.name for path in tmp_path.iterdir()}
    task = "synth_aqa_validation-" + next(name for name in printed if name.endswith(".csv"))[-12:-4]
    assert printed == {f"{task}.md", f"{task}.csv", f"{task}.tex", "all.md", "leaderboard.json", "index.html"}
    for text in (path.read_text() for path in tmp_path.iterdir()):
        assert "majority_vote" in text.replace("\\_", "_") and "direct" in text
    page, margin = (tmp_path / f"{task}.md").read_text(), ["--margin", "90"]
    assert "By the confidence of the vote" in page and "±2 (" in page
    assert main(["leaderboard", str(two_runs[0]), "-o", str(tmp_path), *margin]) == 0
    assert "±90 (" in (tmp_path / f"{task}.md").read_text()


@pytest.mark.slow
def test_a_method_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my method.py").write_text(METHOD)
    assert main([*RUN, "--method", f"{tmp_path}/my method.py:Shout", "--output", str(tmp_path / "runs"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["method"], row["unparsable"], row["samples"]) == ("shout", 0.0, 0)


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "tiny-omni-aqa_ttrl-synth_aqa-validation-seed0"
    flags = [*RUN, "--method", "aqa_ttrl", "--method-args", "votes=4,steps=5000,tune=lora,batch_size=2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "audio_eval", *flags, "--output", str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV,
    )  # fmt: skip
    deadline = time.monotonic() + 240
    while not (folder / "metrics.jsonl").is_file():
        assert process.poll() is None and time.monotonic() < deadline, "it never came to its first step"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out == "" and "Traceback" not in err
    assert err.rstrip().endswith(f"interrupted; go on with: audio-eval resume {folder}")
    # the command takes up the run where it was: with the steps cut down to those done, it ends
    spec = read_json(folder / "spec.json")
    spec["method_args"]["steps"] = steps = len((folder / "metrics.jsonl").read_text().splitlines())
    spec.pop("checksum")
    (folder / "spec.json").write_text(json.dumps(spec))
    identity = read_json(folder / "identity.json")
    identity["settings"]["method_args.steps"] = steps
    identity.pop("checksum")
    (folder / "identity.json").write_text(json.dumps(identity))
    assert main(["resume", str(folder), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["n"] == 8 and len((folder / "sessions.jsonl").read_text().splitlines()) == 2


def test_ctrl_c_before_the_run_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("audio_eval.runs.inputs.load_task", interrupt)
    assert main([*RUN, "--output", str(tmp_path)]) == 130
    err = capsys.readouterr().err
    assert "audio-eval resume" not in err, "there is no run directory to resume"
    assert not list(tmp_path.iterdir())
