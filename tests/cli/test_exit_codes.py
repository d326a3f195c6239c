"""How a command ends: 0, 1 the user can mend it, 2 too many items failed, 130 interrupted; and what it says then."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_eval.cli.main import main
from audio_eval.methods.direct import Direct
from audio_eval.store import JsonLines, read_json
from tests.cli.conftest import RUN
from tests.runs.layout import BROKEN, ITEMS, write_mmar
from tests.test_terminal import full, unread

TERMINATED = """
import os, signal, time
from audio_eval import Method

class Slow(Method):
    name = "slow"

    def predict(self, policy, questions):
        if os.environ.get("TERMINATED") == questions[0].id:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        return [question.choices[0] for question in questions]
"""
DIRECT = "tiny-omni-direct-synth_aqa-validation-seed0"


def ended(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> tuple[int, str]:
    """The exit code, and the last line that was said."""
    capsys.readouterr()
    code = main(arguments)
    shown = capsys.readouterr()
    assert "Traceback" not in shown.err
    return code, ([line for line in shown.err.splitlines() if line] or [""])[-1]


def test_sigterm_is_an_interruption_of_a_run_and_of_a_resumed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slow.py").write_text(TERMINATED)
    command = [*RUN, "--batch-size", "2", "--method", f"{tmp_path}/slow.py:Slow", "--output", str(tmp_path / "runs")]
    monkeypatch.setenv("TERMINATED", "?")
    assert main([*command[:-1], str(tmp_path / "whole")]) == 0
    (whole,) = (tmp_path / "whole").iterdir()
    ids = [record["id"] for record in JsonLines(whole / "responses.jsonl").read()]
    folder = tmp_path / "runs" / whole.name
    for place, arguments in ((2, command), (6, ["resume", str(folder)])):
        monkeypatch.setenv("TERMINATED", ids[place])
        assert ended(capsys, arguments) == (
            130, f"audio-eval: interrupted; go on with: audio-eval resume {folder}",
        )  # fmt: skip
        assert len(JsonLines(folder / "responses.jsonl").read()) == place
    monkeypatch.setenv("TERMINATED", "?")
    assert main(["resume", str(folder)]) == 0
    assert (folder / "responses.jsonl").read_bytes() == (whole / "responses.jsonl").read_bytes()


def test_too_many_bad_items_stop_the_run_which_may_go_on_with_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, runs = write_mmar(tmp_path / "data"), tmp_path / "runs"
    command = ["--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(data), "--output", str(runs)]
    code, said = ended(capsys, command)
    (folder,) = runs.iterdir()
    assert code == 2 and not (folder / "result.json").exists()
    assert f"1 of {ITEMS} items failed, and 0 may (--max-errors): {BROKEN}: " in said
    assert said.endswith(f"Nothing is lost: go on with audio-eval resume {folder}")
    assert ended(capsys, ["resume", str(folder)])[0] == 2, "nothing has changed"
    assert ended(capsys, ["resume", str(folder), "--max-errors", "some"])[0] == 1
    capsys.readouterr()
    assert main(["resume", str(folder), "--max-errors", "20%"]) == 0
    shown = capsys.readouterr()
    assert f"unreadable, counted as wrong: {BROKEN}" in shown.err and f"{ITEMS} (1 failed)" in shown.out
    assert main([*command, "--max-errors", "1"]) == 0, "it is the same run, and done"
    assert list(runs.iterdir()) == [folder]


def test_more_missing_recordings_than_may_fail_are_said_before_anything_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_mmar(tmp_path / "data", broken=False)
    (data / "mmar/audio/r3.wav").unlink()
    code, said = ended(
        capsys, ["--model", "tiny-omni", "--tasks", "mmar", "--data-dir", str(data), "--output", str(tmp_path / "runs")]
    )
    assert code == 2 and "r3: its recording cannot be read" in said and not (tmp_path / "runs").exists()


@pytest.mark.parametrize("make", [unread, full])
def test_a_reader_of_stderr_that_goes_away_ends_no_run(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with make() as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stream)
        assert main([*RUN, "--output", str(tmp_path)]) == 0
    assert (tmp_path / DIRECT / "result.json").is_file()


def test_a_reader_of_stdout_that_goes_away_and_a_full_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["ls"], ["--help"], ["ls", "--help"], [*RUN, "--output", str(tmp_path)]):
        for make, code in ((unread, 0), (full, 1)):
            with make() as stream, monkeypatch.context() as patch:
                patch.setattr(sys, "stdout", stream)
                assert main(arguments) == code, arguments
            err = capsys.readouterr().err
            assert "Traceback" not in err and ("'standard output': No space left on device" in err) == (code == 1)
    assert (tmp_path / DIRECT / "result.json").is_file()


def test_the_current_folder_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    shutil.rmtree(tmp_path / "here")
    for arguments in (RUN, ["ls"], ["leaderboard", "runs"]):
        assert ended(capsys, arguments) == (1, "audio-eval: error: the current folder is gone: cd to one that exists.")


PLACES = {
    "a file": ("{tmp}/file", "a file stands where a folder is meant"),
    "below a file": ("{tmp}/file/x", "a file stands where a folder is meant"),
    "a name too long": ("{tmp}/" + "x" * 300, "choose shorter names"),
    "a path too long": ("{tmp}/" + "x/" * 2500, "choose shorter names"),
    "no place to write": ("/proc/x", "choose another place"),
    "a device": ("/dev/null/x", "a file stands where a folder is meant"),
}


@pytest.mark.parametrize("name", PLACES)
def test_outputs_that_cannot_be_written(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    place, says = PLACES[name]
    place = place.format(tmp=tmp_path)
    code, said = ended(capsys, [*RUN, "--output", place])
    assert code == 1 and says in said, said
    if name != "a file":  # `leaderboard` says that in words of its own
        code, said = ended(capsys, ["export", str(tmp_path), "-o", place])
        assert code == 1


def test_names_that_are_no_utf_8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = os.fsdecode(os.fsencode(tmp_path) + b"/r\xffns")
    assert main([*RUN, "--output", output, "--json"]) == 0
    out = capsys.readouterr().out
    assert "\\udcff" in out and read_json(Path(output) / DIRECT / "result.json")["audio_eval"]["run"].startswith(output)
    assert main(["leaderboard", output, "-o", str(tmp_path / "tables")]) == 0


def test_a_disk_that_fills_up_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*RUN, "--batch-size", "2", "--output", str(tmp_path / "runs")]
    assert main([*command[:-1], str(tmp_path / "whole")]) == 0
    fsync, left = os.fsync, 0

    def filling(handle: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(28, "No space left on device")
        fsync(handle)

    folder = tmp_path / "runs" / DIRECT
    monkeypatch.setattr(os, "fsync", filling)
    for room in (0, 3, 7, 12, 20, 30, 45):
        left = room
        code, said = ended(capsys, ["resume", str(folder)] if (folder / "spec.json").exists() else command)
        assert code in (0, 1)
        if code:
            assert "No space left on device; make room there" in said
            assert (f"go on with audio-eval resume {folder}" in said) == (folder / "spec.json").exists()
    monkeypatch.undo()
    assert main(command) == 0
    for file in ("responses.jsonl", "scores.jsonl", "questions.jsonl", "identity.json", "spec.json"):
        assert (folder / file).read_bytes() == (tmp_path / "whole" / DIRECT / file).read_bytes(), file
    assert not list((tmp_path / "runs").rglob("*.tmp"))


def test_a_changed_flag_is_named_with_the_new_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*RUN, "--method", "majority_vote", "--method-args", "votes=2", "--output", str(tmp_path)]
    assert main(command) == 0
    first = next(tmp_path.iterdir())
    capsys.readouterr()
    assert main([*command, "--method-args", "votes=3", "--max-tokens", "32"]) == 0
    assert (
        f"{first}-2 (new, as in '{first}' max_tokens was 64 and is 32; method_args.votes was 2 and is 3)"
        in capsys.readouterr().err
    )


def test_an_edited_spec_is_refused_with_the_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Direct, "predict", interrupt)
        assert main([*RUN, "--output", str(tmp_path)]) == 130
    spec = tmp_path / DIRECT / "spec.json"
    spec.write_text(spec.read_text().replace('"limit": 8', '"limit": 9').replace('"seed": 0', '"seed": 7'))
    code, said = ended(capsys, ["resume", str(tmp_path / DIRECT)])
    assert code == 1 and "spec.json was edited: limit was 8 and is 9; spec.json was edited: seed was 0 and is 7" in said
    spec.unlink()
    assert ended(capsys, ["resume", str(tmp_path / DIRECT)])[0] == 1


BAD_METHOD = """
import sys
from audio_eval import Method

