"""The one error a user sees without a traceback, and "Did you mean"."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


class UserError(Exception):
    """A mistake the user can mend. The message is one line: what is wrong, where, and how to mend it."""


class NotHere(UserError):
    """Data that are not on this machine and cannot be fetched: nothing is wrong with what the user typed."""


def unknown(what: str, name: str, known: Iterable[str], where: str = "") -> UserError:
    """The error for a name that is not known: the near match if there is one, and what is available."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return UserError(f"unknown {what} '{name}'{where}.{hint} Available: {', '.join(names)}.")


def explain(error: ValidationError) -> str:
    """What pydantic found wrong, as one line: the first five of it."""
    found = error.errors()
    told = [f"{'.'.join(map(str, e['loc']))}: {e['msg'].lower()} (given: {e['input']!s:.80})" for e in found[:5]]
    return "; ".join(told) + (f"; and {len(found) - 5} more." if len(found) > 5 else ".")
