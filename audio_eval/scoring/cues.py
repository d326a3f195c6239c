"""Letters in a text that stand for options: at its beginning ("B. dog"), or behind a word that says so ("option B")."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from audio_eval.scoring.denial import Span, denied
from audio_eval.scoring.options import Options, foldable

_WIDE = 26  # with more options a letter may be two, as in audio_eval.letters
_IS = r"(?:is|was|would\s+be|should\s+be|must\s+be)"
_HOW = r"(?:\s+(?:likely|most\s+likely|probably|clearly|definitely|certainly|therefore|thus|hence|simply|indeed|then))*"
# What follows a bare letter where it is a letter: the end, punctuation, a reason, a script without spaces.
_AFTER_BARE = re.compile(
    r"""\s*(?:$|["')\].,;:!?](?![A-Za-z0-9])|\n|-\s|[\u3000-\u9fff]
    |(?:because|since|but|rather\s+than|instead\s+of|and\s+not|is\s+(?:the\s+)?(?:correct|right|best))\b)""",
    re.VERBOSE,
)
_LAST = re.compile(r"[ .)\"'\n]*\Z")
_BESIDE = re.compile(r"([A-Z])\s*\(([^()]+)\)(.*)", re.DOTALL)  # "B (dog)"
_LINE_LETTER = re.compile(r"^\W{0,3}([A-Za-z])(?:[).:\]]\s|[^\w\n]{0,3}$)", re.MULTILINE)
# What takes a letter back at once: "B. Incorrect", "B, no".
_REFUSED = re.compile(
    r"""\W*(?:(?:is|was|definitely|clearly|certainly|option|answer|choice|the|an?)\s+)*(?:no|nope|wrong|incorrect|false|invalid
    |excluded|eliminated|rejected|ruled\s+out|impossible|unlikely|(?:is\s+)?not(?:\s+(?:correct|right|it|possible|likely
    |(?:the\s+|a\s+)?(?:right\s+|correct\s+)?(?:answer|option|choice)))?|(?:is|was)n't|cannot\b.*|can't\b.*)\W*""",
    re.VERBOSE | re.IGNORECASE,
)


# Without one of these there is no cue; cheap, because most texts have none.
_WORDS = (
    "answer", "choice", "option", "letter", "choose", "select", "pick", "go with", " is ", "'s ", "it was", " be ",
    "correct", " but ", "答案", "选", "而是",
)  # fmt: skip


class Cue(NamedTuple):
    """A letter, in upper case, and where the text after it begins, in which the option's text may follow."""

    letter: str
    text: str = ""
    start: int = 0

    @property
    def tail(self) -> str:
        """The text after the letter; cut when asked for, as a text in a loop has thousands of cues."""
        return self.text[self.start :]


class _Patterns(NamedTuple):
    lead: re.Pattern[str]
    stated: re.Pattern[str]
    mentioned: tuple[re.Pattern[str], ...]
    judged: re.Pattern[str]


@lru_cache(maxsize=2)
def _patterns(wide: bool) -> _Patterns:
    one = "(?:[A-Za-z]|[A-Z]{2})" if wide else "[A-Za-z]"
    letter = rf"""["']?(?: [(\[]\s*(?P<boxed>{one})\s*[)\]] | (?P<bare>{one})(?![A-Za-z0-9_\u00c0-\u024f#/'&-]) )"""
    named = r"(?i:(?:the\s+)?(?:option|choice|letter)\s+)?"
    return _Patterns(
        re.compile(
            rf"""^["']?[(\[]?\s*(?P<letter>{one})
            (?: \s*[)\]][.:,]?\s* | [.:](?!\w\.)\s* | \s+-\s+ | \s*\n\s*
              | ,?\s+(?=(?:because|since|rather\s+than|instead\s+of)\b)
              | ,\s+(?=(?:and\s+|but\s+)?not\b) | ,?\s*(?=因为|由于) )
            (?P<tail>.+)$""",
            re.VERBOSE | re.DOTALL,
        ),
        # The cue word tells "the answer is A" from "a man": in a sentence without one no letter is read.
        re.compile(
            rf"""(?:\b(?i:answer|choice|option|letter)\b
            (?:\s+(?i:to|for|of|in|here)(?:\s+(?i:the|this|that|your|these))?(?:\s+\w+){{0,3}}?)?
            (?: \s+(?i:{_IS}{_HOW})\s*:?\s+ | \s*[:=]\s* | ,\s* ){named}
            |(?:答案|正确选项|应选|应该选|选择|选)\s*(?:应该?|就|应当)?\s*(?:选|是|为)?\s*:?\s*(?:选项)?){letter}""",
            re.VERBOSE,
        ),
        (
            re.compile(
                rf"""(?:\b(?i:answer|choice|option|letter|choose|select|pick|go\s+with)\s+{named}|选项\s*){letter}""",
                re.VERBOSE,
            ),
            re.compile(
                rf"""\b(?i:it|that|this)(?i:'s|\s+{_IS}){_HOW}\s+{named}{letter}(?=["')\]]*(?:[.!](?:\s|$)|,?\s+(?:not|and\s+not|because|since|rather|instead)\b|\s*$))""",
                re.VERBOSE,
            ),
            re.compile(
                rf"""(?:\bnot\s+{named}["'(\[]*{one}["')\]]*,?\s+but\s+(?:rather\s+)?{named}|而是\s*(?:选|选项)?\s*){letter}""",
                re.VERBOSE,
            ),
        ),
        re.compile(
            rf"""(?<![\w#/'.-]){letter}\s+is\s+(?:the\s+)?(?:most\s+likely\s+)?(?:correct|right|best|answer)\b""",
            re.VERBOSE,
        ),
    )


def is_letter(text: str, options: Options) -> bool:
    """Whether the text is a letter by itself: one, or two where there are so many options."""
    return text.isascii() and text.isalpha() and len(text) <= 1 + (len(options.texts) > _WIDE)


def lead(text: str, options: Options) -> Cue | None:
    """The letter that the text begins with ("B. dog", "(B)", "B because"), or "B dog" with exactly an option's text."""
    found = _patterns(len(options.texts) > _WIDE).lead.match(text)
    if found and not options.begins(text) and len({line.upper() for line in _LINE_LETTER.findall(text)}) < 2:
        # A letter alone on its line keeps the line break: what follows is an explanation.
        alone = "\n" in text[found.end("letter") : found.start("tail")]
        return Cue(found["letter"], f"\n{found['tail']}" if alone else found["tail"])
    if (beside := _BESIDE.match(text)) and options.exact(beside[2]) is not None:
        return Cue(beside[1], f"{beside[2]}{beside[3]}")
    head, _, tail = text.partition(" ")
    # The upper-case article and the pronoun are no letters here, any other single capital is one.
    if len(head) == 1 and "A" <= head <= "Z" and head not in "AI" and options.exact(tail) is not None:
        return Cue(head, tail)
    return None


def refused(tail: str) -> bool:
    """Whether the text beside a letter says no more than that the letter is wrong."""
    return _REFUSED.fullmatch(tail) is not None


def stated(text: str, options: Options) -> dict[str, Cue]:
    """The letters that sentences of the text state as the answer ("the answer is B") and do not deny."""
    pattern = _patterns(len(options.texts) > _WIDE).stated
    return {cue.letter: cue for cue in _undenied(text, (pattern,), options)}


def find(text: str, options: Options) -> list[Cue]:
    """The letters that sentences state, else those that they mention ("option B", "it's B", "B is correct")."""
    known = _patterns(len(options.texts) > _WIDE)
    for patterns in ((known.stated,), (*known.mentioned, known.judged)):
        found = _undenied(text, patterns, options)
        if found:
            return found
    return []


def _undenied(text: str, patterns: tuple[re.Pattern[str], ...], options: Options) -> list[Cue]:
    folded = text.lower()
    if not any(word in folded for word in _WORDS):
        return []
    line = foldable(text)
    found: dict[Span, Cue] = {}
    for match in (match for pattern in patterns for match in pattern.finditer(line)):
        cue = _letter(line, match, options)
        if cue:
            found.setdefault(match.span("boxed" if match["boxed"] else "bare"), cue)
    if not found:
        return []
    spans = sorted(found)
    texts = [hit[:2] for hit in options.mentions(line) if hit.stop - hit.start > 1]
    refused = denied(line.casefold(), spans, texts)
    return [found[span] for span, no in zip(spans, refused, strict=True) if not no]


def _letter(text: str, match: re.Match[str], options: Options) -> Cue | None:
    """The letter of a cue and the text after it; None where it is a word ("the answer is A dog")."""
    end, judged = match.end(), match.re is _patterns(len(options.texts) > _WIDE).judged
    if match["bare"] and options.begins(options.head(text, match.start("bare"))):
        return None
    if match["boxed"]:
        return Cue(match["boxed"].upper()) if judged else Cue(match["boxed"].upper(), text, end)
    letter = match["bare"]
    if judged:
        return Cue(letter) if letter.isupper() else None
    if letter.islower():
        return Cue(letter.upper()) if _LAST.match(text, end) else None
    if _AFTER_BARE.match(text, end):
        return Cue(letter, text, end)
    named = options.exact(options.head(text, end))
    if named is None or (letter in "AI" and named != options.at(letter)):
        return None
    return Cue(letter, text, end)
