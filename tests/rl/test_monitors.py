"""Collapse monitors: figures of small groups by hand, warnings that come once, rules that stop a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.progress import Progress
from audio_eval.rl.experience import Experience
from audio_eval.rl.loop import train
from audio_eval.rl.monitors import STATISTICS, WARNINGS, WINDOW, Monitors, Rule, parse_rule, statistics
from audio_eval.rl.session import Session
from audio_eval.rl.settings import Updates
from audio_eval.rl.teach import Lesson, teach
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged
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


# --- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("majority_ratio>0.99 for 10", Rule("majority_ratio", ">", 0.99, 10)),
        ("  majority_ratio  >  0.99  for  10  ", Rule("majority_ratio", ">", 0.99, 10)),
        ("vote_entropy < 1e-3", Rule("vote_entropy", "<", 0.001, 1)),
        ("length_drift>1", Rule("length_drift", ">", 1.0, 1)),
        ("entropy<-1 for 2", Rule("entropy", "<", -1.0, 2)),
        (None, None),
    ],
)
def test_a_rule(text: str | None, rule: Rule | None) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize("name", sorted({*STATISTICS, *WARNINGS}))
def test_every_figure_may_stop(name: str) -> None:
    assert parse_rule(f"{name}>0.5 for 3") == Rule(name, ">", 0.5, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no rule"),
        ("majority_ratio", "is no rule: write METRIC>NUMBER for STEPS"),
        ("majority_ratio>=0.99", "is no rule"),
        ("majority_ratio>0.99 for ever", "is no rule"),
        ("majority_ratio>0.99 for 2.5", "is no rule"),
        ("majority_ratio>0.99 for -1", "is no rule"),
        ("majority_ratio>0.99\nfor 3 steps", "is no rule"),
        ("0.99<majority_ratio", "is no rule"),
        ("majority_ratio>nan", "is no rule"),
        ("majority_ratio>0.9.9", "0.9.9 is no number"),
        ("majority_ratio>e", "e is no number"),
        ("majority>0.99", "unknown metric 'majority' in stop_when. Did you mean 'majority_ratio'?"),
        ("label_accuracy>0.5", "unknown metric 'label_accuracy' in stop_when."),  # no answers go into a rule
        ("accuracy>0.5", "unknown metric 'accuracy' in stop_when."),
    ],
)
def test_a_rule_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_rule(text)
    assert message in str(caught.value)
    if "\n" not in text:
        assert "\n" not in str(caught.value)


def test_a_rule_of_no_steps_cannot_be_read() -> None:
    with pytest.raises(UserError):
        parse_rule("majority_ratio>0.99 for 0")


@pytest.mark.parametrize("settings", [Updates, AqaTtrlConfig])
def test_a_rule_that_cannot_be_read_is_told_of_with_the_settings(settings: type[Updates]) -> None:
    """Before any votes are paid for."""
    assert settings().stop_when is None and settings(stop_when="length>9").stop_when == "length>9"
    with pytest.raises(UserError, match="Did you mean 'majority_ratio'"):
        settings(stop_when="majority>0.99")


@pytest.mark.parametrize(
    ("values", "holds"),
    [
        ([0.95], False),
        ([0.95, 0.95], True),
        ([0.95, 0.9], False),  # not above
        ([0.5, 0.95, 0.95], True),
        ([0.95, 0.95, 0.5], False),  # held, holds no more
        ([0.95, None, 0.95], False),
        ([None, 0.95, 0.95], True),
        ([], False),
    ],
)
def test_a_rule_holds_in_each_of_the_last_steps(values: list[float | None], holds: bool) -> None:
    history = [{} if value is None else {"majority_ratio": value} for value in values]
    assert Rule("majority_ratio", ">", 0.9, 2).holds(history) is holds
    mirrored = [{name: -value for name, value in record.items()} for record in history]
    assert Rule("majority_ratio", "<", -0.9, 2).holds(mirrored) is holds


# --- in the loop -----------------------------------------------------------------------------------------------------


class Killed(BaseException):
    pass


class Told(Progress):
    """Keeps what the user is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def warn(self, text: str) -> None:
        self.told.append(text)


def sharpening(majorities: Sequence[int]) -> Callable[[int], Experience]:
    """A step whose one question has so many of 20 samples for the cat."""

    def experience(step: int) -> Experience:
        n = majorities[step]
        group = make_group(make_question(f"q{step}"), {"cat": n, "dog": 20 - n} if n < 20 else {"cat": 20})
        return Experience([group], [np.ones(len(group.counts))])

    return experience


def killed_at(step: int, experience: Callable[[int], Experience]) -> Callable[[int], Experience]:
    def interrupted(now: int) -> Experience:
        if now == step:
            raise Killed
        return experience(now)

    return interrupted


# two in a row above 0.9: steps 5 and 6 (one in a row at 2)
STEPS = [10, 19, 10, 10, 19, 19, 19, 10, 20, 20]
RULE = Updates(stop_when="majority_ratio>0.9 for 2")


def checkpoints(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "adapt").iterdir() if path.is_dir())


def test_a_rule_stops_after_the_first_step_at_which_it_holds(tmp_path: Path) -> None:
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}
    ratios = [record["majority_ratio"] for record in JsonLines(tmp_path / "metrics.jsonl").read()]
    assert ratios == [0.5, 0.95, 0.5, 0.5, 0.95, 0.95]


