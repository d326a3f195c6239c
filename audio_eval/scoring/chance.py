"""Chance: the exact accuracy of a uniform guess among the options, by a rule."""

from __future__ import annotations

from collections.abc import Sequence

from audio_eval.scoring.rules import Rule


def chance(rule: Rule, items: Sequence[tuple[Sequence[str | None], str]]) -> float:
    """Expected accuracy in percent of a uniform guess, over (options, answer); a guess is given as the option's text.

    A response that the rule drops (``mmsu_official`` on texts) counts as wrong here. A null slot is no guess, an empty
    text is one (MMAR has four).
    """
    shares = []
    for choices, answer in items:
        real = [choice for choice in choices if choice is not None]
        shares.append(sum(rule(choice, choices, answer).outcome == "correct" for choice in real) / len(real))
    return 100.0 * sum(shares) / len(shares)
