"""Labels: votes spread over views, fixed once or renewed; what a kill leaves of them, and whose confidence is whose."""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.methods.aqa_ttrl import AqaTtrl
from audio_eval.methods.aqa_ttrl import Config as AqaTtrlConfig
from audio_eval.methods.ttrl import Config as TtrlConfig
from audio_eval.methods.ttrl import Ttrl
from audio_eval.models.policy import Sampling, Update
from audio_eval.questions import Question
from audio_eval.rl.labels import Relabelling, Voting, ballots, label_texts, vote, vote_labels
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from audio_eval.rl.views import draw_view, plain_view
from audio_eval.rl.votes import Vote, majority_vote, pooled_vote
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_group, make_question, tagged
from tests.rl.test_views import viewable

Script = Callable[[Question, Sampling], Drawn]


class Killed(BaseException):
    pass


# --- ballots ---------------------------------------------------------------------------------------------------------


def test_votes_are_dealt_evenly() -> None:
    questions = [viewable("a"), viewable("b")]
    asked = ballots(questions, Voting(votes=64, views="choices", n_views=6, temperature=0.7), seed=3)
    assert [sampling.n for _, sampling in asked] == [11, 11, 11, 11, 10, 10]
    assert {sampling.temperature for _, sampling in asked} == {0.7}
    for i, (views, sampling) in enumerate(asked):
        assert views == [draw_view(question, ["choices"], 3, f"vote/view{i}") for question in questions]
        assert sampling.stream == f"vote/view{i}", "no two views draw from one stream"


@given(st.integers(1, 100), st.integers(1, 20))
def test_all_votes_are_dealt(votes: int, n_views: int) -> None:
    each = [s.n for _, s in ballots([], Voting(votes=votes, views="shift", n_views=n_views), 0)]
    assert sum(each) == votes and max(each) - min(each) <= 1 and each == sorted(each, reverse=True)
    assert len(each) == min(votes, n_views), "no view without a vote"


def test_without_views_the_item_is_asked_as_it_is() -> None:
    questions = [make_question("a"), make_question("b")]
    ((views, sampling),) = ballots(questions, Voting(), seed=0)
    assert views == [plain_view(question) for question in questions]
    assert sampling == Sampling(n=64, temperature=1.0, stream="vote", seed=0)


def test_unknown_views_are_told_of_before_anything_is_asked() -> None:
    with pytest.raises(UserError, match="unknown view 'colour'"):
        Voting(views="choices+colour")


# --- fixed once -------------------------------------------------------------------------------------------------------

VIEWS = Voting(votes=10, views="choices", n_views=4)  # 3, 3, 2, 2
ITEMS = [viewable(f"{kind}-{i}") for i in range(3) for kind in ("knows", "first", "mute")]


def answers(question: Question, sampling: Sampling) -> Drawn:
    """One knows the owl wherever it stands, one always says the first option, one says nothing."""
    kind = question.id.partition("-")[0]
    return {{"knows": tagged("owl"), "first": "A", "mute": "no idea"}[kind]: sampling.n}


def by_hand(question: Question) -> Vote:
    """The vote over views from their orders: the first option shown gets 3, 3, 2 and 2 votes."""
    kind, tally = question.id.partition("-")[0], {0: 0, 1: 0, 2: 0}
    if kind == "mute":
        return Vote(None, 0.0, {}, 10, 0.0)
    firsts = [draw_view(question, ["choices"], 0, f"vote/view{i}").order[0] for i in range(4)]
    for first, n in zip(firsts, (3, 3, 2, 2), strict=True):
        tally[2 if kind == "knows" else first] += n
    most = max(tally.values())
    if kind == "knows":
        return Vote(2, 1.0, {2: 10}, 0, 1.0)
    tied = [choice for choice, n in tally.items() if n == most]
    told = majority_vote(make_group(question, {question.choices[choice]: 1 for choice in tied}), 0).choice
    return Vote(told, most / 10, {c: n for c, n in tally.items() if n}, 0, firsts.count(told or 0) / 4)


