"""Rewards that know nothing of the answer: a coin, and an option that did not win the vote."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.group import Group
from audio_eval.methods.controls import WrongMajority
from audio_eval.questions import Question
from audio_eval.rl.advantages import completion_means, group_advantages
from audio_eval.rl.controls import random_reward, wrong_choice
from audio_eval.rl.rewards import accuracy_reward
from audio_eval.rl.votes import Vote, majority_vote
from audio_eval.scoring import normalise
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged


def group(id: str, drawn: Drawn) -> Group:
    return make_group(make_question(id, ("cat", "dog", "owl")), drawn)


# --- a coin ----------------------------------------------------------------------------------------------------------


def test_every_sample_has_a_coin_of_its_own() -> None:
    """Copies of a completion too: their coins differ."""
    thrown = [random_reward(group(str(i), {"cat": 1, "dog": 4, "owl": 3}), 0, 0) for i in range(50)]
    assert {rewards.shape for rewards in thrown} == {(8,)} and set(np.concatenate(thrown)) == {0.0, 1.0}
    assert any(0 < rewards[1:5].mean() < 1 for rewards in thrown)


def norm_of_the_advantages(counts: list[int]) -> float:
    """Root mean square, over every way the coins can fall, of the length of a group's advantages, sample by sample."""
    squares = []
    for coins in itertools.product([0.0, 1.0], repeat=sum(counts)):
        advantages = group_advantages(np.array(coins), np.array(counts))
        squares.append(float((np.array(counts) * advantages**2).sum()))
    return math.sqrt(np.mean(squares))


def test_copies_do_not_blow_the_advantages_up() -> None:
    """Where the coins of copies are averaged before they are normalised, the length at 3 + 1 is 1.62."""
    assert norm_of_the_advantages([3, 1]) == pytest.approx(0.935, abs=5e-4)
    assert norm_of_the_advantages([1, 1, 1, 1]) == pytest.approx(math.sqrt(14 / 16 * 3), abs=5e-4)
    assert norm_of_the_advantages([4]) == pytest.approx(0.0, abs=1e-9), "one completion cannot be told from itself"


@pytest.mark.parametrize("share", [0.5, 0.2])
def test_the_mean_is_the_share(share: float) -> None:
    sums = [float(random_reward(group(str(i), {"a": 1, "b": 4, "c": 3}), 0, 0, share).sum()) for i in range(2000)]
    deviation = (share * (1 - share) / 16_000) ** 0.5
    assert np.sum(sums) / 16_000 == pytest.approx(share, abs=4 * deviation)
    # independent coins: the variance of the sum of 8 is 8 p (1 - p)
    assert np.var(sums) == pytest.approx(8 * share * (1 - share), rel=0.15)


