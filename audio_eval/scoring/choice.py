"""The ``choice`` rule: which option a response names. A response that names none or several is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audio_eval.scoring import cues
from audio_eval.scoring.cues import Cue
from audio_eval.scoring.extraction import stated
from audio_eval.scoring.normal import normalise
from audio_eval.scoring.options import Options, prepare
from audio_eval.scoring.thinking import spoken
from audio_eval.scoring.verdict import Verdict

EMPTY, NONE, SEVERAL, RANGE = "empty", "no option named", "several options named", "letter out of range"
DISAGREE, NO_OPTIONS = "letter and text disagree", "the item has no options"
HIDDEN = "the answer is not published"
# Four characters for each of 65 536 tokens: what is longer is read in no time that a run has.
MAX_CHARACTERS, TOO_LONG = 262_144, "longer than 262144 characters"

Reading = tuple[int | None, str]

# An explanation after the answer begins here. It may name other options ("because there is no cat").
_EXPLAINED = re.compile(r"\n|(?:^|[,.;]?\s+)(?i:because|since)\b|(?<=\w[.!])\s+(?=[A-Z])|^,?因为|^,?由于")
_OTHER_LETTER = re.compile(r"(?:and|or|&|/|,)?\s*[(\[]?([A-Z])[)\].]?", re.IGNORECASE)
_REPEATED = re.compile(r"(?i:([a-z]))(?:[\s,.;()]+\1)+")
_PLACE = re.compile(r"(?:(?:the\s+)?(?:answer|option|choice|number)\s*(?:is|:)?\s*#?\s*)?(\d{1,3})")
_NAME = re.compile(r"[A-Z][\w'-]+(?:\s+[A-Z][\w'-]+)?\.?")


def parse_choice(response: str, choices: Sequence[str | None]) -> int | None:
    """The index of the option that the response names; None where that is not exactly one.

    Of options with the same text the first is given. Never raises on any text.
    """
    return _read(response, prepare(tuple(choices)))[0]


def choice_rule(response: str, choices: tuple[str | None, ...], answer: str) -> Verdict:
    """Correct iff the named option has the answer's text in normal form; an unreadable response is wrong."""
    options = prepare(choices)
    index, why = _read(response, options)
    if index is None:
        return Verdict("wrong", None, f"unparsable: {why}")
    return Verdict("correct" if options.texts[index] == normalise(answer) else "wrong", index, why)


def _read(response: str, options: Options) -> Reading:
    if len(response) > MAX_CHARACTERS:
        return None, TOO_LONG
    text = spoken(response)
    if not options.first:
        return None, NO_OPTIONS
    index = options.exact(text) if options.marked else None
    if index is not None:
        return index, "option text"
    answer, after, _ = stated(text)
    later = cues.stated(after, options) if after else {}
    if len(later) == 1:
        return _by_cue_of(next(iter(later.values())), options)
    return (None, SEVERAL) if later else _of_answer(answer, options)


def _of_answer(text: str, options: Options) -> Reading:
    if not text:
        return None, EMPTY
    index = options.exact(text)
    if index is not None:
        return index, "option text"
    bare = normalise(text)
    repeated = _REPEATED.fullmatch(bare)
    letter = repeated[1] if repeated else bare
    if cues.is_letter(letter, options):
        return _by_letter(letter, "", options)
    number = _PLACE.fullmatch(bare)
    if number and not options.numbered:
        index = options.nth(int(number[1]) - 1)
        return (None, RANGE) if index is None else (index, "number")
    lead = cues.lead(text, options)
    if lead:
        if cues.stated(lead.tail, options).keys() - {lead.letter.upper()}:
            return None, SEVERAL
        return _by_letter(lead.letter, lead.tail, options)
    found = cues.find(text, options)
    if len({cue.letter for cue in found}) > 1:
        return None, SEVERAL
    return _by_cue_of(found[0], options) if found else _by_mention(text, options)


def _by_cue_of(cue: Cue, options: Options) -> Reading:
    return _by_letter(cue.letter, cue.tail, options)


def _by_letter(letter: str, tail: str, options: Options) -> Reading:
    """The option that a letter stands for, unless the text beside it names another or denies this one."""
    own, by_place = options.first.get(letter.lower()), options.at(letter)
    other = _OTHER_LETTER.fullmatch(tail.strip())
    exact = _given(tail, options)
    if other and exact is None and other[1].upper() != letter.upper():
        return None, SEVERAL
    if exact is not None:
        named = [exact]
    elif _EXPLAINED.match(tail) and not options.begins(tail):
        named = []
    else:
        named, denied = options.named(tail)
        taken_back = by_place in denied or (own is not None and own in denied)
        if not named and (taken_back or cues.refused(options.without(by_place, tail))):
            return None, NONE
        if not named and by_place is not None and _is_name(tail, options.texts[by_place]):
            return None, NONE
    if len(named) > 1:
        return None, SEVERAL
    if named:
        agreed = any(index is not None and options.same(index, named[0]) for index in (own, by_place))
        return (named[0], "letter and text") if agreed else (None, DISAGREE)
    if own is not None:
        return own, "option text"
    if options.single_letters > 1:
        return None, NONE  # the options are letters themselves ("G", "D", "E"): another letter is another answer
    return (None, RANGE) if by_place is None else (by_place, "letter")


def _is_name(tail: str, option: str) -> bool:
    """Whether what follows a letter is a name ("D. Smith") and no part of the letter's own option."""
    return _NAME.fullmatch(tail.strip()) is not None and not set(normalise(tail).split()) <= set(option.split())


def _given(tail: str, options: Options) -> int | None:
    """The option whose text stands beside a letter: all of ``tail``, or what comes before an explanation."""
    index = options.exact(tail)
    if index is not None:
        return index
    for found in _EXPLAINED.finditer(tail.rstrip()[: options.most]):
        text = normalise(tail[: found.start()])
        if len(text) > options.longest:
            break
        # The last match counts: an option itself may contain "because".
        index = options.first.get(text, index)
    return index


def _by_mention(text: str, options: Options) -> Reading:
    named, _ = options.named(text)
    if len(named) == 1:
        return named[0], "option text in a sentence"
    return None, SEVERAL if named else NONE