def test_labels_over_views(tmp_path: Path) -> None:
    policy = FakePolicy(answers)
    labels = vote_labels(policy, ITEMS, VIEWS, Session(tmp_path, 0, 4))
    assert labels == {q.id: by_hand(q) for q in ITEMS if not q.id.startswith("mute")}
    assert any(labels[f"first-{i}"].confidence < 1 for i in range(3)), "a habit of position is no certainty"
    names = sorted(path.name for path in (tmp_path / "adapt").glob("[!.]*"))
    assert names == ["labels.jsonl", *(f"votes-view{i}.jsonl" for i in range(4))], "one file a view"
    for i, n in enumerate((3, 3, 2, 2)):
        records = JsonLines(tmp_path / "adapt" / f"votes-view{i}.jsonl").read()
        assert [record["id"] for record in records] == [q.id for q in ITEMS]
        assert all(sum(row[3] for row in record["completions"]) == n for record in records)
    records = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert records[0] == {
        "id": "knows-0", "choice": 2, "label": "owl", "confidence": 1.0, "tally": {"owl": 10}, "unparsable": 0,
        "entropy": 0.0, "agreement": 1.0,
    }  # fmt: skip
    assert (records[2]["label"], records[2]["unparsable"], records[2]["agreement"]) == (None, 10, 0.0)
    assert policy.samples == 90


def test_the_samples_of_a_vote_are_not_held(tmp_path: Path) -> None:
    """When a batch is asked, of those before it only the last is still there."""
    sampled: list[weakref.ref[Group]] = []

    class Watched(FakePolicy):
        def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
            assert sum(group() is not None for group in sampled) <= 2
            groups = super().generate(questions, sampling)
            sampled.extend(map(weakref.ref, groups))
            return groups

    questions = [viewable(str(number)) for number in range(20)]
    policy = Watched(lambda question, sampling: {tagged(question.choices[0]): sampling.n})
    labels = vote_labels(policy, questions, VIEWS, Session(tmp_path, 0, 2))
    assert len(labels) == 20 < len(sampled)


@pytest.mark.parametrize("kill_at", [1, 4, 8, 9, 10, 17, 23, 35])
def test_an_interrupted_vote_over_views_asks_for_the_rest_alone(kill_at: int, tmp_path: Path) -> None:
    """9 questions in batches of 4: a view is done in three calls."""
    whole = FakePolicy(answers)
    labels = vote_labels(whole, ITEMS, VIEWS, Session(tmp_path / "whole", 0, 4))
    calls = itertools.count()

    def killed(question: Question, sampling: Sampling) -> Drawn:
        if next(calls) == kill_at:
            raise Killed
        return answers(question, sampling)

    with pytest.raises(Killed):
        vote_labels(FakePolicy(killed), ITEMS, VIEWS, Session(tmp_path / "killed", 0, 4))
    assert not (tmp_path / "killed" / "adapt" / "labels.jsonl").exists()
    again, meter = FakePolicy(answers), Meter()
    session = Session(tmp_path / "killed", 0, 4, meter=meter)
    assert vote_labels(metered(again, meter, 0), ITEMS, VIEWS, session) == labels
    # a view is 9 questions, a batch of it 4: what was whole is not asked again
    done = kill_at // 9 * 9 + kill_at % 9 // 4 * 4
    assert again.asked == whole.asked[done:]
    assert meter.samples == whole.samples, "and all of it is counted"
    for path in (tmp_path / "whole" / "adapt").iterdir():
        assert (tmp_path / "killed" / "adapt" / path.name).read_bytes() == path.read_bytes()


def test_a_single_view_has_the_name_of_a_plain_vote(tmp_path: Path) -> None:
    vote_labels(FakePolicy(answers), ITEMS, Voting(votes=1, views="choices", n_views=4), Session(tmp_path, 0, 4))
    assert {path.name for path in (tmp_path / "adapt").glob("[!.]*")} == {"votes.jsonl", "labels.jsonl"}


def test_a_vote_to_answer_is_the_vote_for_a_label(tmp_path: Path) -> None:
    labels = vote_labels(FakePolicy(answers), ITEMS, VIEWS, Session(tmp_path, 0, 4))
    voted = vote(FakePolicy(answers), ITEMS, VIEWS, 0)
    assert [one for one, _ in voted] == [labels.get(q.id, Vote(None, 0.0, {}, 10, 0.0)) for q in ITEMS]
    assert {groups[0].best() for _, groups in voted} == {tagged("owl"), "A", "no idea"}
    assert {tuple(group.size for group in groups) for _, groups in voted} == {(3, 3, 2, 2)}, "the groups that voted"


