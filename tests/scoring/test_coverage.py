"""The intervals hold the true value as often as they say: a small part of bench/interval_coverage.py, fixed seeds."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

TRIALS = 600  # standard error of a coverage of 95 %: 0.9 points


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    """bench/interval_coverage.py, which is no part of a package."""
    path = Path(__file__).parents[2] / "bench" / "interval_coverage.py"
    spec = importlib.util.spec_from_file_location("bench_coverage", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bench_coverage"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("part", "name"),
    [
        *(("accuracy", f"5 seeds, SD {deviation}") for deviation in (0.0, 1.6, 3.0, 6.0)),
        ("accuracy", "1 seed, 3 items a recording"),
        ("accuracy", "1 seed, near 99 %"),
        *(("difference", f"5 seeds, SD {deviation}, against greedy") for deviation in (0.0, 6.0)),
        ("difference", "1 seed against greedy, 3 items a recording"),
        ("difference", "5 seeds against 5, SD 6.0 each"),
        ("difference", "1 seed, 99 to 99.5 %"),
        ("difference", "1 seed, 98 to 98 %"),
    ],
)
def test_coverage(coverage: ModuleType, part: str, name: str) -> None:
    case = next(case for case in coverage.cases() if (case.part, case.name) == (part, name))
    found = coverage.simulate(case, TRIALS, seed=11)
    assert 92.5 <= found.coverage <= 98.0
    assert found.empty == 0


def test_two_seeds_cover_at_the_cost_of_width(coverage: ModuleType) -> None:
    cases = {case.name: case for case in coverage.cases() if case.part == "accuracy"}
    two, five = (coverage.simulate(cases[f"{seeds} seeds, SD 3.0"], TRIALS, seed=3) for seeds in (2, 5))
    assert two.coverage >= 93 and two.width > 2 * five.width


def test_the_simulation_tells_an_interval_of_items_alone(coverage: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interval that takes the seeds' mean for one run covers far less: the test above can fail."""
    whole = coverage.share_interval
    monkeypatch.setattr(coverage, "share_interval", lambda right, clusters: whole(right[:1], clusters))
    case = next(case for case in coverage.cases() if case.name == "2 seeds, SD 6.0" and case.part == "accuracy")
    assert coverage.simulate(case, TRIALS, seed=5).coverage < 60
