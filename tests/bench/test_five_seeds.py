"""The results page: one commit, equal seeds for what is compared, and names that mean what they say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from audio_eval.errors import UserError
from audio_eval.leaderboard import Committed, aggregate
from audio_eval.leaderboard.labels import Facts, labels
from audio_eval.registry import method_class
from audio_eval.runlog import RunLog
from audio_eval.runlog.records import CurvePoint, StepRecord
from audio_eval.runs.result import settings, tags
from tests.leaderboard.runs import make_run

five_seeds, results_data, results_page, variants = map(
    importlib.import_module, ("five_seeds", "results_data", "results_page", "variants")
)
ROOT = Path(__file__).parents[2]
ASKED = {name: [variant.name for variant in part.variants] for name, part in five_seeds.PARTS.items()}


def run_at(folder: Path, commit: str | None, states: str = "rw", **changes: Any) -> Path:
    """A run directory that began at a commit."""
    make_run(folder, states, **changes)
    env = {"started": "", "command": [], "python": "3", "platform": "", "packages": {"torch": "2", "transformers": "5"}}
    (folder / "env.json").write_text(json.dumps({**env, "commit": commit, "device": "cpu", "threads": 1}))
    return folder


@pytest.mark.parametrize(
    ("commits", "now", "told"),
    [
        (["a", "a"], "a", None),
        (["a", "a"], "", None),
        ([], "a", None),
        (["a", "b"], "", "not of one commit"),
        (["a", "a"], "b", "the working tree is at b, '.*0' is at a"),
        (["a-dirty"], "", "'.*0' is at a-dirty.*Commit first"),
        ([None], "", "at no commit"),
        ([], "a-dirty", "the working tree is at a-dirty"),
        ([], None, "the working tree is at no commit"),
    ],
)
def test_runs_of_several_commits_or_of_changed_code_are_refused(
    tmp_path: Path, commits: list[str | None], now: str | None, told: str | None
) -> None:
    folders = [run_at(tmp_path / str(number), commit) for number, commit in enumerate(commits)]
    if told is None:
        assert variants.one_commit(folders, now) == "a"
    else:
        with pytest.raises(UserError, match=told):
            variants.one_commit(folders, now)


def test_the_names_of_rows_are_those_of_the_leaderboard() -> None:
    """README, comparisons and list of what is missing go by name."""
    facts, names = [], []
    for part in results_page.TABLE:
        for variant in five_seeds.PARTS[part].variants:
            spec = variants.spec_of(variant, "synth_aqa", 0)
            method = method_class(spec.method)(method_class(spec.method).Config(**spec.method_args), 0)
            facts.append(Facts("tiny-omni", spec.method, settings(spec, method), tuple(tags(spec, method)), {}, {}))
            names.append(variant.name)
    shown = dict(zip(names, labels(facts), strict=True))
    assert shown.pop("sari, chains=none, format=answer") == "sari", "its settings tell no row from another"
    assert shown == {name: name for name in shown}
    assert set(results_page.README_ROWS) <= set(shown) and len(results_page.README_ROWS) == 6


def test_every_comparison_that_the_page_promises_is_of_rows_that_are_run() -> None:
    measured = {name for part, names in ASKED.items() if part != "open" for name in names}
    pairs = [*results_page.METHODS, *results_page._of_views(ASKED), *results_page._of_parts(ASKED)]
    assert {name for pair in pairs for name in pair} <= measured
    kinds = {"choices", "shift", "gain", "paraphrase", "noise", "resample"}
    assert {f"majority_vote, views={kind}" for kind in kinds} <= measured
    assert {f"view_ttrl, {part}" for part in ("answer_views=1", "anchor=false", "views=none")} <= measured


def test_a_row_without_a_run_of_every_seed_is_in_no_table(tmp_path: Path) -> None:
    done = []
    for seed in (0, 1):
        states = ("rrrrww", "rrwwuu")
        for name, method in (("direct", "direct"), ("majority_vote", "majority_vote"), ("sft", "sft")):
            if (name, seed) == ("sft", 1):
                continue
            folder = tmp_path / f"{name}{seed}"
            run_at(folder, "a", states[0] if name == "majority_vote" else states[1], method=method, seed=seed)
            done.append(variants.Done("main", name, seed, folder))
    (tmp_path / "README.md").write_text("before\n<!-- five-seeds: x -->\nold\n<!-- /five-seeds -->\nafter\n")
    summary = results_page.write(done, ASKED, [0, 1], tmp_path, "test", 2)
    page = (tmp_path / "docs" / "results.md").read_text()
    assert summary["commit"] == "a" and "at commit a with" in page
    assert "- main: " in page and "sft (1 of 2 seeds)" in page and "view_ttrl (0 of 2 seeds)" in page
    table = page.split("Model: tiny-omni")[0]
    assert "| majority_vote " in table and "| sft " not in table
    readme = (tmp_path / "README.md").read_text()
    assert "| majority_vote | 66.7 [" in readme.replace("  ", "") and "old" not in readme and readme.endswith("after\n")
    kept = Committed(tmp_path / "leaderboards")
    assert [row.label for row in aggregate(kept.runs())] == ["majority_vote", "direct"] and kept.stale() is None
    assert {run.commit for run in kept.runs()} == {"a"}
    with pytest.raises(SystemExit, match="no row of the main table"):
        results_page.write(done, ASKED, [0, 1, 2], tmp_path, "test", 2)


def test_a_curve_is_the_mean_of_its_points_over_the_seeds(tmp_path: Path) -> None:
    done = []
    for seed, accuracies in enumerate(((50.0, 70.0), (60.0, 80.0))):
        log = RunLog(run_at(tmp_path / str(seed), "a", seed=seed))
        log.curve.append(
            [CurvePoint(step=i, accuracy=a, unparsable=5.0, outcomes="rw") for i, a in enumerate(accuracies)]
        )
        log.steps.append([StepRecord(step=1, reward=0.25 + seed)])
        done.append(variants.Done("main", "sft", seed, log.folder))
    assert dict(results_data.Variants(done, [0, 1]).curve("sft")) == {
        0: {"accuracy": 55.0, "unparsable": 5.0},
        1: {"step": 1.0, "reward": 0.75, "accuracy": 75.0, "unparsable": 5.0},
    }


@pytest.mark.slow
def test_it_runs_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    part = five_seeds.Part("synth_aqa", [variants.Variant("direct"), variants.Variant("sft")])
    works = [variants.Work("main", part.task, seed, part.variants) for seed in (0, 1)]
    done = variants.run_all(works, tmp_path / "runs", "quick", 1)
    assert [(run.variant, run.seed) for run in done] == [("direct", 0), ("sft", 0), ("direct", 1), ("sft", 1)]
    written = {run.folder: (run.folder / "result.json").stat().st_mtime_ns for run in done}
    assert variants.failed(works, done, "quick") is None
    again = variants.run_all(works, tmp_path / "runs", "quick", 1)
    assert again == done and {f: (f / "result.json").stat().st_mtime_ns for f in written} == written
    results_page.write(done, ASKED, [0, 1], tmp_path, "test", 1)
    page = (tmp_path / "docs" / "results.md").read_text()
    assert "| sft " in page and "## Labels" in page and "right %, same items" in page
    assert '"p_value": 0.0,' not in (tmp_path / "leaderboards" / "leaderboard.json").read_text()


def test_a_run_that_fails_is_named_and_the_others_go_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    works = [
        variants.Work("main", "synth_aqa", 0, [variants.Variant("sft", "labels=gold"), variants.Variant("direct")])
    ]
    done = variants.run_all(works, tmp_path, "quick", 1)
    assert [run.variant for run in done] == ["direct"]
    assert (
        "main, seed 0: sft, gold labels: FAILED, UserError: method 'sft' learns from labels" in capfd.readouterr().err
    )
    assert variants.failed(works, done, "quick") == "1 runs failed: they are named above."


def test_the_table_of_the_readme_follows_from_the_kept_results() -> None:
    runs = [run for run in Committed(ROOT / "leaderboards").runs() if run.summary.task == "synth_aqa"]
    if not runs:
        pytest.skip("no run of synth_aqa is kept yet")
    inside = (ROOT / "README.md").read_text().split("<!-- five-seeds:")[1].split("<!-- /five-seeds -->")[0]
    assert results_page.readme_table(aggregate(runs)) in inside