@pytest.mark.parametrize(("share", "worth"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_coin_with_one_side(share: float, worth: float) -> None:
    assert random_reward(group("q", {"cat": 3, "dog": 5}), 0, 0, share).tolist() == [worth] * 8


def test_it_does_not_depend_on_what_is_said() -> None:
    for i in range(30):
        one = random_reward(group(str(i), {tagged("cat"): 2, "dog": 1, "no idea": 5}), 0, 3)
        other = random_reward(group(str(i), {"owl": 2, "": 1, tagged("dog"): 5}), 0, 3)
        assert np.array_equal(one, other)


def test_it_is_worth_nothing_as_a_sign_of_the_label() -> None:
    right, wrong = [], []
    for i in range(3000):
        drawn = group(str(i), {"cat": 2, "dog": 2})
        label, rewards = i % 2, completion_means(random_reward(drawn, 0, i % 7), np.array(drawn.counts))
        agreed = accuracy_reward(drawn, label) == 1
        right += rewards[agreed].tolist()
        wrong += rewards[~agreed].tolist()
    # a completion drawn twice has variance 1/8; the difference of two means of 3000 deviates by sqrt(2 / 8 / 3000)
    assert np.mean(right) == pytest.approx(np.mean(wrong), abs=4 * (2 / 8 / 3000) ** 0.5)


def test_it_is_keyed_by_seed_id_and_step() -> None:
    drawn = {"a": 1, "b": 1, "c": 1, **{str(i): 1 for i in range(40)}}
    keys = [(seed, id_, step) for seed in (0, 1) for id_ in "qr" for step in (0, 1, 2)]
    first = {key: random_reward(group(key[1], drawn), key[0], key[2]).tolist() for key in keys}
    assert first == {key: random_reward(group(key[1], drawn), key[0], key[2]).tolist() for key in reversed(keys)}
    assert len(set(map(tuple, first.values()))) == len(keys)


def test_a_group_that_was_not_asked_has_no_reward() -> None:
    assert random_reward(Group(make_question("q"), (), (), "no such file"), 0, 0).shape == (0,)


# --- an option that did not win --------------------------------------------------------------------------------------


def asked(id_: str, options: int) -> Question:
    return make_question(id_, tuple("abcdef"[:options]))


def voted(tally: dict[int, int]) -> Vote:
    choice = max(tally, key=tally.__getitem__) if tally else None
    return Vote(choice, 0.5, tally, 0)


@pytest.mark.parametrize(
    ("tally", "second"),
    [
        ({0: 5, 1: 3}, 1),
        ({0: 5, 2: 1}, 2),
        ({1: 5, 0: 2, 2: 3}, 2),
        ({2: 5, 0: 3, 1: 1}, 0),
    ],
)
def test_it_is_the_runner_up(tally: dict[int, int], second: int) -> None:
    assert {wrong_choice(voted(tally), asked(str(i), 3), 0) for i in range(30)} == {second}


@pytest.mark.parametrize(
    ("vote", "among"),
    [
        (Vote(0, 1.0, {0: 8}, 0), {1, 2, 3}),  # nobody named another
        (Vote(0, 0.5, {0: 4, 1: 2, 3: 2}, 0), {1, 3}),
        (Vote(1, 0.5, {0: 4, 1: 4}, 0), {0}),  # a tie that was broken another way
        (Vote(None, 0.0, {}, 8), {0, 1, 2, 3}),  # nobody named any
    ],
)
def test_where_nobody_is_second_chance_decides(vote: Vote, among: set[int]) -> None:
    chosen = [wrong_choice(vote, asked(str(i), 4), 0) for i in range(900)]
    counted = Counter(chosen)
    assert set(counted) == among
    assert min(counted.values()) > 900 / len(among) - 5 * (900 / len(among)) ** 0.5, "evenly"
    assert chosen == [wrong_choice(vote, asked(str(i), 4), 0) for i in range(900)]
    if len(among) > 1:
        assert chosen != [wrong_choice(vote, asked(str(i), 4), 1) for i in range(900)]


@given(st.dictionaries(st.integers(0, 5), st.integers(1, 9)), st.integers(2, 6), st.integers(0, 99))
def test_it_is_never_the_majority(tally: dict[int, int], options: int, seed: int) -> None:
    tally = {choice: n for choice, n in tally.items() if choice < options}
    vote = voted(tally)
    chosen = wrong_choice(vote, asked("q", options), seed)
    assert chosen is not None and chosen != vote.choice and 0 <= chosen < options
    assert tally.get(chosen, 0) == max(tally.get(other, 0) for other in range(options) if other != vote.choice)


@pytest.mark.parametrize("options", [0, 1])
def test_with_one_option_there_is_no_other(options: int) -> None:
    assert wrong_choice(Vote(0 if options else None, 1.0, {0: 8} if options else {}, 0), asked("q", options), 0) is None


def wrong_labels(choices: tuple[str, ...], drawn: Drawn) -> set[str]:
    """The labels that wrong_majority learns where all of 30 questions are answered alike."""
    questions = [make_question(str(i), choices) for i in range(30)]
    votes = {q.id: majority_vote(make_group(q, drawn), 0) for q in questions}
    assert {votes[q.id].choice for q in questions} == {0}
    method = WrongMajority()
    method.labels = votes
    return set(method.learn(FakePolicy(lambda q, s: {"cat": 2, "dog": 2}), questions, 0).labels.values())


def test_wrong_majority_learns_another_option() -> None:
    assert wrong_labels(("cat", "dog", "owl"), {"cat": 4}) == {"dog", "owl"}
    assert wrong_labels(("cat", "dog", "owl"), {"cat": 4, "owl": 1}) == {"owl"}
    assert wrong_labels(("cat",), {"cat": 4}) == set()


def test_a_twin_of_the_majority_is_no_wrong_option() -> None:
    """It has the same text: the "wrong" label would read as the majority's, and no completion could ever earn it."""
    assert "cat" not in {normalise(text) for text in wrong_labels(("cat", "dog", "Cat."), {"cat": 4})}


def test_an_empty_slot_is_no_wrong_option() -> None:
    assert wrong_labels(("cat", "dog", ""), {"cat": 4}) == {"dog"}