@pytest.mark.parametrize("save_every", [1, 4, 100])
def test_a_resumed_run_stops_at_the_same_step(save_every: int, tmp_path: Path) -> None:
    for kill in range(6):
        folder = tmp_path / str(kill)
        with pytest.raises(Killed):
            train(FakePolicy(lambda q, s: {}), RULE, 10, killed_at(kill, sharpening(STEPS)),
                  Session(folder, 0, 4, save_every=save_every))  # fmt: skip
        policy, session = FakePolicy(lambda q, s: {}), Session(folder, 0, 4, save_every=save_every)
        train(policy, RULE, 10, sharpening(STEPS), session)
        assert policy.updates == 6 and len(policy.trained) == 6 - kill // save_every * save_every
        assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}
        assert checkpoints(folder)[-1] == "step-000006"
        assert [record["step"] for record in JsonLines(folder / "metrics.jsonl").read()] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("save_every", [1, 4])
def test_a_run_that_has_stopped_stays_stopped(save_every: int, tmp_path: Path) -> None:
    """The notes are written later: a kill between is no reason to go on."""
    train(FakePolicy(lambda q, s: {}), RULE, 10, sharpening(STEPS), Session(tmp_path, 0, 4, save_every=save_every))
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, save_every=save_every)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.trained == [] and policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}


@pytest.mark.parametrize("save_every", [1, 100])
def test_a_kill_while_the_stop_is_saved(save_every: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Session, "stop", kill)
        with pytest.raises(Killed):
            train(
                FakePolicy(lambda q, s: {}), RULE, 10, sharpening(STEPS), Session(tmp_path, 0, 4, save_every=save_every)
            )
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, save_every=save_every)
    train(policy, RULE, 10, sharpening(STEPS), session)
    assert policy.updates == 6 and checkpoints(tmp_path)[-1] == "step-000006"
    assert session.notes == {"stopped": "after step 6: majority_ratio>0.9 for 2"}


def test_a_rule_that_holds_after_the_last_step_has_stopped_nothing(tmp_path: Path) -> None:
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4)
    train(policy, RULE, 6, sharpening(STEPS), session)
    assert policy.updates == 6 and session.notes == {}


def test_without_a_rule_nothing_stops(tmp_path: Path) -> None:
    for name, rule in (("none", None), ("never", "majority_ratio>2")):
        policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path / name, 0, 4)
        train(policy, Updates(stop_when=rule), 30, sharpening([20] * 30), session)
        assert policy.updates == 30 and "stopped" not in session.notes
        assert checkpoints(tmp_path / name) == ["step-000029", "step-000030"]


COLLAPSE = [10] * 5 + [20] * 15  # ten of 1.0 at step 15; "A" is 60 % and more of ten at once
WARNED = [
    "step 10: position is 0.75, > 0.6: most answers name the option at one position",
    "step 15: majority_ratio is 1, > 0.98: samples of a question hardly differ",
]


def test_warnings_are_told_at_once_and_noted(tmp_path: Path) -> None:
    progress = Told()
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), session)
    assert progress.told == WARNED and session.notes == {"warnings": WARNED}


@pytest.mark.parametrize("kill", [3, 9, 10, 14, 15, 19])
def test_a_resumed_run_has_the_same_warnings(kill: int, tmp_path: Path) -> None:
    progress = Told()
    with pytest.raises(Killed):
        train(FakePolicy(lambda q, s: {}), Updates(), 20, killed_at(kill, sharpening(COLLAPSE)),
              Session(tmp_path, 0, 4, progress=progress))  # fmt: skip
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), session)
    assert session.notes == {"warnings": WARNED}
    assert progress.told == WARNED, "each is told once, whichever session came upon it"
    again = Session(tmp_path, 0, 4)
    train(FakePolicy(lambda q, s: {}), Updates(), 20, sharpening(COLLAPSE), again)
    assert again.notes == {"warnings": WARNED}, "a finished run too"


def taught(step: int) -> Experience:
    """A step on a given completion, as in sft and in the warm-up of sari."""
    return teach(FakePolicy(lambda q, s: {}), [Lesson(make_question(f"q{step}"), tagged("cat"))])


@pytest.mark.parametrize("rule", ["majority_ratio>0.9 for 2", "unparsable<1", "position>0.5 for 3", "entropy<1"])
def test_given_completions_stop_nothing_and_warn_of_nothing(rule: str, tmp_path: Path) -> None:
    progress = Told()
    policy, session = FakePolicy(lambda q, s: {}), Session(tmp_path, 0, 4, progress=progress)
    train(policy, Updates(stop_when=rule), 30, taught, session)
    assert policy.updates == 30 and session.notes == {} and progress.told == []
    assert not {*STATISTICS} & {*JsonLines(tmp_path / "metrics.jsonl").read()[0]}


@pytest.mark.parametrize("kill", [None, 9, 12, 16, 18])
def test_reinforcement_after_a_warm_up_is_watched_from_its_own_first_step(kill: int | None, tmp_path: Path) -> None:
    def both(step: int) -> Experience:
        return taught(step) if step < 12 else sharpening([10] * 12 + STEPS)(step)

    progress, settings = Told(), Updates(stop_when="majority_ratio>0.9 for 3")
    if kill is not None:
        with pytest.raises(Killed):
            train(FakePolicy(lambda q, s: {}), settings, 30, killed_at(kill, both),
                  Session(tmp_path, 0, 4, progress=progress))  # fmt: skip
    session = Session(tmp_path, 0, 4, progress=progress)
    train(FakePolicy(lambda q, s: {}), settings, 30, both, session)
    assert session.notes["stopped"] == "after step 19: majority_ratio>0.9 for 3", "12 of the warm-up, and 7"
    assert progress.told == []


def test_a_run_that_is_stopped_keeps_its_warnings(tmp_path: Path) -> None:
    session, rule = Session(tmp_path, 0, 4), "majority_ratio>0.98 for 10"
    train(FakePolicy(lambda q, s: {}), Updates(stop_when=rule), 20, sharpening(COLLAPSE), session)
    assert session.notes == {"stopped": f"after step 15: {rule}", "warnings": WARNED}
