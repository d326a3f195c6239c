"""What a benchmark's server said of a run is shown as reported, and completes the paper's four columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.leaderboard import Committed, aggregate, load_runs
from audio_eval.leaderboard.files import pages
from audio_eval.leaderboard.reported import four_columns
from audio_eval.runlog import RunLog
from tests.leaderboard.runs import make_run

FOUR = {"mmau_test_mini": "rrrw", "mmau_test": "rrrr", "mmar": "rrww", "mmsu": "rwww"}
SAID = ["--accuracy", "71", "--groups", "sound=76.77,music=67.33,speech=68.9", "--date", "2026-11-28"]


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    for task, states in FOUR.items():
        changes = {"accuracy": None, "note": "answers are hidden"} if task == "mmau_test" else {}
        make_run(tmp_path / task, states, task=task, **changes)
    return tmp_path / "mmau_test"


def test_it_completes_the_average(hidden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report-score", str(hidden), *SAID]) == 0
    said = capsys.readouterr().out
    assert "71.00 % reported, MMAU's evaluation space (sonalkum/MMAU-Eval), 2026-11-28" in said
    line = next(line for line in said.splitlines() if line.startswith("| direct"))
    # 75, 71, 50, 25
    assert [part.strip() for part in line.strip("|").split("|")][1:] == [
        "75.00", "71.00 *reported*", "50.00", "25.00", "55.25",
    ]  # fmt: skip


def test_the_pages_show_it_apart_and_kept_results_keep_it(hidden: Path, tmp_path: Path) -> None:
    main(["report-score", str(hidden), *SAID])
    runs, _ = load_runs([tmp_path])
    found = pages(aggregate(runs))
    measured, _, reported = found["mmau_test.md"].partition("## Reported by others")
    assert "71.00" not in measured and "hidden" in measured
    assert "| reported" in reported and "2026-11-28: run mmau" in reported and "76.77" in reported
    assert "55.25" in found["all.md"]
    kept = Committed(tmp_path / "kept")
    kept.add(runs)
    assert pages(aggregate(kept.runs())) == found


def test_one_that_is_entered_again_takes_the_place(hidden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report-score", str(hidden), *SAID])
    main(["report-score", str(hidden), "--accuracy", "70.5"])
    assert "it takes the place of 71.00" in capsys.readouterr().err
    assert (said := RunLog(hidden).reported()) is not None and (said.accuracy, said.groups) == (70.5, {})


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--accuracy", "101"], "less than or equal to 100"),
        (["--accuracy", "nan"], "accuracy: "),
        (["--accuracy", "60", "--groups", "sound=76.77,music=67.33,speech=68.9"], "--groups give 71.00 over all items"),
        (["--accuracy", "71", "--groups", "sond=70"], "Did you mean 'sound'"),
        (["--accuracy", "71", "--groups", "sound"], "--groups takes NAME=PERCENT"),
        (["--accuracy", "71", "--date", "yesterday"], "date: "),
        (["--accuracy", "71", "--source", ""], "source: "),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], match: str, hidden: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report-score", str(hidden), *arguments]) == 1
    said = capsys.readouterr().err
    assert match in said and said.count("\n") == 1
    assert RunLog(hidden).reported() is None


def test_what_was_measured_cannot_be_reported(hidden: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report-score", str(hidden.parent / "mmar"), "--accuracy", "99"]) == 1
    assert "was measured here (50.0 %)" in capsys.readouterr().err


def test_fewer_items_or_three_columns_make_no_average(hidden: Path, tmp_path: Path) -> None:
    assert four_columns(aggregate(load_runs([tmp_path])[0])) == ""  # nothing reported yet
    main(["report-score", str(hidden), *SAID])
    make_run(tmp_path / "more", "rrrrrr", task="mmsu", method="majority_vote", seed=3)
    assert four_columns(aggregate(load_runs([tmp_path])[0])) == ""  # direct has 4 of 6 items


def test_a_damaged_record_is_one_message(hidden: Path) -> None:
    (hidden / "reported.json").write_text(json.dumps({"accuracy": 71, "source": "x", "date": "2026-11-28", "more": 1}))
    runs, messages = load_runs([hidden])
    assert not runs and "reported.json' is damaged: more" in messages[0]


def test_a_run_that_was_not_recomputed_is_nobodys_baseline(tmp_path: Path) -> None:
    make_run(tmp_path / "direct", "rrww", tags=["imported, not recomputed"])
    make_run(tmp_path / "ttrl", "rrrw", method="ttrl")
    assert [row.comparison for row in aggregate(load_runs([tmp_path])[0])] == [None, None]