def test_label_texts_are_those_of_the_item() -> None:
    labels = {"a": Vote(2, 1.0, {2: 1}, 0), "b": Vote(None, 0.0, {}, 1)}
    assert label_texts([viewable("a"), viewable("b")], labels) == {"a": "owl"}


# --- renewed ----------------------------------------------------------------------------------------------------------

A, B, C = (make_question(id_, ("cat", "dog", "owl")) for id_ in "abc")
BATCHES = [[A, B], [B, C], [A], [A, B], [A, B, C], [B]]


def turning(policy: FakePolicy) -> Script:
    """What is voted for turns with the weights: cat, dog, owl, cat, ..."""
    return lambda question, sampling: {question.choices[policy.updates % 3]: sampling.n}


def relabelled(every: int, folder: Path) -> tuple[list[dict[str, int | None]], list[list[str]], FakePolicy]:
    """The labels at each step of BATCHES and who was asked for them; the weights move once a step."""
    policy = FakePolicy(lambda question, sampling: {})
    policy.script = turning(policy)
    session, told, asked = Session(folder, 0, 4), [], []
    renewed = Relabelling(policy, Voting(votes=4), every, session)
    for step, batch in enumerate(BATCHES):
        before = len(policy.asked)
        told.append({id_: vote.choice for id_, vote in renewed.at(step, batch).items()})
        asked.append([id_ for id_, _ in policy.asked[before:]])
        policy.updates += 1
    return told, asked, policy


def test_every_step_votes_for_the_whole_batch(tmp_path: Path) -> None:
    told, asked, policy = relabelled(1, tmp_path)
    assert asked == [[q.id for q in batch] for batch in BATCHES]
    assert told == [{q.id: step % 3 for q in batch} for step, batch in enumerate(BATCHES)]
    assert [(id_, s.stream, s.n) for id_, s in policy.asked[:4]] == [
        ("a", "vote/step0", 4), ("b", "vote/step0", 4), ("b", "vote/step1", 4), ("c", "vote/step1", 4),
    ]  # fmt: skip


def test_a_label_lives_for_k_steps(tmp_path: Path) -> None:
    told, asked, _ = relabelled(3, tmp_path)
    # a and b are three steps old at step 3; c, of step 1, at step 4; b again is two at step 5
    assert asked == [["a", "b"], ["c"], [], ["a", "b"], ["c"], []]
    assert told == [{"a": 0, "b": 0}, {"b": 0, "c": 1}, {"a": 0}, {"a": 0, "b": 0}, {"a": 0, "b": 0, "c": 1}, {"b": 0}]
    records = JsonLines(tmp_path / "adapt" / "relabels.jsonl").read()
    assert [(record["step"], record["id"]) for record in records] == [
        (1, "a"), (1, "b"), (2, "c"), (4, "a"), (4, "b"), (5, "c"),
    ]  # fmt: skip
    assert records[2] == {
        "step": 2, "id": "c", "choice": 1, "label": "dog", "confidence": 1.0, "tally": {"dog": 4}, "unparsable": 0,
        "entropy": 0.0, "agreement": 1.0, "indices": {"1": 4},
    }  # fmt: skip


def test_a_question_that_stands_twice_in_a_batch_is_voted_on_once(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {"dog": sampling.n})
    assert Relabelling(policy, Voting(votes=4), 1, Session(tmp_path, 0, 4)).at(0, [A, B, A])["a"].choice == 1
    assert [id_ for id_, _ in policy.asked] == ["a", "b"]


def test_a_question_that_nobody_answered_has_no_label_until_it_is_asked_again(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {})
    policy.script = lambda question, sampling: {"no idea" if policy.updates < 2 else "dog": sampling.n}
    renewed = Relabelling(policy, Voting(votes=4), 2, Session(tmp_path, 0, 4))
    assert (renewed.at(0, [A]), renewed.at(1, [A])) == ({}, {})
    policy.updates = 2
    assert renewed.at(2, [A])["a"].choice == 1
    assert len(policy.asked) == 2


