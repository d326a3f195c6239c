"""One step of GRPO: rewards of several parts, weights by question; groups that are parted, joined and compared."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.group import Completion, Group
from audio_eval.models.policy import Sampling
from audio_eval.questions import Question
from audio_eval.rl.advantages import group_advantages, joint_advantages
from audio_eval.rl.rewards import accuracy_reward, format_reward
from audio_eval.rl.rollouts import Parts, Reward, Rewards, reinforce, roll_out
from audio_eval.rl.settings import Rollouts
from audio_eval.seeding import stream
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged

ROOT3_2 = math.sqrt(3) / 2
A, B = make_question("a"), make_question("b")


def parts(group: Group) -> Parts:
    return {"agreement": accuracy_reward(group, 0), "format": format_reward(group)}


REWARD = Reward(parts, {"agreement": 1.0, "format": 0.5})
FOUR = Sampling(4, 1.0, stream="step0")


# --- reinforce -------------------------------------------------------------------------------------------------------


def test_a_reward_is_the_weighted_sum_of_its_parts() -> None:
    group = make_group(A, {tagged("cat"): 1, "cat": 1, tagged("dog"): 1, "dog": 1})
    assert REWARD.total(parts(group)).tolist() == [1.5, 1.0, 0.5, 0.0]
    assert Reward(parts, {"agreement": 0.0, "format": 2.0}).total(parts(group)).tolist() == [2, 0, 2, 0]
    assert REWARD.total(parts(Group(A, (), ()))).shape == (0,)


def test_advantages_weights_and_the_log() -> None:
    # a: 1.5 three times, 0.5 once: mean 1.25, std sqrt((3 / 16 + 9 / 16) / 3) = 1/2; b: 1 and 0, twice each
    groups = [make_group(A, {tagged("cat"): 3, tagged("dog"): 1}), make_group(B, {"cat": 2, "dog": 2})]
    found = reinforce(groups, REWARD.of(groups), {"b": 3.0, "a": 2.0, "elsewhere": 99.0})
    assert found.advantages[0] == pytest.approx(2 * np.array([0.25, -0.75]) / (0.5 + 1e-4))
    assert found.advantages[1] == pytest.approx(3 * np.array([0.5, -0.5]) / (math.sqrt(1 / 3) + 1e-4))
    assert found.metrics == pytest.approx(
        {"reward": (1.25 + 0.5) / 2, "agreement": (3 / 4 + 2 / 4) / 2, "format": (1.0 + 0.0) / 2, "no_contrast": 0.0}
    )
    assert found.groups == groups and found.rollouts == [] and found.labels == {}
    assert [right.tolist() for right in found.correctness] == [[1, 0], [1, 0]], "the first part: agreement, not the sum"


def test_without_weights_advantages_are_as_they_are() -> None:
    group = make_group(A, {tagged("cat"): 1, "dog": 1})
    (advantages,) = reinforce([group], REWARD.of([group])).advantages
    assert advantages == pytest.approx(np.array([0.75, -0.75]) / (math.sqrt(1.125) + 1e-4))


def test_the_first_part_of_the_mix_stands_for_being_right() -> None:
    group = make_group(A, {tagged("dog"): 1, "cat": 1})
    turned = Reward(parts, {"format": 1.0, "agreement": 1.0})
    assert reinforce([group], turned.of([group])).correctness[0].tolist() == [1, 0]
    assert reinforce([group], REWARD.of([group])).correctness[0].tolist() == [0, 1]


def test_given_advantages_are_weighed_and_the_rewards_logged() -> None:
    """As where several groups are compared together, or some rewards are not known."""
    groups = [make_group(A, {"cat": 3, "dog": 1}), make_group(B, {"cat": 2})]
    rewards = Rewards([np.array([1.0, 0.0]), np.array([0.5])], {"agreement": [np.array([1.0, 0.0]), np.array([0.0])]})
    given_ = [np.array([0.1, -0.3]), np.array([2.0])]
    found = reinforce(groups, rewards, {"a": 2.0, "b": 0.5}, given_)
    assert [a.tolist() for a in found.advantages] == [[0.2, -0.6], [1.0]]
    assert found.metrics == {"reward": 0.625, "agreement": 0.375, "no_contrast": 0.5}


@given(st.permutations(range(6)))
def test_weights_go_with_the_question_wherever_it_stands(order: list[int]) -> None:
    groups = [make_group(make_question(str(i)), {"cat": 1, "dog": 1}) for i in order]
    found = reinforce(groups, REWARD.of(groups), {str(i): float(i) for i in range(6)})
    # 1 and 0: mean 1/2, std sqrt(1/2)
    unit = np.array([0.5, -0.5]) / (math.sqrt(0.5) + 1e-4)
    for i, advantages in zip(order, found.advantages, strict=True):
        assert advantages == pytest.approx(i * unit)


def test_nothing_to_learn_from() -> None:
    found = reinforce([], REWARD.of([]), {})
    assert (found.groups, found.advantages, found.correctness) == ([], [], [])
    assert found.metrics == {"reward": 0.0, "agreement": 0.0, "format": 0.0, "no_contrast": 0.0}


def test_a_question_that_could_not_be_asked_has_no_part_in_the_means() -> None:
    groups = [Group(A, (), (), "no such file"), make_group(B, {tagged("cat"): 1})]
    found = reinforce(groups, REWARD.of(groups), {"a": 1, "b": 1})
    assert [advantages.tolist() for advantages in found.advantages] == [[], [0.0]]
    assert found.metrics == {"reward": 1.5, "agreement": 1.0, "format": 1.0, "no_contrast": 1.0}


# --- roll_out --------------------------------------------------------------------------------------------------------


def test_a_step_draws_rewards_and_logs_what_it_drew() -> None:
    def script(question: Question, sampling: Sampling) -> Drawn:
        attempt = int(sampling.stream[-1])
        return {"a": {"cat": 2, "dog": 2}, "b": [{"cat": 4}, {"cat": 3, "dog": 1}][min(attempt, 1)]}[question.id]

    policy, settings = FakePolicy(script), Rollouts(max_attempts=3)
    found = roll_out(policy, [A, B], Sampling(4, 0.7, stream="step9"), settings, REWARD, {"a": 1.0, "b": 2.0})
    assert [(id_, s.n, s.temperature, s.stream) for id_, s in policy.asked] == [
        ("a", 4, 0.7, "step9/attempt0"), ("b", 4, 0.7, "step9/attempt0"), ("b", 4, 0.7, "step9/attempt1"),
    ]  # fmt: skip
    assert [group.question for group in found.groups] == [A, B] and found.groups[1].counts == (3, 1)
    assert found.advantages[0] == pytest.approx([ROOT3_2, -ROOT3_2], abs=1e-3)
    assert found.advantages[1] == pytest.approx([2 * 0.5, 2 * -1.5], abs=1e-3)
    assert found.metrics == {
        "reward": (2 / 4 + 3 / 4) / 2, "agreement": (2 / 4 + 3 / 4) / 2, "format": 0.0, "no_contrast": 0.0,
        "attempts": 1.5, "rescued": 1, "stuck": 0,
    }  # fmt: skip


def test_whether_to_draw_again_is_told_by_the_whole_reward() -> None:
    """Agreement alone would not tell these apart; the format does."""
    policy = FakePolicy(lambda question, sampling: {tagged("cat"): 2, "cat": 2})
    settings = Rollouts(max_attempts=3, criterion="zero_reward_std")
    roll_out(policy, [A], FOUR, settings, REWARD)
    assert len(policy.asked) == 1
    roll_out(policy, [A], FOUR, settings, Reward(parts, {"agreement": 1.0, "format": 0.0}))
    assert len(policy.asked) == 1 + 3


def test_an_empty_batch_is_an_empty_step() -> None:
    policy = FakePolicy(lambda question, sampling: {"cat": 4})
    found = roll_out(policy, [], FOUR, Rollouts(), REWARD, {})
    assert (found.groups, found.advantages, policy.asked) == ([], [], [])
    assert found.metrics == {
        "reward": 0.0, "agreement": 0.0, "format": 0.0, "no_contrast": 0.0, "attempts": 0.0, "rescued": 0, "stuck": 0,
    }  # fmt: skip


# --- joint_advantages ------------------------------------------------------------------------------------------------


def joint(rewards: list[list[float]], counts: list[list[int]]) -> list[np.ndarray]:
    return joint_advantages([np.array(r, float) for r in rewards], [np.array(n, int) for n in counts])


def test_what_one_view_gets_right_and_another_not() -> None:
    """Alone neither group could teach anything."""
    first, second = joint([[1], [0]], [[2], [2]])
    assert first == pytest.approx([ROOT3_2], abs=1e-3) and second == pytest.approx([-ROOT3_2], abs=1e-3)
    assert not group_advantages(np.array([1.0]), np.array([2])).any()


def test_groups_of_different_sizes_are_compared_as_one() -> None:
    # 1, 0, 0, 0 of three groups, one of them empty
    one, none, more = joint([[1, 0], [], [0]], [[1, 1], [], [2]])
    assert (
        one == pytest.approx([1.5, -0.5], abs=1e-3) and none.shape == (0,) and more == pytest.approx([-0.5], abs=1e-3)
    )


def test_groups_that_are_all_alike_or_empty() -> None:
    assert [a.tolist() for a in joint([[1], [1, 1]], [[3], [1, 2]])] == [[0.0], [0.0, 0.0]]
    assert [a.tolist() for a in joint([[], []], [[], []])] == [[], []]


multisets = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 2.0]), st.integers(1, 9)), max_size=4)


@given(st.lists(multisets, min_size=1, max_size=4))
def test_joint_advantages_are_those_of_all_samples_written_out(groups: list[list[tuple[float, int]]]) -> None:
    found = joint([[r for r, _ in group] for group in groups], [[n for _, n in group] for group in groups])
    samples = np.array([r for group in groups for r, n in group for _ in range(n)], np.float64)
    assert [len(a) for a in found] == [len(group) for group in groups]
    if not len(samples):
        return
    std = samples.std(ddof=1) if len(samples) > 1 else 0.0
    for group, advantages in zip(groups, found, strict=True):
        expected = [(r - samples.mean()) / (std + 1e-4) for r, _ in group]
        assert advantages == pytest.approx(expected, abs=1e-9)


# --- parts of groups -------------------------------------------------------------------------------------------------

TEN = make_group(A, {"x": 6, "y": 3, "z": 1})


def counted(group: Group) -> dict[str, int]:
    return dict(zip((c.text for c in group.completions), group.counts, strict=True))


@given(st.integers(0, 12), st.integers(0, 999), st.booleans())
def test_a_part_is_of_the_samples_that_are_there(size: int, seed: int, distinct: bool) -> None:
    part = TEN.part(size, np.random.default_rng(seed), distinct)
    assert part.size == min(size, 10) and part.question is A
    whole = counted(TEN)
    assert all(0 < n <= whole[text] for text, n in counted(part).items())
    assert [c for c in TEN.completions if c in part.completions] == list(part.completions), "in the group's own order"
    if distinct:
        assert len(part.completions) == min(size, 3), "different ones first"


def test_a_part_of_all_is_the_group() -> None:
    rng = np.random.default_rng(0)
    assert TEN.part(10, rng) is TEN and TEN.part(11, rng, distinct=True) is TEN
    unread = Group(A, (), (), "no such file")
    assert unread.part(4, rng) is unread


def shares(size: int, distinct: bool = False, runs: int = 3000) -> np.ndarray:
    """How often x, y and z are in a part, (runs, 3)."""
    parts = [counted(TEN.part(size, stream(0, "q", "part", i), distinct)) for i in range(runs)]
    return np.array([[part.get(text, 0) for text in "xyz"] for part in parts])


def test_a_part_is_drawn_without_replacement() -> None:
    drawn = shares(4)
    # 4 of 10: 2.4, 1.2 and 0.4; variances n p q (N - n) / (N - 1) = 0.64, 0.56, 0.24, with replacement 3/2 of that
    assert drawn.mean(axis=0) == pytest.approx([2.4, 1.2, 0.4], abs=4 * (0.64 / 3000) ** 0.5)
    assert drawn.var(axis=0) == pytest.approx([0.64, 0.56, 0.24], rel=0.12)


def test_of_distinct_ones_the_first_met_stand_first() -> None:
    assert shares(1, distinct=True).mean(axis=0) == pytest.approx([0.6, 0.3, 0.1], abs=0.04)
    assert shares(3, distinct=True, runs=50).tolist() == [[1, 1, 1]] * 50


def test_of_distinct_ones_the_rest_follows_in_the_order_met() -> None:
    """x x x y y: one of each, then the first that was met again: x in 7 of the 10 arrangements."""
    five = make_group(A, {"x": 3, "y": 2})
    # xx + xyy in any order: 3; xy or yx + xxy in any order: x comes next in 2 of 3, so 4; yy + xxx: none
    drawn = [counted(five.part(3, stream(0, "q", "part", i), distinct=True))["x"] - 1 for i in range(3000)]
    assert np.mean(drawn) == pytest.approx(0.7, abs=4 * (0.7 * 0.3 / 3000) ** 0.5)


def test_a_part_is_keyed_by_its_stream() -> None:
    assert (shares(4, runs=50) == shares(4, runs=50)).all()
    assert len({tuple(row) for row in shares(4, runs=50)}) > 3


def test_groups_are_joined_without_what_is_there_already() -> None:
    joined = make_group(A, {"x": 2, "y": 1}).joined(make_group(A, {"y": 5, "z": 4}))
    assert counted(joined) == {"x": 2, "y": 1, "z": 4} and joined.question is A
    empty = Group(A, (), ())
    assert counted(empty.joined(TEN)) == counted(TEN) == counted(TEN.joined(empty)) == counted(TEN.joined(TEN))


def test_what_is_there_is_told_by_its_tokens() -> None:
    """The same text may have been written in other tokens, or been cut: that is another completion."""
    drawn = Group(A, (Completion("x", (1, 2)),), (3,))
    joined = drawn.joined(Group(A, (Completion("x", (12,)), Completion("x", (1, 2), finished=False)), (1, 1)))
    assert joined.completions == (Completion("x", (1, 2)), Completion("x", (12,))) and joined.counts == (3, 1)


def test_texts_are_compared_where_tokens_are_not_known() -> None:
    """A server returns text only."""
    known = Group(A, (Completion("x", (1, 2)),), (3,))
    joined = known.joined(Group(A, (Completion("x"), Completion("y")), (1, 1)))
    assert joined.completions == (Completion("x", (1, 2)), Completion("y")) and joined.counts == (3, 1)


def test_what_happened_to_a_question_stays_with_its_group() -> None:
    heard = Group(A, TEN.completions, TEN.counts, truncated=True, audio_seconds=30.0)
    for group in (heard.part(4, np.random.default_rng(0)), heard.joined(make_group(A, {"w": 1}))):
        assert (group.truncated, group.audio_seconds) == (True, 30.0)


@pytest.mark.parametrize(
    "group",
    [
        TEN,
        Group(A, (), (), "no such file"),
        Group(A, (Completion("x", (1,), logprobs=(-0.5,)), Completion("y", None, False)), (2, 1), None, True, 1 / 3),
    ],
)
def test_a_group_is_read_back_as_it_was_written(group: Group) -> None:
    assert Group.from_json(json.loads(json.dumps(group.to_json())), A) == group
