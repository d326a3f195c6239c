"""Ranks: which rows are told apart, which places a row may have, and how often that holds."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.scoring.statistics import Outcome, standings
from audio_eval.scoring.statistics.exact import mcnemar
from audio_eval.scoring.statistics.ranks import Standing, p_values, tie_letters


def run(right: list[bool] | np.ndarray, recordings: int = 0) -> tuple[Outcome, ...]:
    shared = [f"r{i % recordings}" if recordings else None for i in range(len(right))]
    return tuple(Outcome(f"q{i}", bool(one), True, shared[i]) for i, one in enumerate(right))


@settings(max_examples=60)
@given(st.integers(0, 7), st.data())
def test_two_share_a_letter_exactly_where_they_do_not_differ(rows: int, data: st.DataObject) -> None:
    differ = {pair for pair in combinations(range(rows), 2) if data.draw(st.booleans())}
    letters = tie_letters(rows, differ)
    for i, j in combinations(range(rows), 2):
        assert bool(set(letters[i]) & set(letters[j])) == ((i, j) not in differ)
    used = sorted({letter for told in letters for letter in told})
    assert used == [chr(ord("a") + i) for i in range(len(used))] and all(letters)
    groups = [{row for row in range(rows) if letter in letters[row]} for letter in used]
    assert not any(a < b for a in groups for b in groups), "no letter says what another says already"


def test_rows_that_are_far_apart_and_rows_that_are_equal() -> None:
    good, bad = run([True] * 90 + [False] * 10), run([True] * 40 + [False] * 60)
    assert standings([[good], [good], [bad]]) == [Standing(1, 2, "a"), Standing(1, 2, "a"), Standing(3, 3, "b")]
    assert standings([[bad], [good], [good]]) == [Standing(3, 3, "a"), Standing(1, 2, "b"), Standing(1, 2, "b")]
    assert standings([[good]]) == [Standing(1, 1, "a")]


def test_one_run_against_one_is_mcnemar_and_the_family_is_the_row() -> None:
    first, second = run([True] * 30 + [False] * 20), run([True] * 22 + [False] * 28)
    assert p_values([[first], [second]]) == {(0, 1): mcnemar(8, 0)} and mcnemar(8, 0) < 0.01
    assert standings([[first], [second]])[0].worst == 1
    many = [[first], *([[second]] * 12)]
    assert standings(many)[0].worst == 13, "of so many one is better by luck"
    assert {place.tie for place in standings(many)} == {"a"}


def test_shared_recordings_are_less_evidence() -> None:
    first, second = [True] * 40 + [False] * 20, [True] * 32 + [False] * 28
    apart = p_values([[run(first)], [run(second)]])[0, 1]
    # the eight items that differ are of two recordings
    order = np.argsort(np.array(first) == np.array(second), kind="stable")
    together = p_values([[run(np.array(first)[order], 2)], [run(np.array(second)[order], 2)]])[0, 1]
    assert apart < 0.01 < together


@pytest.mark.parametrize("seeds", [1, 5])
def test_the_interval_holds_the_true_place(seeds: int) -> None:
    """Six rows, of which two and two are truly equal: a place is held if the row may stand at any of its equals'."""
    rng, trials, n = np.random.default_rng(20_261_128), 30, 200
    truth = np.array([0.75, 0.68, 0.68, 0.6, 0.6, 0.45])
    held = 0
    for _ in range(trials):
        hard_I = rng.normal(size=n)
        latent = np.sqrt(0.5) * hard_I + np.sqrt(0.5) * rng.normal(size=(6, seeds, n))
        right = latent < np.quantile(rng.normal(size=100_000), truth)[:, None, None]
        found = standings([[run(one) for one in row] for row in right])
        for row, place in enumerate(found):
            above, same = int((truth > truth[row]).sum()), int((truth == truth[row]).sum())
            held += place.best <= above + same and place.worst >= above + 1
    assert held / (6 * trials) >= 0.97
