"""Scoring rules by name: what a response is worth. Every number that is reported carries the name of its rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from audio_eval.errors import unknown
from audio_eval.scoring.choice import HIDDEN, choice_rule, parse_choice
from audio_eval.scoring.extraction import answer_text, has_format, normalise
from audio_eval.scoring.official import daily_omni_api, daily_omni_local, mmsu_letter, string_match
from audio_eval.scoring.open_ended import contains_em
from audio_eval.scoring.verdict import Verdict

Rule = Callable[[str, tuple[str | None, ...], str], Verdict]

RULES: dict[str, Rule] = {
    "choice": choice_rule,
    "contains_em": contains_em,
    "mmau_official": string_match,
    "mmar_official": string_match,
    "mmsu_official": mmsu_letter,
    "daily_omni_local": daily_omni_local,
    "daily_omni_api": daily_omni_api,
}


def score(rule: str, response: str, choices: Sequence[str | None], answer: str) -> Verdict:
    """Score a response by the named rule. An unpublished answer ("") gives "excluded", whatever the response.

    ``mmsu_official`` takes the four slots of an item as choices, None where one is null. An unknown rule raises
    ``UserError``.
    """
    if rule not in RULES:
        raise unknown("scoring rule", rule, RULES)
    if not answer:
        return Verdict("excluded", None, HIDDEN)
    return RULES[rule](response, tuple(choices), answer)


__all__ = ["RULES", "Rule", "Verdict", "answer_text", "has_format", "normalise", "parse_choice", "score"]
