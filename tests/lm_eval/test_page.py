"""docs/lm-eval.md: its command lines run, on what is here in place of what has to be fetched."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from audio_eval.lm_eval.__main__ import main
from tests.openai_server import OpenAIServer, completions
from tests.tasks.official import MMAU, write

PAGE = (Path(__file__).parents[2] / "docs" / "lm-eval.md").read_text()
COMMANDS = re.findall(r"^    python -m audio_eval\.lm_eval ((?:.*\\\n)*.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lm_eval.caching.cache.PATH", str(tmp_path / "requests"))
    write(Path("D"), "mmau/mmau-test-mini.json", [MMAU])  # its recording is missing, which is data
    return tmp_path


@pytest.mark.usefixtures("few_tasks", "here")
@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str, text_tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAIServer(lambda *_: completions(["cat"])) as server:
        for absent, present in {
            "qwen2.5-omni-3b": "tiny-omni",
            "http://host:8000/v1": server.url,
            "arc_easy": f"words_choice --include_path {text_tasks}",
            "\\\n": " ",
        }.items():
            command = command.replace(absent, present)
        assert main(shlex.split(command)) == 0
    out = capsys.readouterr().out
    named = re.search(r"--tasks (\w+)", command)
    assert {"synth_aqa": "|synth_aqa|", "mmau": "|mmau_test_mini|", "words_choice": "|words_choice|"}.get(
        named[1] if named else "", "mmau_test_mini"
    ) in out.replace(" ", "")


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 5


@pytest.mark.usefixtures("few_tasks")
def test_from_python() -> None:
    found: dict[str, Any] = {}
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(code, found)
    assert 0 < found["found"]["results"]["synth_aqa"]["acc,none"] < 1
