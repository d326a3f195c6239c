"""The ``choice`` rule: which option a response names. A response that names none or several is wrong."""

from __future__ import annotations

import re
from collections.abc import Sequence

from audio_eval.scoring.extraction import answer_span, normalise
from audio_eval.scoring.options import Options, prepare
from audio_eval.scoring.verdict import Verdict

EMPTY, NONE, SEVERAL, RANGE = "empty", "no option named", "several options named", "letter out of range"
DISAGREE, NO_OPTIONS = "letter and text disagree", "the item has no options"
HIDDEN = "the answer is not published"

Reading = tuple[int | None, str]

_LEAD = re.compile(
    r"""^["']?[(\[]?\s*(?P<letter>[A-Za-z])
    (?: \s*[)\]][.:,]?\s* | [.:](?!\w\.)\s* | \s+[-\u2013\u2014]\s+ | \s*\n\s* | ,?\s+(?=(?:because|since)\b) )
    (?P<tail>.+)$""",
    re.VERBOSE | re.DOTALL,
)
_LETTER = r"""["']?(?: [(\[]\s*(?P<boxed>[A-Za-z])\s*[)\]] | (?P<bare>[A-Za-z])(?![\w#♯/'&-]) )"""
_IS = r"(?:is|was|would\s+be|should\s+be|must\s+be)"
# The cue word tells "the answer is A" from "a man": in a sentence without one no letter is read.
_STATED = re.compile(
    rf"""\b(?i:answer|choice|option|letter)\b
    (?: \s+(?i:{_IS})\s*:?\s+ | \s*[:=]\s* )(?i:(?:the\s+)?(?:option|choice|letter)\s+)?{_LETTER}""",
    re.VERBOSE,
)
_MENTIONED = re.compile(
    rf"\b(?i:answer|choice|option|letter|choose|select|pick|go\s+with)\s+(?i:(?:option|choice|letter)\s+)?{_LETTER}",
    re.VERBOSE,
)
_JUDGED = re.compile(
    rf"(?<![\w#♯/'.-]){_LETTER}\s+is\s+(?:the\s+)?(?:most\s+likely\s+)?(?:correct|right|best|answer)\b", re.VERBOSE
)
_DENIED = re.compile(r"""["')\].,]*\s*(?:is\s+(?:not|wrong|incorrect|false)\b|isn't\b|can\s?not\b|can't\b)""")
_AFTER_BARE = re.compile(
    r"""\s*(?:$|["')\].,;:!?](?!\w)|\n|-\s|(?:because|since|is\s+(?:the\s+)?(?:correct|right|best))\b)"""
)
_LINE_LETTER = re.compile(r"^\W{0,3}([A-Za-z])(?:[).:\]]\s|[^\w\n]{0,3}$)", re.MULTILINE)
# An explanation after the answer begins here. It may name other options ("because there is no cat").
_EXPLAINED = re.compile(r"\n|(?:^|[,.;]?\s+)(?:because|since)\b", re.IGNORECASE)
_OTHER_LETTER = re.compile(r"(?:and|or|&|/|,)?\s*[(\[]?([A-Z])[)\].]?", re.IGNORECASE)


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
    text = answer_span(response)
    if not options.first:
        return None, NO_OPTIONS
    if not text:
        return None, EMPTY
    index = options.exact(text)
    if index is not None:
        return index, "option text"
    bare = normalise(text)
    if len(bare) == 1 and bare.isascii() and bare.isalpha():
        return _by_letter(bare, "", options)
    lead = _LEAD.match(text)
    if lead and not options.begins(text) and len({letter.upper() for letter in _LINE_LETTER.findall(text)}) < 2:
        if _stated(lead["tail"], options) - {lead["letter"].upper()}:
            return None, SEVERAL
        # A letter alone on its line keeps the line break: what follows is an explanation.
        alone = "\n" in text[lead.end("letter") : lead.start("tail")]
        return _by_letter(lead["letter"], f"\n{lead['tail']}" if alone else lead["tail"], options)
    head, _, tail = text.partition(" ")
    # "B dog": the upper-case article and the pronoun are no letters here, any other single capital is one.
    if len(head) == 1 and "A" <= head <= "Z" and head not in "AI" and options.exact(tail) is not None:
        return _by_letter(head, tail, options)
    return _by_cue(text, options) or _by_mention(text, options)


