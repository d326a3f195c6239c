"""Where a response names its answer, for a reader who wants to see what was extracted.

The ``choice`` rule reads a normal form of a response, which has no places in the text. So the place is looked for
afterwards, and is one only if its text, read alone by the same rule, names the same option.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from audio_eval.letters import letter_at
from audio_eval.scoring import parse_choice
from audio_eval.scoring.extraction import marked_at
from audio_eval.scoring.normal import SPACED
from audio_eval.scoring.thinking import spoken

Span = tuple[int, int]
_LETTER = re.compile(SPACED)

TRIED = 4  # mentions of an option that are looked at; a text may hold thousands
LONGEST = 200  # characters of a place that is no mention of an option, but a statement as a whole


def answer_at(response: str, choices: Sequence[str], choice: int | None) -> Span | None:
    """The characters of ``response`` that name option ``choice``, which was read from all of it.

    Where ``choice`` is None, as for open answers and responses that name no option: what is marked as the answer. None
    where there is no such place, or no short one.
    """
    start, end = _own_words(response)
    marked = marked_at(response[start:end])
    statement = (start + marked[0], start + marked[1]) if marked else None
    if choice is None or choice >= len(choices):  # an archive may have come without the options
        return statement if statement and statement[0] < statement[1] else None
    for region in (statement, (start, end)):
        for low, high in _places(response, region, choices[choice], choice) if region else ():
            if parse_choice(response[low:high], choices) == choice:
                return low, high
    return None


def _own_words(response: str) -> Span:
    """Where the part of a response stands that is no thinking; all of it where that part was put together anew."""
    said = spoken(response).strip()
    start = response.rfind(said) if said else -1
    return (start, start + len(said)) if start >= 0 else (0, len(response))


def _places(response: str, region: Span, option: str, choice: int) -> Iterator[Span]:
    """The places in a region that may name the option: all of it where it is no more than that; else mentions by the
    option's text or its letter, the last first; then all of it where it is short.
    """
    text = response[slice(*region)]
    start, end = region[0] + len(text) - len(text.lstrip()), region[0] + len(text.rstrip())
    if end - start <= len(option):
        yield start, end
    folded = response.casefold()
    found = [*_words(folded if len(folded) == len(response) else response, option.casefold(), region)]
    found += [_with_brackets(response, *span) for span in _words(response, letter_at(choice), region)]
    yield from sorted(found, reverse=True)
    if start < end <= start + LONGEST:
        yield start, end


def _words(text: str, wanted: str, region: Span) -> Iterator[Span]:
    """The last mentions of ``wanted`` as whole words."""
    left, end = TRIED, region[1]
    while wanted and left and (start := text.rfind(wanted, region[0], end)) >= 0:
        end, stop = start + len(wanted) - 1, start + len(wanted)
        if not _LETTER.match(text[start - 1 : start]) and not _LETTER.match(text[stop : stop + 1]):
            left -= 1
            yield start, stop


def _with_brackets(text: str, start: int, stop: int) -> Span:
    inside = text[start - 1 : start] in ("(", "[") and text[stop : stop + 1] in (")", "]")
    return (start - 1, stop + 1) if inside else (start, stop)
