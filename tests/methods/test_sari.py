"""SARI on a scripted policy: what it is warmed up on, what it reinforces when, and that a kill changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.method import Cost
from audio_eval.methods.sari import Config, Sari
from audio_eval.models.policy import Sampling, Update
from audio_eval.questions import Example, Question
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from audio_eval.rl.structure import SECTIONS
from audio_eval.rl.teach import chains
from audio_eval.store import JsonLines
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
IDS = ("easy", "half", "hard", "never", "mute")
QUESTIONS = [make_question(id_, CHOICES) for id_ in IDS]
WRITTEN = {tag: f"the {tag}" for tag in SECTIONS}
EXAMPLES = [Example(question, "dog", WRITTEN if i < 2 else {}) for i, question in enumerate(QUESTIONS)]
SAMPLES: dict[str, Drawn] = {
    "easy": {tagged("dog"): 4},
    "half": {tagged("dog"): 2, tagged("cat"): 1, "no idea": 1},
    "hard": {tagged("cat"): 3, "dog": 1},
    "never": {tagged("owl"): 4},
    "mute": {"no idea": 4},
}
STRUCTURED = (
    "<think><planning>the planning</planning><caption>the caption</caption><reasoning>the reasoning</reasoning>"
    "<summary>the summary</summary></think><answer>dog</answer>"
)


def script(question: Question, sampling: Sampling) -> Drawn:
    if sampling.stream in ("pass_rate", "vote"):
        return SAMPLES[question.id]
    return {STRUCTURED: 1, tagged("dog"): 1, tagged("cat"): 2}


SMALL: dict[str, Any] = {"samples": 4, "batch_size": 2, "steps": 6, "stages": 3, "chains": "none"}


def adapt(folder: Path, policy: FakePolicy, examples: Any = EXAMPLES, questions: Any = (), **settings: Any) -> None:
    Sari(Config(**{**SMALL, **settings})).adapt(policy, questions, Session(folder, 0, 2, examples))


def metrics(folder: Path) -> list[dict[str, float]]:
    return JsonLines(folder / "metrics.jsonl").read()


def taught(policy: FakePolicy) -> list[list[str]]:
    return [[group.question.id for group, _ in step] for step in policy.trained]


def test_settings() -> None:
    assert all(info.description for info in Config.model_fields.values())
    assert Sari.trains and Sari.needs_choices and Sari.name == "sari"
    for settings, labels, transductive in (
        ({}, True, False),
        ({"labels": "votes"}, True, True),
        ({"labels": "votes", "chains": "none"}, False, True),
        ({"chains": "none"}, True, False),
    ):
        method = Sari(Config(**settings))  # type: ignore[arg-type]
        assert (method.needs_labels, method.transductive) == (labels, transductive), settings


def test_cost() -> None:
    config = Config(samples=4, batch_size=8, group_size=2, steps=10, chain_epochs=2)
    assert Sari(config).cost(50, 7, 20) == Cost(votes=80, steps=15, rollouts=160, trained=40 + 160, answers=7)
    config = config.model_copy(update={"labels": "votes", "chains": "none"})
    assert Sari(config).cost(50, 7, 0) == Cost(votes=200, steps=10, rollouts=160, trained=160, answers=7)


# --- the curriculum --------------------------------------------------------------------------------------------------


def test_stages_are_trained_from_easy_to_hard_without_what_is_never_right(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy)
    assert [set(step) for step in taught(policy)] == [{"easy"}] * 2 + [{"half"}] * 2 + [{"hard"}] * 2
    assert [(r["stage"], r["pool"], r["dropped"]) for r in metrics(tmp_path)] == [
        (stage, 1, 2) for stage in (0, 0, 1, 1, 2, 2)
    ]
    assert [s.n for _, s in policy.asked[:5]] == [4] * 5 and policy.asked[5][1].n == 8


def test_a_growing_pool_and_what_is_kept(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path / "grown", policy, pacing="cumulative", drop_always=True, stages=2, steps=4)
    assert [set(step) for step in taught(policy)] == [{"half"}] * 2 + [{"half", "hard"}] * 2
    adapt(tmp_path / "all", policy := FakePolicy(script), drop_never=False, stages=1, steps=5)
    assert {id_ for step in taught(policy) for id_ in step} == set(IDS)


def test_difficulty_by_confidence_needs_the_samples_alone(tmp_path: Path) -> None:
    """easy 1, never 1, hard 3/4, half 1/2: the commonest option's share, right or wrong."""
    policy = FakePolicy(script)
    adapt(tmp_path, policy, difficulty="confidence", stages=2, steps=4)
    assert [set(step) for step in taught(policy)] == [{"easy", "never"}] * 2 + [{"hard", "half"}] * 2


def test_rewards_are_accuracy_and_structure(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path / "sections", policy, steps=1)
    rewards = np.array([2.0, 1.0, 0.0])  # the last twice: mean 3/4, std sqrt(11/12)
    ((_, advantages), *_) = policy.trained[0]
    assert advantages == pytest.approx((rewards - 0.75) / (np.sqrt(2.75 / 3) + 1e-4))
    (record,) = metrics(tmp_path / "sections")
    assert (record["reward"], record["accuracy"], record["format"], record["no_contrast"]) == (0.75, 0.5, 0.25, 0)
    adapt(tmp_path / "answer", FakePolicy(script), steps=1, format="answer")
    assert metrics(tmp_path / "answer")[0]["format"] == 0.75


def test_nothing_learnable_is_the_users_to_mend(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="curriculum is empty"):
        adapt(tmp_path, FakePolicy(script), EXAMPLES[3:])


# --- the warm-up -----------------------------------------------------------------------------------------------------


