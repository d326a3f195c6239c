"""The arithmetic of memory against what is measured: weights, gradients and moments to the byte, the peaks nearly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from audio_eval.errors import NotHere
from audio_eval.group import Completion, Group
from audio_eval.models.hf import activations
from audio_eval.models.hf.dimensions import of_model, of_source
from audio_eval.models.hf.gradient import score_rows
from audio_eval.models.hf.layout import SharedPrefix
from audio_eval.models.hf.needs import Sampled, Work, micro_batch, needs, sampling, update
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.published import PUBLISHED
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question
from tests.models.checkpoints import question
from tests.models.conftest import Built
from tests.models.memory import Memory
from tests.models.training import both_ways, names_of, settings

PRECISIONS = pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
BYTES = {"float32": 4, "bfloat16": 2}
ANSWER, GROUP, QUESTIONS = 12, 4, 4
# in bits of a parameter's memory: what a test of every kind of training takes
TUNED = [settings("lora"), settings("full"), settings("full", train_tower=True)]


def opened(built: Built, dtype: str = "float32", **limits: int) -> HFPolicy:
    return HFPolicy("m", str(built.folder), "cpu", engine=EngineSettings(dtype=dtype), **limits)  # type: ignore[arg-type]


def asked(i: int, words: int = 12) -> Question:
    text = "one " * (words - i % 2) + str(i)  # of two lengths, so that there is padding
    return Question(f"q{i}", None, text, (), text)


def rollouts(questions: Sequence[Question]) -> list[Group]:
    rng = np.random.default_rng(0)
    drawn = tuple(Completion("", tuple(rng.integers(20, 36, ANSWER).tolist())) for _ in range(GROUP))
    return [Group(one, drawn, (1,) * GROUP) for one in questions]


def work_of(policy: HFPolicy, questions: Sequence[Question], **more: int) -> Work:
    longest = max(policy.prompt_length(one).tokens for one in questions)
    return Work((), longest, ANSWER, 2.0, 0, step=len(questions), group=GROUP, **more)


@pytest.mark.parametrize(("source", "billions"), zip(PUBLISHED, (4.04, 8.26, 8.40), strict=True))
def test_published_dimensions_add_up_to_the_published_number_of_parameters(source: str, billions: float) -> None:
    found = of_source(source)
    assert found.parameters / 1e9 == pytest.approx(billions, abs=0.01)  # of Omni without vision, talker and vocoder
    assert found.tower.width == 1280 and found.tower.layers == 32


def test_what_is_neither_here_nor_published_is_not_guessed() -> None:
    with pytest.raises(NotHere, match="someone/else"):
        of_source("someone/else")


def test_dimensions_are_the_same_without_the_weights(built: Built) -> None:
    policy, planned = opened(built), of_source(str(built.folder))
    found = of_model(policy.checkpoint.family, policy.model)
    assert planned == found
    assert found.parameters == sum(p.numel() for p in policy.model.parameters())


@pytest.mark.parametrize("training", TUNED, ids=["lora", "full", "tower"])
def test_parameters_gradients_and_moments_are_exact(built: Built, training: Training) -> None:
    policy = opened(built)
    found = of_model(policy.checkpoint.family, policy.model)
    policy.begin_training(training, seed=0)
    trained = names_of(policy)
    assert {name: tuple(p.shape) for p, name in trained.items()} == found.trained(training)
    parts = update(found, work_of(policy, [asked(0)]), training, 4)
    assert parts["gradients"] == sum(p.nbytes for p in trained)
    in_training = needs(found, work_of(policy, [asked(0)]), EngineSettings(), training, gpu=False).moments["update"]
    assert in_training["weights"] == sum(p.nbytes for p in policy.model.parameters())
    assert in_training["moments"] == 2 * sum(p.nbytes for p in trained)


@both_ways
@PRECISIONS
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_that_are_kept(omni: Built, tune: str, dtype: str, checkpointing: bool) -> None:
    """To 3 %, summed over the storages that autograd keeps."""
    policy, training = opened(omni, dtype), settings(tune, checkpointing=checkpointing)
    found = of_model(policy.checkpoint.family, policy.model)
    policy.begin_training(training, seed=0)
    prompts = policy.encoder.prompts([asked(i) for i in range(QUESTIONS)])
    rows = [SharedPrefix(p.embeds.detach(), [tuple(range(20, 20 + ANSWER))] * GROUP) for p in prompts]  # type: ignore[union-attr]
    with Memory() as memory, policy._precision():
        scored = score_rows(policy.checkpoint, rows, 1024, checkpointing)
    assert scored.logprobs_UT.requires_grad
    parts = update(found, work_of(policy, [asked(i) for i in range(QUESTIONS)]), training, BYTES[dtype])
    logits = 4 * QUESTIONS * GROUP * ANSWER * found.vocabulary
    said = parts["activations"] + parts["weights in bfloat16"] + logits
    assert memory.live == pytest.approx(said, rel=0.05)


@both_ways
@PRECISIONS
@pytest.mark.parametrize(
    "change", [{}, {"checkpointing": True, "token_budget": 300}, {"logits_chunk": 32}, {"token_budget": 300}], ids=str
)
def test_the_peak_of_an_update(omni: Built, tune: str, dtype: str, change: dict) -> None:
    policy, training = opened(omni, dtype), settings(tune, **change)
    found = of_model(policy.checkpoint.family, policy.model)
    policy.begin_training(training, seed=0)
    questions = [asked(i) for i in range(QUESTIONS)]
    groups, advantages = rollouts(questions), [np.array([1.0, -1.0, 1.0, -1.0])] * QUESTIONS
    policy.train_step(groups, advantages)
    with Memory() as memory:
        policy.train_step(groups, advantages)
    said = sum(update(found, work_of(policy, questions), training, BYTES[dtype]).values())
    assert 0.95 < said / memory.peak < 1.25, (said, memory.peak)


@PRECISIONS
@pytest.mark.parametrize(("words", "samples"), [(12, 1), (2, 16), (20, 16)])
def test_the_peak_of_sampling(built: Built, dtype: str, words: int, samples: int) -> None:
    policy = opened(built, dtype, batch_size=QUESTIONS, max_tokens=ANSWER)
    policy._end_ids = frozenset()  # the longest answers
    found, questions = of_model(policy.checkpoint.family, policy.model), [asked(i, words) for i in range(QUESTIONS)]
    policy.generate(questions[:1], Sampling())
    with Memory() as memory:
        policy.generate(questions, Sampling(samples, 4.0, max_tokens=ANSWER))
    sampled = Sampled("votes", QUESTIONS, samples)
    said = sum(sampling(found, work_of(policy, questions), sampled, EngineSettings(), BYTES[dtype]).values())
    assert 0.95 < said / memory.peak < 1.35, (said, memory.peak)


@PRECISIONS
def test_the_peak_of_an_update_with_the_tower(omni: Built, dtype: str) -> None:
    policy, training = opened(omni, dtype), settings("full", train_tower=True)
    found = of_model(policy.checkpoint.family, policy.model)
    policy.begin_training(training, seed=0)
    questions = [question(i, 3.0) for i in range(QUESTIONS)]
    groups, advantages = rollouts(questions), [np.array([1.0, -1.0, 1.0, -1.0])] * QUESTIONS
    policy.train_step(groups, advantages)
    with Memory() as memory:
        policy.train_step(groups, advantages)
    work = Work((), policy.prompt_length(questions[0]).tokens, ANSWER, 3.0, 0, step=QUESTIONS, group=GROUP)
    said = sum(update(found, work, training, BYTES[dtype]).values())
    assert 0.8 < said / memory.peak < 1.4, (said, memory.peak)


@pytest.mark.parametrize(
    ("prompt", "group", "budget", "expected"),
    [
        (100, 4, 100_000, (6, 144, 4)),  # 100 + 4 x 11
        (100, 4, 700, (4, 144, 4)),
        (100, 4, 130, (1, 128, 2)),  # two rows of two completions
        (100, 4, 1, (1, 112, 1)),
    ],
)
def test_micro_batches_are_those_of_the_engine(prompt: int, group: int, budget: int, expected: tuple) -> None:
    work = Work((), prompt, ANSWER, 0.0, 0, step=6, group=group)
    assert micro_batch(work, settings(token_budget=budget)) == expected


def test_activations_of_the_tower_are_counted_by_position() -> None:
    tower = of_source("Qwen/Qwen2.5-Omni-3B").tower
    assert activations.tower_layer(tower, 2) * tower.layers * 1500 / 1e9 == pytest.approx(2.5, abs=0.1)  # 30 s
