"""Run directories -> rows: what is read, what is left out, what is compared with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate, load_runs, task_table
from tests.leaderboard.runs import cells_of, make_run, rows_of


def test_seeds_are_averaged_and_compared_with_direct(runs: Path):
    best, direct = rows_of(runs)
    assert (best.method, best.seeds, best.n, best.accuracy) == ("aqa_ttrl", (0, 1), 10, pytest.approx(65.0))
    assert best.comparison is not None
    assert best.comparison.difference == pytest.approx(15.0)
    assert best.comparison.format_gain == pytest.approx(10.0)  # two of ten in seed 0, none in seed 1
    assert best.comparison.answer_gain == pytest.approx(5.0)
    assert (best.macro, best.groups) == (50.0, {"music": 60.0, "sound": 40.0})
    assert best.unparsable == pytest.approx(5.0)
    assert best.official_n == (9, 9)
    assert (direct.accuracy, direct.comparison) == (50.0, None)
    assert direct.interval == pytest.approx((23.659, 76.341), abs=1e-3)  # Wilson, 5 of 10


def test_an_unfinished_run_is_named(runs: Path):
    (runs / "killed").mkdir()
    (runs / "killed" / "spec.json").write_text("{}")
    found, skipped = load_runs([runs])
    assert len(found) == 3
    assert skipped == [f"{runs / 'killed'}: not finished, no result.json; left out."]
    assert load_runs([runs / "killed"])[1] == skipped


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("result.json", '{"results": ', "is damaged"),
        ("result.json", "[]", "version None"),
        ("result.json", '{"audio_eval": {"model": "m"}}', "version 1"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true, "why": ""}\n{"id"\n', "line 2"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true, "why": ""}\n', "1 items"),
        ("scores.jsonl", '{"id": "q0", "outcome": "right"}\n', "record 1: outcome"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true, "why": ""}\n' * 10, "twice"),
    ],
)
def test_a_damaged_run_is_named(runs: Path, file: str, text: str, reason: str):
    (runs / "direct" / file).write_text(text)
    found, skipped = load_runs([runs])
    assert len(found) == 2 and len(skipped) == 1
    assert reason in skipped[0] and "\n" not in skipped[0] and str(runs / "direct") in skipped[0]


def test_numbers_that_disagree_or_are_not_finite_are_left_out(tmp_path: Path):
    make_run(tmp_path / "a", "rw", accuracy=90.0)
    make_run(tmp_path / "b", "rw", wall_s=float("inf"))
    make_run(tmp_path / "c", "rw", official={"rule": "x", "accuracy": float("nan"), "n": 1})
    make_run(tmp_path / "d", "rw")
    (tmp_path / "d" / "scores.jsonl").unlink()
    found, skipped = load_runs([tmp_path])
    assert found == [] and len(skipped) == 4
    assert "scores.jsonl has 0 items" in skipped[3]


def test_the_same_run_given_twice_counts_once(runs: Path):
    assert len(load_runs([runs, runs / "direct", runs / "ttrl"])[0]) == 3


def test_a_copy_is_named_and_a_second_run_of_a_seed_gets_its_own_row(runs: Path):
    make_run(runs / "again", "rrrrrwwwuu")
    make_run(runs / "other", "rrrrwwwwuu")
    found, skipped = load_runs([runs])
    assert skipped == [f"{runs / 'direct'}: the same as again; left out."]
    assert [row.accuracy for row in aggregate(found) if row.method == "direct"] == [50.0, 40.0]


def test_a_missing_folder_is_a_user_error(tmp_path: Path):
    with pytest.raises(UserError, match="nowhere"):
        load_runs([tmp_path / "nowhere"])


@pytest.mark.parametrize("change", ["model", "task", "prompt", "scorer", "data_revision", "model_revision"])
def test_no_comparison_unless_all_but_the_method_is_equal(tmp_path: Path, change: str):
    make_run(tmp_path / "direct", "rrww")
    other: dict[str, Any] = {change: "other"}
    make_run(tmp_path / "vote", "rrrw", method="majority_vote", **other)
    vote = next(row for row in rows_of(tmp_path) if row.method == "majority_vote")
    assert vote.comparison is None
    assert "Δ direct" not in cells_of(task_table([vote]), 0)


def test_other_items_compare_on_the_common_ones(tmp_path: Path):
    make_run(tmp_path / "direct", "rwww")
    make_run(tmp_path / "vote", "rr", ids=[1, 0], method="majority_vote")
    make_run(tmp_path / "sft", "rr", ids=[8, 9], method="sft")
    by_method = {row.method: row for row in rows_of(tmp_path)}
    assert by_method["sft"].comparison is None
    assert by_method["majority_vote"].comparison.n == 2
    make_run(tmp_path / "more", "rrrr", ids=[0, 1, 8, 9], method="aqa_ttrl")
    assert cells_of(task_table(rows_of(tmp_path)[:1]), 0)["Δ direct"].endswith("n=2")
