"""The method on a policy that says what the test tells it to: no model, no audio, milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from confident_sft.method import ConfidentSft, Config

from audio_eval.errors import UserError
from audio_eval.group import Completion, Group
from audio_eval.models.policy import PolicyInfo, Update
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.rl.session import Session


def group(question: Question, drawn: dict[str, int]) -> Group:
    completions = tuple(Completion(text, tuple(text.encode())) for text in drawn)
    return Group(question, completions, tuple(drawn.values()))


class ScriptedPolicy:
    """``script`` maps a question's id to the texts sampled for it, with their counts; ``trained`` has the steps."""

    info = PolicyInfo("scripted", "0", backend="test", device="cpu", trainable=True)
    trained_parameters = 1

    def __init__(self, script: dict[str, dict[str, int]]) -> None:
        self.script = script
        self.trained: list[list[Group]] = []

    def generate(self, questions, sampling):
        return [group(q, self.script[q.id]) for q in questions]

    def encode(self, question, text):
        return group(question, {text: 1})

    def logprobs(self, groups):
        raise NotImplementedError("nothing here asks for it")

    def begin_training(self, training, seed):
        self.training = training

    def train_step(self, groups, advantages, lr_scale=1.0):
        assert all(np.array_equal(a, [1.0]) for a in advantages)
        self.trained.append(list(groups))
        return Update({"loss": 0.0}, {})

    def self_certainty(self, groups):
        raise NotImplementedError("nothing here asks for it")

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.json").write_text(json.dumps(len(self.trained)))

    def load(self, folder: Path) -> None:
        pass

    def reset(self) -> None:
        self.trained = []


QUESTIONS = [Question(id_, None, "Which?", ("cat", "dog"), "Which? cat or dog") for id_ in ("clear", "unclear", "mute")]
VOTES = {
    "clear": {"<answer>dog</answer>": 7, "<answer>cat</answer>": 1},
    "unclear": {"<answer>dog</answer>": 5, "<answer>cat</answer>": 3},
    "mute": {"hm": 8},
}


def adapt(folder: Path, **settings: object) -> tuple[ScriptedPolicy, Session]:
    policy, run = ScriptedPolicy(VOTES), Session(folder, seed=0, batch_size=2)
    ConfidentSft(Config(votes=8, **settings)).adapt(policy, QUESTIONS, run)
    return policy, run


def test_it_is_registered():
    assert method_class("confident_sft") is ConfidentSft


def test_clear_votes_are_learned_and_others_left_out(tmp_path):
    policy, run = adapt(tmp_path, confidence=0.75, epochs=3, batch_size=1)
    assert [[(g.question.id, g.best()) for g in step] for step in policy.trained] == [
        [("clear", "<answer>dog</answer>")]
    ] * 3
    assert run.notes == {"kept": 1}


def test_the_threshold_decides(tmp_path):
    policy, _ = adapt(tmp_path, confidence=0.5, epochs=1, batch_size=2)
    assert {g.question.id for step in policy.trained for g in step} == {"clear", "unclear"}


def test_without_a_clear_vote_it_says_so(tmp_path):
    with pytest.raises(UserError, match=r"confidence=0\.9; the clearest has 0\.88"):
        adapt(tmp_path, confidence=0.9)


def test_presets_are_settings_and_the_cost_is_an_upper_bound(tmp_path):
    for preset in ConfidentSft.presets.values():
        Config(**preset)
    policy, _ = adapt(tmp_path, confidence=0, epochs=2, batch_size=2)
    cost = ConfidentSft(Config(votes=8, epochs=2, batch_size=2)).cost(adapted=3, scored=3, labelled=0)
    assert (cost.votes, cost.steps, cost.answers) == (24, 3, 3) and len(policy.trained) <= cost.steps
