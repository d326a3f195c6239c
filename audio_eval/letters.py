"""Letters of options by their place: A to Z, then AA, AB, ..., as columns of a spreadsheet are lettered.

Prompts show them, readers of benchmarks take them off, and the ``choice`` rule reads them: all by these two functions.
"""

from __future__ import annotations

_BASE = 26


def letter_at(place: int) -> str:
    """The letter of a place, from 0: 0 is "A", 25 "Z", 26 "AA"."""
    letters, left = "", place + 1
    while left:
        left, digit = divmod(left - 1, _BASE)
        letters = chr(ord("A") + digit) + letters
    return letters


def place_of(letter: str) -> int:
    """The place of a letter in either case: the inverse of ``letter_at``. The text must be ASCII letters alone."""
    place = 0
    for one in letter.upper():
        place = place * _BASE + ord(one) - ord("A") + 1
    return place - 1