def test_views_are_voted_on_anew_too(tmp_path: Path) -> None:
    policy = FakePolicy(answers)
    labels = Relabelling(policy, VIEWS, 1, Session(tmp_path, 0, 4)).at(5, ITEMS)
    assert labels == {q.id: by_hand(q) for q in ITEMS if not q.id.startswith("mute")}
    streams = list(dict.fromkeys(sampling.stream for _, sampling in policy.asked))
    assert streams == [f"vote/view{i}/step5" for i in range(4)]


# --- a run that is killed --------------------------------------------------------------------------------------------

POOL = [make_question(f"q{i}", ("cat", "dog", "owl")) for i in range(5)]


class Learner(FakePolicy):
    """What it answers depends on its weights, the question and the stream, as a model's answers do."""

    def __init__(self, kill: Callable[[Learner, str], bool] = lambda policy, at: False) -> None:
        super().__init__(self.say)
        self.kill = kill

    def say(self, question: Question, sampling: Sampling) -> Drawn:
        if self.kill(self, "vote" if sampling.stream.startswith("vote") else "rollout"):
            raise Killed
        drawn: dict[str, int] = {}
        for i in range(sampling.n):
            lot = sha256(f"{self.updates} {question.id} {sampling.stream} {i}".encode()).digest()[0]
            text = ["no idea", "cat", tagged("cat"), tagged("dog"), tagged("owl")][lot % 5]
            drawn[text] = drawn.get(text, 0) + 1
        return drawn

    def train_step(self, *args: Any) -> Update:
        if self.kill(self, "train"):
            raise Killed
        return super().train_step(*args)

    def save(self, folder: Path) -> None:
        if self.kill(self, "save"):
            raise Killed
        super().save(folder)


def adapt(policy: FakePolicy, folder: Path, save_every: int, **settings: Any) -> None:
    config = AqaTtrlConfig(votes=4, steps=7, batch_size=3, max_attempts=2, **settings)
    AqaTtrl(config).adapt(policy, POOL, Session(folder, 0, 4, save_every=save_every))


def left(folder: Path) -> dict[str, bytes]:
    names = ("metrics.jsonl", "adapt/relabels.jsonl", "adapt/rollouts.jsonl", "adapt/step-000007/adapter.json")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("settings", [{"relabel": "every_step"}, {"relabel": "every_k", "relabel_k": 3}])
@pytest.mark.parametrize("save_every", [1, 3])
@pytest.mark.parametrize("at", ["vote", "rollout", "train", "save"])
def test_a_killed_run_ends_with_the_same_labels(
    settings: dict[str, Any], save_every: int, at: str, tmp_path: Path
) -> None:
    whole = Learner()
    adapt(whole, tmp_path / "whole", save_every, **settings)
    expected, saw_kill = left(tmp_path / "whole"), 0
    for updates in range(8):
        folder = tmp_path / str(updates)
        policy = Learner(lambda policy, now, updates=updates: now == at and policy.updates == updates)
        try:
            adapt(policy, folder, save_every, **settings)
        except Killed:
            saw_kill += 1
            policy = Learner()
            adapt(policy, folder, save_every, **settings)
            # votes and rollouts after the interruption come from the streams they would have come from
            assert policy.asked == whole.asked[len(whole.asked) - len(policy.asked) :]
        assert left(folder) == expected, updates
        assert policy.updates == whole.updates == 7
    # one vote a batch until all are known, then every third step; every step has rollouts and an update
    assert saw_kill >= (2 if at in ("vote", "save") else 7)


def test_a_run_that_is_killed_twice(tmp_path: Path) -> None:
    adapt(Learner(), tmp_path / "whole", 2, relabel="every_k", relabel_k=3)
    for updates in (3, 5):
        with pytest.raises(Killed):
            adapt(Learner(lambda p, now: now == "train" and p.updates == updates), tmp_path / "x", 2,
                  relabel="every_k", relabel_k=3)  # fmt: skip
    adapt(Learner(), tmp_path / "x", 2, relabel="every_k", relabel_k=3)
    assert left(tmp_path / "x") == left(tmp_path / "whole")