def test_the_warm_up_comes_first_and_the_pass_rates_after_it(tmp_path: Path) -> None:
    asked_at: list[tuple[str, int]] = []

    class Watched(FakePolicy):
        def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
            asked_at.append((sampling.stream, self.updates))
            return super().generate(questions, sampling)

    policy = Watched(script)
    adapt(tmp_path, policy, chains="structured", chain_epochs=2, steps=3)
    assert [{g.best() for g, _ in step} for step in policy.trained[:2]] == [{STRUCTURED}] * 2
    assert [set(step) for step in taught(policy)] == [{"easy", "half"}] * 2 + [{"easy"}, {"half"}, {"hard"}]
    assert all(advantages.tolist() == [1.0] for step in policy.trained[:2] for _, advantages in step)
    assert asked_at == [("pass_rate", 2)] * 3 + [("step2", 2), ("step3", 3), ("step4", 4)]
    assert all("target_tokens" in record for record in metrics(tmp_path)[:2])


def test_free_chains_are_one_text(tmp_path: Path) -> None:
    policy = FakePolicy(script)
    adapt(tmp_path, policy, chains="free", steps=1)
    text = "the planning\nthe caption\nthe reasoning\nthe summary"
    assert {g.best() for g, _ in policy.trained[0]} == {f"<think>{text}</think><answer>dog</answer>"}


def test_chains_lack_no_segment() -> None:
    partial = [Example(QUESTIONS[0], "dog", {**WRITTEN, "summary": " "}), Example(QUESTIONS[1], "", WRITTEN)]
    assert chains(partial, "sections") == [] and len(chains(partial, "think_answer")) == 1


@pytest.mark.parametrize("chains", ["structured", "free"])
def test_a_warm_up_without_chains_is_the_users_to_mend(chains: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"chains={chains} learns from written chains"):
        adapt(tmp_path, FakePolicy(script), EXAMPLES[2:], chains=chains)


# --- without labels --------------------------------------------------------------------------------------------------


def test_votes_make_it_transductive_and_no_example_is_touched(tmp_path: Path) -> None:
    """Confidence: easy 1 and never 1, hard 3/4 (for cat), half 1/2; the one without a vote is left out."""

    class Untouchable(list):
        def __iter__(self) -> Any:
            raise AssertionError("the examples were looked at")

    policy = FakePolicy(script)
    adapt(tmp_path, policy, Untouchable(), QUESTIONS, labels="votes", stages=2, steps=4)
    assert [set(step) for step in taught(policy)] == [{"easy", "never"}] * 2 + [{"hard", "half"}] * 2
    labels = {r["id"]: r["label"] for r in JsonLines(tmp_path / "adapt" / "labels.jsonl").read()}
    assert labels == {"easy": "dog", "half": "dog", "hard": "cat", "never": "owl", "mute": None}
    assert {r["dropped"] for r in metrics(tmp_path)} == {1}


# --- killed and resumed ----------------------------------------------------------------------------------------------


class Killed(Exception):
    pass


class Mortal(FakePolicy):
    """Its samples depend on its weights; it dies in the n-th call of train_step or generate."""

    def __init__(self, dies: tuple[str, int] | None = None) -> None:
        super().__init__(self._script)
        self.dies, self.calls = dies, {"train_step": 0, "generate": 0}

    def _script(self, question: Question, sampling: Sampling) -> Drawn:
        draw = (self.updates * 7 + sum(sampling.stream.encode()) + IDS.index(question.id)) % (sampling.n + 1)
        return {text: n for text, n in ((tagged("dog"), draw), (tagged("cat"), sampling.n - draw)) if n}

    def _call(self, what: str) -> None:
        self.calls[what] += 1
        if self.dies == (what, self.calls[what]):
            raise Killed

    def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
        self._call("generate")
        return super().generate(questions, sampling)

    def train_step(self, groups: Any, advantages: Any, lr_scale: float = 1.0) -> Update:
        self._call("train_step")
        before = self.updates
        update = super().train_step(groups, advantages, lr_scale)
        return Update({"updates": before, **update.metrics}, {})


def run(folder: Path, policy: Mortal, save_every: int, **settings: Any) -> Meter:
    config = Config(**{**SMALL, "chains": "structured", "chain_epochs": 3, "steps": 5, **settings})
    meter = Meter()
    session = Session(folder, 0, 2, EXAMPLES, save_every=save_every, meter=meter)
    Sari(config).adapt(metered(policy, meter, 0), QUESTIONS, session)
    return meter


DEATHS = [("train_step", n) for n in range(1, 9)] + [("generate", n) for n in range(1, 9)]


@pytest.mark.parametrize("save_every", [1, 3])
@pytest.mark.parametrize("labels", ["gold", "votes"])
@pytest.mark.parametrize("dies", DEATHS, ids=lambda d: f"{d[0]}{d[1]}")
def test_killed_and_resumed_gives_the_same(dies: tuple[str, int], labels: str, save_every: int, tmp_path: Path) -> None:
    whole = Mortal()
    expected = run(tmp_path / "whole", whole, save_every, labels=labels)
    with pytest.raises(Killed):
        run(tmp_path / "killed", Mortal(dies), save_every, labels=labels)
    resumed = Mortal()
    meter = run(tmp_path / "killed", resumed, save_every, labels=labels)
    assert whole.updates == resumed.updates == 8 and meter == expected
    done = len(resumed.trained)
    for step, again in zip(whole.trained[-done:], resumed.trained, strict=True):
        assert [(g, a.tolist()) for g, a in step] == [(g, a.tolist()) for g, a in again]
    names = {"gold": ["adapt/pass_rates.jsonl"], "votes": ["adapt/votes.jsonl", "adapt/labels.jsonl"]}[labels]
    for name in ("metrics.jsonl", *names):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes(), name
