"""Verdict: the result of a scoring rule for one response."""

from __future__ import annotations

from typing import Literal, NamedTuple

Outcome = Literal["correct", "wrong", "excluded"]


class Verdict(NamedTuple):
    """One scored response.

    ``outcome`` is "excluded" only where an official rule drops the item from its denominator, and where the answer is
    not published. ``choice`` is the index of the option that the rule read from the response, None if it read none.
    ``why`` is a short phrase; it starts with "unparsable: " exactly when the ``choice`` rule could not read an option.
    """

    outcome: Outcome
    choice: int | None
    why: str
