"""The normal form in which texts are compared, and where a response states its answer."""

from __future__ import annotations

import json
import re
import unicodedata

# '#', '+', '-', '/', '%' and '$' stay: "C#", "-5 dB" and "50%" differ from "C", "5 dB" and "50".
_EDGES = " \t\n.,;:!?_\"'()[]{}<>~。、，！？：；「」『』«»…"  # noqa: RUF001
_QUOTES = str.maketrans({"’": "'", "‘": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "−": "-", "\u200b": None})  # noqa: RUF001
_BULLET = re.compile(r"^(?:[-+•#]+\s+)+")
_BOX = r"\$?\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}\$?"
_BOXED = re.compile(_BOX)
# Boxes with nothing but "," and "or" between them are one list ("exactly one of \boxed{A}, \boxed{B}"), not one answer.
_BOXES = re.compile(rf"{_BOX}(?:[\s,;/]*(?:\b(?:or|and)\b)?\s*{_BOX})*")
_LATEX_STYLE = re.compile(r"\\(?:text|math)\w*\s*\{([^{}]*)\}")
_LATEX_ESCAPE = re.compile(r"\\([%$&#_])")
_JSON_ANSWER = re.compile(
    r"""["'](?:final_|correct_)?answer["']\s*:\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,{}\[\]"']+)""", re.IGNORECASE
)
_ANSWER_WORD = re.compile(r"\banswer\s*(?:is\b|was\b|[:=])", re.IGNORECASE)
_ANSWER_LINE = re.compile(
    r"""^[^\w\n]*(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:(?:my|final|correct|best|right)\s+)*
    answer\s*(?:is\s*)?:\s*(?=\S)""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_THOUGHT = re.compile(r".*</think>", re.DOTALL | re.IGNORECASE)
_RESPONSE = re.compile(r"</?response>", re.IGNORECASE)  # Audio-Reasoner's, after </THINK>
_FORMAT = re.compile(r"<answer>.*?</answer>", re.DOTALL)


def plain(text: str) -> str:
    """The text in NFKC, with straight quotes, without markdown emphasis, code ticks and LaTeX boxes."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    if "\\" in text:
        text = _BOXED.sub(_unbox, text)
    return text.replace("*", "").replace("`", "").strip()


def _unbox(found: re.Match[str]) -> str:
    return _LATEX_ESCAPE.sub(r"\1", _LATEX_STYLE.sub(r"\1", found[1])).strip()


def normalise(text: str) -> str:
    """The form in which two texts are compared: ``plain``, case folded, white space collapsed, edges trimmed.

    A text of punctuation alone is kept, so that "?" and "" stay different.
    """
    folded = " ".join(plain(text).casefold().split())
    return _BULLET.sub("", folded).strip(_EDGES) or folded


def has_format(response: str) -> bool:
    """Whether the response is exactly one ``<answer>...</answer>`` pair, as R1-AQA's format reward asks."""
    text = response.strip()
    return len(_TAG.findall(text)) == 2 and _FORMAT.fullmatch(text) is not None


def tagged(response: str) -> str | None:
    """The text inside the last closed ``<answer>`` pair, stripped; None where there is no pair."""
    opened, inside = None, None
    for tag in _TAG.finditer(response):
        if not tag[0].startswith("</"):
            opened = tag.end()
        elif opened is not None:
            inside, opened = response[opened : tag.start()].strip(), None
    return inside


def after_thinking(response: str) -> str:
    """What follows the last ``</think>`` (upper or lower case); the whole response where there is none."""
    found = _THOUGHT.match(response)
    return response[found.end() :] if found else response


def answer_text(response: str) -> str:
    """The part of a response that official rules read: the text in the last ``<answer>`` pair, else all of it."""
    inside = tagged(response)
    return response if inside is None else inside


def answer_span(response: str) -> str:
    r"""The part of a response that the ``choice`` rule reads, in ``plain`` form: what the response marks as its answer.

    The last ``<answer>`` pair, else what follows the thinking, else all of it; and of that the last ``\\boxed{...}``,
    else the last JSON value with the key "answer", else what follows the only "Answer:" that begins a line, else all.
    A tag that was never closed (a truncated response) counts as a line break.
    """
    text = tagged(response)
    if text is None:
        text = _RESPONSE.sub("\n", _TAG.sub("\n", after_thinking(response)))
    boxes = [found[0] for found in _BOXES.finditer(text)] if "\\boxed" in text else []
    if boxes:
        return plain(boxes[-1])
    values = _JSON_ANSWER.findall(text)
    if values:
        return plain(_json_text(values[-1]))
    text = plain(text)
    line = _ANSWER_LINE.search(text)
    # An answer that is stated twice may be two different ones: then the whole text is read.
    return text[line.end() :] if line and len(_ANSWER_WORD.findall(text)) == 1 else text


def _json_text(value: str) -> str:
    """A JSON value as text, "" for null; other values (single quotes, a bare word) without their quotes."""
    try:
        known = json.loads(value)
    except ValueError:
        return value.strip("'\"")
    return "" if known is None else str(known)