class Bad(Method):
    name = "bad"

    def predict(self, policy, questions):
        print("no JSON")
        if KIND == "exits":
            sys.exit(0)
        if KIND == "fails":
            raise RecursionError("two\\nlines")
        if KIND == "its own":
            raise GeneratorExit("x")
        return ["x"] * len(questions)
"""
BAD_METHODS = {
    "exits": "line 11 (SystemExit: it called sys.exit)", "fails": "line 13 (RecursionError: two lines)",
    "its own": "line 15 (GeneratorExit: x)", "prints": "",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD_METHODS)
def test_a_method_that_fails_is_one_line_and_what_it_prints_no_part_of_the_table(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text(BAD_METHOD.replace("KIND", repr(kind)))
    says = BAD_METHODS[kind]
    code = main([*RUN, "--json", "--output", str(tmp_path / "runs"), "--method", f"{tmp_path}/bad.py:Bad"])
    shown = capsys.readouterr()
    assert code == bool(says) and says in shown.err and "Traceback" not in shown.err and "no JSON" in shown.err
    assert says or json.loads(shown.out)["rows"]


def test_names_that_no_result_can_hold_are_said_at_the_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "said.jsonl").write_text('{"id": "synth-validation-00000", "response": "x"}\n')
    score = ["score", "synth_aqa:validation", "--responses", str(tmp_path / "said.jsonl"), "--output", str(tmp_path)]
    code, said = ended(capsys, [*score, "--name", "x" * 3_000])
    assert code == 1 and "name: value error, takes more than 2000 characters" in said
    code, said = ended(capsys, [*RUN, "--output", "x/" * 1_500])
    assert code == 1 and "the path of the run has more than 2000 characters" in said
