"""Collapse monitors: figures of small groups by hand, and warnings that come once."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from audio_eval.group import Group
from audio_eval.rl.monitors import WINDOW, Monitors, statistics
from tests.rl.fake_policy import Drawn, make_group, make_question, tagged
from tests.rl.test_views import seen

ANIMALS = ("cat", "dog", "owl")


def of(*drawn: Drawn, choices: tuple[str, ...] = ANIMALS) -> dict[str, float]:
    return statistics([make_group(make_question(str(i), choices), one) for i, one in enumerate(drawn)])


# --- figures ---------------------------------------------------------------------------------------------------------


def test_figures_of_one_group() -> None:
    # 5 cat, 2 dog, 1 that names neither; of the 7: 5/7 log2(7/5) + 2/7 log2(7/2) = 0.346733 + 0.516387 bits
    # a token is a character here: 4 x 20 (tagged cat), 3 (cat), 2 x 20 (tagged dog), 7 (no idea) = 130
    assert of({tagged("cat"): 4, "cat": 1, tagged("dog"): 2, "no idea": 1}) == pytest.approx(
        {"majority_ratio": 5 / 8, "vote_entropy": 0.863121, "unparsable": 1 / 8, "unique": 4 / 8, "length": 130 / 8,
         "position": 5 / 7}, abs=1e-6,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("drawn", "bits"),
    [({"cat": 4}, 0.0), ({"cat": 2, "dog": 2}, 1.0), ({"cat": 2, "dog": 1, "owl": 1}, 1.5), ({"no idea": 4}, 0.0)],
)
def test_entropy_is_in_bits_and_of_the_named_answers_alone(drawn: dict[str, int], bits: float) -> None:
    assert of(drawn)["vote_entropy"] == pytest.approx(bits)
    assert of({**drawn, "?!": 9})["vote_entropy"] == pytest.approx(bits)


@pytest.mark.parametrize("questions", [1, 2, 3])
def test_no_entropy_is_zero_and_not_minus_zero(questions: int) -> None:
    assert str(of(*[{"cat": 4}] * questions)["vote_entropy"]) == "0.0", "it stands in metrics.jsonl"


def test_figures_of_a_step_are_means_over_its_questions() -> None:
    # 3 of 4 and 2 of 8; 1 and 2 texts of 4 and 8, whatever the size of the group
    both = of({"cat": 3, "no idea": 1}, {"dog": 2, "no idea": 6})
    assert both["majority_ratio"] == pytest.approx((3 / 4 + 2 / 8) / 2)
    assert both["unparsable"] == pytest.approx((1 / 4 + 6 / 8) / 2)
    assert both["unique"] == pytest.approx((2 / 4 + 2 / 8) / 2)
    assert both["length"] == pytest.approx(((3 * 3 + 7) / 4 + (2 * 3 + 6 * 7) / 8) / 2)


def test_the_position_is_counted_over_all_groups_together() -> None:
    # A: 3 + 0, B: 1 + 4, C: 0 + 1
    assert of({"cat": 3, "dog": 1}, {"dog": 4, "owl": 1})["position"] == pytest.approx(5 / 9)


def test_the_position_is_the_one_shown() -> None:
    views = [seen((0, 1, 2)), seen((2, 0, 1))]
    groups = [make_group(view.question, {"A": 4}) for view in views]
    assert statistics(groups)["position"] == 1.0, "two options, but always the first one"


def test_texts_are_told_apart_as_they_are() -> None:
    assert of({"cat": 1, "Cat": 1, "cat.": 2})["unique"] == 3 / 4
    assert of({"cat": 1, "Cat": 1, "cat.": 2})["majority_ratio"] == 1.0


def test_open_answers() -> None:
    """Told apart by their normal form; without options there is no position."""
    found = of(
        {"<think>cat?</think>A dog.": 2, "<answer>a dog</answer>": 1, "Cats": 1, "<answer></answer>": 1}, choices=()
    )
    assert found["majority_ratio"] == 3 / 5 and found["unparsable"] == pytest.approx(1 / 5)
    assert found["vote_entropy"] == pytest.approx(0.811278, abs=1e-6), "3 and 1 of 4"
    assert found["unique"] == 4 / 5 and "position" not in found


def test_open_questions_beside_others_do_not_count_for_the_position() -> None:
    groups = [
        make_group(make_question("a", ()), {"cat": 9}),
        make_group(make_question("b", ANIMALS), {"dog": 2, "owl": 2}),
    ]
    assert statistics(groups)["position"] == 0.5


def test_what_was_not_asked_is_no_figure() -> None:
    unread = Group(make_question("x"), (), (), "no such file")
    assert statistics([]) == statistics([unread]) == {}
    group = make_group(make_question("y", ANIMALS), {"cat": 3, "dog": 1})
    assert statistics([unread, group]) == statistics([group])


def test_one_sample_agrees_with_nobody() -> None:
    """What needs two samples is a mean over the groups that have them; the rest counts every group."""
    found = of({"cat": 3, "no idea": 1}, {"dog": 1}, {"?": 1})
    assert (found["majority_ratio"], found["vote_entropy"], found["unique"]) == (0.75, 0.0, 0.5)
    assert found["unparsable"] == pytest.approx((1 / 4 + 0 + 1) / 3) and found["position"] == 3 / 4
    assert of({"cat": 1}) == {"unparsable": 0.0, "length": 3.0, "position": 1.0}


def test_where_nobody_names_an_option() -> None:
    assert of({"no idea": 3, "": 1}) == {
        "majority_ratio": 0.0, "vote_entropy": 0.0, "unparsable": 1.0, "unique": 0.5, "length": 21 / 4,
    }  # fmt: skip


# --- warnings --------------------------------------------------------------------------------------------------------


def warned(history: Sequence[dict[str, float]]) -> list[tuple[int, str]]:
    """(step, name of the metric) of each warning."""
    monitors, found = Monitors(None, []), []
    for step, metrics in enumerate(history, 1):
        for text in monitors.see({"unparsable": 0.0, **metrics}):
            assert text.startswith(f"step {step}: ") and "\n" not in text
            found.append((step, text.split()[2]))
    return found


@pytest.mark.parametrize(
    ("name", "bad", "good"),
    [("majority_ratio", 0.99, 0.97), ("position", 0.61, 0.59), ("entropy", 0.009, 0.02)],
)
def test_a_warning_comes_once_and_after_a_window(name: str, bad: float, good: float) -> None:
    assert WINDOW == 10
    assert warned([{name: bad}] * 9) == []
    assert warned([{name: bad}] * 40) == [(10, name)]
    assert warned([{name: good}] * 40) == []
    assert warned([{name: bad}] * 12 + [{name: good}] * 30 + [{name: bad}] * 30) == [(10, name)], "never again"


def test_a_warning_is_of_the_mean_over_the_window() -> None:
    # nine of 1 and one of 0.5 are 0.95; ten of 1 there are at step 20
    assert warned([{"majority_ratio": 0.5}] * 10 + [{"majority_ratio": 1.0}] * 20) == [(20, "majority_ratio")]
    # two of 0.85 and eight of 1 are 0.97, one and nine are 0.985
    assert warned([{"majority_ratio": 0.85}] * 10 + [{"majority_ratio": 1.0}] * 20) == [(19, "majority_ratio")]


def test_a_warning_says_what_is_wrong() -> None:
    monitors = Monitors(None, [{"majority_ratio": 0.995, "position": 0.7}] * 10)
    assert monitors.warnings == [
        "step 10: majority_ratio is 0.995, > 0.98: samples of a question hardly differ",
        "step 10: position is 0.7, > 0.6: most answers name the option at one position",
    ]


def test_steps_without_a_figure_warn_of_nothing() -> None:
    assert warned([{}] * 40) == []
    assert warned([{"majority_ratio": 1.0}] * 9 + [{}] + [{"majority_ratio": 1.0}] * 9) == []


def test_drift_of_the_length() -> None:
    """log2 of the ratio to the first ten steps: 40 after 10 is 2, and so is 2.5."""
    for last in (40.0, 2.5):
        # six of ten with 2 make a mean above 1
        assert warned([{"length": 10.0}] * 10 + [{"length": last}] * 10) == [(16, "length_drift")]
    assert warned([{"length": 10.0}] * 10 + [{"length": 19.0}] * 40) == []


def drifts(lengths: Sequence[float], bound: str) -> list[bool]:
    monitors, found = Monitors(f"length_drift {bound}", []), []
    for length in lengths:
        monitors.see({"length": length})
        found.append(monitors.stop)
    return found


def test_drift_is_from_the_steps_before() -> None:
    # from the mean of what came before, of the first ten at most: -, 20/10, 30/15, 80/20
    assert drifts([10, 20, 30, 80], "> 0.999") == [False, True, True, True]
    assert drifts([10, 20, 30, 80], "> 1.001") == [False, False, False, True]
    assert drifts([10] * 10 + [40] * 20 + [10], "> 1.999") == [False] * 10 + [True] * 20 + [False]
    assert drifts([0, 10, 0, 10], "> 0") == [False] * 4, "no length, no drift"


def test_the_history_of_an_interrupted_run_counts() -> None:
    history = [{"step": i + 1, "majority_ratio": 1.0, "length": 10.0 + i} for i in range(25)]
    whole = Monitors(None, history)
    for cut in (0, 5, 9, 10, 24):
        resumed = Monitors(None, history[:cut])
        for metrics in history[cut:]:
            resumed.see(metrics)
        assert resumed.warnings == whole.warnings and len(whole.warnings) == 2
