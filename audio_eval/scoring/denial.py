"""Denied and uncertain clauses: what is mentioned in one ("there is no dog", "not sure whether it is B") names nothing.

A text is cut into clauses. A mention is denied by a negation, an exclusion or a doubt before it in its clause ("rather
than a dog"), by a predicate that follows it ("a dog can be ruled out"), by a next clause that takes its own back ("it
seems to be a dog, but it isn't"), and by a question mark at the end of its sentence. Mentions are masked while this is
decided: an option such as "No music" denies nothing by its own words.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from audio_eval.scoring import denial_words as words
from audio_eval.scoring.denial_words import FILLER, MASK
from audio_eval.scoring.normal import UNSPACED

Span = tuple[int, int]

_WORD = re.compile(rf"[^\W{UNSPACED}]+")
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_REACH = 300  # characters of a clause that are looked at, so that a text in a loop takes no time


class _Around(NamedTuple):
    """What decides whether a mention is denied: its clause and its sentence before it, its clause after it, the next
    clause, and whether its sentence ends with a question mark.
    """

    before: str
    sentence: str
    after: str
    next: str
    is_asked: bool


def denied(text: str, spans: Sequence[Span], masked: Sequence[Span] = ()) -> list[bool]:
    """Whether the mention at each span of a case-folded text stands in a denied or uncertain clause.

    Spans are in order and do not overlap. What stands at ``masked`` is no denial either.
    """
    if not spans or not _may_deny(text):
        return [False] * len(spans)
    hidden = _masked(text, [*spans, *masked])
    marks = list(words.BOUNDARY.finditer(hidden))
    begins, ends = [0, *(mark.end() for mark in marks)], [*(mark.start() for mark in marks), len(hidden)]
    sentences = [mark for mark in marks if mark["end"]]
    sentence_begins = [0, *(mark.end() for mark in sentences)]
    sentence_ends = [mark.start() for mark in sentences]
    known: dict[_Around, bool] = {}  # a text in a loop has the same around each of thousands of mentions
    found = []
    for start, stop in spans:
        end = ends[bisect_left(ends, stop)]
        sentence = sentence_begins[bisect_right(sentence_begins, start) - 1]
        closing = bisect_left(sentence_ends, stop)
        around = _Around(
            before=hidden[max(begins[bisect_right(begins, start) - 1], start - _REACH) : start],
            sentence=hidden[max(sentence, start - _REACH) : start],
            after=hidden[stop : min(end, stop + _REACH)],
            next=hidden[end : end + _REACH],
            is_asked=closing < len(sentences) and sentences[closing]["end"] in ("?", "\uff1f"),
        )
        if around not in known:
            known[around] = _is_denied(around)
        found.append(known[around])
    for place in range(len(spans) - 2, -1, -1):  # what is said of the last of a list is said of all
        if found[place + 1] and words.JOINED.fullmatch(hidden, spans[place][1], spans[place + 1][0]):
            found[place] = True
    return found


def _is_denied(around: _Around) -> bool:
    return (
        around.is_asked
        or words.BEFORE.search(around.before, _main(around.before)) is not None
        or words.CONTRARY.search(around.sentence) is not None
        or words.AFTER.match(around.after) is not None
        or words.RETRACTED.match(around.next) is not None
        or (_UNSPACED.search(around.after) is not None and words.AFTER_UNSPACED.match(around.after) is not None)
    )


def denied_before(text: str, place: int) -> bool:
    """Whether what stands at ``place`` of a text is denied by what is before it; a colon begins a clause here."""
    return _denied_after(text[max(0, place - 2 * _REACH) : place].casefold())


@lru_cache(maxsize=4096)
def _denied_after(text: str) -> bool:
    text = re.split(r"(?<!not):", text)[-1]
    return denied(f"{text} {MASK}", [(len(text) + 1, len(text) + 2)])[0]


def _main(clause: str) -> int:
    """Where the clause begins behind a preliminary one."""
    preliminary = words.PRELIMINARY.match(clause)
    return preliminary.end() if preliminary else 0


def _may_deny(text: str) -> bool:
    """The cheap test before all others."""
    found = set(_WORD.findall(text))
    if not found.isdisjoint(words.WORDS) or words.CHARACTERS.search(text):
        return True
    return any(word.startswith(words.STEMS) for word in found)


def _masked(text: str, spans: Sequence[Span]) -> str:
    """The text with mentions and phrases replaced by as many characters."""
    shown = list(text)
    for start, stop in spans:
        shown[start:stop] = MASK * (stop - start)
    text = "".join(shown)
    text = words.HARMLESS.sub(lambda phrase: FILLER * len(phrase[0]), text)
    return words.AS_NOT.sub(lambda phrase: "not" + FILLER * (len(phrase[0]) - 3), text)
