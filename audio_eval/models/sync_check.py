"""Whether an engine that samples has the weights of the one that trains: both score the same completions.

The completions are the sampler's own, drawn once before any weights were handed over, at temperature 1. Over all of
their tokens, s are the sampler's log-probabilities in nats and a the trainer's. Two figures are asked of each sync:

- **agreement**, Pearson's correlation of s and a: > 0.995, verl-omni's sign of health. It sees another model, prompt,
  recording or precision, and weights that are far off. A small change of the weights leaves it near 1, whether it
  arrived or not.
- **arrived**, the share of the trainer's change that the sampler shows. Since an anchor, an earlier moment at which
  both had the same weights, the trainer changed by e = a - a0 and the sampler by d = s - s0; what the engines compute
  differently is the same then as now and cancels. The share is the slope of d on e: 1 where the weights arrived, 0
  where an adapter was ignored or the weights are those of the anchor, in between where only a part arrived. Its
  standard error is sqrt(2) b / |e|, where b is the root mean square of s0 - a0, the difference of the engines. It is
  refused where it is surely, by three standard errors, not within a tenth of 1.

The first anchor is the model without adapter (the trainer's log-probabilities with the adapter off). It is replaced
once a change was big enough to be seen and had arrived. Until then changes add up, so a sampler that does not follow is
found as soon as it matters: when the change that it lacks is about as large as the difference of the engines.

What this cannot see: a change below that, and one that leaves the probe's completions as probable as they were. An
adapter whose second factor is zero, as before the first update, changes nothing: only agreement can be asked then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from audio_eval.errors import UserError
from audio_eval.group import Group

HandedOver = Literal["nothing", "adapter", "weights"]
LEAST_AGREEMENT = 0.995
ALIKE = 0.01  # nats: closer than this on average the engines agree, also where all tokens are equally probable
_BAND = 0.1  # of the change, may be missing or too much
_ERRORS = 3.0  # standard errors
_ROUNDING = 1e-5  # nats, of a log-probability in float32


class Agreement(NamedTuple):
    """The figures of one sync: see the module. ``change`` is the root mean square of e, in nats; ``arrived`` is None
    where there is no anchor, or the change is too small to be seen.
    """

    agreement: float
    change: float
    arrived: float | None

    def metrics(self) -> dict[str, float]:
        """For the log of steps."""
        found = {"sync_agreement": self.agreement, "sync_change": self.change}
        return found if self.arrived is None else {**found, "sync_arrived": self.arrived}


@dataclass(frozen=True)
class Anchor:
    """The log-probabilities (T,) of sampler and trainer when both had the same weights."""

    sampler: np.ndarray
    trainer: np.ndarray

    @property
    def difference(self) -> float:
        """Root mean square of what the engines compute differently, in nats."""
        return max(_rms(self.sampler - self.trainer), _ROUNDING)


class SyncCheck:
    """Compares log-probabilities of the same tokens, sync by sync."""

    def __init__(self, anchor: Anchor | None = None) -> None:
        self.anchor = anchor

    def see(self, sampler: np.ndarray, trainer: np.ndarray, how: HandedOver) -> Agreement:
        """The figures of log-probabilities (T,) after a sync, which was made by ``how``.

        ``UserError`` where they show that the sampler does not have the trainer's weights.
        """
        now, before = Anchor(sampler, trainer), self.anchor
        alike = 1.0 if _rms(sampler - trainer) < ALIKE else _pearson(sampler, trainer)
        arrived, error, change = None, math.inf, 0.0
        if before is not None:
            seen, made = sampler - before.sampler, trainer - before.trainer
            change, length = _rms(made), float(np.linalg.norm(made))
            error = math.sqrt(2) * before.difference / length if length else math.inf
            share = float(seen @ made) / length**2 if length else 1.0
            if abs(share - 1) > _BAND + _ERRORS * error:
                raise UserError(
                    f"the sampler shows {share:.0%} of what the last updates changed, by its log-probabilities of "
                    f"{len(sampler)} tokens (the trainer's changed by {change:.2g} nats): {_causes(how)}"
                )
            arrived = share if _ERRORS * error < 1 - _BAND else None
        if not alike > LEAST_AGREEMENT:
            raise UserError(
                f"the log-probabilities of sampler and trainer do not agree (Pearson {alike:.4f} over {len(sampler)} "
                f"tokens; {LEAST_AGREEMENT} is asked): {_causes(how)}"
            )
        if before is None or arrived is not None:
            self.anchor = now
        return Agreement(alike, change, arrived)


def tokens_of(groups: Sequence[Group]) -> np.ndarray:
    """The log-probabilities (T,) of all tokens of scored groups, one after another. ``UserError`` where one failed."""
    for group in groups:
        if group.error is not None:
            raise UserError(f"question '{group.question.id}' was sampled, but cannot be scored: {group.error}")
    rows = [completion.logprobs or () for group in groups for completion in group.completions]
    return np.array([value for row in rows for value in row])


def _causes(how: HandedOver) -> str:
    """What is likely wrong, and what can be done."""
    causes: dict[HandedOver, str] = {
        "nothing": "it computes another model, prompt or precision than the trainer. Give both the same dtype and "
        "revision, or train with --backend hf.",
        "adapter": "an adapter whose names do not match the model's is ignored without a word, and so is one above the "
        "sampler's largest rank. Give merged weights (--model-args merge=true), or train with --backend hf.",
        "weights": "not all of its weights were replaced, or what it kept in caches is of the old ones. Train with "
        "--backend hf.",
    }
    return causes[how]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation; 0 where one of them does not vary."""
    if len(one) < 2 or not (np.std(one) and np.std(other)):
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
