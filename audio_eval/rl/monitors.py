"""Collapse monitors: statistics of a step that need no answers, warnings, and a rule that may stop the run early.

They watch what the policy samples. A step on given completions, as in fine-tuning, has no statistics and is not
watched, and whether the samples of a question agree is asked only where there are two or more.

Rewards that come from the model itself sharpen it: accuracy rises, then falls ("How far can unsupervised RLVR scale",
arXiv 2603.08660). None of these statistics tells how accurate the model is. The rule that stops is one of the run's
settings, so it is fixed before the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from audio_eval.errors import UserError, unknown
from audio_eval.group import Group
from audio_eval.scoring import normalise, parse_choice
from audio_eval.scoring.open_ended import final_answer

WINDOW = 10  # steps over which a warning averages
WARNINGS = {  # bounds on the mean over the window
    "majority_ratio": (">", 0.98, "samples of a question hardly differ"),
    "position": (">", 0.6, "most answers name the option at one position"),
    "entropy": ("<", 0.01, "the policy is nearly deterministic"),
    "length_drift": (">", 1.0, "completions have become twice or half as long"),
}
_RULE = re.compile(r"\s*(\w+)\s*([<>])\s*([\d.eE+-]+)(?:\s+for\s+(\d+))?\s*")


class Rule(NamedTuple):
    """``metric`` above or below ``bound`` in each of the last ``steps`` steps that sampled."""

    metric: str
    sign: str
    bound: float
    steps: int

    def holds(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether the rule holds at the end of ``history``, which has one mapping per step."""
        last = [record.get(self.metric) for record in history[-self.steps :]]
        return len(last) == self.steps and all(v is not None and _beyond(v, self.sign, self.bound) for v in last)


def parse_rule(text: str | None) -> Rule | None:
    """Parse a rule such as ``majority_ratio > 0.99 for 10``; None is no rule. ``UserError`` for a malformed one."""
    if text is None:
        return None
    found = _RULE.fullmatch(text)
    if not found:
        raise UserError(
            f"stop_when '{text}' is no rule: write METRIC>NUMBER for STEPS, as in majority_ratio>0.99 for 10."
        )
    metric, sign, bound, steps = found.groups()
    if metric not in WARNINGS and metric not in STATISTICS:
        raise unknown("metric", metric, {*WARNINGS, *STATISTICS}, " in stop_when")
    try:
        rule = Rule(metric, sign, float(bound), int(steps or 1))
    except ValueError:
        raise UserError(f"stop_when '{text}': {bound} is no number.") from None
    if not rule.steps:
        raise UserError(f"stop_when '{text}' holds before the first step: ask for at least 1.")
    return rule


def _beyond(value: float, sign: str, bound: float) -> bool:
    return value > bound if sign == ">" else value < bound


STATISTICS = ("majority_ratio", "vote_entropy", "unparsable", "unique", "length", "position")


def statistics(groups: Sequence[Group]) -> dict[str, float]:
    """Statistics of a step's sampled groups, each a mean over the questions (names as in TTRL's logs).

    ``majority_ratio``: share of samples for the most frequent answer; ``vote_entropy`` of the answers, in bits;
    ``unparsable``: share of samples without an answer; ``unique``: distinct texts per sample; ``length``: tokens per
    completion, of the groups whose tokens are known; ``position``: share of the most frequent option position, over
    all groups together. Groups of one sample, which cannot disagree, do not count in the first two and in ``unique``.
    """
    asked = [group for group in groups if group.completions]
    if not asked:
        return {}
    agreements, unparsable, lengths, positions = [], [], [], Counter[int]()
    for group in asked:
        named: Counter[object] = Counter()
        for completion, count in zip(group.completions, group.counts, strict=True):
            answer = answer_key(completion.text, group)
            if answer is not None:
                named[answer] += count
        if group.question.choices:
            positions.update({key: n for key, n in named.items() if isinstance(key, int)})
        shares = np.array(list(named.values())) / max(named.total(), 1)
        if all(c.tokens is not None for c in group.completions):
            tokens = sum(len(c.token_ids) * n for c, n in zip(group.completions, group.counts, strict=True))
            lengths.append(tokens / group.size)
        unparsable.append(1 - named.total() / group.size)
        if group.size > 1:
            agreements.append((
                max(named.values(), default=0) / group.size,
                float(-(shares * np.log2(shares)).sum()) if len(shares) else 0.0,
                len({c.text for c in group.completions}) / group.size,
            ))  # fmt: skip
    found = {"unparsable": float(np.mean(unparsable))}
    if agreements:
        found |= zip(("majority_ratio", "vote_entropy", "unique"), np.mean(agreements, axis=0).tolist(), strict=True)
    if lengths:
        found["length"] = float(np.mean(lengths))
    if positions:
        found["position"] = max(positions.values()) / positions.total()
    return found


def answer_key(text: str, group: Group) -> int | str | None:
    """What answers are compared by: the named option, or the normal form of an open answer; None: no answer."""
    if group.question.choices:
        return parse_choice(text, group.question.choices)
    return normalise(final_answer(text)) or None


class Monitors:
    """Watches the metrics of a run, ``history`` first. ``warnings`` has each warning once."""

    def __init__(self, stop_when: str | None, history: Sequence[Mapping[str, float]]) -> None:
        self._rule = parse_rule(stop_when)
        self._history: list[dict[str, float]] = []
        self._warned: set[str] = set()
        self.warnings: list[str] = []
        for metrics in history:
            self.see(metrics)

    def see(self, metrics: Mapping[str, float]) -> list[str]:
        """Add the next step's metrics; returns the warnings that are new. A step that sampled nothing is left out."""
        if not any(name in metrics for name in STATISTICS):
            return []
        self._history.append({**metrics, "length_drift": self._drift(metrics.get("length", 0.0))})
        step = int(metrics.get("step", len(self._history)))
        news = []
        for name, (sign, bound, meaning) in WARNINGS.items():
            last = [r[name] for r in self._history[-WINDOW:] if name in r]
            if len(last) == WINDOW and name not in self._warned and _beyond(mean := float(np.mean(last)), sign, bound):
                self._warned.add(name)
                news.append(f"step {step}: {name} is {mean:.3g}, {sign} {bound}: {meaning}")
        self.warnings += news
        return news

    @property
    def stop(self) -> bool:
        """Whether the rule holds now."""
        return self._rule is not None and self._rule.holds(self._history)

    def _drift(self, length: float) -> float:
        """How far the length is from the mean of the first steps: 0 for the same, 1 for twice or half."""
        first = [r["length"] for r in self._history[:WINDOW] if r.get("length")]
        return abs(float(np.log2(length / np.mean(first)))) if first and length else 0.0
