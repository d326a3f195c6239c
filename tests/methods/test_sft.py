"""sft on a scripted policy: pseudo-labels, and gold ones."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

from audio_eval.questions import Example
from tests.methods.scripted import CHOICES, QUESTIONS, VIEWED, Watched, adapt, make, script
from tests.rl.fake_policy import FakePolicy, make_question, tagged


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
