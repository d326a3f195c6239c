from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import aggregate, all_table, load_runs, task_table, terminal_table, write
from audio_eval.leaderboard.cells import cell, plain

STATES = {"r": ("correct", 0), "w": ("wrong", 1), "u": ("wrong", None)}


def make_run(folder: Path, states: str, ids: list[int] | None = None, **changes: Any) -> Path:
    """A run directory with one item a letter: right, wrong option, unparsable."""
    folder.mkdir(parents=True)
    n, right, lost = len(states), states.count("r"), states.count("u")
    block: dict[str, Any] = {
        "model": "tiny-omni",
        "method": "direct",
        "task": "synth_aqa",
        "seed": 0,
        "accuracy": 100.0 * right / n,
        "n": n,
        "unparsable": 100.0 * lost / n,
        "unparsable_n": lost,
        "official": None,
        "groups": {"task": {"music": {"accuracy": 60.0, "n": 1}, "sound": {"accuracy": 40.0, "n": 1}}},
        "samples": n,
        "wall_s": 12.34,
        "tags": [],
        "trained_on": None,
        "prompt": "tagged",
        "scorer": "choice-v1",
        "data_revision": "abc123",
        "model_revision": "rev9",
        "adapter_sha256": None,
        "note": None,
    }
    block.update(changes)
    result = {"results": {block["task"]: {"acc,none": right / n}}, "audio_eval": block}
    (folder / "result.json").write_text(json.dumps(result))
    if block["accuracy"] is not None:
        lines = []
        for number, state in zip(ids or range(n), states, strict=True):
            outcome, choice = STATES[state]
            lines.append(
                json.dumps({"id": f"q{number}", "outcome": outcome, "answered": choice is not None, "groups": {}})
            )
        (folder / "scores.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """direct (50 %, 20 % unparsable) and two seeds of aqa_ttrl (70 % and 60 %)."""
    make_run(tmp_path / "direct", "rrrrrwwwuu")
    common: dict[str, Any] = {"method": "aqa_ttrl", "tags": ["transductive"], "samples": 12800}
    make_run(tmp_path / "ttrl" / "s0", "rrrrrwwwrr", adapter_sha256="f" * 64, **common)
    official = {"rule": "mmsu", "accuracy": 66.7, "n": 9}
    make_run(tmp_path / "ttrl" / "s1", "rrrrrrwwwu", seed=1, adapter_sha256="e" * 64, official=official, **common)
    return tmp_path


def rows_of(*paths: Path):
    found, skipped = load_runs(paths)
    assert skipped == []
    return aggregate(found)


def columns(table: str, number: int) -> dict[str, str]:
    lines = [[part.strip() for part in line.strip("|").split(" | ")] for line in table.splitlines()[:20]]
    return dict(zip(lines[0], lines[2 + number], strict=True))


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


def test_task_table(runs: Path):
    table = task_table(rows_of(runs))
    best, direct = columns(table, 0), columns(table, 1)
    assert best["music"] == "60.0" and best["avg"] == "50.0" and best["n"] == "10"
    assert best["accuracy [95 % CI]"].startswith("65.0 [")
    assert best["Δ direct"].startswith("+15.0 [") and " p=" in best["Δ direct"]
    assert best["format / answers"] == "+10.0 / +5.0"
    assert best["official"] == "66.7 (n 9)" and best["samples"] == "12,800" and best["tags"] == "transductive"
    assert direct["accuracy [95 % CI]"] == "50.0 [23.7, 76.3]"
    assert direct["Δ direct"] == "baseline" and direct["format / answers"] == "—" and direct["time"] == "12.3 s"
    for part in ("Wilson", "McNemar", "choice-v1", "tagged", "abc123", "the demo's", "seeds 0, 1", "rev9", "f" * 12):
        assert part in table, part
    assert "f" * 13 not in table


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
        ("result.json", '{"results": ', "cannot be read"),
        ("result.json", "[]", "no 'audio_eval' part"),
        ("result.json", '{"audio_eval": {"model": "m"}}', "method"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true}\n{"id"', "line 2 is damaged"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true}\n', "1 items"),
        ("scores.jsonl", '{"id": "q0", "outcome": "correct", "answered": true}\n' * 10, "twice"),
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
    assert "scores.jsonl is missing" in skipped[3]


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
    assert columns(task_table([vote]), 0)["Δ direct"] == "—"


def test_other_items_compare_on_the_common_ones(tmp_path: Path):
    make_run(tmp_path / "direct", "rwww")
    make_run(tmp_path / "vote", "rr", ids=[1, 0], method="majority_vote")
    make_run(tmp_path / "sft", "rr", ids=[8, 9], method="sft")
    by_method = {row.method: row for row in rows_of(tmp_path)}
    assert by_method["sft"].comparison is None
    assert by_method["majority_vote"].comparison.n == 2
    make_run(tmp_path / "more", "rrrr", ids=[0, 1, 8, 9], method="aqa_ttrl")
    assert columns(task_table(rows_of(tmp_path)[:1]), 0)["Δ direct"].endswith("n=2")


def test_hidden_answers(tmp_path: Path):
    hidden: dict[str, Any] = {
        "task": "mmau_test",
        "accuracy": None,
        "groups": {"task": {"music": {"accuracy": None, "n": 2}}},
    }
    make_run(tmp_path / "a", "rw", **hidden)
    make_run(tmp_path / "b", "rw", method="majority_vote", **hidden)
    make_run(tmp_path / "c", "rw")
    mmau, also, synth = rows_of(tmp_path)
    cells = columns(task_table([mmau, also]), 0)
    assert cells["accuracy [95 % CI]"] == cells["music"] == cells["avg"] == "hidden"
    assert cells["n"] == "2" and cells["Δ direct"] == "—"
    table = all_table({"mmau_test": [mmau, also], "synth_aqa": [synth]})
    assert columns(table, 0) | {"tags": ""} == {
        "model": "tiny-omni",
        "method": "direct",
        "mmau_test": "hidden",
        "synth_aqa": "50.0",
        "mean": "50.0",
        "tags": "",
    }


def test_all_table_has_no_mean_over_what_cannot_be_compared(tmp_path: Path):
    make_run(tmp_path / "a", "rrrw")
    make_run(tmp_path / "b", "rrww", task="mmar")
    make_run(tmp_path / "c", "rrrr", method="sft")
    make_run(tmp_path / "d", "rr", method="aqa_ttrl")
    make_run(tmp_path / "e", "rrrr", task="mmar", method="aqa_ttrl")
    make_run(tmp_path / "f", "rrrw", task="mmar", method="aqa_ttrl", prompt="other")
    by_task: dict[str, list] = {}
    for row in rows_of(tmp_path):
        by_task.setdefault(row.task, []).append(row)
    lines = {(cells := columns(all_table(by_task), number))["method"]: cells for number in range(3)}
    assert (lines["direct"]["mean"], lines["sft"]["mean"], lines["sft"]["mmar"]) == ("62.5", "—", "—")
    assert lines["aqa_ttrl"]["mean"] == "—"
    assert lines["aqa_ttrl"]["mmar"] == "100.0 / 75.0" and lines["aqa_ttrl"]["synth_aqa"] == "100.0 (n 2)"


@pytest.mark.parametrize(
    ("trained_on", "tag"),
    [("synth_aqa:train", "trained on synth_aqa:train"), ("synth_aqa", "trained on the test labels"), (None, "—")],
)
def test_what_it_was_trained_on_is_a_tag(tmp_path: Path, trained_on: str | None, tag: str):
    make_run(tmp_path / "a", "rw", method="sft", trained_on=trained_on)
    assert columns(task_table(rows_of(tmp_path)), 0)["tags"] == tag


def test_a_control_arm_is_compared_with_the_direct_that_hears(tmp_path: Path):
    arm: dict[str, Any] = {"audio": "silence", "tags": ["audio: silence"]}
    make_run(tmp_path / "silent", "rwwwww", **arm)
    alone = rows_of(tmp_path)
    assert columns(task_table(alone), 0)["Δ direct"] == "—", "no baseline, and not one itself"
    make_run(tmp_path / "voted", "rrrwww", method="majority_vote", **arm)
    make_run(tmp_path / "heard", "rrww", audio=None)
    rows = {(row.method, row.tags): row for row in rows_of(tmp_path)}
    silent = rows["direct", ("audio: silence",)]
    assert silent.comparison is not None and silent.comparison.difference == -25.0, "on the four items of both"
    voted = rows["majority_vote", ("audio: silence",)].comparison
    assert voted is not None and (voted.n, voted.difference) == (4, 25.0), "not with the silent direct, of more items"
    table = task_table(list(rows.values()))
    assert columns(table, [*rows].index(("direct", ())))["Δ direct"] == "baseline"
    assert table.count("baseline") == 1 and "It is compared with the `direct` that hears them" in table
    assert "tiny-omni direct (audio: silence)" in table, "the breakdown's column"
    assert "control arm" not in task_table([rows["direct", ()]])
    assert "audio: silence" in terminal_table(list(rows.values())) and "audio: silence" in all_table({"x": alone})


def test_names_cannot_break_a_table(tmp_path: Path):
    evil = "a|b`c\nd\x1b[31me\x1b]8;;http://x\x07f\u202eg\u200b<img src=x>[l](u)\\h\x9b\r\u2028i"
    make_run(tmp_path / "a", "rw", model=evil, tags=[evil], note=evil, prompt=evil, adapter_sha256=evil)
    table = task_table(rows_of(tmp_path))
    assert cell(evil) == "a\\|b\\`c defg&lt;img src=x&gt;\\[l\\](u)\\\\h i"
    assert table.count("\n") == task_table(rows_of(make_run(tmp_path / "b", "rw", model="m", note="fine"))).count("\n")
    for text in (table, terminal_table(rows_of(tmp_path / "a")), all_table({evil: rows_of(tmp_path / "a")})):
        assert not any(char in text for char in "\x1b\x07\x9b\r\u202e\u200b\u2028")
    assert plain(evil) == "a|b`c defg<img src=x>[l](u)\\h i"


def test_write_twice_is_byte_identical_and_leaves_no_temporary_file(runs: Path, tmp_path: Path):
    make_run(runs / "evil", "rw", task="../../up")
    make_run(runs / "named_all", "rw", task="all")
    folders = sorted(runs.iterdir(), reverse=True)
    first = {path.name: path.read_bytes() for path in write(rows_of(runs), tmp_path / "out")}
    second = {path.name: path.read_bytes() for path in write(rows_of(*folders), tmp_path / "out")}
    assert first == second
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(first)
    assert {"synth_aqa.md", "all.md"} < set(first) and len(first) == 4
    assert first["all.md"].startswith(b"# All tasks\n")


def test_write_errors(runs: Path, tmp_path: Path):
    with pytest.raises(UserError, match="no finished run"):
        write([], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write(rows_of(runs), tmp_path / "file")


def test_terminal_table_names_the_task_only_where_it_differs(runs: Path):
    assert terminal_table(rows_of(runs)).split()[0] == "model"
    make_run(runs / "mmar", "rw", task="mmar")
    text = terminal_table(rows_of(runs))
    assert text.split()[0] == "task" and "+15.0 [" in text and "mmar" in text


def test_importing_the_leaderboard_is_light():
    code = "import sys, audio_eval; before = set(sys.modules)"
    code += "; import audio_eval.leaderboard, audio_eval.scoring.statistics"
    code += "; print(*{'numpy', 'scipy', 'torch', 'transformers', 'pydantic'} & (set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
