"""Where a response states its answer: in tags, a box, a JSON value, after "Answer:". What comes last counts."""

from __future__ import annotations

import ast
import json
import re
from typing import NamedTuple

from audio_eval.scoring.denial import denied_before
from audio_eval.scoring.normal import BOX, plain

# Boxes with nothing but "," and "or" between them are one list ("exactly one of \boxed{A}, \boxed{B}"), not one answer.
_BOXES = re.compile(
    rf"{BOX}(?:[\s,;/]*(?:\b(?:or|and)\b)?\s*{BOX})*|\\boxed\s*(?:\{{(?P<cut>[^{{}}]*)\Z|(?P<letter>[A-Za-z])\b)"
)
_JSON_KEY = r"""["'](?:(?:(?:final|correct|predicted|selected|chosen|model|your)[_ ])?
    (?:answer|option|choice|prediction)(?:[_ ]letter)?)["']\s*:\s*\[?\s*"""
# A quote ends a value only where the value can end: {'answer': 'it's'} is what a careless template prints.
_JSON = re.compile(
    rf"""{_JSON_KEY}(?P<value>
    "(?:[^"\\]|\\.)*"(?=\s*(?:[,}}\]]|\Z)) | '(?:[^'\\]|\\.)*'(?=\s*(?:[,}}\]]|\Z))
    | "(?:[^"\\\n]|\\.|"(?!\s*[,}}\]]))*(?:"|\Z) | '(?:[^'\\\n]|\\.|'(?!\s*[,}}\]]))*(?:'|\Z)
    | [^\s,{{}}\[\]"']+ )(?P<more>\s*,\s*["'][^"']*["']\s*\])?""",
    re.IGNORECASE | re.VERBOSE,
)
_ANSWER_WORD = re.compile(r"\banswer\s*(?:is\b|was\b|[:=])", re.IGNORECASE)
_ANSWER_LINE = re.compile(
    r"""^[^\w\n]*(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:(?:my|final|correct|best|right)\s+)*
    answer\s*(?:(?:is\s*)?:\s*|\n\s*(?=\S))""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
TAG = re.compile(r"</?answer>", re.IGNORECASE)
_FORMAT = re.compile(r"<answer>.*?</answer>", re.DOTALL)
# <response> is Audio-Reasoner's. A tag that is cut at the end of a truncated response is one too.
_MARK = re.compile(r"<(?P<close>/?)(?:answer|response|final_answer|a(?:n(?:s(?:w(?:er?)?)?)?)?\Z)>?", re.IGNORECASE)


class Statement(NamedTuple):
    """What a response gives as its answer, and what it says after that, both in ``plain`` form.

    ``marked``: whether it marks the answer; else ``answer`` is all that it says.
    """

    answer: str
    after: str
    marked: bool


def has_format(response: str) -> bool:
    """Whether the response is exactly one ``<answer>...</answer>`` pair, as R1-AQA's format reward asks."""
    text = response.strip()
    return len(TAG.findall(text)) == 2 and _FORMAT.fullmatch(text) is not None


def tagged(response: str) -> str | None:
    """The text inside the last closed ``<answer>`` pair, stripped; None where there is no pair."""
    opened, inside = None, None
    for tag in TAG.finditer(response):
        if not tag[0].startswith("</"):
            opened = tag.end()
        elif opened is not None:
            inside, opened = response[opened : tag.start()].strip(), None
    return inside


def answer_text(response: str) -> str:
    """The part of a response that official rules read: the text in the last ``<answer>`` pair, else all of it."""
    inside = tagged(response)
    return response if inside is None else inside


def stated(text: str) -> Statement:
    r"""What a text (``thinking.spoken``) marks as its answer: its *last* mark, of whatever kind; else all of it.

    Marks are the ``<answer>`` tag, ``\\boxed{...}``, a JSON value with the key "answer" or alike, and an "Answer:" that
    begins a line, unless another "answer" is stated without a mark between: then the two may differ, and all is read.
    A mark inside another counts as the last. A mark that is cut at the end of a truncated response states what is there
    of it, which may be nothing: never what stands before it.
    """
    mark = _last_mark(text)
    end, answer = (mark.end, mark.answer) if mark else (0, "")
    after = plain(_MARK.sub("\n", text[end:]) if "<" in text else text[end:])
    line = _ANSWER_LINE.search(after) if "nswer" in after or "NSWER" in after else None
    if line and not _ANSWER_WORD.search(after[: line.start()]) and not _ANSWER_WORD.search(after, line.end()):
        return Statement(after[line.end() :], "", True)
    return Statement(plain(answer), after, True) if mark else Statement(after, "", False)


def marked_at(text: str) -> tuple[int, int] | None:
    """Where the answer stands that the last mark of a text gives, without the mark: for a reader, to see it in place.

    Of an "Answer:" that begins a line, the rest of the line. None where nothing is marked.
    """
    mark = _last_mark(text)
    lines = list(_ANSWER_LINE.finditer(text, mark.end if mark else 0))
    if lines:
        start = lines[-1].end()
        return start, start + len(text[start:].partition("\n")[0].rstrip())
    if mark is None:
        return None
    whole = text.startswith(mark.answer, mark.at)
    return (mark.at, mark.at + len(mark.answer)) if whole else (mark.start, mark.end)


class _Mark(NamedTuple):
    """A mark from ``start`` to ``end`` with the answer that it gives, and where that begins."""

    start: int
    end: int
    answer: str
    at: int


def _last_mark(text: str) -> _Mark | None:
    return max((mark for find in (_in_tags, _in_box, _in_json) if (mark := find(text)) is not None), default=None)


def _in_tags(text: str) -> _Mark | None:
    """The last opened tag and its content up to the next tag; one that nothing follows only where there is no other."""
    if "<" not in text:
        return None
    tags, found = list(_MARK.finditer(text)), None
    for place, tag in enumerate(tags):
        if tag["close"]:
            continue
        end = tags[place + 1] if place + 1 < len(tags) else None
        inside = text[tag.end() : end.start() if end else len(text)].strip()
        if inside or end or found is None:
            at = text.index(inside, tag.end())
            found = _Mark(tag.start(), end.end() if end else len(text), inside, at)
    return found


def _in_box(text: str) -> _Mark | None:
    if "\\boxed" not in text:
        return None
    for box in reversed(list(_BOXES.finditer(text))):
        if not denied_before(text, box.start()):
            part = "cut" if box["cut"] is not None else "letter" if box["letter"] else 0
            return _Mark(box.start(), box.end(), box[part], box.start(part))
    return None


def _in_json(text: str) -> _Mark | None:
    if ":" not in text or not ('"' in text or "'" in text):
        return None
    found = None
    for value in _JSON.finditer(text):
        inside = value["value"] + (value["more"] or "") if value["more"] else _json_text(value["value"])
        found = _Mark(
            value.start(), value.end(), inside, max(text.find(inside, value.start("value"), value.end()), value.start())
        )
    return found


def _json_text(value: str) -> str:
    """A JSON or Python value as text, "" for null; of another form (a bare word, stray quotes) what is inside."""
    for read in (json.loads, ast.literal_eval):
        try:
            known = read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return "" if known is None else str(known)
    quote = value[0] if value[0] in "\"'" else ""
    return value.removeprefix(quote).removesuffix(quote).replace(f"\\{quote}", quote) if quote else value
