"""Results kept with the source: they load into the runs that they were made of, and the pages follow from them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.cli.main import main
from audio_eval.errors import UserError
from audio_eval.leaderboard import Committed, aggregate, load_runs
from audio_eval.leaderboard.committed import LETTERS, Added
from audio_eval.leaderboard.runs import Run
from audio_eval.scoring.statistics import Outcome
from tests.leaderboard.runs import make_run


def test_what_is_added_loads_into_the_same_rows(runs: Path, tmp_path: Path) -> None:
    given, _ = load_runs([runs])
    kept = Committed(tmp_path / "kept")
    assert kept.add(given) == Added(3, 0, 0)
    assert aggregate(kept.runs()) == aggregate([replace(r, outcomes=tuple(sorted(r.outcomes))) for r in _named(given)])
    assert len((tmp_path / "kept" / "items.jsonl").read_text().splitlines()) == 1, "the same items once"


def _named(runs: list[Run]) -> list[Run]:
    """A run as it is kept: the path of its directory is of this machine only."""
    return [replace(run, summary=run.summary.model_copy(update={"run": run.name})) for run in runs]


def test_every_outcome_survives(tmp_path: Path) -> None:
    (run,), _ = load_runs([make_run(tmp_path / "a", "rw")])
    outcomes = tuple(
        Outcome(f"q{i}", correct, parsed, f"recording {i % 2}", unread, i / 7)
        for i, (correct, parsed, unread) in enumerate(LETTERS.values())
    )
    kept = Committed(tmp_path / "kept")
    right = 100 * sum(outcome.correct for outcome in outcomes) / len(outcomes)
    kept.add([replace(run, outcomes=outcomes, summary=run.summary.model_copy(update={"accuracy": right}))])
    (found,) = kept.runs()
    assert [o._replace(confidence=None) for o in found.outcomes] == [o._replace(confidence=None) for o in outcomes]
    assert [o.confidence for o in found.outcomes] == [round(i / 7, 3) for i in range(len(LETTERS))]


def test_hidden_answers_are_kept_without_outcomes(tmp_path: Path) -> None:
    make_run(tmp_path / "a", "rw", task="mmau_test", accuracy=None)
    kept = Committed(tmp_path / "kept")
    kept.add(load_runs([tmp_path / "a"])[0])
    assert kept.runs()[0].outcomes == () and "hidden" in kept.pages()["mmau_test.md"]


def test_a_run_of_the_same_row_and_seed_is_replaced(runs: Path, tmp_path: Path) -> None:
    kept = Committed(tmp_path / "kept")
    kept.add(load_runs([runs])[0])
    better = load_runs([make_run(tmp_path / "again", "rrrrrrrruu")])[0]
    assert kept.add([*load_runs([runs / "ttrl"])[0], *better]) == Added(0, 1, 2)
    assert [row.accuracy for row in aggregate(kept.runs()) if row.method == "direct"] == [80.0]
    assert kept.add(load_runs([make_run(tmp_path / "other", "rrwwu", task="mmar")])[0]) == Added(1, 0, 0)
    with pytest.raises(UserError, match="two runs of one row and seed"):
        kept.add([*better, *load_runs([runs / "direct"])[0]])


def test_adding_twice_and_in_another_order_gives_the_same_files(runs: Path, tmp_path: Path) -> None:
    given, _ = load_runs([runs])
    for name, order in (("a", given), ("b", given[::-1])):
        Committed(tmp_path / name).add(order)
    for path in (tmp_path / "a").rglob("*.jsonl"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("items.jsonl", '"q0"', '"q9"', "were changed"),
        ("results/synth_aqa.jsonl", '"outcomes": "rrrrrwwwtt"', '"outcomes": "rrrrrwwwt"', "do not fit"),
        ("results/synth_aqa.jsonl", '"outcomes": "rrrrrwwwtt"', '"outcomes": "rrrrrwwwtz"', "do not fit"),
        ("results/synth_aqa.jsonl", '"outcomes": "rrrrrwwwtt"', '"outcomes": "rrrrrrwwtt"', "do not give its accuracy"),
        ("results/synth_aqa.jsonl", '"version": 1', '"version": 7', "record 1: version"),
        ("results/synth_aqa.jsonl", "}}\n", "}}", "no end of line"),
        ("results/synth_aqa.jsonl", '"seed": 1', '"seed": "x"', "record 2: result.seed"),
    ],
)
def test_damage_is_named(runs: Path, tmp_path: Path, file: str, old: str, new: str, told: str) -> None:
    Committed(tmp_path).add(load_runs([runs])[0])
    text = (tmp_path / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises(UserError, match=told):
        Committed(tmp_path).runs()


def test_the_command_adds_and_checks(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "kept"
    assert main(["leaderboard", str(runs), "--add-to", str(folder)]) == 0
    assert "3 runs added" in capsys.readouterr().err
    assert main(["leaderboard", "--check", str(folder)]) == 0
    page = folder / "synth_aqa.md"
    right = page.read_text()
    page.write_text(right.replace("65.0", "75.0"))
    assert main(["leaderboard", "--check", str(folder)]) == 1
    told = capsys.readouterr().err
    assert "synth_aqa.md' does not follow from the results" in told and told.count("\n") == 1
    assert main(["leaderboard", "--add-to", str(folder)]) == 0
    assert page.read_text() == right
    (folder / "old.md").write_text("")
    assert main(["leaderboard", "--check", str(folder)]) == 1
    assert "old.md" in capsys.readouterr().err


def test_mistakes_are_one_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Committed(tmp_path / "kept").add(load_runs([runs])[0])
    for args, told in (
        ([], "give run directories"),
        (["--check", str(tmp_path / "nowhere")], "no folder"),
        ([str(runs), "-o", str(tmp_path / "kept")], "--add-to"),
        ([str(runs), "--check", str(tmp_path / "kept")], "no run directories"),
        (["--add-to", str(tmp_path / "kept"), "--margin", "3"], "--margin is for -o"),
    ):
        assert main(["leaderboard", *args]) == 1
        err = capsys.readouterr().err
        assert told in err and err.count("\n") == 1


def test_the_pages_of_this_repository_follow_from_its_results() -> None:
    assert Committed(Path(__file__).parents[2] / "leaderboards").stale() is None


def test_lines_are_readable_by_a_script(runs: Path, tmp_path: Path) -> None:
    Committed(tmp_path).add(load_runs([runs])[0])
    lines = [json.loads(line) for line in (tmp_path / "results" / "synth_aqa.jsonl").read_text().splitlines()]
    assert [(line["result"]["method"], line["outcomes"]) for line in lines] == [
        ("aqa_ttrl", "rrrrrwwwrr"), ("aqa_ttrl", "rrrrrrwwwt"), ("direct", "rrrrrwwwtt"),
    ]  # fmt: skip
