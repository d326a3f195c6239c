"""audio-eval report."""

from __future__ import annotations

from pathlib import Path

import pytest

from audio_eval.cli.main import main
from tests.report.runs import make_pair


def test_a_page_for_each_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_pair(tmp_path)
    assert main(["report", str(run), str(tmp_path / "direct"), "--embed", "0"]) == 0
    assert capsys.readouterr().out.split() == [str(run / "report.html"), str(tmp_path / "direct" / "report.html")]
    assert (run / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no/such"], "has no spec.json"),
        (["x", "--embed", "-1"], "from 0 to 1024"),
        (["x", "--embed", "nan"], "a number is wanted"),
    ],
)
def test_mistakes_are_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
