from __future__ import annotations

import numpy as np
import pytest

from audio_eval.group import Completion, Group
from audio_eval.rl.rewards import accuracy_reward, contrastless_share, format_reward, mean_reward
from tests.rl.fake_policy import make_group, make_question

GROUP = make_group(
    make_question("q"),
    {"<answer>dog</answer>": 4, "<answer>cat</answer>": 1, "dog": 2, "<answer>cow</answer>": 1, "no": 2},
)


def test_accuracy_is_of_the_option_named_however_it_is_said() -> None:
    assert accuracy_reward(GROUP, 1).tolist() == [1, 0, 1, 0, 0]
    assert accuracy_reward(GROUP, 0).tolist() == [0, 1, 0, 0, 0]


def test_format_is_of_the_whole_completion_right_or_wrong() -> None:
    assert format_reward(GROUP).tolist() == [1, 1, 0, 1, 0]
    loose = make_group(make_question("q"), {"It is <answer>dog</answer>": 1, "<answer>dog</answer> yes": 1})
    assert format_reward(loose).tolist() == [0, 0]


def test_the_mean_is_over_samples_then_questions() -> None:
    other = make_group(make_question("r"), {"cat": 1})
    empty = Group(make_question("s"), (), (), error="no such file")
    groups = [GROUP, other, empty]
    rewards = [accuracy_reward(group, 1) for group in groups]
    assert mean_reward(groups, rewards) == pytest.approx((6 / 10 + 0) / 2)
    assert mean_reward([empty], [accuracy_reward(empty, 1)]) == 0.0


def test_the_share_of_groups_without_contrast() -> None:
    even = make_group(make_question("r"), {"cat": 3, "dog": 1})
    empty = Group(make_question("s"), (), (), error="no such file")
    rewards = [np.array([0, 1, 0, 0, 0]), np.array([0.7, 0.7]), np.zeros(0)]
    assert contrastless_share([GROUP, even, empty], rewards) == 1 / 2
    assert contrastless_share([empty], [np.zeros(0)]) == 0


def test_group_to_json_and_back() -> None:
    cut = Group(make_question("q"), (Completion("d\u00f6g", (1, 2), True), Completion("ca", (3,), False)), (3, 1))
    failed = Group(make_question("q"), (), (), error="no such file")
    for group in (cut, failed, GROUP):
        assert Group.from_json(group.to_json(), group.question) == group
    assert (cut.size, cut.best()) == (4, "d\u00f6g")
    assert (failed.size, failed.best()) == (0, "")


def test_best_is_the_commonest_and_on_a_tie_the_first() -> None:
    assert GROUP.best() == "<answer>dog</answer>"
    assert make_group(make_question("q"), {"b": 1, "a": 2, "c": 2}).best() == "a"
