"""Killed in any of its calls and resumed, a method that trains ends with the same files and the same updates.

The policy's answers depend on its weights, so state that is lost, redone or counted twice shows. SARI's own stages are
in test_sari.py; runs of the embedded model under SIGKILL are in tests/runs/test_resume.py.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from audio_eval.group import Group
from audio_eval.models.policy import Sampling, Update
from audio_eval.prompts import PromptTemplate
from audio_eval.questions import Question
from audio_eval.registry import method_class
from audio_eval.rl.meter import Meter, metered
from audio_eval.rl.session import Session
from tests.rl.fake_policy import Drawn, FakePolicy, make_question, tagged

CHOICES = ("cat", "dog", "owl")
TEMPLATE = PromptTemplate("test", "{{ question }} {{ choices }}")
QUESTIONS = [
    replace(make_question(id_, CHOICES), template=TEMPLATE, paraphrases=("What?",)) for id_ in ("a", "b", "c", "d", "e")
]
SMALL = {"votes": 8, "steps": 5, "batch_size": 2}
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "ttrl": ("ttrl", {"group_size": 4}),
    "ttrl g_mv": ("ttrl", {"relabel": "once", "group_size": 4}),
    "view_ttrl": ("view_ttrl", {"views": "choices+paraphrase", "n_views": 3}),
    "op_ttrl": ("op_ttrl", {"reward": "majority", "group_size": 3}),
    "aqa_ttrl once": ("aqa_ttrl", {}),
    "aqa_ttrl every_step": ("aqa_ttrl", {"relabel": "every_step"}),
    "aqa_ttrl every_k": ("aqa_ttrl", {"relabel": "every_k", "relabel_k": 2}),
    "aqa_ttrl every_k, views": ("aqa_ttrl", {"relabel": "every_k", "relabel_k": 2, "views": "choices", "n_views": 2}),
    "wrong_majority": ("wrong_majority", {}),
    "random_reward": ("random_reward", {}),
    "sft": ("sft", {"epochs": 2}),
    "sft likelihood": ("sft", {"epochs": 2, "labels": "likelihood", "views": "choices", "n_views": 3}),
    "aqa_ttrl likelihood": ("aqa_ttrl", {"labels": "likelihood"}),
    "aqa_ttrl likelihood every_k": ("aqa_ttrl", {"labels": "likelihood", "relabel": "every_k", "relabel_k": 2}),
}
FILES = ("metrics.jsonl", "adapt/rollouts.jsonl", "adapt/labels.jsonl", "adapt/relabels.jsonl")


class Killed(Exception):
    pass


class Mortal(FakePolicy):
    """What it says depends on how often it was updated; it dies in the n-th call of train_step, or of the others."""

    def __init__(self, dies: tuple[str, int] | None = None) -> None:
        super().__init__(self._script)
        self.likelihood = lambda question, text: [-(sum(text.encode()) * (7 + self.updates) % 11) / 4]
        self.dies, self.calls = dies, {"train_step": 0, "generate": 0}

    def _script(self, question: Question, sampling: Sampling) -> Drawn:
        key = self.updates * 7 + sum(f"{sampling.stream} {question.id} {question.prompt}".encode())
        favourite, other = CHOICES[key % 3], CHOICES[(key + 1 + self.updates) % 3]
        n = key % (sampling.n + 1)
        said: Drawn = {tagged(favourite): n, other + "!": sampling.n - n}
        return {text: count for text, count in said.items() if count}

    def _call(self, what: str) -> None:
        self.calls[what] += 1
        if self.dies == (what, self.calls[what]):
            raise Killed

    def generate(self, questions: Any, sampling: Sampling) -> list[Group]:
        self._call("generate")
        return super().generate(questions, sampling)

    def logprobs(self, groups: Any) -> list[Group]:
        self._call("generate")
        return super().logprobs(groups)

    def train_step(self, groups: Any, advantages: Any, lr_scale: float = 1.0) -> Update:
        self._call("train_step")
        before = self.updates
        update = super().train_step(groups, advantages, lr_scale)
        return Update({"updates": before, **update.metrics}, {})


def run(name: str, folder: Path, policy: Mortal, save_every: int) -> tuple[dict[str, Any], Meter]:
    """The notes of the run, and what the policy did."""
    method, settings = METHODS[name]
    cls = method_class(method)
    chosen = {key: value for key, value in {**SMALL, **settings}.items() if key in cls.Config.model_fields}
    meter = Meter()
    session = Session(folder, 0, 2, save_every=save_every, meter=meter)
    cls(cls.Config(**chosen)).adapt(metered(policy, meter, 0), QUESTIONS, session)
    return session.notes, meter


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


Whole = tuple[dict[str, bytes], Mortal, tuple[dict[str, Any], Meter]]


@cache
def whole(name: str) -> Whole:
    """The run that was left alone: its files, its policy, its notes and what it did."""
    with TemporaryDirectory() as folder:
        policy = Mortal()
        facts = run(name, Path(folder), policy, 1)
        return files(Path(folder)), policy, facts


def learnt(policy: Mortal, last: int) -> list[Any]:
    steps = policy.trained[-last:] if last else []
    return [[(group, advantages.tolist()) for group, advantages in step] for step in steps]


@pytest.mark.parametrize("save_every", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_killed_and_resumed_gives_the_same(name: str, save_every: int, tmp_path: Path) -> None:
    expected, left_alone, facts = whole(name)
    steps, generates = left_alone.calls["train_step"], left_alone.calls["generate"]
    deaths = [("train_step", n) for n in range(1, steps + 1)] + [
        ("generate", n) for n in range(1, generates + 1, 1 + generates // 8)
    ]
    assert steps == 5 and len(deaths) >= 5
    for what, n in deaths:
        folder = tmp_path / f"{what}{n}"
        with pytest.raises(Killed):
            run(name, folder, Mortal((what, n)), save_every)
        resumed = Mortal()
        assert run(name, folder, resumed, save_every) == facts, (what, n)
        assert resumed.updates == left_alone.updates == 5, (what, n)
        assert learnt(resumed, 5) == learnt(left_alone, len(resumed.trained)), (what, n)
        assert files(folder) == expected, (what, n)


@pytest.mark.parametrize("name", METHODS)
def test_the_runs_are_worth_comparing(name: str) -> None:
    """The answers change with the weights, so that a step repeated from the wrong ones would show."""
    contents, policy, _ = whole(name)
    assert "metrics.jsonl" in contents and "adapt/rollouts.jsonl" in contents
    assert ("adapt/relabels.jsonl" in contents) == ("every" in name)
    if not name.startswith("sft"):
        said = [{(g.question.id, c.text) for g, _ in step for c in g.completions} for step in policy.trained]
        assert len({frozenset(step) for step in said}) > 2


def test_a_second_kill_changes_nothing_either(tmp_path: Path) -> None:
    expected, _, facts = whole("aqa_ttrl every_k")
    for n in (2, 2, 1):  # a further step, another one, none
        with pytest.raises(Killed):
            run("aqa_ttrl every_k", tmp_path, Mortal(("train_step", n)), 1)
    assert run("aqa_ttrl every_k", tmp_path, Mortal(), 1) == facts
    assert files(tmp_path) == expected
