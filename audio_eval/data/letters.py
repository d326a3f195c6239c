"""Recovers the plain texts of options that a mirror stores with letters, and of gold answers that are a letter."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audio_eval.letters import letter_at, place_of

# "(A) text", "A. text", "A) text", "A: text"; an option may be empty (MMAR), and only one blank belongs to the letter.
_PREFIX = re.compile(r"(?:\(([A-Z]{1,2})\)|([A-Z]{1,2})[.):])(?: |$)")
_BARE = re.compile(r"\(?([A-Z]{1,2})[.):]?\)?")


def unlettered(choices: Sequence[str], answer: str) -> tuple[list[str], str]:
    """Options and gold text without letters if *every* option begins with the letter of its place, else unchanged.

    "A. Smith" beside "Bach" is a name: not all have a prefix, so none is removed.
    """
    rests = [_rest(choice, place) for place, choice in enumerate(choices)]
    plain = [rest for rest in rests if rest is not None]
    if len(plain) < len(choices):
        return list(choices), answer
    if answer in choices:
        return plain, plain[list(choices).index(answer)]
    found = _PREFIX.match(answer)
    return plain, answer[found.end() :] if found else answer


def lettered_gold(letter: str, slots: Sequence[str | None]) -> str | None:
    """The text of the slot that a gold answer such as "B" names; None where there is no such slot, or an empty one."""
    found = _BARE.fullmatch(letter.strip().upper())
    place = place_of(found[1]) if found else len(slots)
    return slots[place] or None if place < len(slots) else None


def _rest(choice: str, place: int) -> str | None:
    found = _PREFIX.match(choice)
    letter = (found[1] or found[2]) if found else ""
    return choice[found.end() :] if found and letter == letter_at(place) else None
