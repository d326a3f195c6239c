"""A backend that is not ours: registered by entry point, asked through the command line, with texts and no tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from audio_eval import plugins
from audio_eval.cli.main import main
from audio_eval.group import Completion, Group
from audio_eval.models.backends import BackendConfig, Limits
from audio_eval.models.catalog import ModelEntry
from audio_eval.models.policy import PolicyInfo, Sampling
from audio_eval.questions import Question
from audio_eval.runlog import RunLog
from audio_eval.seeding import stream
from tests.cli.conftest import RUN


class Settings(BackendConfig):
    sure: float = Field(0.75, ge=0, le=1, description="how often it says the first option")


class Parrot:
    """Says the first option most of the time, as text alone."""

    def __init__(self, name: str, sure: float, limits: Limits) -> None:
        self.info = PolicyInfo(name, "parrot-1", "parrot", "a perch", trainable=False)
        self.sure, self.limits = sure, limits

    def generate(self, questions: Sequence[Question], sampling: Sampling) -> list[Group]:
        assert len(questions) <= self.limits.batch_size and sampling.seed is not None
        return [self._say(question, sampling) for question in questions]

    def _say(self, question: Question, sampling: Sampling) -> Group:
        rng = stream(sampling.seed or 0, question.id, sampling.stream)
        first = sampling.n if sampling.temperature == 0 else int(rng.binomial(sampling.n, self.sure))
        counted = [(question.choices[0], first), (question.choices[1], sampling.n - first)]
        kept = [(Completion(f"<answer>{text}</answer>"), n) for text, n in counted if n]
        return Group(question, tuple(c for c, _ in kept), tuple(n for _, n in kept), audio_seconds=2.0)


class ParrotBackend:
    name = "parrot"
    Config = Settings
    can_train = False

    def locate(self, entry: ModelEntry) -> str:
        return entry.source

    def load(self, entry: ModelEntry, config: Settings, limits: Limits) -> Parrot:
        return Parrot(entry.name, config.sure, limits)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.entry_points
    added = [EntryPoint("parrot", f"{__name__}:ParrotBackend", "audio_eval.backends"),
             EntryPoint("broken", f"{__name__}:Settings", "audio_eval.backends")]  # fmt: skip

    def scan(group: str) -> list[Any]:
        return [*real(group=group), *(added if group == "audio_eval.backends" else [])]

    monkeypatch.setattr(plugins, "entry_points", scan)


ASK = ["--model", "some/bird", "--backend", "parrot", *RUN[2:]]


def test_it_is_scored_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--method", "direct,majority_vote", "--method-args", "votes=6", "--model-args", "sure=0.5", "--json"]
    assert main([*ASK, *flags, "--output", str(tmp_path)]) == 0
    direct, vote = json.loads(capsys.readouterr().out)["rows"]
    assert (direct["model"], direct["model_revision"], direct["n"]) == ("some/bird", "parrot-1", 8)
    assert (direct["samples"], vote["samples"], vote["unparsable"]) == (8, 8 * 6, 0.0)
    log = RunLog(vote["run"])
    spec = log.spec().model_dump()
    assert (spec["backend"], spec["model_args"]) == ("parrot", {"sure": 0.5})
    for sample in log.samples():
        assert sum(n for _, n in sample.completions[0]) == 6, "the votes behind an answer are kept"
        assert sample.response is not None and sample.response.response.startswith("<answer>")
    assert any(len(sample.completions[0]) == 2 for sample in log.samples())


def test_the_seed_of_the_run_reaches_the_backend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--method", "majority_vote", "--method-args", "votes=6", "--model-args", "sure=0.5", "--seed", "0,1"]
    assert main([*ASK, *flags, "--json", "--output", str(tmp_path)]) == 0
    runs = [RunLog(row["run"]) for row in json.loads(capsys.readouterr().out)["rows"]]
    one, two = ([sample.completions for sample in run.samples()] for run in runs)
    assert one != two


def test_a_dry_run_counts_without_its_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASK, "--method", "direct", "--dry-run", "--json", "--output", str(tmp_path)]) == 0
    (plan,) = json.loads(capsys.readouterr().out)["plans"]
    assert plan["answers"] == 8 and plan["tokens"] is None and "tokens" in plan["not_known"]
    assert plan["time"]["device"] == "a perch"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--method", "aqa_ttrl"], "method 'aqa_ttrl' trains, and backend 'parrot' can only generate"),
        (["--deterministic"], "backend 'parrot' computes in another program, and cannot promise the same bytes"),
        (["--model-args", "shure=1"], "unknown setting 'shure' of backend 'parrot'. Did you mean 'sure'?"),
        (["--model-args", "sure=2"], "less than or equal to 1"),
        (["--model-args", "sure"], "--model-args takes key=value"),
        (["--backend", "parot"], "unknown backend 'parot'. Did you mean 'parrot'?"),
        (["--backend", "broken"], "backend 'broken'"),
    ],
)
def test_mistakes_are_one_line(flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*ASK, *flags, "--output", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_scores_completions_is_refused_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*ASK, "--method", "choice_likelihood", "--output", str(tmp_path)]) == 1
    started, error = capsys.readouterr().err.splitlines()
    assert started.startswith("[1/1]") and "'some/bird' can only generate: a method that scores" in error
    assert not list(tmp_path.rglob("responses.jsonl"))
