"""Pairwise preferences and the win rates made of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_eval.scoring.judge import Judge
from audio_eval.scoring.statistics import wilson_interval
from audio_eval.scoring.win_rate import (
    NAME,
    Pair,
    Preference,
    length_adjusted,
    ours_first,
    prefer,
    summary,
    win_rate,
)
from tests.openai_server import Answer, OpenAIServer, completion, failure, prompt

FIRST = next(f"id{n}" for n in range(99) if ours_first(f"id{n}"))
SECOND = next(f"id{n}" for n in range(99) if not ours_first(f"id{n}"))


def preferences(answer: Answer, *ids: str) -> list[Preference]:
    with OpenAIServer(lambda *_: answer) as server:
        pairs = [Pair(name, f"Say {name}", "ours", "theirs") for name in ids]
        return prefer(Judge(server.url, "m", cache=None, retries=0), pairs)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_the_order_is_stable_and_balanced() -> None:
    orders = [ours_first(f"alpaca_eval/{number}") for number in range(805)]
    assert orders == [ours_first(f"alpaca_eval/{number}") for number in range(805)]
    assert abs(sum(orders) - 805 / 2) < 3 * (805 / 4) ** 0.5


def test_outputs_are_shown_in_the_order_of_the_id() -> None:
    with OpenAIServer(lambda *_: completion("m", {"m": 1.0})) as server:
        pairs = [Pair(name, f"Say {name}", "<think>{x}</think>ours {y}", "theirs") for name in (FIRST, SECOND)]
        found = prefer(Judge(server.url, "m", cache=None, workers=1), pairs)
    one, other = (prompt(request) for request in server.requests)
    assert f"Say {FIRST}" in one and one.index("ours {y}") < one.index("theirs")
    assert f"Say {SECOND}" in other and other.index("theirs") < other.index("ours {y}")
    assert "{x}" not in one, "the judge is not shown the thinking"
    assert [preference.value for preference in found] == [1.0, 0.0]
    assert all(request["max_tokens"] == 1 and request["top_logprobs"] for request in server.requests)


@pytest.mark.parametrize(
    ("answer", "ours_is_m", "ours_is_M", "why"),
    [
        (completion("m", {"m": 0.6, "M": 0.2, "The": 0.2}), 0.75, 0.25, "log probabilities"),
        (completion("M", {"M": 0.5, " M": 0.25, "m": 0.25}), 0.25, 0.75, "log probabilities"),
        (completion("m", {"m": 0.9, "x": 0.1}), 1.0, 0.0, "log probabilities"),
        (completion("The", {"The": 0.4, "m": 0.3, "M": 0.3}), 0.5, 0.5, "log probabilities"),
        (completion("<think>", {"<think>": 0.99, "m": 0.01}), None, None, "unparsable"),
        (completion("m"), 1.0, 0.0, "letter"),
        (completion(' "M".'), 0.0, 1.0, "letter"),
        (completion("<think>m?</think>M"), 0.0, 1.0, "letter"),
        (completion("Model m"), None, None, "unparsable"),
        (completion(None), None, None, "unparsable"),
    ],
)
def test_preferences_read_from_replies(
    answer: Answer, ours_is_m: float | None, ours_is_M: float | None, why: str
) -> None:
    found = preferences(answer, FIRST, SECOND)
    assert [preference.value for preference in found] == [pytest.approx(ours_is_m), pytest.approx(ours_is_M)]
    assert {preference.why for preference in found} == {why}


def test_failures_are_counted_and_empty_responses_lose() -> None:
    def answer(request: dict, _: int) -> Answer:
        number = int(prompt(request).partition("Say ")[2].partition("\n")[0])
        return (failure(400, "no"), completion("perhaps"), completion("m"), completion("M"))[number % 4]

    pairs = [Pair(f"i{n}", f"Say {n}", "" if n >= 12 else "ours!", "theirs") for n in range(16)]
    with OpenAIServer(answer) as server:
        judge = Judge(server.url, "m", cache=None, retries=0)
        found = prefer(judge, pairs)
        assert len(server.requests) == 12
    assert found[12] == (0.0, None, "empty response, the judge was not asked")
    assert found[0].value is None and found[0].why.startswith("failed: ")
    result = summary(found, pairs, judge.name)
    assert (result["n"], result["judged"], result["unparsable"], result["failed"]) == (16, 10, 3, 3)
    assert (result["judge"], result["prompt"]) == ("m@127.0.0.1", NAME)
    wins = sum(ours_first(f"i{n}") == (n % 4 == 2) for n in range(12) if n % 4 > 1)
    assert result["win_rate"] == pytest.approx(100 * wins / 10)
    assert result["win_rate_low"] <= result["win_rate"] <= result["win_rate_high"]
    assert result["length_adjusted_why"] == "every response is shorter than the baseline's output"


def test_nothing_judged() -> None:
    result = summary([], [], "j")
    assert (result["win_rate"], result["length_adjusted_win_rate"], result["n"]) == (None, None, 0)
    assert result["length_adjusted_why"] == "0 judged items, fewer than 10"


def test_the_prompt_s_name_changes_with_its_text() -> None:
    assert re.fullmatch(r"pairwise-m-M@[0-9a-f]{8}", NAME)
    assert NAME == "pairwise-m-M@cc95f0ea", "a new wording is a new metric"


# --- the raw win rate ------------------------------------------------------------------------------------------------


def test_the_win_rate_is_a_mean_in_which_a_tie_is_half_a_win() -> None:
    assert win_rate([1.0, 0.0, 0.5, 0.5, None]).win_rate == 50.0
    assert win_rate([1.0, 1.0, 0.5, None]).win_rate == pytest.approx(250 / 3)
    assert win_rate([]) == (None, (0.0, 100.0))
    assert win_rate([None, 1.0]) == (100.0, (0.0, 100.0))
    assert win_rate([1.0] * 5).interval == wilson_interval(5, 5), "five wins are no certainty"


def test_the_interval_is_that_of_a_mean() -> None:
    values = [1.0] * 120 + [0.0] * 80
    low, high = win_rate(values).interval
    half = 100 * 1.96 * (0.6 * 0.4 / 200) ** 0.5  # 6.79
    assert (low, high) == pytest.approx((60 - half, 60 + half), abs=0.6)
    assert win_rate(values[::-1]) == win_rate(values), "the order of items changes nothing"


# --- the adjusted one ------------------------------------------------------------------------------------------------


def simulated(skill: float, length_bias: float, seed: int, n: int = 2000) -> tuple[list, list, list]:
    """0/1 preferences of a judge with logit skill + length_bias * tanh(d / std d); ours is longer by 400 on average."""
    random = np.random.default_rng(seed)
    theirs = random.integers(800, 2500, n)
    ours = theirs + np.maximum(random.normal(400, 500, n).astype(int), -700)
    difference = ours - theirs
    logit = skill + length_bias * np.tanh(difference / difference.std())
    return (random.random(n) < 1 / (1 + np.exp(-logit))).astype(float).tolist(), ours.tolist(), theirs.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_a_length_bias_is_taken_out(seed: int) -> None:
    values, ours, theirs = simulated(0.0, 1.5, seed)
    assert win_rate(values).interval.low > 58, "the raw win rate of an equal system is biased"
    assert length_adjusted(values, ours, theirs).length_adjusted_win_rate == pytest.approx(50, abs=4)


def test_a_true_difference_stays() -> None:
    values, ours, theirs = simulated(1.0, 1.5, 7)
    assert length_adjusted(values, ours, theirs).length_adjusted_win_rate == pytest.approx(73.1, abs=4)  # sigmoid(1)
    values, ours, theirs = simulated(1.0, 0.0, 8)
    raw, adjusted = win_rate(values).win_rate, length_adjusted(values, ours, theirs).length_adjusted_win_rate
    assert adjusted == pytest.approx(raw, abs=3), "no bias, nothing to adjust"


def test_fractional_preferences_are_fitted_exactly() -> None:
    difference = np.linspace(-500, 900, 60).astype(int)
    expected = 1 / (1 + np.exp(-(-0.4 + 0.9 * np.tanh(difference / difference.std()))))
    found = length_adjusted(list(expected), list(1000 + difference), [1000] * 60).length_adjusted_win_rate
    assert found == pytest.approx(100 / (1 + np.exp(0.4)), abs=0.01)


def test_at_equal_lengths_it_is_the_raw_win_rate() -> None:
    values = [0.9] * 40 + [0.1] * 20
    assert length_adjusted(values, [7] * 60, [7] * 60).length_adjusted_win_rate == pytest.approx(190 / 3, abs=0.01)


def test_separable_data_have_a_finite_fit() -> None:
    lengths = [100 + 10 * number for number in range(20)]
    assert length_adjusted([1.0] * 20, lengths, [195] * 20).length_adjusted_win_rate > 99.5
    assert length_adjusted([0.0] * 20, lengths, [195] * 20).length_adjusted_win_rate < 0.5
    longer_wins = [float(length > 195) for length in lengths]
    assert length_adjusted(longer_wins, lengths, [195] * 20).length_adjusted_win_rate == pytest.approx(50, abs=0.5)


def test_where_there_is_no_figure_there_is_a_reason() -> None:
    assert length_adjusted([1.0] * 9 + [None] * 50, [1] * 59, [1] * 59) == (None, "9 judged items, fewer than 10")
    assert length_adjusted([1.0] * 20, [2] * 20, [1] * 20) == (
        None,
        "every response is longer than the baseline's output",
    )
    assert length_adjusted([0.5] * 20, list(range(20)), [30] * 20).why.startswith("every response is shorter")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.none() | st.floats(0, 1), st.integers(0, 10**5), st.integers(0, 10**5)), max_size=30),
)
def test_no_data_break_it(rows: list) -> None:
    values, ours, theirs = ([row[place] for row in rows] for place in range(3))
    figure, why = length_adjusted(values, ours, theirs)
    assert (figure is None) == bool(why)
    assert figure is None or 0.0 <= figure <= 100.0
    judged = [value for value in values if value is not None]
    rate, (low, high) = win_rate(values)
    assert rate == (pytest.approx(100 * sum(judged) / len(judged)) if judged else None)
    assert low - 1e-9 <= (rate or 0.0) <= high + 1e-9
