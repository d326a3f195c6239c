"""view_ttrl on a scripted policy: what it asks, what it takes for right in each view, what it compares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from audio_eval.audio import AudioRef
from audio_eval.group import Group
from audio_eval.method import Cost
from audio_eval.methods.view_ttrl import Config, ViewTtrl
from audio_eval.models.policy import Sampling
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.rl.session import Session
from audio_eval.store import JsonLines
from tests.methods.scripted import texts
from tests.rl.fake_policy import Drawn, FakePolicy, tagged

CHOICES = ("cat", "dog", "owl", "bee")
TEMPLATE = PromptTemplate("test", "{{ question }} {{ choices }}")
SOUND = AudioRef(data=b"a recording")
EPS = 1e-4


def make_question(id_: str, **changes: Any) -> Question:
    asked = Question(id_, SOUND, "Which?", CHOICES, f"Which? {list(CHOICES)}", template=TEMPLATE)
    return replace(asked, paraphrases=("What is it?", "Who is this?"), **changes)


QUESTIONS = [make_question(id_) for id_ in "ab"]


class Recorder(FakePolicy):
    """Keeps the questions as they were asked."""

    def __init__(self, script: Callable[[Question, Sampling], Drawn]) -> None:
        super().__init__(script)
        self.questions: list[tuple[Question, Sampling]] = []

    def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
        self.questions += [(question, sampling) for question in questions]
        return super().generate(questions, sampling)

    def in_stream(self, start: str) -> list[tuple[Question, Sampling]]:
        return [(q, s) for q, s in self.questions if s.stream.startswith(start)]


def knows(answer: str) -> Callable[[Question, Sampling], Drawn]:
    """Says ``answer`` in the votes whatever the view; then half of the time."""

    def script(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream.startswith("vote"):
            return {tagged(answer): sampling.n}
        return {tagged(answer): sampling.n - sampling.n // 2, tagged("bee"): sampling.n // 2}

    return script


def adapt(folder: Path, policy: FakePolicy, questions: Any = QUESTIONS, **settings: Any) -> Session:
    session = Session(folder, 0, 2)
    small = {"votes": 8, "n_views": 4, "views": "choices+shift+gain+paraphrase", "steps": 1, "batch_size": 2}
    ViewTtrl(Config(**{**small, "conf_weight": "none", **settings})).adapt(policy, questions, session)
    return session


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def rollouts(folder: Path) -> list[dict[str, Any]]:
    return JsonLines(folder / "adapt" / "rollouts.jsonl").read()


# --- what is asked ---------------------------------------------------------------------------------------------------


def test_it_trains_on_other_views_than_it_voted_on(tmp_path: Path) -> None:
    policy = Recorder(knows("owl"))
    adapt(tmp_path, policy, steps=3)
    voted, trained = policy.in_stream("vote"), policy.in_stream("step")
    assert {s.stream for _, s in voted} == {f"vote/view{i}" for i in range(4)}
    assert {s.n for _, s in voted} == {2} and {s.n for _, s in trained} == {2}, "8 votes on 4 views, 4 rollouts on 2"
    assert {s.stream for _, s in trained} == {f"step{s}/view{v}" for s in range(3) for v in range(2)}
    for id_ in "ab":
        sounds = [{q.audio.edit for q, _ in seen if q.id == id_ and q.audio} for seen in (voted, trained)]
        assert len(sounds[0]) == 4 and None not in sounds[0], "the item as it is does not vote"
        assert len(sounds[1]) == 1 + 3 and None in sounds[1], "it is trained on, beside a fresh view a step"
        assert not sounds[0] & sounds[1], "shifted and scaled anew"
        assert len({q.choices for q, _ in voted + trained if q.id == id_}) > 4
        assert {q.question for q, _ in voted + trained if q.id == id_} == {"Which?", "What is it?", "Who is this?"}
    for question, _ in voted + trained:
        assert sorted(question.choices) == sorted(CHOICES) and question.audio is not None
        assert question.audio.data == SOUND.data
        assert question.prompt == f"{question.question} {list(question.choices)}", "the prompt shows the view"


def test_all_of_the_training_views_may_be_fresh(tmp_path: Path) -> None:
    policy = Recorder(knows("owl"))
    adapt(tmp_path, policy, as_is=False)
    assert all(q.audio.edit is not None for q, _ in policy.in_stream("step") if q.audio)


def test_without_train_views_the_item_is_asked_as_it_is(tmp_path: Path) -> None:
    policy = Recorder(knows("owl"))
    adapt(tmp_path, policy, train_views="none")
    assert {(q.prompt, q.audio) for q, _ in policy.in_stream("step")} == {(QUESTIONS[0].prompt, SOUND)}
    assert len({q.prompt for q, _ in policy.in_stream("vote")}) > 1


def test_views_are_a_function_of_seed_item_and_name(tmp_path: Path) -> None:
    asked = []
    for batch_size, name in ((1, "one"), (2, "two")):
        policy = Recorder(knows("owl"))
        adapt(tmp_path / name, policy, steps=2 // batch_size, batch_size=batch_size)
        asked.append({(q.id, s.stream): q for q, s in policy.in_stream("vote")})
    assert asked[0] == asked[1]


# --- the label -------------------------------------------------------------------------------------------------------


def test_a_label_is_counted_by_the_original_options(tmp_path: Path) -> None:
    """A policy that always names the first option shown votes for what happens to stand there."""
    policy = Recorder(lambda question, sampling: {tagged(question.choices[0]): sampling.n})
    adapt(tmp_path, policy, QUESTIONS[:1], votes=64, n_views=64)
    tally: dict[str, int] = {}
    for question, sampling in policy.in_stream("vote"):
        tally[question.choices[0]] = tally.get(question.choices[0], 0) + sampling.n
    (label,) = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert label["tally"] == tally and len(tally) == 4 and label["confidence"] == max(tally.values()) / 64
    assert tally[label["label"]] == max(tally.values())


def test_what_has_no_label_is_skipped_and_counted(tmp_path: Path) -> None:
    def script(question: Question, sampling: Sampling) -> Drawn:
        return {"no idea": sampling.n} if question.id == "b" else {tagged("owl"): 1, "cat": sampling.n - 1}

    policy = Recorder(script)
    assert adapt(tmp_path, policy, steps=3).notes == {"skipped_all_unparsable": 1}
    assert {q.id for q, _ in policy.in_stream("step")} == {"a"}


# --- the reward ------------------------------------------------------------------------------------------------------


def test_rewards_go_by_where_the_label_stands_in_the_view(tmp_path: Path) -> None:
    """The policy answers with letters: in each view another one is right."""

    def script(question: Question, sampling: Sampling) -> Drawn:
        right = "ABCD"[question.choices.index("owl")]
        if sampling.stream.startswith("vote"):
            return {tagged(right): sampling.n}
        return {tagged("A"): 1, tagged("B"): 1, tagged("C"): 1, tagged("D"): 1}

    policy = Recorder(script)
    adapt(tmp_path, policy, steps=4, group_size=8, anchor=False)
    assert {r["label"] for r in rollouts(tmp_path)} == {"owl"}
    places = set()
    for step in policy.trained:
        for group, advantages in step:
            place = group.question.choices.index("owl")
            places.add(place)
            # both views of the item together: 2 of 8 are right, mean 1/4
            std = math.sqrt(8 * 0.25 * 0.75 / 7)
            expected = [(float(i == place) - 0.25) / (std + EPS) for i in range(4)]
            assert advantages == pytest.approx(np.array(expected))
    assert places == {0, 1, 2, 3}, "or the order of the options was not tested"
    assert all(r["agreement"] == 0.25 for r in metrics(tmp_path))


def test_advantages_are_normalised_over_an_items_views_together(tmp_path: Path) -> None:
    """One view all right, the other all wrong: alone neither would teach anything."""

    def script(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream.startswith("vote"):
            return {tagged("owl"): sampling.n}
        return {tagged("owl" if sampling.stream.endswith("view0") else "bee"): sampling.n}

    policy = Recorder(script)
    adapt(tmp_path, policy, QUESTIONS[:1], batch_size=1, anchor=False)
    (first, right), (second, wrong) = policy.trained[0]
    assert (first.counts, second.counts) == ((2,), (2,))
    # rewards with the format: 2, 2, 1, 1; mean 1.5, std sqrt(1/3)
    expected = 0.5 / (math.sqrt(1 / 3) + EPS)
    assert right == pytest.approx([expected]) and wrong == pytest.approx([-expected])
    (record,) = metrics(tmp_path)
    assert (record["reward"], record["agreement"], record["skipped_groups"]) == (1.5, 0.5, 0)


def test_the_confidence_weighs(tmp_path: Path) -> None:
    """Of 4 views three vote for owl, one of them by a single vote, and one for bee: agreement 3/4, share 5/8."""

    def script(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream.startswith("vote"):
            others = {tagged("owl"): 1, "no idea": 1} if sampling.stream == "vote/view1" else {tagged("owl"): 2}
            return {tagged("bee"): 2} if sampling.stream == "vote/view0" else others
        return {tagged("owl"): 1, tagged("bee"): 1}

    unit = 0.5 / (math.sqrt(1 / 3) + EPS)
    for confidence, share in (("agreement", 0.75), ("share", 5 / 8)):
        for weight, f in (("exp", math.exp), ("linear", float), ("none", lambda c: 1.0)):
            folder = tmp_path / confidence / weight
            policy = Recorder(script)
            adapt(folder, policy, QUESTIONS[:1], batch_size=1, confidence=confidence, conf_weight=weight)
            for _, advantages in policy.trained[0]:
                assert advantages == pytest.approx(f(share) * unit * np.array([1, -1]))
            assert metrics(folder)[0]["vote_share"] == pytest.approx(share)


# --- the anchor ------------------------------------------------------------------------------------------------------


def test_the_anchor_joins_only_where_it_is_missing_and_is_not_drawn(tmp_path: Path) -> None:
    def script(question: Question, sampling: Sampling) -> Drawn:
        if sampling.stream.startswith("vote"):
            return {tagged("owl"): sampling.n}
        return {tagged("bee"): 2} if sampling.stream.endswith("view0") else {tagged("owl"): 1, "cat": 1}

    policy = Recorder(script)
    adapt(tmp_path, policy, QUESTIONS[:1], batch_size=1)
    (first, one), (second, other) = policy.trained[0]
    assert [(c.text, n) for c, n in zip(first.completions, first.counts, strict=True)] == [
        (tagged("bee"), 2), (tagged("owl"), 1),
    ]  # fmt: skip
    assert [c.text for c in second.completions] == [tagged("owl"), "cat"] and second.counts == (1, 1)
    # rewards 1, 1, 2 and 2, 0: mean 6/5; squares 2 * .04 + 2 * .64 + 1.44 = 2.8, over 4
    std = math.sqrt(2.8 / 4)
    assert one == pytest.approx(np.array([-0.2, 0.8]) / (std + EPS))
    assert other == pytest.approx(np.array([0.8, -1.2]) / (std + EPS))
    assert policy.samples == 8 + 4, "the anchor costs no sample"
    (record,) = metrics(tmp_path)
    assert record["agreement"] == 0.25 and record["majority_ratio"] == 0.75, "of what was drawn: 0/2 and 1/2; 1, 1/2"
    assert record["reward"] == pytest.approx((4 / 3 + 1) / 2, abs=1e-6), "of what is trained on"


def test_the_log_has_labels_as_texts_and_what_was_drawn(tmp_path: Path) -> None:
    policy = Recorder(lambda q, s: {tagged("owl"): 8} if s.stream.startswith("vote") else {tagged("bee"): s.n})
    adapt(tmp_path, policy)
    logged = rollouts(tmp_path)
    assert [r["id"] for r in logged] == [g.question.id for g, _ in policy.trained[0]] and len(logged) == 4
    for record, (group, _) in zip(logged, policy.trained[0], strict=True):
        assert record["label"] == "owl" and record["choices"] == list(group.question.choices)
        assert record["completions"] == [[tagged("bee"), 2, 2, 0.0]], "text, sampled, trained on, right; no anchor"


def test_a_group_that_says_only_the_label_has_nothing_to_learn(tmp_path: Path) -> None:
    def always(said: str) -> Callable[[Question, Sampling], Drawn]:
        return lambda q, s: {tagged("owl" if s.stream.startswith("vote") else said): s.n}

    for said, anchor, skipped in (("owl", True, 2), ("bee", True, 0), ("bee", False, 2)):
        folder, policy = tmp_path / f"{said}-{anchor}", Recorder(always(said))
        adapt(folder, policy, QUESTIONS[:1], batch_size=1, anchor=anchor)
        assert [s.stream for _, s in policy.in_stream("step")] == ["step0/view0", "step0/view1"]
        assert metrics(folder)[0]["skipped_groups"] == skipped, (said, anchor)


def test_the_answer_is_the_majority_of_greedy_views() -> None:
    """By the original options: here a view answers with what stands first in it."""
    policy = Recorder(lambda q, s: {tagged(q.choices[0]): s.n})
    method = ViewTtrl(Config(views="choices", answer_views=5))
    (answer,) = method.predict(policy, QUESTIONS[:1])
    (said,) = texts([answer])
    asked = [q.choices[0] for q, _ in policy.questions]
    assert policy.questions[0][0] == QUESTIONS[0], "the item as it is comes first"
    assert {(s.n, s.temperature) for _, s in policy.asked} == {(1, 0.0)} and len(asked) == 5
    assert len(answer.groups) == 5, "the views that voted"
    assert asked.count(said.removeprefix("<answer>").removesuffix("</answer>")) == max(map(asked.count, asked))
    silent = Recorder(lambda q, s: {"no idea": s.n})
    assert texts(method.predict(silent, QUESTIONS[:1])) == ["no idea"], "never a guess"
    alone = Recorder(lambda q, s: {"as it is": s.n})
    assert texts(ViewTtrl(Config(answer_views=1)).predict(alone, QUESTIONS[:1])) == ["as it is"]
    assert len(alone.asked) == 1


def test_an_item_that_cannot_be_asked_stops_nothing(tmp_path: Path) -> None:
    class Deaf(Recorder):
        def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
            groups = super().generate(questions, sampling)
            broken = sampling.stream.startswith("step")
            return [Group(g.question, (), (), "gone") if broken and g.question.id == "a" else g for g in groups]

    policy = Deaf(knows("owl"))
    adapt(tmp_path, policy)
    sizes = {group.question.id: len(advantages) for group, advantages in policy.trained[0]}
    assert sizes == {"a": 0, "b": 2}, "no anchor for what cannot be asked"


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_cost() -> None:
    c: dict[str, Any] = {"votes": 10, "group_size": 4, "group_views": 2, "steps": 5, "batch_size": 3, "answer_views": 2}
    assert ViewTtrl(Config(**c, anchor=False)).cost(20, 7, 0) == Cost(20 * 10, 5, 5 * 3 * 4, 5 * 3 * 4, 7 * 2)


def spent(folder: Path, **settings: Any) -> tuple[Cost, int, int]:
    """The cost that is announced, the rollouts drawn and the completions learnt from."""
    same = Recorder(lambda q, s: {tagged("owl" if s.stream.startswith("vote") else "bee"): s.n})
    chosen: dict[str, Any] = {"votes": 8, "n_views": 4, "steps": 2, "batch_size": 2, **settings}
    adapt(folder, same, **chosen)
    trained = sum(group.size for step in same.trained for group, _ in step)
    return ViewTtrl(Config(**chosen)).cost(2, 0, 0), sum(s.n for _, s in same.in_stream("step")), trained


def test_the_cost_is_what_it_takes(tmp_path: Path) -> None:
    cost, drawn, trained = spent(tmp_path, anchor=False)
    assert (cost.rollouts, cost.trained) == (drawn, trained) == (16, 16)


def test_the_anchor_is_in_the_cost(tmp_path: Path) -> None:
    cost, _, trained = spent(tmp_path)
    assert trained == 16 + 8 and cost.trained >= trained


def test_rollouts_that_cannot_be_dealt_to_the_views_are_refused() -> None:
    with pytest.raises(ValidationError, match="group_size=2 rollouts cannot be dealt to 5 group_views"):
        Config(group_size=2, group_views=5)