def test_labels_of_the_frozen_model_and_new_ones_differ(tmp_path: Path) -> None:
    """The test above can fail: what is voted for does depend on the weights."""
    adapt(Learner(), tmp_path / "x", 1, relabel="every_step")
    by_id: dict[str, set[str]] = {}
    for record in JsonLines(tmp_path / "x" / "adapt" / "relabels.jsonl").read():
        by_id.setdefault(record["id"], set()).add(str(record["tally"]))
    assert all(len(tallies) > 1 for tallies in by_id.values())


def test_a_batch_without_any_label_is_no_crash(tmp_path: Path) -> None:
    policy = FakePolicy(lambda question, sampling: {"no idea": sampling.n})
    adapt(policy, tmp_path, 1, relabel="every_step")
    assert policy.trained == [[]] * 7 and {s.stream.partition("/")[0] for _, s in policy.asked} == {"vote"}


# --- whose confidence ------------------------------------------------------------------------------------------------

SHARES = {"w": 1, "x": 2, "mute": 0, "y": 3, "z": 4}  # of 4 votes for the dog
NAMED = {id_: make_question(id_, ("cat", "dog")) for id_ in SHARES}
# 2 and 2 of rewards 2 (right, tagged) and 0: mean 1, std sqrt(4 / 3)
UNIT = np.array([1.0, -1.0]) / (math.sqrt(4 / 3) + 1e-4)


def unsure(question: Question, sampling: Sampling) -> Drawn:
    n = SHARES[question.id]
    if sampling.stream == "vote":
        return {tagged("dog"): n, "no idea": 4 - n} if n else {"no idea": 4}
    if question.id in ("x", "z") and sampling.stream.endswith("attempt0"):
        return {"no idea": 4}  # drawn again: another order of the questions that are asked
    return {tagged("dog"): 2, "no idea": 2}


def weights(order: Sequence[str], folder: Path) -> dict[str, float]:
    """What each question's advantages were multiplied by."""
    policy = FakePolicy(unsure)
    config = AqaTtrlConfig(votes=4, steps=1, batch_size=4, conf_weight="linear")
    AqaTtrl(config).adapt(policy, [NAMED[id_] for id_ in order], Session(folder, 0, 2))
    found = {}
    for group, advantages in policy.trained[0]:
        found[group.question.id] = float(advantages[0] / UNIT[0])
        assert advantages == pytest.approx(found[group.question.id] * UNIT)
    return found


@pytest.mark.parametrize("order", list(itertools.permutations(SHARES))[::7])
def test_confidence_goes_with_the_question_not_with_its_place(order: tuple[str, ...], tmp_path: Path) -> None:
    """Facts 3.7.2: one without a label in between, others drawn again, and the batch in its own order."""
    assert weights(order, tmp_path) == pytest.approx({"w": 1 / 4, "x": 2 / 4, "y": 3 / 4, "z": 1.0})


@given(st.permutations([id_ for id_ in SHARES if id_ != "mute"]))
def test_a_shuffled_batch_learns_the_same(order: list[str]) -> None:
    method = AqaTtrl(AqaTtrlConfig(votes=4))
    method.labels = {id_: Vote(1, n / 4, {1: n}, 4 - n) for id_, n in SHARES.items() if n}
    found = method.learn(FakePolicy(unsure), [NAMED[id_] for id_ in order], 0)
    assert [group.question.id for group in found.groups] == order
    for group, advantages in zip(found.groups, found.advantages, strict=True):
        assert advantages == pytest.approx(math.exp(SHARES[group.question.id] / 4) * UNIT)


# --- what is set, and not done ---------------------------------------------------------------------------------------


def test_ttrl_votes_over_views_or_refuses_to(tmp_path: Path) -> None:
    """A setting that is taken and does nothing is a defect (facts 3.7.1)."""
    policy = FakePolicy(answers)
    try:
        config = TtrlConfig(votes=4, views="choices", n_views=4, group_size=2, steps=1, batch_size=9)
    except (UserError, ValueError):
        return
    Ttrl(config).adapt(policy, ITEMS, Session(tmp_path, 0, 4))
    assert len({sampling.stream for _, sampling in policy.asked}) == 4


def test_a_pooled_vote_of_one_plain_view_is_a_majority_vote() -> None:
    group = make_group(A, {"dog": 2, "cat": 2, "no idea": 1})
    for seed in range(10):
        assert pooled_vote([group], [plain_view(A)], seed) == majority_vote(group, seed)
