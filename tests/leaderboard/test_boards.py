"""Which rows are ranked together, why others are not, and the columns of places, cost and what others report."""

from __future__ import annotations

import json
import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from audio_eval.cli.flags import add_lm_eval_flags, add_run_fields, given
from audio_eval.cli.main import main
from audio_eval.leaderboard import Committed, Row, aggregate, load_runs, task_table, terminal_table
from audio_eval.leaderboard.boards import boards
from audio_eval.leaderboard.caveats import caveats
from audio_eval.leaderboard.files import pages
from audio_eval.leaderboard.published import Published
from audio_eval.leaderboard.reproduce import command, flags
from audio_eval.runlog import RunSpec
from tests.leaderboard.runs import cells_of, make_run, rows_of

SILENT: dict[str, Any] = {"audio": "silence", "tags": ["audio: silence"]}


def by_method(rows: list[Row]) -> dict[str, Row]:
    return {row.method: row for row in rows}


def test_rows_of_the_same_conditions_are_ranked_and_all_others_apart(tmp_path: Path) -> None:
    make_run(tmp_path / "direct", "rrrrwwww")
    make_run(tmp_path / "other", "rrrrrwww", model="big", model_revision="r1")
    make_run(tmp_path / "prompt", "rrrrrrww", method="prompted", prompt="other")
    make_run(tmp_path / "scorer", "rrrrrrww", method="scored", scorer="choice-v2")
    make_run(tmp_path / "few", "rrr", method="limited")
    make_run(tmp_path / "silent", "rrwwwwww", **SILENT)
    make_run(tmp_path / "cheat", "rrrrrrrr", method="sft", trained_on="synth_aqa")
    make_run(tmp_path / "broken", "rrrrrrwu", method="mv", notes={"unreadable": {"q7": "no such file"}})
    found = boards(rows_of(tmp_path))
    assert [[row.method for row in board.rows] for board in found] == [
        ["direct", "direct"], ["prompted"], ["scored"], ["limited", "sft", "mv", "direct"],
    ]  # fmt: skip
    assert [board.ranked for board in found] == [True, True, True, False]
    assert "prompt tagged; scorer choice-v1; data abc123" in found[0].title and "8 items" in found[0].title
    assert {row.method: row.apart for row in found[3].rows} == {
        "sft": "it is trained on the labels of these items",
        "limited": "it has 3 of 8 items",
        "mv": "1 items had errors",
        "direct": "it does not hear the recordings",
    }
    assert [row.standing is None for board in found for row in board.rows] == [False, False, *[True] * 6]
    table = task_table(rows_of(tmp_path))
    assert table.count("| method ") == 4 and "### Not ranked\n" in table
    assert terminal_table(rows_of(tmp_path)).count("\nmethod ") == 4


