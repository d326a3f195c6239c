"""Run directories -> rows: what is read, what is left out, what is compared with what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import Run, aggregate, load_runs, task_table
from audio_eval.scoring.statistics import Outcome
from tests.leaderboard.runs import cells_of, make_run, rows_of


def test_seeds_are_averaged_and_compared_with_direct(runs: Path):
    best, direct = rows_of(runs)
    assert (best.method, best.seeds, best.n, best.accuracy) == ("aqa_ttrl", (0, 1), 10, pytest.approx(65.0))
    assert best.comparison is not None
    assert best.comparison.difference == pytest.approx(15.0)
    assert best.comparison.from_unparsable == pytest.approx(10.0)  # two of ten in seed 0, none in seed 1
    assert best.comparison.from_wrong == pytest.approx(5.0)
    assert best.seed_deviation == pytest.approx(100 * 0.05**0.5 / 10**0.5) and not best.one_seed
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


def test_a_single_seed_is_marked_but_for_greedy_answers(runs: Path):
    make_run(runs / "sft", "rrrrrrwwww", method="sft")
    found = {row.method: row for row in rows_of(runs)}
    assert {name: row.one_seed for name, row in found.items()} == {"aqa_ttrl": False, "sft": True, "direct": False}
    marks = {name: cells_of(task_table([row]), 0).get("seed SD") for name, row in found.items()}
    assert marks == {"aqa_ttrl": "7.1", "sft": "one", "direct": None}


def test_items_of_one_recording_count_together(tmp_path: Path):
    """Eight recordings of three items that change together are eight facts, not 24."""
    recordings = [f"sha{number // 3}" for number in range(60)]
    make_run(tmp_path / "direct", "w" * 60, recordings=recordings)
    make_run(tmp_path / "sft", "r" * 24 + "w" * 36, method="sft", recordings=recordings)
    make_run(tmp_path / "grpo", "r" * 24 + "w" * 36, method="grpo")
    by_method = {row.method: row for row in rows_of(tmp_path)}
    together, apart = by_method["sft"].comparison, by_method["grpo"].comparison
    assert together is not None and apart is not None
    assert (together.recordings, together.p_value) == (20, 2 / 2**8)
    assert (apart.recordings, apart.p_value) == (60, 2 / 2**24)
    assert together.low < apart.low


def test_p_is_adjusted_for_all_rows_that_are_compared_with_the_same_direct(tmp_path: Path):
    make_run(tmp_path / "direct", "w" * 12)
    make_run(tmp_path / "sft", "r" * 8 + "w" * 4, method="sft")
    make_run(tmp_path / "grpo", "r" * 6 + "w" * 6, method="grpo")
    make_run(tmp_path / "ttrl", "r" * 2 + "w" * 10, method="ttrl")
    make_run(tmp_path / "other", "r" * 6 + "w" * 6, method="grpo", prompt="other")  # nothing to compare it with
    make_run(tmp_path / "mmar-direct", "w" * 12, task="mmar")
    make_run(tmp_path / "mmar", "r" * 6 + "w" * 6, method="grpo", task="mmar")
    rows = {(row.task, row.method, row.prompt): row for row in rows_of(tmp_path)}
    found = {key: (row.p_holm, row.family) for key, row in rows.items()}
    p8, p6, p2 = 2 / 2**8, 2 / 2**6, 2 / 2**2
    assert found["synth_aqa", "sft", "tagged"] == (pytest.approx(3 * p8), 3)
    assert found["synth_aqa", "grpo", "tagged"] == (pytest.approx(2 * p6), 3)
    assert found["synth_aqa", "ttrl", "tagged"] == (pytest.approx(p2), 3)
    assert found["mmar", "grpo", "tagged"] == (pytest.approx(p6), 1), "another table, another family"
    assert found["synth_aqa", "direct", "tagged"] == found["synth_aqa", "grpo", "other"] == (None, None)


def test_why_nothing_was_read_and_how_right_the_rest_is(tmp_path: Path):
    make_run(tmp_path / "a", "rrrwwuunnn")
    (row,) = rows_of(tmp_path)
    assert (row.unparsable, row.untagged, row.not_an_option, row.readable_accuracy) == (50.0, 20.0, 30.0, 60.0)
    cells = cells_of(task_table([row]), 0)
    assert [cells[t] for t in ("right of readable", "unparsable %", "no tags %", "not an option %")] == [
        "60.0", "50.0", "20.0", "30.0",
    ]  # fmt: skip


def test_reasons_that_were_not_recorded_are_not_made_up(tmp_path: Path):
    folder = make_run(tmp_path / "a", "rru")
    text = (folder / "scores.jsonl").read_text()
    (folder / "scores.jsonl").write_text(text.replace('"no tags"', "null"))
    (row,) = rows_of(tmp_path)
    assert (row.untagged, row.not_an_option) == (None, None) and row.unparsable == pytest.approx(100 / 3)


def test_nothing_readable_at_all(tmp_path: Path):
    make_run(tmp_path / "a", "uu")
    make_run(tmp_path / "b", "nn", method="sft")
    direct, sft = sorted(rows_of(tmp_path), key=lambda row: row.method)
    assert direct.readable_accuracy is None and sft.comparison is not None and sft.comparison.low < 0


def test_fates_by_the_confidence_of_the_vote(tmp_path: Path):
    make_run(tmp_path / "direct", "rwwr")
    make_run(tmp_path / "vote", "rrww", method="majority_vote", confidences=[1.0, 0.5, 0.5, 0.1])
    vote, direct = sorted(rows_of(tmp_path), key=lambda row: row.method, reverse=True)
    assert vote.fates == (1.0, 1.0, 1.0, 1.0) and direct.fates is None and direct.fates_by_confidence == ()
    page = task_table([vote, direct])
    assert cells_of(page, 0)["learned / corrupted"] == "1 / 1"
    section = page.split("## By the confidence of the vote")[1].split("\n## ")[0]
    lines = [" ".join(line.replace("|", " ").split()) for line in section.splitlines() if "majority_vote" in line]
    assert lines == [
        "majority_vote 0.0-0.2 1 0 1 0 0",
        "majority_vote 0.4-0.6 2 1 0 0 1",
        "majority_vote 0.8-1.0 1 0 0 1 0",
    ]
    assert "By the confidence" not in task_table([direct])


def test_rows_follow_from_outcomes_without_run_directories(runs: Path):
    """What a committed file of results needs of each run: its summary and its items' outcomes."""
    found, _ = load_runs([runs])
    again = [Run(run.name, run.summary, tuple(Outcome(*outcome) for outcome in run.outcomes)) for run in found]
    assert aggregate(again) == aggregate(found)


@pytest.mark.parametrize("margin", [2.0, 90.0])
def test_the_margin_of_equivalence(runs: Path, margin: float):
    found, _ = load_runs([runs])
    best = aggregate(found, margin)[0]
    assert best.comparison is not None and best.comparison.margin == margin
    shown = cells_of(task_table([best]), 0)["equivalent"]
    assert shown.startswith("no ±2 (" if margin == 2.0 else "yes ±90 (")
