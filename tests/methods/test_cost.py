"""What a method costs at most, as --dry-run says, against what it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audio_eval.method import Cost
from audio_eval.models.policy import Sampling
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Example, Question
from audio_eval.registry import method_class
from tests.methods.scripted import QUESTIONS, adapt, make
from tests.rl.fake_policy import Drawn, FakePolicy, tagged

C: dict[str, Any] = {"votes": 10, "group_size": 4, "steps": 5, "batch_size": 3}


@pytest.mark.parametrize(
    ("name", "settings", "cost"),
    [
        ("direct", {}, Cost(answers=7)),
        ("majority_vote", {"votes": 10}, Cost(answers=70)),
        ("majority_vote", {"votes": 10, "views": "choices", "n_views": 3}, Cost(answers=70)),
        ("aqa_ttrl", C, Cost(200, 5, 5 * 3 * 4 * 3, 60, 7)),
        ("aqa_ttrl", {**C, "max_attempts": 1}, Cost(200, 5, 60, 60, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_step"}, Cost(0, 5, 180 + 15 * 10, 60, 7)),
        # 20 items at most ceil(5 / 5) times, but no more than the 15 that are asked
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 5}, Cost(0, 5, 180 + 15 * 10, 60, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 5, "steps": 10}, Cost(0, 10, 360 + 30 * 10, 120, 7)),
        ("aqa_ttrl", {**C, "relabel": "every_k", "relabel_k": 8, "steps": 8}, Cost(0, 8, 288 + 20 * 10, 96, 7)),
        ("sft", {"votes": 10, "epochs": 2, "batch_size": 3}, Cost(200, 14, 0, 40, 7)),
        ("sft", {"labels": "gold", "epochs": 2, "batch_size": 3}, Cost(0, 8, 0, 22, 7)),
        ("sft", {"labels": "likelihood", "epochs": 2, "batch_size": 3}, Cost(0, 14, 0, 40, 7, scored=20)),
        ("aqa_ttrl", {**C, "labels": "likelihood"}, Cost(0, 5, 180, 60, 7, scored=20)),
        (
            "aqa_ttrl",
            {**C, "labels": "likelihood", "views": "choices", "n_views": 3},
            Cost(0, 5, 180, 60, 7, scored=60),
        ),
        ("aqa_ttrl", {**C, "labels": "likelihood", "relabel": "every_step"}, Cost(0, 5, 180, 60, 7, scored=15)),
        ("view_ttrl", {**C, "labels": "likelihood"}, Cost(0, 5, 60, 90, 56, scored=20 * 8)),
        ("wrong_majority", C, Cost(200, 5, 180, 60, 7)),
        ("random_reward", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 180, 60, 7)),
        ("format_reward", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 180, 60, 7)),
        ("grpo", {k: v for k, v in C.items() if k != "votes"}, Cost(0, 5, 60, 60, 7)),
    ],
)
def test_cost(name: str, settings: Any, cost: Cost) -> None:
    """Of 20 questions to adapt on, 7 to score, 11 labelled ones; ttrl's, op_ttrl's, ... are in their own tests."""
    assert make(name, **settings).cost(20, 7, 11) == cost


COSTED = [
    ("aqa_ttrl", {}), ("aqa_ttrl", {"relabel": "every_step"}), ("aqa_ttrl", {"relabel": "every_k", "relabel_k": 2}),
    ("ttrl", {}), ("ttrl", {"relabel": "once"}), ("view_ttrl", {"anchor": False}), ("op_ttrl", {"reward": "majority"}),
    ("random_reward", {}), ("format_reward", {}), ("wrong_majority", {}), ("sft", {}), ("sari", {"chains": "none"}),
    ("sari", {"chains": "none", "labels": "votes"}), ("grpo", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), COSTED)
@pytest.mark.parametrize("alike", [False, True])
def test_no_method_takes_more_than_its_cost(name: str, settings: Any, alike: bool, tmp_path: Path) -> None:
    """What was drawn and trained on, against what ``--dry-run`` says; ``alike``: every attempt is needed."""

    def some(question: Question, sampling: Sampling) -> Drawn:
        if alike or sampling.n == 1:
            return {tagged("dog"): sampling.n}
        return {tagged("dog"): sampling.n - 1, tagged("cat"): 1}

    fields = method_class(name).Config.model_fields
    small = {"votes": 4, "samples": 4, "steps": 5, "batch_size": 3, "group_size": 4, "stages": 1, "max_attempts": 3}
    ignored = ("max_attempts",) if name in ("ttrl", "op_ttrl") and settings.get("relabel") != "once" else ()
    small = {key: value for key, value in small.items() if key in fields and key not in ignored}
    method = make(name, **{**small, **settings})
    questions = [
        replace(question, template=PromptTemplate("t", "{{ question }} {{ choices }}")) for question in QUESTIONS
    ]
    examples = [Example(question, "dog") for question in questions]
    policy = FakePolicy(some)
    adapt(method, tmp_path, policy, examples, questions)
    cost = method.cost(len(questions), 0, len(examples))
    assert policy.updates == cost.steps
    assert policy.samples <= cost.votes + cost.rollouts
    assert sum(group.size for step in policy.trained for group, _ in step) <= cost.trained
    if alike or "max_attempts" not in small:  # then the bound is reached, but for labels that need no vote
        slack = 5 * 3 * 4 if settings.get("relabel", "once") != "once" else 0
        assert policy.samples >= cost.votes + cost.rollouts - slack
