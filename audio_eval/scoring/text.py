"""How text is compared: one normal form for options and responses, and the <answer> tags."""

from __future__ import annotations

import re
import unicodedata

# '#', '+', '-', '/', '%' and '$' stay: "C#", "-5 dB" and "50%" differ from "C", "5 dB" and "50".
_EDGES = " \t\n.,;:!?_\"'()[]{}<>~。、，！？：；「」『』«»…"  # noqa: RUF001
_QUOTES = str.maketrans({"’": "'", "‘": "'", "‚": "'", "“": '"', "”": '"', "„": '"', "−": "-", "\u200b": None})  # noqa: RUF001
_BULLET = re.compile(r"^(?:[-+•#]+\s+)+")
_BOXED = re.compile(r"\$?\\boxed\s*\{(?:\\text\w*\s*\{([^{}]*)\}|([^{}]*))\}\$?")
_TAG = re.compile(r"</?answer>", re.IGNORECASE)
_FORMAT = re.compile(r"<answer>.*?</answer>", re.DOTALL)


def plain(text: str) -> str:
    """NFKC, straight quotes, without markdown emphasis, code ticks and LaTeX boxes; line breaks stay."""
    text = unicodedata.normalize("NFKC", text).translate(_QUOTES)
    if "\\" in text:
        text = _BOXED.sub(lambda found: (found[1] or found[2] or "").strip(), text)
    return text.replace("*", "").replace("`", "").strip()


def normalise(text: str) -> str:
    """The form in which two texts are compared: ``plain``, case folded, white space collapsed, edges trimmed.

    Text made of nothing but punctuation keeps it, so that "?" and "" stay different.
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


def answer_text(response: str) -> str:
    """The part of a response that an official rule is given: inside the last ``<answer>`` pair, else all of it."""
    inside = tagged(response)
    return response if inside is None else inside


def answer_span(response: str) -> str:
    """Where the ``choice`` rule looks: the last ``<answer>`` pair, else what follows the thinking, else all of it.

    A tag that was never closed (a truncated response) is read as a line break.
    """
    inside = tagged(response)
    if inside is not None:
        return inside
    return _TAG.sub("\n", response.rpartition("</think>")[2])
