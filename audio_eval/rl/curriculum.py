"""An easy-to-hard curriculum: how easy each item is, stages of items, and the stage that a step draws from.

SARI (arXiv 2504.15900) trains from easy to hard, without the items that the base model never gets right. The schedule
is not published; stages of equal size that last for an equal share of the steps are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from audio_eval.errors import UserError
from audio_eval.group import Group
from audio_eval.rl.votes import majority_vote
from audio_eval.scoring import parse_choice
from audio_eval.seeding import stream

Pacing = Literal["staged", "cumulative"]
Measure = Literal["pass_rate", "confidence"]


class Pool(NamedTuple):
    """The question ids that a step draws from. ``stage`` counts from 0, ``step`` from the beginning of that stage."""

    stage: int
    step: int
    ids: list[str]


def pass_rate(group: Group, label: int) -> float:
    """Share of the group's N samples that name option ``label``; 0 for an empty group."""
    choices = group.question.choices
    named = (n for c, n in zip(group.completions, group.counts, strict=True) if parse_choice(c.text, choices) == label)
    return sum(named) / group.size if group.size else 0.0


def measure(group: Group, labels: Mapping[str, int], kind: Measure, seed: int) -> float:
    """How easy a question is, 0 to 1: its pass rate, or the vote share of its most frequent option.

    The vote share ("confidence") needs no labels. ``seed`` breaks ties, which does not change the share.
    """
    return pass_rate(group, labels[group.question.id]) if kind == "pass_rate" else majority_vote(group, seed).confidence


def stages(
    difficulty: Mapping[str, float], n_stages: int, seed: int, drop_never: bool = True, drop_always: bool = False
) -> list[list[str]]:
    """Question ids from easy to hard in at most ``n_stages`` parts, whose sizes differ by one at most.

    ``difficulty`` maps an id to p in [0, 1], the share of samples that are right; high is easy. ``drop_never`` leaves
    out items with p = 0, ``drop_always`` those with p = 1: they have no contrast to learn from. Items with equal p are
    in random order, keyed by (seed, id). Raises ``UserError`` where nothing is left.
    """
    kept = [id_ for id_, p in difficulty.items() if not (drop_never and p <= 0) and not (drop_always and p >= 1)]
    if not kept:
        raise UserError(
            f"the curriculum is empty: no item of {len(difficulty)} has a share of right samples between 0 and 1. "
            "Draw more samples, or set drop_never=false or drop_always=false."
        )
    ordered = sorted(kept, key=lambda id_: (-difficulty[id_], stream(seed, id_, "curriculum").random(), id_))
    parts = min(n_stages, len(ordered))
    return [ordered[k * len(ordered) // parts : (k + 1) * len(ordered) // parts] for k in range(parts)]


def pool_at(staged: Sequence[Sequence[str]], step: int, steps: int, pacing: Pacing) -> Pool:
    """The pool of a step. Each stage lasts for an equal share of the ``steps``.

    ``staged``: the items of the stage alone. ``cumulative``: these and all easier ones.
    """
    stage = min(step * len(staged) // steps, len(staged) - 1)
    began = -(-stage * steps // len(staged))  # the first step with this stage, rounded up
    first = stage if pacing == "staged" else 0
    return Pool(stage, step - began, [id_ for part in staged[first : stage + 1] for id_ in part])
