"""docs/add-a-method.md, followed step by step from a folder outside the checkout."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.method import Method
from audio_eval.rl.session import Session
from tests.examples.fresh import PLUGIN, Fresh

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add-a-method.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def table(head: str) -> list[str]:
    """The first column of the table that begins with ``head``."""
    rows = re.search(rf"^\| {re.escape(head)} \|.*\n\|---.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)[1]
    return [name for row in rows.splitlines() for name in re.findall(r"`([\w.]+)", row.split("|")[1])]


METHOD, ADAPT, TEST = blocks("python")
TRY, RUN_TEST, INSTALL = blocks("sh")
(ENTRY_POINT,) = blocks("toml")


@pytest.mark.slow
def test_the_file_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shortest.py").write_text(METHOD)
    for line in TRY.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    out = capsys.readouterr().out
    assert "samples=4  samples per question [int >= 1]" in out
    rows = [json.loads(path.read_text())["audio_eval"] for path in Path("runs").glob("*shortest*/result.json")]
    assert sorted((row["method"], row["n"], row["samples"]) for row in rows) == [
        ("shortest", 8, 32), ("shortest", 8, 64)
    ]  # fmt: skip


def test_its_test_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    Path("shortest.py").write_text(METHOD)
    (command,) = RUN_TEST.splitlines()
    assert command == "python -m pytest -q test_shortest.py"
    found: dict = {}
    exec(TEST, found)
    (test,) = [value for name, value in found.items() if name.startswith("test_")]
    test()


def test_the_snippet_and_the_entry_point_are_the_examples() -> None:
    assert ADAPT in (PLUGIN / "src" / "confident_sft" / "method.py").read_text()
    assert ENTRY_POINT in (PLUGIN / "pyproject.toml").read_text()


def test_the_parts_and_flags_are_there() -> None:
    for part in table("part"):
        module, name = part.split(".")
        assert callable(getattr(import_module(f"audio_eval.rl.{module}"), name)), part
    flags = table("on the class")
    assert all(hasattr(Method, flag) or flag in Method.__annotations__ for flag in flags)
    own = {name for name in {*vars(Method), *Method.__annotations__} if not name.startswith("_")}
    assert own - {"Config", "config", "adapt", "predict"} <= set(flags), "a flag that the page does not name"
    for name in re.findall(r"`run\.(\w+)", PAGE):
        assert hasattr(Session, name) or name in ("seed", "examples")


@pytest.mark.slow
def test_the_example_is_copied_and_installed(tmp_path: Path) -> None:
    fresh = Fresh(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line in INSTALL.replace("\\\n", "").splitlines():
        command = shlex.split(line)
        if command[0] == "python":
            done = fresh.run(*command[1:])
            assert done.returncode == 0, done.stderr
        elif command[0] == "audio-eval":
            out = fresh.audio_eval(*command[1:])
        else:
            subprocess.run(command, check=True, cwd=tmp_path)
    assert re.search("confident_sft .* transductive", out)
