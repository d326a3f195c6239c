from __future__ import annotations

import math
from collections.abc import Sequence
from math import comb

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm, t

from audio_eval.scoring.statistics import (
    Fates,
    Outcome,
    accuracy_interval,
    compare,
    fates,
    fates_by_confidence,
    holm,
    mean_interval,
    seed_deviation,
    wilson_interval,
)
from audio_eval.scoring.statistics.reference import NORMAL, Reference
from audio_eval.scoring.statistics.score_test import Pairs
from audio_eval.scoring.statistics.variance import Part

STATES = {"r": (True, True), "w": (False, True), "u": (False, False)}


def run(
    states: str, prefix: str = "q", per_recording: int = 1, confidences: Sequence[float | None] = ()
) -> list[Outcome]:
    """One outcome a letter: right, wrong option, unparsable."""
    return [
        Outcome(
            f"{prefix}{number}",
            *STATES[state],
            recording=f"r{number // per_recording}",
            confidence=confidences[number] if confidences else None,
        )
        for number, state in enumerate(states)
    ]


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


def test_wilson_is_scipys():
    for correct, n in ((1, 600), (37, 41), (599, 600)):
        theirs = binomtest(correct, n).proportion_ci(method="wilson")
        assert wilson_interval(correct, n) == pytest.approx((100 * theirs.low, 100 * theirs.high))


def test_mcnemar_with_3_against_12():
    result = compare([run("r" * 3 + "w" * 12 + "r" * 85)], [run("w" * 3 + "r" * 12 + "r" * 85)])
    assert (result.lost, result.won, result.n) == (3, 12, 100)
    assert result.difference == pytest.approx(9.0)
    assert result.p_value == pytest.approx(2 * sum(comb(15, k) for k in range(4)) / 2**15)  # 0.03516
    # Standard error of the mean of 12 (+1), 3 (-1), 85 (0): sqrt(0.15 - 0.09^2) / 10 = 3.767 points.
    assert result.low == pytest.approx(9.0 - 1.96 * 3.767, abs=1.0)
    assert result.high == pytest.approx(9.0 + 1.96 * 3.767, abs=1.0)


def test_split_of_the_gain_by_hand():
    #  before u u w w w r r r r w     after r u r r u u w r r w
    result = compare([run("uuwwwrrrrw")], [run("rurruuwrrw")])
    assert result.from_unparsable == pytest.approx(10.0 * (1 - 1))
    assert result.from_wrong == pytest.approx(10.0 * (2 - 1))
    assert result.difference == pytest.approx(10.0)


def test_items_are_paired_by_id_not_by_position():
    before, after = run("rwuwr"), run("rrrwr")
    expected = compare([before], [after])
    assert compare([before], [after[::-1]]) == expected
    assert (expected.lost, expected.won) == (0, 2)


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
    assert result.from_unparsable == pytest.approx(25.0 / 3)
    assert result.from_unparsable + result.from_wrong == pytest.approx(result.difference)
    assert result.won - result.lost == pytest.approx(4 * result.difference / 100)


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
    assert result.from_unparsable + result.from_wrong == pytest.approx(result.difference, abs=1e-9)
    assert -100.0 <= result.low < result.high <= 100.0, "an interval has a width"
    assert result.low - 1e-9 <= result.difference <= result.high + 1e-9
    assert 0.0 < result.p_value <= 1.0
    reverse = compare(after, before)
    assert (reverse.lost, reverse.won) == (result.won, result.lost)
    assert reverse.p_value == pytest.approx(result.p_value)
    assert (reverse.low, reverse.high) == pytest.approx((-result.high, -result.low), abs=1e-6)


# Seeds


def test_seeds_that_are_all_alike_are_one():
    """Greedy decoding answers alike with every seed, which is no evidence about seeds."""
    before, after = run("w" * 9 + "r" * 30), run("r" * 39)
    assert compare([before] * 3, [after] * 3) == compare([before], [after])
    assert compare([before] * 5, [after]).p_value == 2 / 2**9
    assert accuracy_interval([before] * 4) == wilson_interval(30, 39)
    assert seed_deviation([before] * 4) == 0.0 and seed_deviation([before]) is None


