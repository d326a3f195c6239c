from __future__ import annotations

import numpy as np
import pytest

from audio_eval.group import Group
from audio_eval.models.policy import Sampling
from audio_eval.rl.attempts import Attempts, Criterion, has_contrast, sample_with_attempts
from audio_eval.rl.rewards import accuracy_reward
from tests.rl.fake_policy import FakePolicy, make_group, make_question

SAME, SAME_2 = {"cat": 4}, {"dog": 4}
MIXED = {"cat": 3, "dog": 1}
BOTH_WRONG = {"dog": 3, "a dog": 1}  # outputs differ, rewards do not
# what each question draws at its first, second and third attempt
SCRIPT = {
    "at once": [MIXED, SAME, SAME],
    "second": [SAME, MIXED, SAME],
    "third": [SAME, SAME_2, MIXED],
    "never": [SAME, SAME_2, SAME],
    "wrong": [BOTH_WRONG, BOTH_WRONG, MIXED],
}
QUESTIONS = [make_question(id_) for id_ in SCRIPT]


def reward(group: Group) -> np.ndarray:
    return accuracy_reward(group, 0)


def script(question, sampling):
    return SCRIPT[question.id][int(sampling.stream.rsplit("attempt", 1)[1])]


def draw(criterion: Criterion, max_attempts: int = 3) -> tuple[Attempts, FakePolicy]:
    policy = FakePolicy(script)
    sampling = Sampling(n=4, temperature=1.0, stream="step7")
    return sample_with_attempts(policy, QUESTIONS, sampling, reward, criterion, max_attempts), policy


def drawn(attempts: Attempts) -> dict[str, dict[str, int]]:
    return {g.question.id: dict(zip((c.text for c in g.completions), g.counts, strict=True)) for g in attempts.groups}


def test_identical_outputs() -> None:
    result, policy = draw("identical_outputs")
    assert drawn(result) == {
        "at once": MIXED, "second": MIXED, "third": MIXED, "never": SAME, "wrong": BOTH_WRONG,
    }  # fmt: skip
    assert [id_ for id_, _ in policy.asked] == [*SCRIPT, "second", "third", "never", "third", "never"]
    assert (result.attempts, result.rescued, result.stuck) == (10, 2, 1)


def test_zero_reward_std_also_redraws_outputs_that_differ_but_are_worth_the_same() -> None:
    result, policy = draw("zero_reward_std")
    assert drawn(result)["wrong"] == MIXED
    asked = [id_ for id_, _ in policy.asked]
    assert asked == [*SCRIPT, "second", "third", "never", "wrong", "third", "never", "wrong"]
    assert (result.attempts, result.rescued, result.stuck) == (12, 3, 1)


@pytest.mark.parametrize(("limit", "attempts", "rescued", "stuck"), [(1, 5, 0, 3), (2, 8, 1, 2), (3, 10, 2, 1)])
def test_at_most_max_attempts_and_the_last_group_is_kept(limit: int, attempts: int, rescued: int, stuck: int) -> None:
    result, policy = draw("identical_outputs", limit)
    assert (result.attempts, result.rescued, result.stuck) == (attempts, rescued, stuck)
    assert max(sum(id_ == "never" for id_, _ in policy.asked), 0) == limit
    assert drawn(result)["never"] == SCRIPT["never"][limit - 1]


def test_each_attempt_has_its_own_random_stream_and_the_same_group_size() -> None:
    _, policy = draw("identical_outputs")
    never = [sampling for id_, sampling in policy.asked if id_ == "never"]
    assert [s.stream for s in never] == ["step7/attempt0", "step7/attempt1", "step7/attempt2"]
    assert {(s.n, s.temperature) for s in never} == {(4, 1.0)}


def test_a_question_that_cannot_be_asked_is_neither_redrawn_nor_stuck() -> None:
    class Broken(FakePolicy):
        def generate(self, questions, sampling):
            super().generate(questions, sampling)
            return [Group(q, (), (), error="no such file") for q in questions]

    policy = Broken(lambda question, sampling: MIXED)
    result = sample_with_attempts(policy, QUESTIONS[:1], Sampling(n=4, temperature=1.0), reward, "zero_reward_std", 3)
    assert (result.attempts, result.rescued, result.stuck, len(policy.asked)) == (1, 0, 0, 1)
    assert result.groups[0].error == "no such file"


@pytest.mark.parametrize(
    ("group", "identical_outputs", "zero_reward_std"),
    [(SAME, False, False), (MIXED, True, True), (BOTH_WRONG, True, False), ({}, False, False)],
)
def test_contrast(group: dict[str, int], identical_outputs: bool, zero_reward_std: bool) -> None:
    made = make_group(make_question("q"), group)
    assert has_contrast(made, reward(made), "identical_outputs") is identical_outputs
    assert has_contrast(made, reward(made), "zero_reward_std") is zero_reward_std
