"""Options: an item's choices, prepared for matching once (a run matches the same ones thousands of times)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from audio_eval.scoring.extraction import normalise

# "A/G" and "C#" do not name "G" and "C"; "5.5" and "-5" do not name "5".
_LEFT, _RIGHT = r"(?<![\w/#♯])(?<!\d[.,:-])", r"(?![\w/#♯])(?!'\w)"
_LEFT_NUMBER, _RIGHT_NUMBER = r"(?<![-+])", r"(?![.,:-]\d)"
_NEGATED = re.compile(r"(?:\bnot|n't|\bnever|\bneither|\bnor)\s+(?:an?\s+|the\s+)?$", re.IGNORECASE)
_WORDS_TOO = ("a", "i")


@dataclass(frozen=True)
class Options:
    """Choices in normal form. ``first`` maps a text to its first index; nothing names an empty slot (null, "")."""

    texts: tuple[str, ...]
    first: dict[str, int]
    patterns: tuple[tuple[int, re.Pattern[str]], ...]
    single_letters: int

    def at(self, letter: str) -> int | None:
        """The index that a letter stands for by position; None beyond the options or at an empty slot."""
        index = ord(letter.upper()) - ord("A")
        return index if index < len(self.texts) and self.texts[index] else None

    def same(self, one: int, other: int) -> bool:
        """Whether two indices hold the same text (duplicate options)."""
        return self.texts[one] == self.texts[other]

    def exact(self, text: str) -> int | None:
        """The option that the text is, in normal form."""
        return self.first.get(normalise(text))

    def begins(self, text: str) -> bool:
        """Whether the text begins with an option of more than one letter ("E:maj/1" begins with no letter E)."""
        folded = " ".join(text.casefold().split()) + " "
        return any(
            len(option) > 1 and folded.startswith(option) and not folded[len(option)].isalnum() for option in self.first
        )

    def named(self, text: str) -> list[int]:
        """The options that the text names as whole words, in order of position, each once.

        A mention inside a longer mentioned option does not count. Single letters count only in upper case. "A", "I" and
        a negated mention ("not a dog") are weak: they count only beside another option.
        """
        line = " ".join(text.split())
        folded = line.casefold()
        if len(folded) != len(line):
            line = folded
        found = [
            (match.start(), -match.end(), index)
            for index, pattern in self.patterns
            for match in pattern.finditer(line if len(self.texts[index]) == 1 else folded)
        ]
        hits, reached = [], 0
        for start, minus_end, index in sorted(found):
            if -minus_end > reached:
                hits.append((start, index))
                reached = -minus_end
        strong = any(self.texts[i] not in _WORDS_TOO and not self._negated(line, start) for start, i in hits)
        return list(dict.fromkeys(index for _, index in hits)) if strong else []

    @staticmethod
    def _negated(line: str, start: int) -> bool:
        return _NEGATED.search(line[max(0, start - 20) : start]) is not None


def _pattern(text: str) -> re.Pattern[str]:
    left = _LEFT + (_LEFT_NUMBER if text[0].isdigit() else "")
    right = _RIGHT + (_RIGHT_NUMBER if text[-1].isdigit() else "")
    return re.compile(left + re.escape(text.upper() if len(text) == 1 else text) + right)


@lru_cache(maxsize=65536)
def prepare(choices: tuple[str | None, ...]) -> Options:
    """The choices in normal form with their patterns. Nothing names a null or empty choice."""
    texts = tuple(normalise(choice) if choice else "" for choice in choices)
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        if text:
            first.setdefault(text, index)
    patterns = tuple((index, _pattern(text)) for text, index in first.items())
    single = sum(len(text) == 1 and text.isalpha() and text.isascii() for text in first)
    return Options(texts, first, patterns, single)
