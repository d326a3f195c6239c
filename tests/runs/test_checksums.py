"""Damage that leaves a file readable: any bit of it is noticed, by what shows a run and by what loads its weights."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from audio_eval.checksums import of_value
from audio_eval.cli.main import main
from audio_eval.runlog import RunLog
from audio_eval.runlog.damage import lost
from tests.runs.test_damage import FILES

BITS = 60  # in each file
ADAPTER = "adapt/step-000002/adapter_model.safetensors"
SHOW = {
    "report": ["report", "RUN"],
    "compare": ["compare", "OTHER", "RUN", "-o", "OUT/page.html"],
    "export": ["export", "RUN", "-o", "OUT/run.zip"],
    "export json": ["export", "RUN", "-o", "OUT/run.json"],
    "leaderboard": ["leaderboard", "RUN", "-o", "OUT/board"],
}


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def flip_digit(path: Path) -> None:
    """The last digit of a file, so that it stays readable; not that of a checksum."""
    text = path.read_text()
    end = text.rindex('"checksum"') if '"checksum"' in text else len(text)
    at = max(at for at, letter in enumerate(text[:end]) if letter.isdigit())
    flip(path, len(text[:at].encode()))
    for line in path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]:
        json.loads(line)


@pytest.mark.parametrize("name", FILES)
def test_any_bit_of_a_finished_run_is_noticed(name: str, ttrl: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ttrl, folder)
    log, path = RunLog(folder), folder / name
    ids = [question.id for question in log.questions.read()]
    assert lost(log, ids) is None
    whole, chance = path.read_bytes(), random.Random(name)
    for at in chance.sample(range(len(whole)), min(BITS, len(whole))):
        flip(path, at, bit := chance.randrange(8))
        assert (said := lost(log, ids)), f"bit {bit} of byte {at}"
        assert "\n" not in said
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["result.json", "notes.json", "env.json", "scores.jsonl", "adapt/votes.jsonl"])
@pytest.mark.parametrize("command", SHOW)
def test_a_changed_figure_is_shown_by_nothing(
    command: str, name: str, ttrl: Path, direct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "run", tmp_path / "out"
    shutil.copytree(ttrl, folder)
    out.mkdir()
    flip_digit(folder / name)
    places = {"RUN": str(folder), "OTHER": str(direct), "OUT": str(out)}
    assert main([places.get(word, word.replace("OUT", str(out))) for word in SHOW[command]]) == 1
    said = capsys.readouterr().err
    assert name in said and f"audio-eval resume {folder}" in said and "Traceback" not in said
    assert not any(path.is_file() for path in out.rglob("*")) and not (folder / "report.html").exists()


def test_damaged_weights_are_merged_into_no_model(
    ttrl: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = tmp_path / "step"
    shutil.copytree((ttrl / ADAPTER).parent, step)
    run = ["--model", "tiny-omni", "--tasks", "synth_aqa:validation", "--limit", "2", "--adapter", str(step)]
    assert main([*run, "--output", str(tmp_path / "runs")]) == 0
    flip(step / "adapter_model.safetensors", -1)
    capsys.readouterr()
    assert main([*run, "--output", str(tmp_path / "others")]) == 1
    assert "is damaged (adapter_model.safetensors is not as it was written)" in capsys.readouterr().err


def test_a_damaged_name_of_a_checksum_is_damage(ttrl: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(ttrl, folder)
    told = json.loads((folder / "notes.json").read_text())
    checksum = told.pop("checksum")
    assert checksum == of_value(told)
    (folder / "notes.json").write_text(json.dumps({**told, "checksun": checksum}))
    assert "damaged" in (lost(RunLog(folder), []) or "")
    (folder / "notes.json").write_text(json.dumps(told))
    assert lost(RunLog(folder), []) is None, "written before there were checksums, or by hand"
