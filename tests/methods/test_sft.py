"""sft on a scripted policy: pseudo-labels, and gold ones."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from audio_eval.errors import UserError
from audio_eval.questions import Example, Question
from audio_eval.store import JsonLines
from tests.methods.scripted import CHOICES, QUESTIONS, VIEWED, Watched, adapt, make, script
from tests.rl.fake_policy import FakeGenerator, FakePolicy, make_question, option, tagged


def test_sft_pseudo_learns_the_voted_labels(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(make("sft", votes=4, epochs=2, batch_size=3), tmp_path, policy, [Example(QUESTIONS[2], "owl")])
    assert len(policy.trained) == 2, "3 labelled items, 2 epochs, 3 a step"
    for step in policy.trained:
        assert {g.question.id: g.best() for g, _ in step} == {
            "sure": tagged("dog"), "split": tagged("owl"), "wordy": tagged("cat"),
        }  # fmt: skip
        assert all(advantages.tolist() == [1.0] and group.counts == (1,) for group, advantages in step)
    assert {sampling.stream for _, sampling in policy.asked} == {"vote"}


def test_sft_learns_the_labels_of_a_vote_over_views(tmp_path: Path) -> None:
    """The samples name letters of the view; what is learned is the option's own text under the item as it is."""
    policy = Watched(lambda question, sampling: {"ABC"[question.choices.index("owl")]: sampling.n})
    adapt(make("sft", votes=8, views="choices", n_views=4, epochs=1, batch_size=4), tmp_path, policy, questions=VIEWED)
    assert {s.stream for _, s in policy.questions} == {f"vote/view{i}" for i in range(4)}
    ((*step,),) = policy.trained
    assert {group.best() for group, _ in step} == {tagged("owl")} and {g.question for g, _ in step} == set(VIEWED)


def test_sft_gold_learns_the_examples_and_does_not_look_at_the_scored_items(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    examples = [Example(make_question(f"t{i}", CHOICES), CHOICES[i % 3]) for i in range(5)]
    adapt(make("sft", labels="gold", epochs=3, batch_size=2), tmp_path, policy, examples)
    assert policy.asked == []
    assert len(policy.trained) == math.ceil(3 * 5 / 2)
    targets = Counter((group.question.id, group.best()) for step in policy.trained for group, _ in step)
    assert set(targets) == {(e.question.id, tagged(e.answer)) for e in examples}
    assert sum(targets.values()) == 16 and max(targets.values()) - min(targets.values()) <= 1
    assert not (tmp_path / "adapt" / "labels.jsonl").exists()


def owl_is_likely(question: Question, text: str) -> list[float]:
    """The owl is the likeliest; of the question "split" only just. "mute" cannot be scored, as it has no options."""
    return [-1.0 if "owl" in text else -1.1 if question.id == "split" else -5.0]


def test_sft_learns_the_likeliest_options(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    policy.likelihood = owl_is_likely
    questions = [replace(q, choices=()) if q.id == "mute" else q for q in QUESTIONS]
    adapt(make("sft", labels="likelihood", epochs=1, batch_size=3), tmp_path, policy, questions=questions)
    assert policy.asked == [], "nothing is sampled"
    ((*step,),) = policy.trained
    assert {g.question.id: g.best() for g, _ in step} == dict.fromkeys(("sure", "split", "wordy"), tagged("owl"))
    by_id = {record["id"]: record for record in JsonLines(tmp_path / "adapt" / "labels.jsonl").read()}
    assert by_id["mute"]["label"] is None and by_id["mute"]["tally"] == {}
    odds = math.exp(-0.1)
    assert by_id["split"]["confidence"] == pytest.approx(1 / (1 + 2 * odds))
    assert by_id["split"]["tally"] == pytest.approx({"cat": odds / (1 + 2 * odds), "dog": odds / (1 + 2 * odds),
                                                     "owl": 1 / (1 + 2 * odds)})  # fmt: skip
    assert by_id["sure"]["confidence"] > 0.95 and by_id["sure"]["agreement"] == 1.0
    (kept,) = (tmp_path / "adapt").glob("likelihoods*.jsonl")
    assert len(JsonLines(kept).read()) == 4, "what was scored is on the disk"


def test_sft_learns_the_likeliest_options_over_views(tmp_path: Path) -> None:
    """A policy that only looks at places labels at random over views, and the labels are the items' own options."""
    policy = FakePolicy(script)
    policy.likelihood = lambda question, text: [-5.0 * question.choices.index(option(text)) - 2.0 * ("owl" not in text)]
    settings = {"labels": "likelihood", "views": "choices", "n_views": 32, "epochs": 1, "batch_size": 4}
    adapt(make("sft", **settings), tmp_path, policy, questions=VIEWED)
    labels = JsonLines(tmp_path / "adapt" / "labels.jsonl").read()
    assert {record["label"] for record in labels} == {"owl"} and all(r["agreement"] < 0.6 for r in labels)
    assert len(policy.scored) == 32 * 4 and len(list((tmp_path / "adapt").glob("likelihoods-view*.jsonl"))) == 32


def test_labels_of_nothing_that_can_be_scored_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to learn from"):
        adapt(make("sft", labels="likelihood"), tmp_path, FakePolicy(script), questions=[make_question("open", ())])


def test_likelihoods_need_a_policy_that_scores(tmp_path: Path) -> None:
    assert make("sft", labels="likelihood").needs_logprobs and not make("sft").needs_logprobs
    with pytest.raises(UserError, match="can only generate: a method that scores"):
        adapt(make("sft", labels="likelihood"), tmp_path, FakeGenerator(script))  # type: ignore[arg-type]
