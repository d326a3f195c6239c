from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.scoring.statistics import Outcome, accuracy_interval, compare, wilson_interval

STATES = {"r": (True, True), "w": (False, True), "u": (False, False)}


def run(states: str, prefix: str = "q") -> list[Outcome]:
    """One outcome a letter: right, wrong option, unparsable."""
    return [Outcome(f"{prefix}{number}", *STATES[state]) for number, state in enumerate(states)]


def test_wilson_of_50_in_100():
    # centre 0.5, half width z / (1 + z^2/n) * sqrt(0.25/n + z^2/(4 n^2)) with z = 1.959964
    low, high = wilson_interval(50, 100)
    assert low == pytest.approx(40.3832, abs=1e-4)
    assert high == pytest.approx(59.6168, abs=1e-4)


def test_wilson_at_the_ends():
    assert wilson_interval(0, 0) == (0.0, 100.0)
    assert wilson_interval(0, 10).low == 0.0
    assert wilson_interval(0, 10).high == pytest.approx(27.7533, abs=1e-4)  # z^2 / (n + z^2)
    assert wilson_interval(10, 10).high == pytest.approx(100.0)


def test_mcnemar_with_3_against_12():
    result = compare([run("r" * 3 + "w" * 12 + "r" * 85)], [run("w" * 3 + "r" * 12 + "r" * 85)])
    assert (result.b, result.c, result.n) == (3, 12, 100)
    assert result.difference == pytest.approx(9.0)
    assert result.p_value == pytest.approx(2 * sum(comb(15, k) for k in range(4)) / 2**15)  # 0.03516
    # Standard error of the mean of 12 (+1), 3 (-1), 85 (0): sqrt(0.15 - 0.09^2) / 10 = 3.767 points.
    assert result.low == pytest.approx(9.0 - 1.96 * 3.767, abs=1.0)
    assert result.high == pytest.approx(9.0 + 1.96 * 3.767, abs=1.0)


def test_no_discordant_pair():
    result = compare([run("rrww")], [run("rrww")])
    assert (result.difference, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_split_of_the_gain_by_hand():
    #  before u u w w w r r r r w     after r u r r u u w r r w
    result = compare([run("uuwwwrrrrw")], [run("rurruuwrrw")])
    assert result.format_gain == pytest.approx(10.0 * (1 - 1))
    assert result.answer_gain == pytest.approx(10.0 * (2 - 1))
    assert result.difference == pytest.approx(10.0)


def test_items_are_paired_by_id_not_by_position():
    before, after = run("rwuwr"), run("rrrwr")
    expected = compare([before], [after])
    assert compare([before], [after[::-1]]) == expected
    assert (expected.b, expected.c) == (0, 2)


def test_only_common_items_count():
    result = compare([run("rrrrr")], [run("ww")])
    assert (result.n, result.difference) == (2, -100.0)


def test_disjoint_and_repeated_items_are_errors():
    with pytest.raises(ValueError, match="no item in common"):
        compare([run("rw", "a")], [run("rw", "b")])
    with pytest.raises(ValueError, match="twice"):
        compare([run("r") + run("w")], [run("r")])


def test_several_seeds_by_hand():
    # Item means before: 1, 0, 0, .5; after over three seeds: 2/3, 1, 1/3, 1/3.
    before = [run("rwur"), run("rwuw")]
    after = [run("rrrw"), run("wrur"), run("rruw")]
    result = compare(before, after)
    assert result.n == 4
    assert result.difference == pytest.approx(25.0 * (2 / 3 + 1 + 1 / 3 + 1 / 3 - 1.5))
    assert result.format_gain == pytest.approx(25.0 / 3)
    assert result.format_gain + result.answer_gain == pytest.approx(result.difference)
    assert result.c - result.b == pytest.approx(4 * result.difference / 100)


def test_several_seeds_use_the_exact_sign_flip_test_when_it_is_small():
    # Five items up by one in both seeds: 2 of the 2^5 sign assignments are as extreme.
    result = compare([run("wwwwwr")], [run("rrrrrr"), run("rrrrrr")])
    assert result.p_value == pytest.approx(2 / 32)


def test_many_seeds_of_the_same_run_are_not_more_evidence():
    once = compare([run("w" * 9 + "r" * 30)], [run("r" * 39)])
    thrice = compare([run("w" * 9 + "r" * 30)] * 3, [run("r" * 39)] * 3)
    assert thrice.p_value == pytest.approx(once.p_value)  # both 2 / 2^9
    assert thrice[:3] == pytest.approx(once[:3])


def test_accuracy_interval():
    seed = run("r" * 50 + "w" * 50)
    assert accuracy_interval([seed]) == wilson_interval(50, 100)
    low, high = accuracy_interval([seed, seed[::-1]])
    assert low == pytest.approx(50 - 9.8, abs=1.0)
    assert high == pytest.approx(50 + 9.8, abs=1.0)


def test_bootstrap_agrees_with_drawing_item_numbers():
    before, after = run("rwuwrrwwuu" * 20), run("rrrwwrrwuw" * 20)
    result = compare([before], [after])
    difference = np.array([new.correct - old.correct for old, new in zip(before, after, strict=True)])
    draws = np.random.default_rng(1).integers(0, 200, size=(10_000, 200))
    low, high = 100 * np.percentile(difference[draws].mean(axis=1), [2.5, 97.5])
    assert result.low == pytest.approx(low, abs=0.6)
    assert result.high == pytest.approx(high, abs=0.6)


@st.composite
def seeds(draw: st.DrawFn) -> tuple[list[list[Outcome]], list[list[Outcome]]]:
    n = draw(st.integers(1, 12))
    one = st.text("rwu", min_size=n, max_size=n).map(run).flatmap(st.permutations)
    return draw(st.lists(one, min_size=1, max_size=3)), draw(st.lists(one, min_size=1, max_size=3))


@settings(max_examples=40, deadline=None)
@given(seeds())
def test_the_two_parts_sum_to_the_difference(both):
    before, after = both
    result = compare(before, after)
    accuracy = [sum(sum(o.correct for o in r) for r in side) / len(side) for side in (before, after)]
    assert result.difference == pytest.approx(100 * (accuracy[1] - accuracy[0]) / result.n)
    assert result.format_gain + result.answer_gain == pytest.approx(result.difference, abs=1e-9)
    assert result.low - 1e-9 <= result.difference + 1e-9 and result.high >= result.low
    assert 0.0 < result.p_value <= 1.0
    reverse = compare(after, before)
    assert (reverse.b, reverse.c) == (result.c, result.b)
    assert reverse.p_value == pytest.approx(result.p_value, abs=0.03)
