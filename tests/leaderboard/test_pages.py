"""Columns and the formats that show them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import all_table, columns, task_table, terminal_table, write
from audio_eval.leaderboard.cells import cell, plain
from audio_eval.leaderboard.columns import Column
from tests.leaderboard.runs import cells_of, make_run, rows_of


def test_task_table(runs: Path):
    table = task_table(rows_of(runs))
    best, direct = cells_of(table, 0), cells_of(table, 1)
    assert best["music"] == "60.0" and best["avg"] == "50.0" and best["n"] == "10"
    assert best["accuracy [95 % CI]"].startswith("65.0 [")
    assert best["Δ direct"].startswith("+15.0 [") and 0 < float(best["p"]) <= float(best["p (Holm)"]) <= 1
    assert best["Δ from unparsable / wrong"] == "+10.0 / +5.0"
    assert best["official"] == "66.7 (n 9)" and best["samples"] == "12,800" and best["notes"] == "transductive"
    assert direct["accuracy [95 % CI]"] == "50.0 [23.7, 76.3]"
    assert (
        direct["Δ direct"] == "baseline" and direct["Δ from unparsable / wrong"] == "—" and direct["time"] == "12.3 s"
    )
    for part in (
        "Wilson",
        "McNemar",
        "choice-v1",
        "tagged",
        "abc123",
        "the demo's",
        "seeds 0, 1",
        "rev9",
        f"adapter {'f' * 12}",
    ):
        assert part in table, part
    assert "f" * 13 not in table


def test_further_metrics_are_columns_with_a_legend(tmp_path: Path):
    metrics = {"length_adjusted_win_rate": {"value": 51.25, "n": 1}, "own": {"value": 3.0, "n": 2}}
    make_run(tmp_path / "a", "rw", metrics={**metrics, "bleu": {"value": None, "n": 0}})
    table = task_table(rows_of(tmp_path))
    cells = cells_of(table, 0)
    assert (cells["length_adjusted_win_rate"], cells["own"]) == ("51.2 (n 1)", "3.0") and "bleu" not in cells
    assert "not AlpacaEval's LC win rate" in table and "- own: a further figure, 0 to 100." in table


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
    cells = cells_of(task_table([mmau, also]), 0)
    assert cells["accuracy [95 % CI]"] == cells["music"] == cells["avg"] == "hidden"
    assert cells["n"] == "2" and "Δ direct" not in cells
    table = all_table({"mmau_test": [mmau, also], "synth_aqa": [synth]})
    expected = {"method": "direct", "mmau_test": "hidden", "synth_aqa": "50.0", "mean": "50.0", "notes": "—"}
    assert cells_of(table, 0) == expected


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
    lines = {(cells := cells_of(all_table(by_task), number))["method"]: cells for number in range(3)}
    assert (lines["direct"]["mean"], lines["sft"]["mean"], lines["sft"]["mmar"]) == ("62.5", "—", "—")
    assert lines["aqa_ttrl"]["mean"] == "—"
    assert lines["aqa_ttrl"]["mmar"] == "100.0 / 75.0" and lines["aqa_ttrl"]["synth_aqa"] == "100.0 (n 2)"


@pytest.mark.parametrize(
    ("trained_on", "tag"),
    [("synth_aqa:train", "trained on synth_aqa:train"), ("synth_aqa", "trained on the test labels"), (None, None)],
)
def test_what_it_was_trained_on_is_a_tag(tmp_path: Path, trained_on: str | None, tag: str | None):
    make_run(tmp_path / "a", "rw", method="sft", trained_on=trained_on)
    assert cells_of(task_table(rows_of(tmp_path)), 0).get("notes") == tag


def test_an_audio_ablation_is_compared_with_the_direct_that_hears(tmp_path: Path):
    arm: dict[str, Any] = {"audio": "silence", "tags": ["audio: silence"]}
    make_run(tmp_path / "silent", "rwwwww", **arm)
    alone = rows_of(tmp_path)
    assert "Δ direct" not in cells_of(task_table(alone), 0), "no baseline, and not one itself"
    make_run(tmp_path / "voted", "rrrwww", method="majority_vote", **arm)
    make_run(tmp_path / "heard", "rrww", audio=None)
    rows = {(row.method, row.tags): row for row in rows_of(tmp_path)}
    silent = rows["direct", ("audio: silence",)]
    assert silent.comparison is not None and silent.comparison.difference == -25.0, "on the four items of both"
    voted = rows["majority_vote", ("audio: silence",)].comparison
    assert voted is not None and (voted.n, voted.difference) == (4, 25.0), "not with the silent direct, of more items"
    table = task_table(list(rows.values()))
    assert cells_of(table, [*rows].index(("direct", ())))["Δ direct"] == "baseline"
    assert table.count(" baseline |") == 1 and "compared with the `direct` that hears them" in " ".join(table.split())
    assert table.count("direct, silence") == 3, "in the table, the sources and the breakdown"
    assert "audio ablation" not in task_table([rows["direct", ()]])
    assert "audio: silence" in terminal_table(list(rows.values())) and "audio: silence" in all_table({"x": alone})


def test_names_cannot_break_a_table(tmp_path: Path):
    evil = "a|b`c\nd\x1b[31me\x1b]8;;http://x\x07f\u202eg\u200b<img src=x>[l](u)\\h\x9b\r\u2028i"
    make_run(tmp_path / "a", "rw", model=evil, tags=[evil], note=evil, prompt=evil, adapter_sha256=evil)
    table = task_table(rows_of(tmp_path))
    assert cell(evil) == "a\\|b\\`c defg&lt;img src=x&gt;[l\\](u)\\\\h i"
    assert table.count("\n") == task_table(rows_of(make_run(tmp_path / "b", "rw", tags=["m"], note="fine"))).count("\n")
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
    files = {"synth_aqa.md", "synth_aqa.csv", "synth_aqa.tex", "all.md", "leaderboard.json", "index.html"}
    assert files < set(first) and len(first) == 3 * 3 + 3
    assert first["all.md"].startswith(b"# All tasks\n")


def test_write_errors(runs: Path, tmp_path: Path):
    with pytest.raises(UserError, match="no finished run"):
        write([], tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write(rows_of(runs), tmp_path / "file")


def test_the_terminal_has_a_headed_table_per_task_and_one_legend(runs: Path):
    make_run(runs / "mmar", "rw", task="mmar")
    text = terminal_table(rows_of(runs))
    assert text.startswith("mmar, tiny-omni\n\nmethod ") and "\n\nsynth_aqa, tiny-omni\n\nmethod " in text
    assert "+15.0 [" in text and text.count("\nsamples: completions sampled or scored per run") == 1


def test_the_terminal_table_fits_and_breaks_long_texts(runs: Path):
    make_run(runs / "x", "rrrrrrrwww", method="majority_vote", settings={"votes_per_view": 8}, samples=1_234_567)
    make_run(runs / "y", "rrrrrrwwww", method="majority_vote", tags=["transductive", "trained on synth_aqa:train"])
    text = terminal_table(rows_of(runs))
    assert max(map(len, text.splitlines())) <= 120
    assert re.search(r"^majority_vote, .*\nvotes_per_view=8\s*$", text, re.MULTILINE)


def test_a_new_column_is_one_place(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    price = Column(
        "price", "price ct", "what a run costs.", lambda row: row.n / 4, lambda row: f"{row.n / 4} ct", terminal=True
    )
    monkeypatch.setattr(columns, "COLUMNS", [*columns.COLUMNS, price])
    rows = rows_of(runs)
    write(rows, tmp_path / "out")
    page = (tmp_path / "out" / "synth_aqa.md").read_text()
    assert cells_of(task_table(rows), 0)["price ct"] == "2.5 ct" and "- price ct: what a run costs." in page
    assert [row["price"] for row in csv_rows(tmp_path / "out" / "synth_aqa.csv")] == ["2.5", "2.5"]
    found = json.loads((tmp_path / "out" / "leaderboard.json").read_text())
    assert {"key": "price", "title": "price ct", "legend": "what a run costs."} in found["columns"]
    assert [row["price"] for row in found["rows"]] == [2.5, 2.5]
    assert "2.5 ct" in terminal_table(rows) and "price ct: what a run costs." in terminal_table(rows)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_csv_and_json_have_every_value_unrounded(runs: Path, tmp_path: Path):
    make_run(runs / "views", "rrw", method="majority_vote", settings={"views": "a+b", "votes": 8})
    rows = rows_of(runs)
    write(rows, tmp_path)
    found = json.loads((tmp_path / "leaderboard.json").read_text())["rows"]
    lines = csv_rows(tmp_path / "synth_aqa.csv")
    by_label = {row["label"]: row for row in found}
    assert by_label["aqa_ttrl"]["runs"] == ["s0", "s1"] and by_label["aqa_ttrl"]["seeds"] == [0, 1]
    assert by_label["aqa_ttrl"]["difference"] == pytest.approx(15) and by_label["direct"]["difference"] is None
    assert by_label["majority_vote"]["settings"] == {"views": "a+b", "votes": 8}
    assert by_label["majority_vote"]["accuracy"] == pytest.approx(200 / 3)
    for row, line in zip(found, lines, strict=True):
        assert row.keys() == line.keys()
        assert float(line["accuracy"]) == row["accuracy"] and float(line["group/music"]) == 60.0
    assert {line["label"]: line["settings"] for line in lines}["majority_vote"] == "views=a+b; votes=8"
    assert len({row["label"] for row in found}) == len(found)


def test_no_text_is_a_formula_in_a_spreadsheet(tmp_path: Path):
    make_run(tmp_path / "a", "rw", model='=HYPERLINK("x")', note="@SUM(A1)", prompt="-1+2", tags=["+x"])
    (line,) = csv_rows(write(rows_of(tmp_path), tmp_path / "out")[1])
    assert (line["model"], line["prompt"], line["tags"]) == ('\'=HYPERLINK("x")', "'-1+2", "'+x")


def test_importing_the_leaderboard_is_light():
    code = "import sys, audio_eval; before = set(sys.modules)"
    code += "; import audio_eval.leaderboard, audio_eval.scoring.statistics"
    code += "; print(*{'scipy', 'torch', 'transformers', 'datasets', 'lm_eval'} & (set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_no_p_value_is_zero(tmp_path: Path):
    make_run(tmp_path / "direct", "w" * 1500)
    make_run(tmp_path / "sft", "r" * 1500, method="sft")
    rows = rows_of(tmp_path)
    cells = cells_of(task_table(rows), 0)
    assert (cells["p"], cells["p (Holm)"]) == ("&lt;0.001", "&lt;0.001")
    found = json.loads(write(rows, tmp_path / "out")[-2].read_text())["rows"][0]
    assert 0 < found["p_value"] <= found["p_holm"] < 1e-300 and found["difference"] == found["difference_high"] == 100.0
    assert found["difference_low"] < 100.0 and found["accuracy_low"] < 100.0