def _by_cue(text: str, options: Options) -> Reading | None:
    """The letter that a sentence states ("the answer is B"), else one that it mentions ("option B", "B is correct")."""
    for patterns in ((_STATED,), (_MENTIONED, _JUDGED)):
        found = [(match, *_cued(text, match, options)) for pattern in patterns for match in pattern.finditer(text)]
        letters = {letter for _, letter, _ in found if letter}
        if len(letters) > 1:
            return None, SEVERAL
        for match, letter, tail in found:
            if letter:
                judged = match.re is _JUDGED
                return _by_letter(letter, "" if judged else tail, options)
    return None


def _stated(text: str, options: Options) -> set[str]:
    """The letters that sentences of the text state as the answer."""
    return {letter for match in _STATED.finditer(text) if (letter := _cued(text, match, options)[0])}


def _cued(text: str, match: re.Match[str], options: Options) -> tuple[str, str]:
    """The letter of a cue and the text after it; ("", "") where it is a word ("the answer is A dog") or is denied."""
    tail = text[match.end() :]
    if match["bare"] and options.begins(text[match.start("bare") :]):
        return "", ""
    if _DENIED.match(tail):
        return "", ""
    if match["boxed"]:
        return match["boxed"].upper(), tail
    letter = match["bare"]
    if match.re is _JUDGED:
        return (letter, tail) if letter.isupper() else ("", "")
    if letter.islower():
        return (letter.upper(), "") if not tail.strip(" .)\"'\n") else ("", "")
    if _AFTER_BARE.match(tail):
        return letter, tail
    named = options.exact(tail)
    if named is None or (letter in "AI" and named != options.at(letter)):
        return "", ""
    return letter, tail


def _by_letter(letter: str, tail: str, options: Options) -> Reading:
    """The option that a letter stands for, unless the text beside the letter names another option."""
    own, by_place = options.first.get(letter.lower()), options.at(letter)
    other = _OTHER_LETTER.fullmatch(tail.strip())
    exact = _given(tail, options)
    if other and exact is None and other[1].upper() != letter.upper():
        return None, SEVERAL
    if exact is not None:
        named = [exact]
    else:
        explained = _EXPLAINED.match(tail) and not options.begins(tail)
        named = [] if explained else options.named(tail)
    if len(named) > 1:
        return None, SEVERAL
    if named:
        agreed = any(index is not None and options.same(index, named[0]) for index in (own, by_place))
        return (named[0], "letter and text") if agreed else (None, DISAGREE)
    if own is not None:
        return own, "option text"
    if options.single_letters > 1:
        return None, NONE  # the options are letters themselves ("G", "D", "E"): another letter is another answer
    return (None, RANGE) if by_place is None else (options.first[options.texts[by_place]], "letter")


def _given(tail: str, options: Options) -> int | None:
    """The option whose text stands beside a letter: all of ``tail``, or what comes before an explanation."""
    index, longest = options.exact(tail), max(map(len, options.first))
    if index is not None:
        return index
    for found in _EXPLAINED.finditer(tail.rstrip()):
        text = normalise(tail[: found.start()])
        if len(text) > longest:
            break
        # The last match counts: an option itself may contain "because".
        index = options.first.get(text, index)
    return index


def _by_mention(text: str, options: Options) -> Reading:
    named = options.named(text)
    if len(named) == 1:
        return named[0], "option text in a sentence"
    return None, SEVERAL if named else NONE
