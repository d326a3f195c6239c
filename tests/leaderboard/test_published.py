"""Published figures: checked when they are read, shown apart from what was measured and by version of the data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard.files import pages
from audio_eval.leaderboard.published import ROUNDING, SIZES, Published, published_tables, read_published
from tests.leaderboard.runs import make_run, rows_of

ROOT = Path(__file__).parents[2]
ROW = {"task": "mmau_test_mini", "version": "v05.15.25", "model": "a", "accuracy": 70.0, "source": "its README"}
PARTS = {"sound": 60.0, "music": 70.0, "speech": 80.0}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_what_is_right_is_read(tmp_path: Path) -> None:
    (row,) = read_published(write(tmp_path / "p.jsonl", {**ROW, "groups": PARTS}))
    assert row == Published(**ROW, groups=PARTS)
    assert row.average == pytest.approx(70.0) and row.remark == ""
    assert read_published(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"accuracy": 100.5}, "accuracy"),
        ({"accuracy": -1}, "accuracy"),
        ({"accuracy": "70"}, "accuracy"),
        ({"accuracy": float("nan")}, "accuracy"),
        ({"groups": {"sound": 170}}, "groups.sound"),
        ({"source": ""}, "source"),
        ({"source": None}, "source"),
        ({"model": ""}, "model"),
        ({"rank": 1}, "rank"),
    ],
)
def test_what_is_wrong_is_named_with_its_record(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    path = write(tmp_path / "p.jsonl", ROW, {**ROW, "model": "b", **change})
    with pytest.raises(UserError, match=f"p.jsonl' is damaged: record 2: {told}"):
        read_published(path)


def test_a_last_line_without_an_end_is_not_dropped(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROW)
    path.write_text(path.read_text() + json.dumps({**ROW, "model": "b"}))
    with pytest.raises(UserError, match="no end of line after its last record"):
        read_published(path)


def test_a_system_cannot_be_there_twice_from_one_source(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", ROW, {**ROW, "model": "A", "accuracy": 71.0})
    with pytest.raises(UserError, match="records 1 and 2 are the same system"):
        read_published(path)
    for other in ({"method": "grpo"}, {"version": "original"}, {"source": "another"}, {"task": "mmar"}):
        assert len(read_published(write(tmp_path / "p.jsonl", ROW, {**ROW, **other}))) == 2


def test_groups_that_do_not_give_the_average_are_remarked() -> None:
    row = Published(**{**ROW, "accuracy": 71.0}, groups=PARTS)
    assert row.remark == "its groups give 70.00" and "its groups give 70.00" in published_tables([row])
    assert Published(**{**ROW, "accuracy": 71.0}, groups={"sound": 60.0}).remark == "", "cannot be computed"
    uneven = Published(
        task="mmsu", model="m", accuracy=57.08, groups={"Perception": 42.37, "Reasoning": 72.76}, source="s"
    )
    assert uneven.remark == "", "weighted by the number of items"


def test_versions_of_the_data_have_tables_of_their_own() -> None:
    rows = [Published(**{**ROW, "model": f"m{i}", "version": version, "accuracy": 60.0 + i})
            for i, version in enumerate(["v05.15.25", "original", None, "v05.15.25"])]  # fmt: skip
    text = published_tables(rows)
    sections = {part.split("\n")[0]: part for part in text.split("### Data version: ")[1:]}
    assert list(sections) == ["not stated", "original", "v05.15.25"]
    assert sections["v05.15.25"].index("m3") < sections["v05.15.25"].index("m0"), "by accuracy"
    assert all(part.count("| reported |") == part.count("its README") for part in sections.values())


def test_they_are_never_ranked_with_what_was_measured(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rw", task="mmau_test_mini")
    others = [Published(**ROW), Published(**{**ROW, "task": "mmar", "version": None})]
    found = pages(rows_of(tmp_path), others)
    of_task = {f"mmau_test_mini.{suffix}" for suffix in ("md", "csv", "tex")}
    assert set(found) == {*of_task, "mmar.md", "all.md", "leaderboard.json", "index.html"}
    measured, reported = found["mmau_test_mini.md"].split("## Reported by others")
    assert "70.00" in reported and "70.00" not in measured and "its README" not in found["mmau_test_mini.csv"]
    assert "[mmar](mmar.md)" in found["all.md"] and "70.0" not in found["all.md"]
    whole = json.loads(found["leaderboard.json"])
    assert [row["task"] for row in whole["rows"]] == ["mmau_test_mini"]
    assert [(row["task"], row["accuracy"]) for row in whole["reported"]] == [("mmau_test_mini", 70.0), ("mmar", 70.0)]


def test_the_figures_of_this_repository_are_sound() -> None:
    rows = read_published(ROOT / "leaderboards" / "published.jsonl")
    assert {row.task for row in rows} == set(SIZES)
    checked = [row for row in rows if row.average is not None]
    assert len(checked) > 100
    off = [row for row in checked if abs((row.average or 0) - row.accuracy) > ROUNDING]
    assert all(row.remark for row in off) and len(off) == 22, "a new one must be looked at"
