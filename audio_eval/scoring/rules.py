"""Scoring rules by name, and rules of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from audio_eval.errors import UserError, unknown
from audio_eval.plugins import from_reference
from audio_eval.scoring.choice import HIDDEN, choice_rule
from audio_eval.scoring.official import daily_omni_api, daily_omni_local, mmsu_letter, string_match
from audio_eval.scoring.open_ended import contains_em
from audio_eval.scoring.verdict import Outcome, Verdict

Function = Callable[[str, tuple[str | None, ...], str], Verdict]


@dataclass(frozen=True)
class Rule:
    """A function of (response, choices, answer) with the name that goes with its numbers."""

    name: str
    function: Function

    def __call__(self, response: str, choices: Sequence[str | None], answer: str) -> Verdict:
        """The verdict on a response. An answer that is not published ("") gives "excluded", whatever the response."""
        if not answer:
            return Verdict("excluded", None, HIDDEN)
        return self.function(response, tuple(choices), answer)


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        name: Rule(name, function)
        for name, function in {
            "choice": choice_rule,
            "contains_em": contains_em,
            "mmau_official": string_match,
            "mmar_official": string_match,
            "mmsu_official": mmsu_letter,
            "daily_omni_local": daily_omni_local,
            "daily_omni_api": daily_omni_api,
        }.items()
    }
)


def score(rule: str, response: str, choices: Sequence[str | None], answer: str) -> Verdict:
    """Score a response by a named rule; an unknown one is a ``UserError``.

    ``mmsu_official`` takes the four slots of an item as choices, None where one is null.
    """
    if rule not in RULES:
        raise unknown("scoring rule", rule, RULES)
    return RULES[rule](response, choices, answer)


def find_rule(name: str, folder: Path | None = None, where: str = "") -> Rule:
    """A named rule, or a user's own: "module:function", where the module is a file of ``folder`` or importable.

    ``UserError`` where it cannot be found, and whenever a user's rule fails or gives no ``Verdict``; ``where`` says in
    the message who names it.
    """
    if ":" not in name:
        if name not in RULES:
            raise unknown("scoring rule", name, RULES, where)
        return RULES[name]
    return Rule(name, _Checked(name, where, from_reference("scoring rule", name, folder, where)))


@dataclass(frozen=True)
class _Checked:
    """A user's function; what goes wrong in it becomes a ``UserError`` of one line."""

    name: str
    where: str
    function: Any

    def __call__(self, response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
        asked = f"scoring rule '{self.name}'{self.where}"
        try:
            verdict = self.function(response, choices, answer)
        except Exception as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{asked} fails on the response {response!r}: {type(error).__name__}: {reason}.") from error
        if not isinstance(verdict, Verdict) or verdict.outcome not in get_args(Outcome):
            raise UserError(f"{asked} gives {verdict!r}, which is no Verdict: return Verdict(outcome, choice, why).")
        return verdict
