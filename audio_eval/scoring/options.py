"""Options: an item's choices, prepared for matching once (a run matches the same ones thousands of times)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from audio_eval.letters import place_of
from audio_eval.scoring.denial import Span, denied
from audio_eval.scoring.extraction import stated
from audio_eval.scoring.normal import SPACED, loose, normalise

# "A/G", "C#" and "Eb" do not name "G", "C" and "E", "5.5" and "-5" not "5"; "the man's" names "man".
_LEFT, _RIGHT = rf"(?<!{SPACED})(?<![/#])(?<!\d[.,:-])", rf"(?!{SPACED})(?![/#])(?!'(?!s\b)\w)"
_LEFT_NUMBER, _RIGHT_NUMBER = r"(?<![-+])", r"(?![.,:-]\d)"
# A word of denial is an option where it stands alone ("No, they differ"): "no doubt", "none of these" are no answers.
_DENIALS = ("no", "none", "not", "never", "nothing", "neither", "nobody", "no one")
_ALONE = r"(?=\s*(?:$|[.,;:!?()\]\"'-]|(?:because|since|rather|instead|and|but|is\s+(?:the|correct|right|my))\b))"
_WORDS_TOO = ("a", "i")
_WORD_GAP = re.compile(r"(?<=[^\W\d])\\?[ -](?=[^\W\d])")
_NUMBER = re.compile(
    r"\d|\b(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|once|twice|first|second|third)\b|[一二三四五六七八九十两]"
)
_STOPS = tuple(".!?;。\uff01\uff1f\uff1b")
_LABEL = re.compile(r"\(?\b([A-Z]{1,2})(?:\)|[.:]\)?)[\s\"'\[(]*$")
_GOES_ON = re.compile(r"[\"')\]]*[.!?;。\uff01\uff1f\uff1b][\"')\]]*(?=\s+[a-z]|\s*[-:,]|[\u3000-\u9fff])")


class Mention(NamedTuple):
    """Where a text names an option."""

    start: int
    stop: int
    option: int


@dataclass(frozen=True)
class Options:
    """Choices in normal form; nothing names an empty slot (null, "").

    ``first``: the first index of a text. ``spellings``: the index by a loose form that only one text has. ``words``:
    the index, and a word that stands in every mention, without which none is looked for. ``stopped``: whether a choice
    ends with a full stop or alike. ``marked``: whether a choice looks as if it marked an answer. ``single_letters``:
    how many options are one letter. ``numbered``: whether an option holds a number, so that "2" is no place.
    """

    texts: tuple[str, ...]
    first: dict[str, int]
    spellings: dict[str, int]
    words: tuple[tuple[int, str], ...]
    stopped: tuple[bool, ...]
    marked: bool
    single_letters: int
    longest: int
    numbered: bool

    def at(self, letter: str) -> int | None:
        """The index that a letter stands for by position; None beyond the options or at an empty slot."""
        return self.nth(place_of(letter))

    def nth(self, place: int) -> int | None:
        """The index of a place, from 0, of options with the same text the first; None where no option is there."""
        return self.first[self.texts[place]] if 0 <= place < len(self.texts) and self.texts[place] else None

    def same(self, one: int, other: int) -> bool:
        """Whether two indices hold the same text (duplicate options)."""
        return self.texts[one] == self.texts[other]

    @property
    def most(self) -> int:
        """Characters of a text that can be one of the options, whatever is around and between its words."""
        return 8 * self.longest + 64

    def head(self, text: str, start: int) -> str:
        """The text from ``start`` on, as far as it has to be known whether an option stands there, and nothing else."""
        return text[start : start + self.most + 1]

    def exact(self, text: str) -> int | None:
        """The option that the text is, in normal form or else in another spelling of it."""
        if len(text) > self.most:
            return None  # long before it is compared
        normal = normalise(text)
        index = self.first.get(normal)
        if index is None and len(normal) <= self.longest + 8:
            index = self.spellings.get(loose(normal))
        return index

    def begins(self, text: str) -> bool:
        """Whether the text begins with an option of more than one letter ("E:maj/1" begins with no letter E)."""
        folded = " ".join(text[: self.most].casefold().split()) + " "
        return any(
            len(option) > 1 and folded.startswith(option) and not folded[len(option)].isalnum() for option in self.first
        )

    def without(self, index: int | None, text: str) -> str:
        """The text without the option that it begins with, if it is this one."""
        folded = " ".join(text.casefold().split())
        return folded.removeprefix(self.texts[index]) if index is not None else folded

    def mentions(self, line: str) -> list[Mention]:
        """Where a line names options as whole words, in order. A mention inside a longer one does not count.

        Single letters count only in upper case. The case-folded line must be as long as the line.
        """
        folded = line.casefold()
        found = [
            (match.start(), -match.end(), index)
            for index, word in self.words
            for where in [line if len(self.texts[index]) == 1 else folded]
            if word in where
            for match in _pattern(self.texts[index]).finditer(where)
        ]
        hits: list[Mention] = []
        reached = 0
        for start, minus_end, index in sorted(found):
            if -minus_end > reached:
                hits.append(Mention(start, -minus_end, index))
                reached = -minus_end
        return hits

    def named(self, text: str) -> tuple[list[int], list[int]]:
        """The options that the text names, in order of position, each once; and those that it only denies.

        A mention in a denied or uncertain clause ("there is no dog") names nothing. "A" and "I" are weak: they count
        only beside another option.
        """
        line = foldable(text)
        hits = self.mentions(line)
        if not hits:
            return [], []
        refused = denied(line.casefold(), self._spans(line, hits))
        kept = [hit.option for hit, no in zip(hits, refused, strict=True) if not no]
        strong = any(self.texts[index] not in _WORDS_TOO for index in kept)
        named = list(dict.fromkeys(kept)) if strong else []
        return named, [hit.option for hit in hits if hit.option not in named]

    def _spans(self, line: str, hits: Sequence[Mention]) -> list[Span]:
        """The mentions with the letter before them ("B. dog") and a full stop of their own, which ends no sentence."""
        spans, reached = [], 0
        for start, stop, index in hits:
            label = _LABEL.search(line, max(reached, start - 8), start)
            own = label is not None and self.at(label[1]) == index
            end = _GOES_ON.match(line, stop) if self.stopped[index] else None
            spans.append((label.start() if label and own else max(start, reached), end.end() if end else stop))
            reached = spans[-1][1]
        return spans


def foldable(text: str) -> str:
    """The text with its white space collapsed, line breaks kept, in a case whose folding does not change its length."""
    line = "\n".join(" ".join(part.split()) for part in text.strip().split("\n"))
    folded = line.casefold()
    return line if len(folded) == len(line) else folded


def _word(text: str) -> str:
    """The longest part of an option that stands in every mention of it."""
    return text.upper() if len(text) == 1 else max(re.split(r"[\s-]+", text), key=len)


@lru_cache(maxsize=65536)
def _pattern(text: str) -> re.Pattern[str]:
    """What finds a mention of an option. It takes milliseconds to compile, and most options are never looked for."""
    left = _LEFT if re.match(SPACED, text) else ""
    right = _RIGHT if re.match(SPACED, text[-1]) else ""
    left += _LEFT_NUMBER if text[0].isdigit() else ""
    right += _RIGHT_NUMBER if text[-1].isdigit() else ""
    if text in _DENIALS:
        right += _ALONE
    if len(text) == 1:
        return re.compile(left + re.escape(text.upper()) + right + r"(?!')")
    words = _WORD_GAP.sub("[ \n-]", re.escape(text))
    return re.compile(left + words.replace("\\ ", r"\s") + right)


@lru_cache(maxsize=1024)  # 2 KiB each, made again in 0.1 ms; an item's are asked for one after another
def prepare(choices: tuple[str | None, ...]) -> Options:
    """The choices in normal form with their patterns. Nothing names a null or empty choice."""
    texts = tuple(normalise(choice) if choice else "" for choice in choices)
    first: dict[str, int] = {}
    for index, text in enumerate(texts):
        if text:
            first.setdefault(text, index)
    spelled: dict[str, list[int]] = {}
    for text, index in first.items():
        spelled.setdefault(loose(text), []).append(index)
    return Options(
        texts,
        first,
        {form: found[0] for form, found in spelled.items() if form and len(found) == 1},
        tuple((index, _word(text)) for text, index in first.items()),
        tuple((choice or "").rstrip("\"')]").endswith(_STOPS) for choice in choices),
        any(choice and stated(choice).marked for choice in choices),
        sum(len(text) == 1 and text.isalpha() and text.isascii() for text in first),
        max(map(len, first), default=0),
        any(_NUMBER.search(text) for text in first),
    )