def test_seeds_that_differ_widen_the_interval():
    """The seeds of random_reward in docs/results.md, which was printed as 37.8 [35.5, 40.0]."""
    runs = [run("r" * (6 * right) + "w" * (600 - 6 * right)) for right in (43, 36, 56, 5, 49)]
    low, high = accuracy_interval(runs)
    # t_4 * SD / sqrt(5) = 2.776 * 19.77 / 2.236 = 24.5 points on either side, and Wilson's pull towards 50.
    assert seed_deviation(runs) == pytest.approx(19.77, abs=0.01)
    assert low < 37.8 - 18 and high > 37.8 + 22
    direct = run("r" * 358 + "w" * 242)
    found = compare([direct] * 5, runs)
    assert found.high > 0 > found.low and found.p_value > 0.05, "59.7 against these seeds is not decided"


def test_the_seeds_error_rests_on_few_degrees_of_freedom():
    """By hand: items give 2 of 3 units of variance with many degrees of freedom, two seeds the third with one."""
    reference = Reference((Part(2.0, math.inf), Part(1.0, 1)))
    assert reference.critical == pytest.approx((2 * norm.ppf(0.975) + t.ppf(0.975, 1)) / 3)
    assert NORMAL.critical == pytest.approx(norm.ppf(0.975))
    for value in (0.3, 2.0, 8.0):
        assert reference.quantile(reference.tail(value)) == pytest.approx(value, rel=1e-6)
    assert reference.tail(-2.0) == pytest.approx(1 - reference.tail(2.0))
    assert NORMAL.tail(50.0) > 0, "a p-value is never zero"


def test_one_seed_more_moves_a_difference_but_little():
    before = run("rw" * 100)
    after = [run("rw" * 80 + "rr" * k + "rw" * (20 - k)) for k in (8, 9, 10)]
    two, three = compare([before], after[:2]), compare([before], after)
    assert two.low < two.difference < two.high and three.high - three.low < two.high - two.low


# Recordings


def test_items_of_one_recording_count_once_where_they_are_alike():
    """Three items a recording that are right or wrong together are worth a third as many items."""
    alone, three = run("rrwrw" * 20), run("".join(state * 3 for state in "rrwrw" * 20), per_recording=3)
    low, high = accuracy_interval([three])
    assert (low, high) == pytest.approx(accuracy_interval([alone]), abs=0.6)
    before = run("w" * 300, per_recording=3)
    together = compare([before], [run("rrr" * 8 + "w" * 276, per_recording=3)])
    apart = compare([run("w" * 300)], [run("r" * 24 + "w" * 276)])
    assert (together.recordings, together.n, apart.recordings) == (100, 300, 300)
    assert together.p_value == 2 / 2**8 and apart.p_value == 2 / 2**24, "eight recordings are flipped, not 24 items"
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_items_without_a_recording_are_on_their_own():
    texts = [Outcome(str(number), number % 2 == 0, True) for number in range(100)]
    assert accuracy_interval([texts]) == wilson_interval(50, 100)


# Sparse cases


def test_no_interval_is_a_point():
    right, wrong = run("r" * 600), run("w" * 600)
    assert accuracy_interval([right] * 5) == wilson_interval(600, 600)
    assert accuracy_interval([run("r" * 600, per_recording=3)]) == pytest.approx(wilson_interval(200, 200))
    same = compare([right], [right])
    assert (same.low, same.high) == pytest.approx((-100 * 3.8415 / 603.8415, 100 * 3.8415 / 603.8415), abs=1e-3)
    assert same.p_value == 1.0 and same.detectable > 0
    all_won = compare([wrong] * 2, [right])
    assert all_won.high == 100.0 and 98 < all_won.low < 100 and all_won.p_value > 0
    two_seeds = [run("w" * 600), run("w" * 599 + "r")]
    assert accuracy_interval(two_seeds).low >= 0 and accuracy_interval(two_seeds).high > 0.2
    assert mean_interval([1.0] * 5) == wilson_interval(5, 5)
    assert mean_interval([0.5] * 5).low < 50 < mean_interval([0.5] * 5).high


