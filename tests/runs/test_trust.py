"""A stranger's run directory: none of the code it names is run, and nothing is sent where it says, unless asked for."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.ownership import lock_dir, owner_of
from audio_eval.runlog import RunLog
from audio_eval.runs.trust import check_trusted

EVIL = """
from pathlib import Path
Path({flag!r}).write_text("it ran")
from audio_eval.methods.direct import Direct
class M(Direct):
    name = "evil"
"""
TASK = """
task: synth_aqa
custom_dataset: !function evil.data
test_split: test
metadata: {version: "1"}
"""
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    output = tmp_path_factory.mktemp("runs")
    assert main(["--model", "tiny-omni", "--tasks", "synth_aqa", "--limit", "2", "--output", str(output)]) == 0
    return next(output.iterdir())


def strange(run: Path, to: Path, **changed: Any) -> Path:
    """A copy that has not finished, and says other things of itself."""
    shutil.copytree(run, to)
    for name in ("result.json", "scores.jsonl", "responses.jsonl"):
        (to / name).unlink()
    spec = json.loads((to / "spec.json").read_text())
    spec.pop("checksum")
    (to / "spec.json").write_text(json.dumps({**spec, **changed}))
    return to


def with_code(run: Path, to: Path) -> tuple[dict[str, Path], Path]:
    """Run directories with code in them, and the file that exists once any of it has run."""
    flag, method, tasks = to / "flag", strange(run, to / "method"), strange(run, to / "tasks")
    for folder in (method, tasks):
        (folder / "evil.py").write_text(EVIL.format(flag=str(flag)))
    (tasks / "evil.yaml").write_text(TASK)
    changes = {method: {"method": f"{method}/evil.py:M"}, tasks: {"include_path": str(tasks)}}
    for folder, changed in changes.items():
        spec = json.loads((folder / "spec.json").read_text())
        (folder / "spec.json").write_text(json.dumps({**spec, **changed}))
    return {"method": method, "tasks": tasks}, flag


def test_no_command_runs_its_code(run: Path, tmp_path: Path, capsys: Capture) -> None:
    folders, flag = with_code(run, tmp_path)
    for folder in folders.values():
        capsys.readouterr()
        assert main(["resume", str(folder)]) == 1
        said = capsys.readouterr().err
        assert said.startswith("audio-eval: error: ") and said.count("\n") == 1 and "--trust" in said, said
        shutil.copy(run / "result.json", folder)
        for name in ("scores.jsonl", "responses.jsonl"):
            shutil.copy(run / name, folder)
        assert main(["resume", str(folder)]) == 1, "of a finished run nothing is run either"
        assert main(["leaderboard", str(folder), "-o", str(tmp_path / "tables")]) == 0
        assert main(["export", str(folder), "-o", str(tmp_path / f"{folder.name}.zip")]) == 0
        assert main(["import", str(tmp_path / f"{folder.name}.zip"), "--into", str(tmp_path / "into")]) == 0
    assert not flag.exists()


def test_asked_for_it_runs_and_is_named(
    run: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, flag = with_code(run, tmp_path)
    assert main(["resume", str(folders["method"]), "--trust"]) == 1
    assert "is not the file that" in capsys.readouterr().err and not flag.exists(), "the run began with other code"
    output = tmp_path / "own"
    command = ["--model", "tiny-omni", "--tasks", "synth_aqa", "--limit", "2", "--output", str(output)]
    assert main([*command, "--method", f"{folders['method']}/evil.py:M"]) == 0, "the user has named it"
    assert flag.exists()
    capsys.readouterr()
    folder = next(output.iterdir())
    assert main(["resume", str(folder)]) == 0, "a run that was begun here"
    assert "trusted" not in capsys.readouterr().err
    monkeypatch.setenv("AUDIO_EVAL_CACHE", str(tmp_path / "another machine"))
    assert main(["resume", str(folder)]) == 1
    assert main(["resume", str(folder), "--trust"]) == 0
    assert f"trusted: '{folder}' runs the code of '{folders['method']}/evil.py' (sha256 " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"judge": "https://evil.example/v1"}, "sends items, and your key, to 'https://evil.example/v1'"),
        ({"model_args": {"base_url": "http://10.0.0.1/v1"}, "backend": "api"}, "to 'http://10.0.0.1/v1'"),
        ({"model_args": {"base_url": "http://[x"}, "backend": "api"}, "sends items"),
        ({"model_args": {"key_env": "AWS_SECRET"}, "backend": "api"}, "the environment variable AWS_SECRET"),
        ({"model": "mellow", "model_args": {"python": "/tmp/x", "unpickle": True}}, "which may start programs"),
        ({"include_path": "/tmp/tasks"}, "takes tasks, and the code that they name, from '/tmp/tasks'"),
        ({"prompt": "/home/me/notes.jinja"}, "reads '/home/me/notes.jinja' into the prompts"),
        ({"method": "nowhere.py:M"}, "runs the code of 'nowhere.py'"),
    ],
)
def test_what_is_asked_for(run: Path, tmp_path: Path, changed: dict[str, Any], says: str) -> None:
    log = RunLog(strange(run, tmp_path / "x", **changed))
    with pytest.raises(UserError) as caught:
        check_trusted(log, log.spec(), trusted=False)  # type: ignore[arg-type]
    assert says in str(caught.value)
    assert any(says in what for what in check_trusted(log, log.spec(), trusted=True))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        {}, {"judge": "http://localhost:1/v1"}, {"model_args": {"base_url": "http://127.0.0.1:1/v1"}, "backend": "api"},
        {"judge": "https://mine.example/v1"}, {"model_args": {"dtype": "float32"}},
    ],
)  # fmt: skip
def test_what_is_the_users_own(
    run: Path, tmp_path: Path, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://mine.example/other")
    log = RunLog(strange(run, tmp_path / "x", **changed))
    assert check_trusted(log, log.spec(), trusted=False) == []  # type: ignore[arg-type]


LINKED = (
    "spec.json", "result.json", "questions.jsonl", "responses.jsonl", "scores.jsonl", "sessions.jsonl", "notes.json",
    ".owner", ".lock", "report.html", "adapt", "adapt/votes.jsonl",
)  # fmt: skip


@pytest.mark.parametrize("name", LINKED)
def test_a_link_that_leads_out_is_neither_read_nor_written(
    name: str, run: Path, tmp_path: Path, capsys: Capture
) -> None:
    folder = strange(run, tmp_path / "x")
    shutil.copy(run / "result.json", folder)
    mine = tmp_path / "mine"
    (folder / "adapt").mkdir()
    if (folder / name).is_dir():
        (folder / name).rename(mine)
    else:
        mine.write_bytes((folder / name).read_bytes() if (folder / name).exists() else b"{}\n")
        (folder / name).unlink(missing_ok=True)
    before = mine.stat()
    (folder / name).symlink_to(mine)
    for command in (["resume"], ["report"], ["export", "-o", str(tmp_path / "x.zip")], ["compare", str(run)]):
        assert main([command[0], str(folder), *command[1:]]) == 1
        assert f"'{folder / name}' is a link that leads out of the run directory" in capsys.readouterr().err
    assert main(["leaderboard", str(folder), str(run), "-o", str(tmp_path / "board")]) == 0
    assert "is a link that leads out" in capsys.readouterr().err
    assert (mine.stat().st_mtime_ns, mine.stat().st_size) == (before.st_mtime_ns, before.st_size)


def test_what_stands_where_the_owner_is_told_is_not_written_to(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / ".owner").symlink_to(mine)
    with lock_dir(tmp_path):
        assert str(owner_of(tmp_path)).startswith("process ")
    os.mkfifo(tmp_path / ".owner")
    assert owner_of(tmp_path) is None
    with lock_dir(tmp_path):
        pass
    assert mine.read_text() == "mine"
