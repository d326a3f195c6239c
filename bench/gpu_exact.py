"""Whether two policies say the same: their greedy answers, their samples, and log-probabilities of given ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audio_eval.group import Group
from audio_eval.models.hf.policy import HFPolicy
from audio_eval.models.hf.settings import EngineSettings
from audio_eval.models.policy import Sampling, Training
from audio_eval.questions import Question

SECONDS, TEXT = 10, 60  # of audio in a prompt, and tokens beside it
PROMPT = 25 * SECONDS + TEXT
TOLERANCE = 1e-3  # nats, in float32


def questions(number: int, length: int = PROMPT) -> list[Question]:
    """Questions of token ids, all different and of several lengths, with the tokens of the recording among them."""
    rng = np.random.default_rng(0)
    asked = []
    for i in range(number):
        ids = tuple(int(token) for token in rng.integers(20, 900, length - i % 8))
        asked.append(Question(f"q{i}", None, str(i), (), str(i), tokens=ids))
    return asked


def advantages(groups: Sequence[Group]) -> list[np.ndarray]:
    """+1 for half of the completions, -1 for the others."""
    return [np.where(np.arange(len(group.counts)) % 2 == 0, 1.0, -1.0) for group in groups]


def comparisons(folder: Path, device: str) -> dict[str, Any]:
    """Each comparison on a small checkpoint by itself; one that this engine or device cannot do says so."""
    cuda = device == "cuda"
    found: dict[str, Any] = {}
    pairs: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "device_against_cpu": ({}, {}, "cpu"),
        "merged_against_unmerged": ({"merge_rollouts": True}, {"merge_rollouts": False}, device),
        "graphs_against_eager": (
            {"cuda_graphs": "auto"} if cuda else {"static_shapes": True}, {"cuda_graphs": False}, device,
        ),
    }  # fmt: skip
    for name, (one, other, second) in pairs.items():
        absent = [key for key in (*one, *other) if key not in EngineSettings.model_fields]
        if absent:
            found[name] = f"skipped: there is no setting {absent[0]}"
        elif name == "device_against_cpu" and not cuda:
            found[name] = "skipped: the device is the CPU"
        else:
            found[name] = compare(folder, (device, one), (second, other), training=bool(one))
    return found


def compare(
    folder: Path, one: tuple[str, dict[str, Any]], other: tuple[str, dict[str, Any]], training: bool
) -> dict[str, Any]:
    """Greedy answers, samples and log-probabilities of two policies in float32, with adapters after a step if
    ``training``.
    """
    asked, found = questions(6, length=48), []
    given: list[Group] = []
    for device, engine in (one, other):
        policy = HFPolicy("small", str(folder), device, max_tokens=8, engine=EngineSettings(dtype="float32", **engine))
        given = given or policy.generate(asked, Sampling(4, 1.0, stream="given", seed=0))
        if training:
            policy.begin_training(Training(lora_r=4, lr=1e-2), seed=0)
            for _ in range(2):  # the first step moves one factor only
                policy.train_step(given, advantages(given))
        greedy = policy.generate(asked, Sampling())
        samples = policy.generate(asked, Sampling(8, 1.0, stream="samples", seed=0))
        scored = policy.logprobs(given)
        found.append((
            [group.completions[0].token_ids for group in greedy],
            [[(c.token_ids, n) for c, n in zip(g.completions, g.counts, strict=True)] for g in samples],
            np.array([x for group in scored for c in group.completions for x in c.logprobs or ()]),
        ))  # fmt: skip
    (greedy_a, samples_a, logprobs_a), (greedy_b, samples_b, logprobs_b) = found
    difference = float(np.abs(logprobs_a - logprobs_b).max())
    return {
        "greedy_equal": greedy_a == greedy_b, "samples_equal": samples_a == samples_b,
        "logprobs_max_difference": difference,
        # two devices may round two equal tokens to either side; one device has no such excuse
        "ok": greedy_a == greedy_b or (one[0] != other[0] and difference < TOLERANCE),
    }  # fmt: skip