@pytest.mark.parametrize(("n", "lost", "won"), [(50, 2, 12), (50, 0, 14), (600, 5, 9), (30, 0, 1), (10, 4, 0)])
def test_the_paired_interval_is_that_of_the_restricted_likelihood(n: int, lost: int, won: int):
    """Tango's closed form against a numerical maximum of the likelihood of (lost, won, n - lost - won)."""

    def score(difference: float) -> float:
        def loss(share: float) -> float:
            gained = share + difference
            rest = 1 - share - gained
            terms = ((lost, share), (won, gained), (n - lost - won, rest))
            return -sum(count * math.log(max(p, 1e-12)) for count, p in terms if count)

        least = max(0.0, -difference)
        best = minimize_scalar(loss, bounds=(least, (1 - difference) / 2), method="bounded", options={"xatol": 1e-10})
        variance = (2 * best.x + difference - difference**2) / n
        return ((won - lost) / n - difference) / math.sqrt(variance)

    low, high = Pairs(n, lost, won).interval(1.959964)
    assert score(low) == pytest.approx(1.959964, abs=2e-3) and score(high) == pytest.approx(-1.959964, abs=2e-3)
    if not lost and low > 0:  # then it is Wilson's interval of the share of gains
        assert low == pytest.approx(binomtest(won, n).proportion_ci(method="wilson").low, abs=1e-5)


# Families, equivalence, power


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == [] and holm([0.2]) == [0.2]


def test_equivalence_is_shown_by_data_and_not_by_their_absence():
    few, many = compare([run("rw" * 20)], [run("rw" * 20)]), compare([run("rw" * 900)], [run("rw" * 900)])
    assert not few.equivalent and many.equivalent and (few.margin, few.p_value) == (2.0, 1.0)
    assert few.p_equivalent > 0.05 > many.p_equivalent > 0
    wide = compare([run("rw" * 20)], [run("rw" * 20)], margin=20.0)
    assert wide.equivalent and wide.margin == 20.0
    different = compare([run("w" * 100)], [run("r" * 30 + "w" * 70)])
    assert different.p_value < 0.001 and different.p_equivalent > 0.9


def test_equivalence_at_5_percent_is_the_90_percent_interval_within_the_margin():
    found = compare([run("r" * 200 + "w" * 200)], [run("w" * 8 + "r" * 200 + "w" * 192)])
    low, high = Pairs(400, 8, 8).interval(float(norm.ppf(0.95)))
    for margin in (1.0, 1.5, 2.0, 3.0):
        equivalent = compare([run("r" * 200 + "w" * 200)], [run("w" * 8 + "r" * 200 + "w" * 192)], margin).equivalent
        assert equivalent == (-margin < 100 * low and 100 * high < margin)
    assert found.n == 400


def test_the_smallest_detectable_difference():
    # 60 of 600 pairs differ: (1.960 + 0.842) * sqrt(60) / 600 = 3.62 points.
    found = compare([run("r" * 300 + "w" * 300)], [run("w" * 30 + "r" * 270 + "r" * 30 + "w" * 270)])
    assert found.detectable == pytest.approx(100 * (1.959964 + 0.841621) * 60**0.5 / 600, abs=1e-4)
    more = compare([run("r" * 3000 + "w" * 3000)], [run("w" * 300 + "r" * 2700 + "r" * 300 + "w" * 2700)])
    assert more.detectable == pytest.approx(found.detectable / 10**0.5)


# Fates


def test_fates_by_hand():
    before, after = run("rrwwu"), [run("rwrwr"), run("rrrww")]
    assert fates([before], after) == Fates(learned=1.5, corrupted=0.5, kept_right=1.5, kept_wrong=1.5)
    assert fates_by_confidence([before], after) == ()
    result = compare([before], after)
    assert (result.won, result.lost) == (1.5, 0.5)


def test_fates_by_the_confidence_of_the_vote():
    sure = [0.2, 0.6, 0.61, 1.0, None]
    found = fates_by_confidence([run("rwwrw")], [run("wrwrr", confidences=sure)])
    assert [(round(f.low, 1), round(f.high, 1)) for f in found] == [
        (0.0, 0.2),
        (0.2, 0.4),
        (0.4, 0.6),
        (0.6, 0.8),
        (0.8, 1.0),
    ]
    # An item that is sure to 0.6 belongs to 0.4-0.6, whatever 3 / 5 is in binary; one without a vote to none.
    assert [tuple(f.fates) for f in found] == [(0, 1, 0, 0), (0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), (0, 0, 1, 0)]
    assert sum(f.items for f in found) == 4
