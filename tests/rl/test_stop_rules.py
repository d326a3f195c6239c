"""Rules that stop a run: how they are written, and when they hold."""

from __future__ import annotations

import pytest

from audio_eval.errors import UserError
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.rl.monitors import STATISTICS, WARNINGS, Rule, parse_rule
from audio_eval.rl.settings import Updates


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
