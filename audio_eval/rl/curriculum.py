"""Easy to hard: how often the policy is right on an item, stages by it, and which stage a step draws from.

SARI (arXiv 2504.15900) trains on an easy-to-hard curriculum without the items that the base model never gets right. Its
schedule is not published: equal stages by quantiles and equal shares of the steps are ours.
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
    """What a step draws from: ``stage`` counts from 0, ``step`` counts the steps since that stage began."""

    stage: int
    step: int
    ids: list[str]


def pass_rate(group: Group, label: int) -> float:
    """Share of the group's N samples that name option ``label``; 0 for a group that could not be asked."""
    choices = group.question.choices
    named = (n for c, n in zip(group.completions, group.counts, strict=True) if parse_choice(c.text, choices) == label)
    return sum(named) / group.size if group.size else 0.0


def measure(groups: Sequence[Group], labels: Mapping[str, int], kind: Measure, seed: int) -> dict[str, float]:
    """How easy each group's question is, 0 to 1, by id: its pass rate, or the share that the commonest option has.

    The confidence needs no labels. ``seed`` breaks the ties of its vote, which changes no share.
    """
    if kind == "pass_rate":
        return {group.question.id: pass_rate(group, labels[group.question.id]) for group in groups}
    return {group.question.id: majority_vote(group, seed).confidence for group in groups}


def stages(
    difficulty: Mapping[str, float], n_stages: int, seed: int, drop_never: bool = True, drop_always: bool = False
) -> list[list[str]]:
    """Question ids from easy to hard in at most ``n_stages`` parts, whose sizes differ by one at most.

    ``difficulty`` maps an id to p in [0, 1], the share of samples that were right; high is easy. Items of p = 0 teach
    nothing until the policy has changed (``drop_never``), those of p = 1 nothing any more (``drop_always``). Equal p
    are ordered by lot, keyed by (seed, id). Raises ``UserError`` where nothing is left.
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
    """The pool of ``step`` out of ``steps``: each stage lasts for an equal share of them.

    ``staged``: the items of its stage. ``cumulative``: those and the easier ones.
    """
    stage = min(step * len(staged) // steps, len(staged) - 1)
    began = -(-stage * steps // len(staged))  # the first step with this stage, rounded up
    first = stage if pacing == "staged" else 0
    return Pool(stage, step - began, [id_ for part in staged[first : stage + 1] for id_ in part])