def test_other_data_is_no_fewer_items(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rrrrwwww")
    make_run(tmp_path / "b", "rrw", data_revision="before")
    assert {board.ranked for board in boards(rows_of(tmp_path))} == {True}


def test_places_stand_in_the_table_and_the_verdict_below(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "r" * 60 + "w" * 40)
    make_run(tmp_path / "b", "r" * 61 + "w" * 39, method="mv")
    make_run(tmp_path / "c", "r" * 95 + "w" * 5, method="ttrl")
    table = task_table(rows_of(tmp_path))
    cells = [cells_of(table, number) for number in range(3)]
    assert [(line["rank"], line["tie"]) for line in cells] == [("1", "a"), ("2–3", "b"), ("2–3", "b")]  # noqa: RUF001
    assert "Best: ttrl, 95.0 % [88.8, 97.8]. It is shown to be better than every other row." in table
    make_run(tmp_path / "d", "r" * 94 + "w" * 6, method="op_ttrl")
    assert "Not shown to differ from it: op_ttrl." in task_table(rows_of(tmp_path))


def test_what_is_left_without_the_recordings(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rrrrwwww")
    make_run(tmp_path / "b", "rwwwwwww", **SILENT)
    make_run(tmp_path / "c", "rrwwwwww", audio="none", tags=["audio: none"])
    make_run(tmp_path / "d", "rrrrrrww", method="sft")
    found = {row.method: row.retained for row in rows_of(tmp_path) if row.hears}
    assert found == {"direct": {"silence": 25.0, "none": 50.0}, "sft": {}}
    line = next(line for line in task_table(rows_of(tmp_path)).splitlines() if line.startswith("| direct "))
    assert "none 50, silence 25" in line


def test_cost(tmp_path: Path) -> None:
    told: dict[str, Any] = {"wall_s": 1800.0, "audio_seconds": 5400.0, "trained_parameters": 1_234_567}
    make_run(tmp_path / "a", "rw", device="cuda (NVIDIA H100)", **told)
    make_run(tmp_path / "b", "rw", method="sft", device="cpu (4 threads)", **told)
    make_run(tmp_path / "c", "rw", method="api", device="the server at http://x", **told)
    make_run(tmp_path / "d", "rw", method="old", wall_s=1800.0)
    for place, seconds in (("e", 1800.0), ("f", 5400.0)):
        make_run(tmp_path / place, "rw", method="ttrl", seed=ord(place), device="cpu (1 threads)", wall_s=seconds)
    table = task_table(rows_of(tmp_path))
    found = {cells["method"]: cells for number in range(5) for cells in [cells_of(table, number)]}
    assert [found[name]["device time"] for name in ("direct", "sft", "api", "old", "ttrl")] == [
        "0.5 GPU h", "2 core h", "—", "—", "1 core h",
    ]  # fmt: skip
    assert found["direct"]["audio s/s"] == "3.0" and found["old"]["audio s/s"] == "—"
    assert found["sft"]["trained parameters"] == "1,234,567"


def test_what_others_report_stands_beside_the_row(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rw", task="mmar", model="Qwen")
    make_run(tmp_path / "b", "rr", task="mmar", model="Qwen", method="majority_vote")
    make_run(tmp_path / "c", "rr", task="mmar", model="Qwen", method="majority_vote", settings={"views": "a"})
    make_run(tmp_path / "d", "wr", task="mmar", model="Qwen", **SILENT)
    common: dict[str, Any] = {"task": "mmar", "source": "a paper"}
    published = [
        Published(model="qwen", accuracy=51.5, **common),
        Published(model="qwen", accuracy=54.0, method="Majority_Vote (M=64)", **common),
        Published(model="other", accuracy=99.0, **common),
    ]
    files = pages(rows_of(tmp_path), published)
    rows = json.loads(files["leaderboard.json"])["rows"]
    assert {(*row["tags"], row["method"], str(row["settings"])): row["reported"] for row in rows} == {
        ("direct", "{}"): ["51.5 (a paper)"], ("majority_vote", "{}"): ["54 (a paper)"],
        ("majority_vote", "{'views': 'a'}"): None, ("audio: silence", "direct", "{}"): None,
    }  # fmt: skip


def test_caveats(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rw", task="mmau_test", method="x", tags=["transductive"])
    make_run(tmp_path / "b", "rw", task="mmau_test", method="y", tags=["trained on mmau: 2 scored items among them"])
    make_run(tmp_path / "c", "rw", task="mmau_test", method="z", trained_on="avqa")
    old = Published(task="mmau_test", version="original", model="m", accuracy=50, source="s")
    found = {caveat.title: caveat.labels for caveat in caveats(rows_of(tmp_path), [old])}
    assert found == {
        "Trained on scored items": ["y"], "Adapted on the scored items": ["x"], "Trained with labels": ["z"],
        "Data before their revision": ["m (reported)"],
    }  # fmt: skip


def test_the_command_makes_the_run_again(tmp_path: Path) -> None:
    """Our own command line reads it; folders are named without where they lay."""
    spec = RunSpec(
        model="tiny-omni", method="sft", method_args={"labels": "likelihood", "steps": 3}, task="synth_aqa", limit=8,
        max_tokens=32, audio="silence", data_dir="/home/me/data", device="cpu", model_args={"dtype": "bfloat16"},
        deterministic=True,
    )  # fmt: skip
    told: dict[str, Any] = {
        "method": "sft",
        "settings": {"steps": 3},
        "tags": ["likelihood labels"],
        "audio": "silence",
    }
    runs, _ = load_runs([make_run(tmp_path / str(seed), "rw", seed=seed, **told) for seed in (0, 1)])
    program, *words = shlex.split(command([run.summary for run in runs], flags(spec)))
    parser = ArgumentParser()
    add_run_fields(parser)
    add_lm_eval_flags(parser)
    assert program == "audio-eval" and given(parser.parse_args(words)) == {
        "model": "tiny-omni", "method": "sft", "method_args": "steps=3,labels=likelihood", "tasks": "synth_aqa",
        "seed": "0,1", "audio": "silence", "model_args": "dtype=bfloat16", "limit": 8, "data_dir": "data",
        "max_tokens": 32, "deterministic": True,
    }  # fmt: skip


def test_versions_and_flags_are_kept(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "a", "rw")
    spec = RunSpec(model="tiny-omni", method="direct", method_args={}, task="synth_aqa", limit=2)
    (folder / "spec.json").write_text(json.dumps({"version": 2, **spec.model_dump()}))
    (folder / "env.json").write_text(json.dumps({
        "started": "2026-11-28", "command": ["/home/me/audio-eval"], "python": "3.11.7", "platform": "Linux",
        "packages": {"torch": "2.13.0"}, "commit": "abc", "device": "cpu, 1 threads", "threads": 1,
    }))  # fmt: skip
    (step := folder / "adapt" / "step-000001").mkdir(parents=True)
    save_file({"a": np.zeros((2, 3), np.float32), "b": np.zeros(4, np.float16)}, step / "adapter_model.safetensors")
    given, _ = load_runs([tmp_path])
    Committed(tmp_path / "kept").add(given)
    (run,) = Committed(tmp_path / "kept").runs()
    assert (run.versions, run.flags) == ({"python": "3.11.7", "torch": "2.13.0"}, {"limit": "2"})
    # which a result of an earlier version does not state
    assert (run.summary.device, run.summary.trained_parameters) == ("cpu, 1 threads", 10)
    assert "/home" not in "".join(path.read_text() for path in (tmp_path / "kept").rglob("*.jsonl"))
    assert "torch=2.13.0" in task_table(aggregate([run]))


BROKEN = {
    "result.json": ["", "[]", "null", "[" * 100_000, b"\xff\x00", '{"version": 1}'],
    "scores.jsonl": ["", b"\xff\xff\n", "{}\n"],
    "env.json": ["{", "{}"],
    "spec.json": ["[1]", '{"version": 99}'],
}


@pytest.mark.parametrize(("file", "content"), [(file, content) for file, all_ in BROKEN.items() for content in all_])
def test_a_broken_run_is_listed_with_its_reason(
    tmp_path: Path, file: str, content: str | bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(tmp_path / "runs" / "fine", "rw")
    broken = make_run(tmp_path / "runs" / "broken", "rww", method="sft")
    (broken / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    (tmp_path / "runs" / "begun").mkdir()
    (tmp_path / "runs" / "begun" / "spec.json").write_text("{}")
    assert main(["leaderboard", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err.strip().splitlines()
    assert len(told) == 2 and any("begun" in line and "not finished" in line for line in told)
    for name in ("all.md", "index.html", "leaderboard.json"):
        text = (tmp_path / "out" / name).read_text()
        assert "not finished" in text and "broken" in text, name
