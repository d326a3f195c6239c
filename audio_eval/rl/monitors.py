"""Collapse monitors: figures of a step that need no answer, what they warn of, and a rule that may stop the run.

"How far can unsupervised RLVR scale" (arXiv 2603.08660): rewards that come from the model itself sharpen it, and
accuracy rises, then falls. None of these figures tells how accurate the model is; a rule that stops must be stated
before the run, as it goes into the run's settings.
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

WINDOW = 10  # steps that a warning looks back on
WARNINGS = {  # means over the window
    "majority_ratio": (">", 0.98, "samples of a question hardly differ"),
    "position": (">", 0.6, "most answers name the option at one position"),
    "entropy": ("<", 0.01, "the policy is nearly deterministic"),
    "length_drift": (">", 1.0, "completions have become twice as long, or half"),
}
_RULE = re.compile(r"\s*(\w+)\s*([<>])\s*([\d.eE+-]+)(?:\s+for\s+(\d+))?\s*")


class Rule(NamedTuple):
    """``metric`` above or below ``bound`` in each of the last ``steps`` steps."""

    metric: str
    sign: str
    bound: float
    steps: int

    def holds(self, history: Sequence[Mapping[str, float]]) -> bool:
        """Whether it is so at the end of ``history``, one mapping a step."""
        last = [record.get(self.metric) for record in history[-self.steps :]]
        return len(last) == self.steps and all(v is not None and _beyond(v, self.sign, self.bound) for v in last)


def parse_rule(text: str | None) -> Rule | None:
    """``majority_ratio > 0.99 for 10``; None is no rule. ``UserError`` for what cannot be read."""
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


STATISTICS = ("majority_ratio", "vote_entropy", "unparsable", "unique", "position", "length")


def statistics(groups: Sequence[Group]) -> dict[str, float]:
    """Of a step's groups, each a mean over the questions that were asked (TTRL's names; facts of its logs).

    ``majority_ratio``: samples for the answer named most, over all; ``vote_entropy`` of the named answers, in bits;
    ``unparsable``: share of samples that name none; ``unique``: distinct texts over samples; ``position``: share of the
    option position named most, over all groups together; ``length``: tokens of a completion.
    """
    asked = [group for group in groups if group.completions]
    if not asked:
        return {}
    rows, positions = [], Counter[int]()
    for group in asked:
        named: Counter[object] = Counter()
        for completion, count in zip(group.completions, group.counts, strict=True):
            answer = answer_key(completion.text, group)
            if answer is not None:
                named[answer] += count
        if group.question.choices:
            positions.update({key: n for key, n in named.items() if isinstance(key, int)})
        shares = np.array(list(named.values())) / max(named.total(), 1)
        tokens = sum(len(c.tokens) * n for c, n in zip(group.completions, group.counts, strict=True))
        rows.append((
            max(named.values(), default=0) / group.size,
            float(-(shares * np.log2(shares)).sum()) if len(shares) else 0.0,
            1 - named.total() / group.size,
            len({c.text for c in group.completions}) / group.size,
            tokens / group.size,
        ))  # fmt: skip
    majority, vote_entropy, unparsable, unique, length = np.mean(rows, axis=0).tolist()
    found = {"majority_ratio": majority, "vote_entropy": vote_entropy, "unparsable": unparsable,
             "unique": unique, "length": length}  # fmt: skip
    if positions:
        found["position"] = max(positions.values()) / positions.total()
    return found


def answer_key(text: str, group: Group) -> int | str | None:
    """What tells answers apart: the option that is named, or an open answer's normal form; None: no answer."""
    if group.question.choices:
        return parse_choice(text, group.question.choices)
    return normalise(final_answer(text)) or None


class Monitors:
    """Watches a run's metrics, beginning with those of before an interruption. ``warnings`` has each warning once."""

    def __init__(self, stop_when: str | None, history: Sequence[Mapping[str, float]]) -> None:
        self._rule = parse_rule(stop_when)
        self._history: list[dict[str, float]] = []
        self._warned: set[str] = set()
        self.warnings: list[str] = []
        for metrics in history:
            self.see(metrics)

    def see(self, metrics: Mapping[str, float]) -> list[str]:
        """Take the next step's metrics in; returns what is to be warned of for the first time."""
        self._history.append({**metrics, "length_drift": self._drift(metrics.get("length", 0.0))})
        news = []
        for name, (sign, bound, meaning) in WARNINGS.items():
            last = [r[name] for r in self._history[-WINDOW:] if name in r]
            if len(last) == WINDOW and name not in self._warned and _beyond(mean := float(np.mean(last)), sign, bound):
                self._warned.add(name)
                news.append(f"step {len(self._history)}: {name} is {mean:.3g}, {sign} {bound}: {meaning}")
        self.warnings += news
        return news

    @property
    def stop(self) -> bool:
        """Whether the rule that was stated beforehand holds now."""
        return self._rule is not None and self._rule.holds(self._history)

    def _drift(self, length: float) -> float:
        """How far the mean length is from that of the first steps: 0 the same, 1 twice or half."""
        first = [r["length"] for r in self._history[:WINDOW] if r.get("length")]
        return abs(float(np.log2(length / np.mean(first)))) if first and length else 0.0
